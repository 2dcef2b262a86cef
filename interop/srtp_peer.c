/* The other side of crates/proto/rtp/tests/peer/srtp_peer.rs, with libsrtp: the same arguments, lines and answers.
 *
 *     cc -o srtp_peer srtp_peer.c -lsrtp2
 */
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 4096

static int from_hex(const char *text, unsigned char *bytes)
{
    int len = 0;
    for (unsigned byte; len < ROOM && sscanf(text + 2 * len, "%2x", &byte) == 1; len++)
        bytes[len] = byte;
    return len;
}

static int set_suite(const char *name, srtp_policy_t *policy)
{
    if (!strcmp(name, "AES_CM_128_HMAC_SHA1_80")) {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(name, "AES_CM_128_HMAC_SHA1_32")) {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(name, "AEAD_AES_128_GCM")) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtcp);
    } else if (!strcmp(name, "AEAD_AES_256_GCM")) {
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtcp);
    } else {
        return 0;
    }
    return 1;
}

static srtp_err_status_t carry_out(srtp_t sending, srtp_t receiving, const char *verb, const char *kind,
                                   unsigned char *packet, int *len, int use_mki)
{
    int rtcp = !strcmp(kind, "rtcp");
    if (!strcmp(verb, "protect"))
        return rtcp ? srtp_protect_rtcp_mki(sending, packet, len, use_mki, 0)
                    : srtp_protect_mki(sending, packet, len, use_mki, 0);
    return rtcp ? srtp_unprotect_rtcp_mki(receiving, packet, len, use_mki)
                : srtp_unprotect_mki(receiving, packet, len, use_mki);
}

int main(int count, char **arguments)
{
    static unsigned char key_bytes[ROOM], mki[ROOM];
    static char line[3 * ROOM], verb[16], kind[16], digits[2 * ROOM + 1];
    srtp_master_key_t key = {.key = key_bytes, .mki_id = mki}, *keys[] = {&key};
    srtp_policy_t policy = {.keys = keys, .num_master_keys = 1, .window_size = 128};
    srtp_t sending, receiving;

    if (count != 4 || srtp_init() != srtp_err_status_ok || !set_suite(arguments[1], &policy))
        return 2;
    from_hex(arguments[2], key_bytes);
    int use_mki = strcmp(arguments[3], "-") != 0;
    key.mki_size = use_mki ? from_hex(arguments[3], mki) : 0;
    policy.ssrc.type = ssrc_any_outbound;
    if (srtp_create(&sending, &policy) != srtp_err_status_ok)
        return 3;
    policy.ssrc.type = ssrc_any_inbound;
    if (srtp_create(&receiving, &policy) != srtp_err_status_ok)
        return 3;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%15s %15s %8192s", verb, kind, digits) == 3) {
        static _Alignas(8) unsigned char packet[ROOM + SRTP_MAX_TRAILER_LEN + SRTP_MAX_MKI_LEN];
        int len = from_hex(digits, packet);
        srtp_err_status_t status = carry_out(sending, receiving, verb, kind, packet, &len, use_mki);
        if (status == srtp_err_status_ok)
            for (int place = 0; place < len; place++)
                printf("%02x", packet[place]);
        else
            printf("refused %d", status);
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
