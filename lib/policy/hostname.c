#include "policy/hostname.h"

#include "base/mem.h"
#include "policy/forwarded.h"
#include "policy/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool
visible(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e)
			return false;
	return s.n > 0;
}

/* The part before the port, and the port's text (p == NULL without one). */
static bool
split_port(struct span s, struct span *host, struct span *port)
{
	size_t from = 0;
	if (s.p[0] == '[') {
		const uint8_t *end = memchr(s.p, ']', s.n);
		if (!end)
			return false;
		from = (size_t)(end - s.p) + 1;
	}
	const uint8_t *colon = memchr(s.p + from, ':', s.n - from);
	size_t at = colon ? (size_t)(colon - s.p) : s.n;
	*host = span_first(s, at);
	*port = colon ? span_skip(s, at + 1) : SPAN_NONE;
	return at > 0 && (!from || at == from);
}

static bool
host_text(struct span host, char out[HOSTNAME_TEXT])
{
	char six[ADDR_TEXT];
	struct ip ip;
	if (host.p[0] == '[') {
		if (!host_bracketed(span(host.p + 1, host.n - 2), &ip))
			return false;
		snprintf(out, HOSTNAME_TEXT, "[%s]", host_ip6_text(ip.b, six));
		return true;
	}
	if (host.n >= HOSTNAME_TEXT - sizeof ":65535" || memchr(host.p, ']', host.n))
		return false;
	for (size_t i = 0; i < host.n; i++) {
		uint8_t c = host.p[i];
		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	out[host.n] = 0;
	return true;
}

bool
hostname_normalise(struct span in, bool https, char out[HOSTNAME_TEXT])
{
	struct span s = SPAN_NONE, host, port;
	uint64_t number = 0;
	span_split(&in, ',', &s);
	s = span_trim(forwarded_unquote(span_trim(s)));
	if (!visible(s) || !split_port(s, &host, &port) || !host_text(host, out))
		return false;
	if (!port.p)
		return true;
	if (!span_u64(port, 65535, &number))
		return false;
	if (number != (https ? 443 : 80)) {
		size_t n = strlen(out);
		snprintf(out + n, HOSTNAME_TEXT - n, ":%u", (unsigned)number);
	}
	return true;
}

int
hostname_init(struct hostname_rules *r, const struct host_conf *c, struct err *e)
{
	char text[HOSTNAME_TEXT];
	*r = (struct hostname_rules){.trust_proxy = c->trust_proxy_host};
	r->list = xcalloc(c->allowed.n + 1u, sizeof *r->list);
	for (uint32_t i = 0; i < c->allowed.n; i++) {
		const char *entry = c->allowed.v[i];
		if (!hostname_normalise(span_str(entry), false, text)) {
			hostname_fini(r);
			return err_set(e, -EINVAL,
			        "host.allowed: \"%.200s\" is not a host name: write name or "
			        "name:port",
			        entry);
		}
		r->list[r->n++] = xstrdup(entry);
	}
	return 0;
}

void
hostname_fini(struct hostname_rules *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->list[i]);
	free(r->list);
	*r = (struct hostname_rules){0};
}

static struct span
forwarded_first(const struct head *h, const char *param)
{
	struct span line = head_first(h, "forwarded"), element;
	if (!forwarded_element(&line, &element))
		return SPAN_NONE;
	return forwarded_param(element, param);
}

static struct span
requested_host(const struct hostname_rules *r, const struct head *h)
{
	if (r->trust_proxy) {
		struct span s = forwarded_first(h, "host");
		if (s.n)
			return s;
		s = head_first(h, "x-forwarded-host");
		if (span_trim(s).n)
			return s;
	}
	return head_first(h, "host");
}

/* 1 https, 0 http, -1 it does not say. */
static int
proto_of(struct span s)
{
	struct span item;
	if (!span_split(&s, ',', &item))
		return -1;
	item = span_trim(forwarded_unquote(span_trim(item)));
	if (span_ieq(item, SPAN_LIT("https")) || span_ieq(item, SPAN_LIT("wss")))
		return 1;
	return span_ieq(item, SPAN_LIT("http")) || span_ieq(item, SPAN_LIT("ws")) ? 0 : -1;
}

static bool
requested_https(const struct hostname_rules *r, const struct head *h, const char *origin)
{
	int proto = -1;
	if (r->trust_proxy) {
		proto = proto_of(forwarded_first(h, "proto"));
		if (proto < 0)
			proto = proto_of(head_first(h, "x-forwarded-proto"));
	}
	return proto < 0 ? strncmp(origin, "https:", 6) == 0 : proto == 1;
}

static bool
listed(const struct hostname_rules *r, const char *text, bool https)
{
	char entry[HOSTNAME_TEXT];
	for (size_t i = 0; i < r->n; i++)
		if (hostname_normalise(span_str(r->list[i]), https, entry) &&
		        strcmp(entry, text) == 0)
			return true;
	return false;
}

static const struct refusal missing = {
        REFUSAL_HOST_MISSING, 403, "host_missing", "missing Host header", {0}};
static const struct refusal malformed = {
        REFUSAL_HOST_INVALID, 403, "host_invalid", "malformed Host header", {0}};
static const struct refusal denied = {
        REFUSAL_HOST_NOT_ALLOWED, 403, "host_not_allowed", "Host not allowed: ", {0}};

void
hostname_check(const struct hostname_rules *r, const struct head *h, const char *origin,
        struct hostname_result *out)
{
	out->refusal = (struct refusal){0};
	out->raw = requested_host(r, h);
	out->text[0] = 0;
	if (!r->n)
		return;
	bool https = requested_https(r, h, origin);
	if (!out->raw.p) {
		out->refusal = missing;
	} else if (!hostname_normalise(out->raw, https, out->text)) {
		out->text[0] = 0;
		out->refusal = malformed;
	} else if (!listed(r, out->text, https)) {
		out->refusal = denied;
		out->refusal.detail = span_str(out->text);
	}
}
