/* health: what a container's health check asks: is it alive, does it take work. */
#include "probes/rows.h"

#include <errno.h>
#include <stdio.h>

static bool
is_over(void *user)
{
	return *((struct lan *)user)->over;
}

static int
judge(struct probe *p, const struct fetch *f, int got)
{
	if (got == -EINTR)
		return lan_give_up(p->lan, LAN_INTERRUPTED, "");
	if (got < 0)
		return step_end(p, ANSWER_UNKNOWN, EXIT_LOCAL, "%s", strerror(-got));
	int status = fetch_status(f);
	bool late = strstr(fetch_why(f), "in time") != NULL;
	if (!status && late)
		return step_end(p, ANSWER_UNKNOWN, EXIT_TIMEOUT, "%s", fetch_why(f));
	if (!status)
		return step_end(p, ANSWER_NO, fetch_broken(f) ? EXIT_PROTOCOL : EXIT_CONNECT, "%s",
		        fetch_why(f));
	step_u64(p, "status", (uint64_t)status);
	if (status / 100 == 2)
		return step_end(p, ANSWER_YES, EXIT_OK, "status %d", status);
	if (status == 503)
		step_hint(p, "the server is shutting down");
	int code = status == 401 || status == 403 ? EXIT_AUTH : EXIT_FAILED;
	return step_end(p, ANSWER_NO, code, "status %d", status);
}

static int
check(struct probe *p, const char *path, const struct endpoint *to)
{
	struct lan *l = p->lan;
	struct url u = p->conf->dial.at;
	struct session_ask a = {
	        .at = &u,
	        .to = *to,
	        .origin = "",
	        .insecure = p->conf->dial.insecure,
	        .timeout_ms = p->conf->dial.timeout_ms,
	        .over = is_over,
	        .user = l,
	};
	struct fetch_req r = {.method = "GET"};
	struct fetch *f;
	snprintf(u.target, sizeof u.target, "%s", path);
	step_begin(p, path + 1);
	int got = session_fetch(l->t, l->wait, &r, &a, &f);
	int code = judge(p, f, got);
	fetch_free(f);
	return code;
}

int
probe_health(struct probe *p)
{
	struct endpoint to;
	struct err e = {0};
	if (url_resolve(&p->conf->dial.at, &to, &e) < 0) {
		step_begin(p, "resolve");
		return step_end(p, ANSWER_NO, EXIT_CONNECT, "%s", e.text);
	}
	int r = check(p, "/healthz", &to);
	return r ? r : check(p, "/readyz", &to);
}
