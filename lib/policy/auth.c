#include "policy/auth.h"

#include "base/crypto.h"
#include "base/enc.h"
#include "policy/origin.h"

#include <errno.h>

/* Every mode is a question about three facts: does the cookie verify, does the API key match, does
 * a JWT verify. Facts are looked up on demand, in the order the mode names them. */

enum fact { ABSENT, BAD, GOOD };

enum { USES_COOKIE = 1, USES_KEY = 2, USES_JWT = 4 };

struct carriers {
	struct span bearer, query, subprotocol;
	struct cookie cookie;
};

static unsigned
mode_uses(enum auth_mode m)
{
	static const uint8_t uses[] = {
	        [AUTH_SESSION] = USES_COOKIE,
	        [AUTH_TOKEN] = USES_KEY,
	        [AUTH_JWT] = USES_JWT,
	        [AUTH_COOKIE_OR_JWT] = USES_COOKIE | USES_JWT,
	        [AUTH_SESSION_OR_TOKEN] = USES_COOKIE | USES_KEY,
	        [AUTH_SESSION_AND_TOKEN] = USES_COOKIE | USES_KEY,
	};
	return uses[m];
}

int
auth_init(struct auth *a, const struct auth_conf *c, bool origin_open, struct err *e)
{
	enum auth_mode mode = (enum auth_mode)c->mode;
	*a = (struct auth){
	        .mode = mode,
	        .open = origin_open,
	        .key = span_str(c->api_key),
	        .session_secret = span_str(c->session_secret),
	        .jwt_secret = span_str(c->jwt_secret),
	        .audience = span_str(c->jwt_audience),
	        .issuer = span_str(c->jwt_issuer),
	};
	if (mode == AUTH_AUTO)
		return err_set(e, -EINVAL, "auth.mode: nothing to choose it by");
	if ((mode == AUTH_TOKEN || mode == AUTH_SESSION_AND_TOKEN) && !a->key.n)
		return err_set(e, -EINVAL, "auth.mode asks for tokens, but auth.api-key is empty");
	if ((mode_uses(mode) & USES_COOKIE) && !a->session_secret.n)
		return err_set(
		        e, -EINVAL, "auth.mode asks for cookies, but auth.session-secret is empty");
	if ((mode_uses(mode) & USES_JWT) && !a->jwt_secret.n)
		return err_set(
		        e, -EINVAL, "auth.mode asks for a JWT, but auth.jwt-secret is empty");
	return 0;
}

const char *
auth_reject_name(enum auth_reject r)
{
	static const char *const name[AUTH_REJECTS] = {"missing_credentials", "invalid_api_key",
	        "invalid_cookie", "invalid_jwt", "jwt_origin_mismatch"};
	return name[r];
}

/* --- carriers --------------------------------------------------------------------------------- */

/* RFC 6750 2.1, the scheme in any case: exactly two words. */
static struct span
find_bearer(const struct head *h)
{
	struct span s = span_trim(head_first(h, "authorization"));
	size_t n = strlen("bearer");
	if (!span_istarts(s, "bearer") || s.n == n || (s.p[n] != ' ' && s.p[n] != '\t'))
		return SPAN_NONE;
	s = span_trim(span_skip(s, n));
	return memchr(s.p, ' ', s.n) || memchr(s.p, '\t', s.n) ? SPAN_NONE : s;
}

static struct span
find_query(const struct head *h, struct auth_room *room)
{
	struct span s = head_query(h, "token");
	if (!s.n)
		s = head_query(h, "apiKey");
	if (s.n && memchr(s.p, '%', s.n)) {
		ssize_t n = percent_decode(s, (uint8_t *)room->query, sizeof room->query);
		if (n >= 0)
			s = span(room->query, (size_t)n);
	}
	return s;
}

static struct span
find_subprotocol(const struct head *h)
{
	size_t at = 0;
	struct span line, item;
	while ((line = head_next(h, "sec-websocket-protocol", &at)).p)
		while (span_split(&line, ',', &item)) {
			item = span_trim(item);
			if (!span_starts(item, AUTH_SUBPROTOCOL))
				continue;
			item = span_skip(item, strlen(AUTH_SUBPROTOCOL));
			if (item.n)
				return item;
		}
	return SPAN_NONE;
}

/* --- facts ------------------------------------------------------------------------------------ */

static enum fact
ask_cookie(const struct auth *a, const struct carriers *c, uint64_t now_ms, struct auth_room *room,
        struct auth_result *out)
{
	struct token_session t;
	if (!c->cookie.value.n)
		return ABSENT;
	if (token_session(c->cookie.value, a->session_secret, now_ms, &room->token, &t) != TOKEN_OK)
		return BAD;
	out->sid = t.sid;
	return GOOD;
}

/* The first carrier that holds anything decides; a right key further on does not save a wrong one.
 */
static enum fact
ask_key(const struct auth *a, const struct carriers *c)
{
	struct span given = c->query.n ? c->query : c->subprotocol;
	if (!given.n)
		return ABSENT;
	return a->key.n && equal_ct(given, a->key) ? GOOD : BAD;
}

static bool
jwt_origin_ok(const struct auth *a, struct span claim, const char *origin, struct auth_result *out)
{
	char want[ORIGIN_TEXT];
	if (!claim.p)
		return true;
	if (!origin_normalise(claim, want)) {
		out->note = " (jwt origin claim invalid)";
		return false;
	}
	/* Without a usable Origin the origin check refuses, unless it is switched off. */
	if (origin[0] ? strcmp(want, origin) == 0 : !a->open)
		return true;
	out->reject = AUTH_JWT_ORIGIN;
	return false;
}

static bool
claim_ok(struct span want, struct span claim)
{
	return !want.n || (claim.p && span_eq(want, claim));
}

static enum fact
judge_jwt(const struct auth *a, const struct token_jwt *t, const char *origin,
        struct auth_result *out)
{
	if (!claim_ok(a->audience, t->aud))
		out->note = " (jwt audience mismatch)";
	else if (!claim_ok(a->issuer, t->iss))
		out->note = " (jwt issuer mismatch)";
	else if (jwt_origin_ok(a, t->origin, origin, out))
		return GOOD;
	return BAD;
}

static enum fact
ask_jwt(const struct auth *a, const struct carriers *c, const char *origin, uint64_t now_ms,
        struct auth_room *room, struct auth_result *out)
{
	const struct span carrier[] = {c->bearer, c->query, c->subprotocol};
	enum fact fact = ABSENT;
	struct token_jwt t;
	for (size_t i = 0; i < 3; i++) {
		if (!carrier[i].n)
			continue;
		fact = BAD;
		if (token_jwt(carrier[i], a->jwt_secret, now_ms, &room->token, &t) != TOKEN_OK)
			continue;
		out->sid = t.sid;
		return judge_jwt(a, &t, origin, out);
	}
	return fact;
}

/* --- the decision ----------------------------------------------------------------------------- */

static void
refuse(struct auth_result *out, enum auth_reject reject, const char *text)
{
	static const char *const label[AUTH_REJECTS] = {"auth_missing", "auth_invalid",
	        "auth_invalid", "auth_invalid", "jwt_origin_mismatch"};
	/* A finding about a JWT's origin is more exact than "invalid". */
	if (reject != AUTH_BAD_JWT || out->reject != AUTH_JWT_ORIGIN)
		out->reject = reject;
	out->sid = SPAN_NONE;
	out->refusal = (struct refusal){REFUSAL_AUTH, 401, label[out->reject], text, SPAN_NONE};
}

static void
check_cookie_or_jwt(enum fact cookie, enum fact jwt, struct auth_result *out)
{
	if (cookie == GOOD || jwt == GOOD)
		return;
	if (jwt == ABSENT)
		refuse(out, cookie == BAD ? AUTH_BAD_COOKIE : AUTH_MISSING,
		        "missing or invalid auth");
	else
		refuse(out, AUTH_BAD_JWT, "invalid jwt");
}

static void
check_cookie_and_key(enum fact cookie, enum fact key, bool both, struct auth_result *out)
{
	if (both ? cookie == GOOD && key == GOOD : cookie == GOOD || key == GOOD)
		return;
	refuse(out,
	        key == BAD      ? AUTH_BAD_KEY
	        : cookie == BAD ? AUTH_BAD_COOKIE
	                        : AUTH_MISSING,
	        "missing or invalid auth");
}

static void
decide(const struct auth *a, enum fact cookie, enum fact key, enum fact jwt,
        struct auth_result *out)
{
	switch (a->mode) {
	case AUTH_AUTO: /* auth_init refuses it */
	case AUTH_NONE: break;
	case AUTH_SESSION:
		if (cookie != GOOD)
			refuse(out, cookie == BAD ? AUTH_BAD_COOKIE : AUTH_MISSING,
			        "missing or expired session");
		break;
	case AUTH_TOKEN:
		if (key != GOOD)
			refuse(out, key == BAD ? AUTH_BAD_KEY : AUTH_MISSING, "invalid token");
		break;
	case AUTH_JWT:
		if (jwt != GOOD)
			refuse(out, jwt == BAD ? AUTH_BAD_JWT : AUTH_MISSING, "invalid jwt");
		break;
	case AUTH_COOKIE_OR_JWT: check_cookie_or_jwt(cookie, jwt, out); break;
	case AUTH_SESSION_OR_TOKEN: check_cookie_and_key(cookie, key, false, out); break;
	case AUTH_SESSION_AND_TOKEN: check_cookie_and_key(cookie, key, true, out); break;
	}
}

void
auth_check(const struct auth *a, const struct head *h, const char *origin, uint64_t now_ms,
        struct auth_room *room, struct auth_result *out)
{
	unsigned uses = mode_uses(a->mode);
	struct carriers c = {
	        .query = find_query(h, room),
	        .subprotocol = find_subprotocol(h),
	        .cookie = cookie_get(h, AUTH_COOKIE, room->cookie, sizeof room->cookie),
	};
	enum fact cookie = ABSENT, key = ABSENT, jwt = ABSENT;
	if (uses & USES_JWT)
		c.bearer = find_bearer(h);
	*out = (struct auth_result){.note = ""};
	out->cookie_present = c.cookie.value.n > 0;
	/* Modes that ask for no token look only where today's clients would put one. */
	struct span query = uses & (USES_KEY | USES_JWT) ? c.query : head_query(h, "token");
	out->token_present = query.n || c.subprotocol.n || c.bearer.n;
	if (uses & USES_COOKIE)
		cookie = ask_cookie(a, &c, now_ms, room, out);
	if (uses & USES_KEY)
		key = ask_key(a, &c);
	if ((uses & USES_JWT) && cookie != GOOD)
		jwt = ask_jwt(a, &c, origin, now_ms, room, out);
	decide(a, cookie, key, jwt, out);
}
