#include "client/url.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>

static const struct scheme {
	const char *text;
	bool tls, ws;
	uint16_t port;
} schemes[] = {
        {"ws://", false, true, 80},
        {"wss://", true, true, 443},
        {"http://", false, false, 80},
        {"https://", true, false, 443},
};

static int
bad(struct err *e, const char *text, const char *why)
{
	return err_set(e, -EINVAL, "'%s' is no URL: %s", text, why);
}

static bool
copy(char *to, size_t cap, struct span s)
{
	if (s.n >= cap)
		return false;
	if (s.n)
		memcpy(to, s.p, s.n);
	to[s.n] = 0;
	return true;
}

/* Takes the host off *s; what is left starts with ':' or is empty. */
static bool
take_host(struct span *s, struct url *out)
{
	struct span host;
	if (s->n && s->p[0] == '[') {
		struct ip ip;
		const uint8_t *end = memchr(s->p, ']', s->n);
		if (!end)
			return false;
		host = span(s->p + 1, (size_t)(end - s->p) - 1);
		*s = span_skip(*s, host.n + 2);
		if (!ip_parse(host, &ip) || ip_is4(&ip))
			return false;
	} else {
		const uint8_t *end = s->n ? memchr(s->p, ':', s->n) : NULL;
		host = end ? span(s->p, (size_t)(end - s->p)) : *s;
		*s = span_skip(*s, host.n);
	}
	return host.n && copy(out->host, sizeof out->host, host);
}

static bool
take_port(struct span s, struct url *out)
{
	uint64_t port;
	if (!s.n)
		return true;
	if (s.p[0] != ':' || !span_u64(span_skip(s, 1), 65535, &port) || !port)
		return false;
	out->port = (uint16_t)port;
	return true;
}

static const struct scheme *
take_scheme(struct span *s)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (span_istarts(*s, schemes[i].text)) {
			*s = span_skip(*s, strlen(schemes[i].text));
			return &schemes[i];
		}
	return NULL;
}

static bool
printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	return true;
}

int
url_parse(const char *text, struct url *out, struct err *e)
{
	struct span s = span_str(text);
	const struct scheme *scheme = take_scheme(&s);
	memset(out, 0, sizeof *out);
	if (!scheme)
		return bad(e, text, "it must begin with ws://, wss://, http:// or https://");
	if (!printable(s) || (s.n && (memchr(s.p, '#', s.n) || memchr(s.p, '@', s.n))))
		return bad(e, text, "blanks, '#' and '@' are not allowed");
	out->tls = scheme->tls;
	out->ws = scheme->ws;
	out->port = scheme->port;
	size_t n = 0;
	while (n < s.n && s.p[n] != '/' && s.p[n] != '?')
		n++;
	struct span authority = span(s.p, n), target = span_skip(s, n);
	if (!take_host(&authority, out))
		return bad(e, text, "the host is missing or malformed");
	if (!take_port(authority, out))
		return bad(e, text, "the port is not a number from 1 to 65535");
	bool slash = !target.n || target.p[0] != '/';
	out->target[0] = '/';
	if (!copy(out->target + slash, sizeof out->target - slash, target))
		return bad(e, text, "it is too long");
	bool v6 = strchr(out->host, ':') != NULL;
	int at = snprintf(out->authority, sizeof out->authority, v6 ? "[%s]" : "%s", out->host);
	if (out->port != scheme->port)
		snprintf(out->authority + at, sizeof out->authority - (size_t)at, ":%u", out->port);
	return 0;
}

int
url_resolve(const struct url *u, struct endpoint *out, struct err *e)
{
	struct addrinfo *all, hints = {.ai_socktype = SOCK_STREAM};
	if (ip_parse(span_str(u->host), &out->ip)) {
		out->port = u->port;
		return 0;
	}
	int r = getaddrinfo(u->host, NULL, &hints, &all);
	if (r)
		return err_set(e, -EHOSTUNREACH, "cannot resolve %s: %s", u->host,
		        r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
	bool ok = endpoint_from_sockaddr(all->ai_addr, out);
	freeaddrinfo(all);
	out->port = u->port;
	return ok ? 0 : err_set(e, -EHOSTUNREACH, "%s has no address", u->host);
}

void
url_origin(const struct url *u, char *out, size_t cap)
{
	snprintf(out, cap, "%s://%s", u->tls ? "https" : "http", u->authority);
}

static bool
is_plain(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

bool
url_add_query(struct url *u, const char *key, const char *value)
{
	size_t n = strlen(u->target);
	char sep = strchr(u->target, '?') ? '&' : '?';
	int r = snprintf(u->target + n, sizeof u->target - n, "%c%s=", sep, key);
	for (n += (size_t)r; n + 4 < sizeof u->target && *value; value++) {
		uint8_t c = (uint8_t)*value;
		n += (size_t)snprintf(u->target + n, 4, is_plain(c) ? "%c" : "%%%02X", c);
	}
	return !*value && n < sizeof u->target;
}

bool
url_for_tunnel(struct url *u)
{
	static const char *const known[] = {"/l2", "/l2/", "/eth", "/eth/"};
	struct span all = span_str(u->target), path = all;
	char query[URL_TARGET];
	const uint8_t *mark = memchr(all.p, '?', all.n);
	if (mark)
		path.n = (size_t)(mark - all.p);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		size_t n = strlen(known[i]);
		if (path.n >= n && memcmp(path.p + path.n - n, known[i], n) == 0)
			return true;
	}
	copy(query, sizeof query, span_skip(all, path.n));
	size_t cut = path.n && path.p[path.n - 1] == '/' ? path.n - 1 : path.n;
	if (cut + strlen("/l2") + strlen(query) >= sizeof u->target)
		return false;
	snprintf(u->target + cut, sizeof u->target - cut, "/l2%s", query);
	return true;
}
