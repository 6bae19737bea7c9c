/* crypto: the few primitives that more than one room needs; OpenSSL's door for them.
 *
 * Errors   none can fail but random, which ends the process: nothing here works without it. */
#pragma once

#include "base/span.h"

void hmac_sha256(struct span key, struct span data, uint8_t out[32]);
void sha256(struct span data, uint8_t out[32]);
void sha1(struct span data, uint8_t out[20]); /* RFC 6455 4.2.2 only */
void random_bytes(void *out, size_t n);
/* Time depends on the lengths alone. */
bool equal_ct(struct span a, struct span b);
