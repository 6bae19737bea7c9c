#include "client/session.h"

#include "net/worker.h"

#include <errno.h>
#include <stdio.h>

enum { BODY_MOST = 64 << 10 };

static void
on_done(struct fetch *f, void *user)
{
	(void)f;
	wait_wake(user);
}

int
session_fetch(struct transport *t, struct wait *wait, struct fetch_req *r,
        const struct session_ask *a, struct fetch **out)
{
	char headers[URL_HOST + 64], own[URL_HOST + 16];
	url_origin(a->at, own, sizeof own);
	const char *origin = a->origin ? a->origin : own;
	snprintf(headers, sizeof headers, *origin ? "Origin: %s\r\n" : "%s", origin);
	r->to = a->to;
	r->host = a->at->authority;
	r->target = a->at->target;
	r->headers = headers;
	r->tls = a->at->tls;
	r->tls_insecure = a->insecure;
	r->timeout_ms = a->timeout_ms;
	r->body_most = BODY_MOST;
	r->done = on_done;
	r->user = wait;
	*out = NULL;
	worker_look(wait->w);
	int e = fetch_start(t, r, out);
	while (e == 0 && !fetch_status(*out) && !*fetch_why(*out)) {
		wait_for(wait, worker_now(wait->w) + a->timeout_ms);
		if (a->over && a->over(a->user))
			return -EINTR;
	}
	return e;
}

/* "aero_session=<value>; Path=/..." */
static bool
take_cookie(struct span line, char cookie[SESSION_COOKIE])
{
	struct span value;
	if (!span_starts(line, "aero_session=") || !span_split(&line, ';', &value) ||
	        value.n >= SESSION_COOKIE)
		return false;
	memcpy(cookie, value.p, value.n);
	cookie[value.n] = 0;
	return true;
}

int
session_get(struct transport *t, struct wait *wait, const struct session_ask *a,
        char cookie[SESSION_COOKIE], int *status, struct err *e)
{
	struct fetch *f;
	struct fetch_req r = {.method = "POST", .body = SPAN_LIT("")};
	int got = session_fetch(t, wait, &r, a, &f);
	*status = got < 0 ? 0 : fetch_status(f);
	if (got == -EINTR)
		err_set(e, got, "interrupted");
	else if (got < 0)
		err_set(e, got, "the request for a session cannot be made");
	else if (!*status)
		got = err_set(e, strstr(fetch_why(f), "in time") ? -ETIMEDOUT : -ECONNREFUSED,
		        "no session: %s", fetch_why(f));
	else if (*status / 100 != 2)
		got = err_set(e, -EPROTO, "no session: HTTP status %d", *status);
	bool found = false;
	for (uint32_t i = 0; got == 0 && !found && fetch_header(f, "set-cookie", i).p; i++)
		found = take_cookie(fetch_header(f, "set-cookie", i), cookie);
	if (got == 0 && !found)
		got = err_set(e, -EPROTO, "no session: the answer has no cookie aero_session");
	fetch_free(f);
	return got;
}
