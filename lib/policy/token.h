/* token: signed credentials, verified before they are believed.
 *
 * Session  <payload>.<sig>         HMAC-SHA256 over the payload's text
 * JWT      <header>.<payload>.<sig>, HS256 over header.payload (RFC 7515, RFC 7519)
 *
 * Order    lengths, dots, signature, only then base64url and JSON: an unsigned byte is never
 * parsed. Memory   needs a struct token_room for the decoded payload; spans in the result point
 * into it and are good until its next use. Errors   enum token_status; the outside only ever learns
 * "no". */
#pragma once

#include "base/span.h"

#define TOKEN_HEADER_MAX 4096
#define TOKEN_PAYLOAD_MAX 16384
#define TOKEN_SIG_LEN 43
#define TOKEN_MAX (TOKEN_HEADER_MAX + 1 + TOKEN_PAYLOAD_MAX + 1 + TOKEN_SIG_LEN)

enum token_status {
	TOKEN_OK,
	TOKEN_MALFORMED, /* not this kind of token */
	TOKEN_FORGED,    /* signature does not match */
	TOKEN_BAD_CLAIMS,
	TOKEN_EXPIRED,
	TOKEN_NOT_YET,
};

struct token_room {
	uint8_t bytes[TOKEN_PAYLOAD_MAX / 4 * 3];
};

struct token_session {
	struct span sid;
	double exp; /* Unix seconds */
};

struct token_jwt {
	struct span sid;
	struct span origin, aud, iss; /* p == NULL when absent */
	int64_t exp, iat;             /* Unix seconds */
};

enum token_status token_session(struct span token, struct span secret, uint64_t now_ms,
        struct token_room *room, struct token_session *out);
enum token_status token_jwt(struct span token, struct span secret, uint64_t now_ms,
        struct token_room *room, struct token_jwt *out);
