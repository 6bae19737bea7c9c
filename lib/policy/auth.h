/* auth: who may open a tunnel.
 *
 * Order    auth_init once; auth_check for each upgrade. The credential is looked at once only.
 * Memory   rules borrow the strings of the configuration, which outlives them. A result borrows
 *          from the request and from the auth_room; sid is good until the room's next use.
 * Errors   auth_init: a mode whose secret is missing. auth_check: refusal.why is REFUSAL_NONE when
 *          the client may come in.
 * Secrets  nothing here is fit for a log but the labels, the sid and the two `present` flags. */
#pragma once

#include "conf/sections.h"
#include "policy/cookie.h"
#include "policy/refusal.h"
#include "policy/token.h"

#define AUTH_COOKIE "aero_session"
#define AUTH_SUBPROTOCOL "aero-l2-token."

/* Values of l2_auth_reject_total{reason}, in the order they are listed. */
enum auth_reject {
	AUTH_MISSING,
	AUTH_BAD_KEY,
	AUTH_BAD_COOKIE,
	AUTH_BAD_JWT,
	AUTH_JWT_ORIGIN,
	AUTH_REJECTS,
};

struct auth {
	enum auth_mode mode;
	bool open; /* no Origin is demanded, so a JWT bound to one must demand it itself */
	struct span key, session_secret, jwt_secret;
	struct span audience, issuer; /* empty: not asked for */
};

/* Where credentials are decoded; one per worker is enough. */
struct auth_room {
	struct token_room token;
	char cookie[TOKEN_MAX];
	char query[TOKEN_MAX];
};

struct auth_result {
	struct refusal refusal;
	enum auth_reject reject; /* of a refusal */
	const char *note;        /* what the log adds to its message, or "" */
	struct span sid;         /* p == NULL: no session */
	bool token_present, cookie_present;
};

int auth_init(struct auth *a, const struct auth_conf *c, bool origin_open, struct err *e);
/* `origin`: the first Origin header, normalised, "" if there is none or it is unusable. */
void auth_check(const struct auth *a, const struct head *h, const char *origin, uint64_t now_ms,
        struct auth_room *room, struct auth_result *out);
const char *auth_reject_name(enum auth_reject r); /* "missing_credentials", ... */
