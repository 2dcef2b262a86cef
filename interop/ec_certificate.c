/* baresip 1.0 makes itself a certificate of an RSA key for DTLS. Preloaded, this gives it the one of a file instead, so that
 * a key on a curve can be tried as well: CERTIFICATE names the file, which holds both in PEM. With FINGERPRINT_OF it says the
 * fingerprint of another one. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
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

int tls_fingerprint(const struct tls *tls, int type, uint8_t *md, size_t size)
{
	int (*own)(const struct tls *, int, uint8_t *, size_t) = dlsym(RTLD_NEXT, "tls_fingerprint");
	int err = own ? own(tls, type, md, size) : 2;

	if (!err && getenv("FINGERPRINT_OF"))
		md[0] ^= 0xff;
	return err;
}
