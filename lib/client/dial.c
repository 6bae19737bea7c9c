#include "client/dial.h"

#include "net/worker.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

enum { FILES_MOST = 256 };

/* The first line of a file, in place of its name. */
static bool
read_token(struct dial *d)
{
	FILE *f = fopen(d->token + 1, "re");
	bool ok = f && fgets(d->token_text, sizeof d->token_text, f);
	if (f)
		fclose(f);
	d->token_text[strcspn(d->token_text, "\r\n")] = 0;
	ok = ok && d->token_text[0];
	if (ok)
		d->token = d->token_text;
	return ok;
}

int
dial_check(struct dial *d, struct err *e)
{
	if (url_parse(d->url, &d->at, e) < 0)
		return EXIT_USAGE;
	if (!url_for_tunnel(&d->at))
		err_set(e, -EINVAL, "the URL '%.200s' is too long", d->url);
	else if (strcmp(d->via, "query") && strcmp(d->via, "subprotocol") &&
	         strcmp(d->via, "header"))
		err_set(e, -EINVAL, "a token goes by query, subprotocol or header, not by '%s'",
		        d->via);
	else if (d->token && d->token[0] == '@' && !read_token(d))
		err_set(e, -EINVAL, "there is no token in the file '%s'", d->token + 1);
	else
		return 0;
	return EXIT_USAGE;
}

static int
get_session(struct dial *d, struct transport *t, struct wait *wait, bool (*over)(void *),
        void *user, struct err *e)
{
	struct url u = d->at;
	struct session_ask a = {.origin = d->origin,
	        .insecure = d->insecure,
	        .timeout_ms = d->timeout_ms,
	        .over = over,
	        .user = user};
	int status;
	snprintf(u.target, sizeof u.target, "/session");
	if (d->session_url && url_parse(d->session_url, &u, e) < 0)
		return EXIT_USAGE;
	a.at = &u;
	if (url_resolve(&u, &a.to, e) < 0)
		return EXIT_CONNECT;
	switch (session_get(t, wait, &a, d->session_cookie, &status, e)) {
	case 0: return 0;
	case -EINTR: return EXIT_INTERRUPTED;
	case -ETIMEDOUT: return EXIT_TIMEOUT;
	case -EPROTO:
		return status == 401 || status == 403 ? EXIT_AUTH
		       : status / 100 == 2            ? EXIT_PROTOCOL
		                                      : EXIT_CONNECT;
	default: return EXIT_CONNECT;
	}
}

static enum l2client_via
via_of(const struct dial *d)
{
	return d->via[0] == 'q'   ? L2CLIENT_QUERY
	       : d->via[0] == 's' ? L2CLIENT_SUBPROTOCOL
	                          : L2CLIENT_HEADER;
}

int
dial_prepare(struct dial *d, struct transport *t, struct wait *wait, bool (*over)(void *),
        void *user, struct l2client_dial *out, struct err *e)
{
	*out = (struct l2client_dial){
	        .url = d->at,
	        .origin = d->origin,
	        .cookie = d->cookie,
	        .token = d->token,
	        .via = via_of(d),
	        .insecure = d->insecure,
	        .timeout_ms = d->timeout_ms,
	        .limits = {d->max_frame, d->max_control},
	};
	if (url_resolve(&d->at, &out->to, e) < 0)
		return EXIT_CONNECT;
	if (d->session || d->session_url) {
		int r = get_session(d, t, wait, over, user, e);
		if (r)
			return r;
		out->cookie = d->session_cookie;
	}
	worker_look(wait->w);
	return 0;
}

void
dial_shown(const struct dial *d, char *out, size_t cap)
{
	int path = (int)strcspn(d->at.target, "?");
	snprintf(out, cap, "%s://%s%.*s", d->at.tls ? "wss" : "ws", d->at.authority, path,
	        d->at.target);
}

int
dial_exit(const struct l2client_end *end)
{
	switch (end->how) {
	case L2CLIENT_OURS: return EXIT_OK;
	case L2CLIENT_LATE: return EXIT_TIMEOUT;
	case L2CLIENT_PROTOCOL: return EXIT_PROTOCOL;
	case L2CLIENT_CLOSED:
		if (end->error == L2TUN_PROTOCOL_ERROR)
			return EXIT_PROTOCOL;
		return end->code == WS_CODE_POLICY ? EXIT_DENIED : EXIT_CONNECT;
	case L2CLIENT_REFUSED:
		return end->status == 401 || end->status == 403 ? EXIT_AUTH : EXIT_CONNECT;
	case L2CLIENT_LOST: break;
	}
	return EXIT_CONNECT;
}

static const struct {
	int status;
	const char *hint;
} hints[] = {
        {400, "is there a tunnel at this URL, and does a proxy before it pass WebSockets on?"},
        {401, "give --token, --cookie or --session; see [auth] of the server"},
        {403, "give an --origin that [origin] allowed has, or a host that [host] allowed has"},
        {404, "the path names nothing here: the tunnel is at /l2"},
        {426, "a proxy before the server does not pass WebSockets on"},
        {429, "the server has as many tunnels as it allows; see [limits]"},
        {502, "the proxy does not reach the server"},
        {503, "the server is shutting down, or the proxy does not reach it"},
};

const char *
dial_hint(const struct l2client_end *end)
{
	for (size_t i = 0; end->how == L2CLIENT_REFUSED && i < sizeof hints / sizeof hints[0]; i++)
		if (hints[i].status == end->status)
			return hints[i].hint;
	if (end->how != L2CLIENT_LOST)
		return "";
	if (strstr(end->text, "certificate"))
		return "trust its authority with --ca, or any certificate with --insecure";
	if (strstr(end->text, "before the upgrade"))
		return "does the server speak TLS there (wss://), or not (ws://)?";
	return "is the server running, and does the URL name its address and port?";
}

void
dial_limit_files(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur > FILES_MOST) {
		r.rlim_cur = FILES_MOST;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}
