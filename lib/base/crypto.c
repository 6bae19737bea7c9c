#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/random.h>

void
hmac_sha256(struct span key, struct span data, uint8_t out[32])
{
	unsigned n = 32;
	if (!HMAC(EVP_sha256(), key.n ? (const void *)key.p : "", (int)key.n, data.p, data.n, out,
	            &n))
		abort();
}

static void
digest(const EVP_MD *md, struct span data, uint8_t *out)
{
	if (!EVP_Digest(data.p, data.n, out, NULL, md, NULL))
		abort();
}

void
sha256(struct span data, uint8_t out[32])
{
	digest(EVP_sha256(), data, out);
}

void
sha1(struct span data, uint8_t out[20])
{
	digest(EVP_sha1(), data, out);
}

void
random_bytes(void *out, size_t n)
{
	uint8_t *p = out;
	while (n) {
		ssize_t got = getrandom(p, n, 0);
		if (got <= 0)
			abort();
		p += got;
		n -= (size_t)got;
	}
}

bool
equal_ct(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
