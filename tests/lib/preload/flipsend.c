/* A memory that changes bytes: one bit of the first large record that a program seals is flipped, behind the back of whoever
 * has counted on it, while the file named by FLIPSEND is there; it is removed by that. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 32768, AT = 20000 };

int crypto_aead_xchacha20poly1305_ietf_encrypt(unsigned char *out, unsigned long long *out_size, const unsigned char *plain,
                                               unsigned long long size, const unsigned char *open_part,
                                               unsigned long long open_size, const unsigned char *secret,
                                               const unsigned char *nonce, const unsigned char *key);

int crypto_aead_xchacha20poly1305_ietf_encrypt(unsigned char *out, unsigned long long *out_size, const unsigned char *plain,
                                               unsigned long long size, const unsigned char *open_part,
                                               unsigned long long open_size, const unsigned char *secret,
                                               const unsigned char *nonce, const unsigned char *key)
{
    int (*real)(unsigned char *, unsigned long long *, const unsigned char *, unsigned long long, const unsigned char *,
                unsigned long long, const unsigned char *, const unsigned char *, const unsigned char *) =
        (int (*)(unsigned char *, unsigned long long *, const unsigned char *, unsigned long long, const unsigned char *,
                 unsigned long long, const unsigned char *, const unsigned char *,
                 const unsigned char *))dlsym(RTLD_NEXT, "crypto_aead_xchacha20poly1305_ietf_encrypt");
    const char *sign = getenv("FLIPSEND");
    static unsigned char flipped[1 << 20];
    if (size >= LARGE && size <= sizeof flipped && sign != NULL && unlink(sign) == 0) {
        memcpy(flipped, plain, size);
        flipped[AT] ^= 1;
        plain = flipped;
    }
    return real(out, out_size, plain, size, open_part, open_size, secret, nonce, key);
}
