/* session: the cookie that a gateway gives to whoever asks, before a tunnel is dialled.
 *
 * Order    session_get outside callbacks: it runs the loop. `over` may end the wait early.
 * Errors   negative errno and a sentence; *status is the HTTP status if there was one. -ETIMEDOUT,
 *          -EINTR when `over` said so, -EPROTO for an answer without a cookie.
 * Spec     POST /session; the cookie is given as a Cookie header has it: "aero_session=...". */
#pragma once

#include "client/url.h"
#include "client/wait.h"
#include "http/fetch.h"

#define SESSION_COOKIE 8192

struct session_ask {
	const struct url *at; /* whose target is /session */
	struct endpoint to;
	const char *origin; /* NULL: the URL's own; "": none */
	bool insecure;
	uint32_t timeout_ms;
	bool (*over)(void *user);
	void *user;
};

int session_get(struct transport *t, struct wait *wait, const struct session_ask *a,
        char cookie[SESSION_COOKIE], int *status, struct err *e);
/* One request, as session_get makes it: waits for its answer. 0 or negative errno. */
int session_fetch(struct transport *t, struct wait *wait, struct fetch_req *r,
        const struct session_ask *a, struct fetch **out);
