/* enc: hex, base64url and percent encoding.
 *
 * Errors   decoders return the decoded length or a negative errno: -EBADMSG for text that is not
 *          canonical (alphabet, padding, trailing bits), -EMSGSIZE when `cap` is too small. */
#pragma once

#include "base/span.h"

#include <sys/types.h>

void hex_encode(struct span in, char *out); /* 2n + 1 bytes, lower case, terminated */
ssize_t hex_decode(struct span in, uint8_t *out, size_t cap);

#define B64URL_LEN(n) (((n)*4 + 2) / 3)
/* RFC 4648 5, without padding; B64URL_LEN(n) + 1 bytes, terminated. */
size_t b64url_encode(struct span in, char *out);
/* Strict: length mod 4 never 1, unused trailing bits zero. */
ssize_t b64url_decode(struct span in, uint8_t *out, size_t cap);
/* RFC 4648 4, with padding; used by the WebSocket handshake. out: 4*((n+2)/3) + 1 bytes. */
size_t b64_encode(struct span in, char *out);
ssize_t b64_decode(struct span in, uint8_t *out, size_t cap);

/* RFC 3986 2.1: %XX decoded, everything else kept (`+` too). A bad escape stays as it is. */
ssize_t percent_decode(struct span in, uint8_t *out, size_t cap);
