#include "policy/origin.h"

#include "base/mem.h"
#include "policy/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct text {
	char *p;
	size_t n;
};

static bool
text_add(struct text *t, struct span s)
{
	if (t->n + s.n + 1 > ORIGIN_TEXT)
		return false;
	memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
	t->p[t->n] = 0;
	return true;
}

static bool
clean(struct span s, const char *forbidden)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || strchr(forbidden, s.p[i]))
			return false;
	return s.n > 0;
}

/* WHATWG URL 3.5 for what is left after `clean`: a name, a number that is an IPv4 address, or an
 * IPv6 address in brackets. */
static bool
add_host(struct text *t, struct span s)
{
	char buf[ADDR_TEXT];
	struct ip ip;
	uint32_t v4;
	if (s.n && s.p[0] == '[') {
		if (s.p[s.n - 1] != ']' || !host_bracketed(span(s.p + 1, s.n - 2), &ip))
			return false;
		host_ip6_text(ip.b, buf);
		return text_add(t, SPAN_LIT("[")) && text_add(t, span_str(buf)) &&
		       text_add(t, SPAN_LIT("]"));
	}
	int number = host_number(s, &v4);
	if (number > 0) {
		ip = ip4(v4);
		return text_add(t, span_str(ip_text(&ip, buf)));
	}
	if (number < 0 || !clean(s, "#/:<>?@[\\]^|%\"") || !host_ace_ok(s))
		return false;
	size_t at = t->n;
	if (!text_add(t, s))
		return false;
	for (; at < t->n; at++)
		if (t->p[at] >= 'A' && t->p[at] <= 'Z')
			t->p[at] += 32;
	return true;
}

static bool
add_port(struct text *t, struct span s, bool https)
{
	char buf[8];
	uint64_t port;
	if (!span_u64(s, 65535, &port) || port == 0)
		return false;
	if (port == (https ? 443 : 80))
		return true;
	snprintf(buf, sizeof buf, ":%u", (unsigned)port);
	return text_add(t, span_str(buf));
}

static bool
add_authority(struct text *t, struct span s, bool https)
{
	const uint8_t *bracket = s.n ? memrchr(s.p, ']', s.n) : NULL;
	size_t from = bracket ? (size_t)(bracket - s.p) : 0;
	const uint8_t *colon = s.n ? memchr(s.p + from, ':', s.n - from) : NULL;
	if (!colon)
		return add_host(t, s);
	size_t at = (size_t)(colon - s.p);
	return add_host(t, span_first(s, at)) && add_port(t, span_skip(s, at + 1), https);
}

bool
origin_host(struct span host, bool https, char out[ORIGIN_TEXT])
{
	struct text t = {out, 0};
	host = span_trim(host);
	return host.n <= ORIGIN_MAX && clean(host, "%,{}\\`?#/@") && add_authority(&t, host, https);
}

bool
origin_normalise(struct span in, char out[ORIGIN_TEXT])
{
	struct text t = {out, 0};
	in = span_trim(in);
	if (in.n > ORIGIN_MAX || !clean(in, "%,{}\\`?#"))
		return false;
	if (span_is(in, "null"))
		return text_add(&t, in);
	bool https = span_istarts(in, "https://");
	if (!https && !span_istarts(in, "http://"))
		return false;
	struct span rest = span_skip(in, https ? 8 : 7);
	if (rest.n && rest.p[rest.n - 1] == '/')
		rest.n--;
	if (!rest.n || memchr(rest.p, '/', rest.n) || memchr(rest.p, '@', rest.n))
		return false;
	return text_add(&t, https ? SPAN_LIT("https://") : SPAN_LIT("http://")) &&
	       add_authority(&t, rest, https);
}

static int
add_entry(struct origin_rules *r, struct span entry, struct err *e)
{
	char text[ORIGIN_TEXT];
	entry = span_trim(entry);
	if (span_is(entry, "*")) {
		r->any = true;
		return 0;
	}
	if (!origin_normalise(entry, text))
		return err_set(e, -EINVAL,
		        "\"%.*s\" is not an origin: write scheme://host[:port], null or *",
		        (int)span_first(entry, 200).n, (const char *)entry.p);
	r->list[r->n++] = xstrdup(text);
	return 0;
}

static int
add_list(struct origin_rules *r, const struct opt_list *l, const char *option, struct err *e)
{
	for (uint32_t i = 0; i < l->n; i++) {
		int rc = add_entry(r, span_str(l->v[i]), e);
		if (rc)
			return err_wrap(e, rc, "%s", option);
	}
	return 0;
}

int
origin_init(struct origin_rules *r, const struct origin_conf *c, struct err *e)
{
	*r = (struct origin_rules){.open = c->open};
	r->list = xcalloc(c->allowed.n + c->allowed_extra.n + 1u, sizeof *r->list);
	int rc = add_list(r, &c->allowed, "origin.allowed", e);
	if (!rc)
		rc = add_list(r, &c->allowed_extra, "origin.allowed-extra", e);
	if (rc)
		origin_fini(r);
	return rc;
}

void
origin_fini(struct origin_rules *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->list[i]);
	free(r->list);
	*r = (struct origin_rules){0};
}

/* The scheme is the page's, not ours: behind a proxy that ends TLS the two differ. */
static bool
same_host(const char *origin, struct span host)
{
	char text[ORIGIN_TEXT];
	bool https = strncmp(origin, "https://", 8) == 0;
	if (!https && strncmp(origin, "http://", 7) != 0)
		return false;
	return origin_host(host, https, text) && strcmp(text, origin + (https ? 8 : 7)) == 0;
}

bool
origin_allowed(const struct origin_rules *r, const char *normalised, struct span host)
{
	if (r->any)
		return true;
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->list[i], normalised) == 0)
			return true;
	return r->n == 0 && same_host(normalised, host);
}

static bool
visible(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] > 0x7e)
			return false;
	return span_trim(s).n > 0;
}

static const struct refusal missing = {
        REFUSAL_ORIGIN_MISSING, 403, "origin_missing", "missing Origin header", {0}};
static const struct refusal multiple = {REFUSAL_ORIGIN_INVALID, 403, "origin_invalid",
        "invalid Origin header: multiple values", {0}};
static const struct refusal invalid = {
        REFUSAL_ORIGIN_INVALID, 403, "origin_invalid", "invalid Origin header: ", {0}};
static const struct refusal denied = {
        REFUSAL_ORIGIN_NOT_ALLOWED, 403, "origin_not_allowed", "Origin not allowed: ", {0}};

void
origin_check(const struct origin_rules *r, const struct head *h, struct origin_result *out)
{
	struct span raw = head_first(h, "origin");
	bool usable = raw.p && visible(raw) && origin_normalise(raw, out->text);
	out->refusal = (struct refusal){0};
	if (!usable)
		out->text[0] = 0;
	if (r->open)
		return;
	if (head_count(h, "origin") > 1) {
		out->refusal = multiple;
	} else if (!raw.p || !visible(raw)) {
		out->refusal = missing;
	} else if (!usable) {
		out->refusal = invalid;
		out->refusal.detail = raw;
	} else if (!origin_allowed(r, out->text, head_first(h, "host"))) {
		out->refusal = denied;
		out->refusal.detail = span_str(out->text);
	}
}
