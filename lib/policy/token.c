#include "policy/token.h"

#include "base/crypto.h"
#include "base/enc.h"
#include "base/mem.h"
#include "policy/claims.h"

/* Cut at the last dot: what was signed, and the signature. */
static bool
split_signature(struct span token, struct span *body, struct span *sig)
{
	const uint8_t *dot = token.n ? memrchr(token.p, '.', token.n) : NULL;
	if (!dot)
		return false;
	*body = span(token.p, (size_t)(dot - token.p));
	*sig = span_skip(token, body->n + 1);
	return sig->n == TOKEN_SIG_LEN;
}

static enum token_status
check_signature(struct span body, struct span sig, struct span secret)
{
	uint8_t given[32], right[32];
	if (b64url_decode(sig, given, sizeof given) != sizeof given)
		return TOKEN_MALFORMED;
	hmac_sha256(secret, body, right);
	return equal_ct(span(given, 32), span(right, 32)) ? TOKEN_OK : TOKEN_FORGED;
}

static bool
decode_claims(struct span text, struct token_room *room, struct claim *want, size_t n)
{
	ssize_t len = b64url_decode(text, room->bytes, sizeof room->bytes);
	return len >= 0 && claims_read(room->bytes, (size_t)len, want, n);
}

enum token_status
token_session(struct span token, struct span secret, uint64_t now_ms, struct token_room *room,
        struct token_session *out)
{
	struct span payload, sig;
	struct claim c[] = {{.name = "v"}, {.name = "sid"}, {.name = "exp"}};
	double v, exp;
	if (!split_signature(token, &payload, &sig) || !payload.n ||
	        payload.n > TOKEN_PAYLOAD_MAX || memchr(payload.p, '.', payload.n))
		return TOKEN_MALFORMED;
	enum token_status s = check_signature(payload, sig, secret);
	if (s != TOKEN_OK)
		return s;
	if (!decode_claims(payload, room, c, ARRAY_LEN(c)) || !claims_number(&c[0], &v) || v != 1 ||
	        c[1].type != CLAIM_STRING || !c[1].text.n || !claims_number(&c[2], &exp))
		return TOKEN_BAD_CLAIMS;
	if (exp * 1000 <= (double)now_ms)
		return TOKEN_EXPIRED;
	*out = (struct token_session){c[1].text, exp};
	return TOKEN_OK;
}

static bool
jwt_header_ok(struct span header, struct token_room *room)
{
	struct claim c[] = {{.name = "alg"}, {.name = "typ"}};
	return decode_claims(header, room, c, ARRAY_LEN(c)) && c[0].type == CLAIM_STRING &&
	       span_is(c[0].text, "HS256") &&
	       (c[1].type == CLAIM_ABSENT || c[1].type == CLAIM_STRING);
}

static bool
optional_string(const struct claim *c, struct span *out)
{
	*out = c->type == CLAIM_STRING ? c->text : SPAN_NONE;
	return c->type == CLAIM_STRING || c->type == CLAIM_ABSENT;
}

static enum token_status
jwt_claims(struct span payload, uint64_t now_ms, struct token_room *room, struct token_jwt *out)
{
	enum { SID, EXP, IAT, NBF, ORIGIN, AUD, ISS, N };
	struct claim c[N] = {{.name = "sid"}, {.name = "exp"}, {.name = "iat"}, {.name = "nbf"},
	        {.name = "origin"}, {.name = "aud"}, {.name = "iss"}};
	int64_t now = (int64_t)(now_ms / 1000), nbf = INT64_MIN;
	struct token_jwt t;
	if (!decode_claims(payload, room, c, N) || c[SID].type != CLAIM_STRING || !c[SID].text.n ||
	        !claims_integer(&c[EXP], &t.exp) || !claims_integer(&c[IAT], &t.iat) ||
	        (c[NBF].type != CLAIM_ABSENT && !claims_integer(&c[NBF], &nbf)) ||
	        !optional_string(&c[ORIGIN], &t.origin) || !optional_string(&c[AUD], &t.aud) ||
	        !optional_string(&c[ISS], &t.iss))
		return TOKEN_BAD_CLAIMS;
	if (now >= t.exp)
		return TOKEN_EXPIRED;
	if (now < nbf)
		return TOKEN_NOT_YET;
	t.sid = c[SID].text;
	*out = t;
	return TOKEN_OK;
}

enum token_status
token_jwt(struct span token, struct span secret, uint64_t now_ms, struct token_room *room,
        struct token_jwt *out)
{
	struct span body, sig, header, payload;
	if (!split_signature(token, &body, &sig))
		return TOKEN_MALFORMED;
	payload = body;
	span_split(&payload, '.', &header);
	if (!header.n || !payload.n || header.n > TOKEN_HEADER_MAX ||
	        payload.n > TOKEN_PAYLOAD_MAX || memchr(payload.p, '.', payload.n))
		return TOKEN_MALFORMED;
	enum token_status s = check_signature(body, sig, secret);
	if (s != TOKEN_OK)
		return s;
	if (!jwt_header_ok(header, room))
		return TOKEN_BAD_CLAIMS;
	return jwt_claims(payload, now_ms, room, out);
}
