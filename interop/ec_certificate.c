/* baresip 1.0 makes itself a certificate of an RSA key for DTLS. Preloaded, this gives it the one of a file instead, so that
 * a key on a curve can be tried as well: CERTIFICATE names the file, which holds both in PEM. */

#include <stdio.h>
#include <stdlib.h>

struct tls;
int tls_set_certificate(struct tls *tls, const char *pem, size_t len);

int tls_set_selfsigned_rsa(struct tls *tls, const char *name, size_t bits)
{
	static char pem[8192];
	const char *path = getenv("CERTIFICATE");
	FILE *file = path ? fopen(path, "rb") : NULL;
	size_t len;

	(void)name;
	(void)bits;
	if (!file)
		return 2;
	len = fread(pem, 1, sizeof(pem), file);
	fclose(file);
	return tls_set_certificate(tls, pem, len);
}
