#include "policy/clientip.h"

#include "base/mem.h"
#include "policy/forwarded.h"

#include <errno.h>
#include <stdlib.h>

/* Addresses read from the right; what a longer header says further left is never needed. */
#define CHAIN_MAX 32

struct chain {
	struct span last[CHAIN_MAX]; /* a ring: the newest overwrite the oldest */
	size_t n;
};

int
clientip_init(struct clientip_rules *r, const struct client_conf *c, struct err *e)
{
	const struct opt_list *l = &c->trusted_proxies;
	*r = (struct clientip_rules){
	        .trust = c->trust_proxy,
	        .proxies = xcalloc(l->n + 1u, sizeof *r->proxies),
	        .hops = c->trusted_hops,
	        .header = c->forwarded_header ? CLIENTIP_FORWARDED : CLIENTIP_XFF,
	};
	for (uint32_t i = 0; i < l->n; i++)
		if (!cidr_parse(span_str(l->v[i]), &r->proxies[r->n_proxies++])) {
			clientip_fini(r);
			return err_set(e, -EINVAL,
			        "client.trusted-proxies: \"%.200s\" is not an address range",
			        l->v[i]);
		}
	return 0;
}

void
clientip_fini(struct clientip_rules *r)
{
	free(r->proxies);
	*r = (struct clientip_rules){0};
}

bool
clientip_parse(struct span s, struct ip *out)
{
	struct endpoint e;
	s = span_trim(forwarded_unquote(span_trim(s)));
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		return memchr(s.p, ':', s.n) && ip_parse(span(s.p + 1, s.n - 2), out);
	if (ip_parse(s, out))
		return true;
	if (!endpoint_parse(s, &e))
		return false;
	*out = e.ip;
	return true;
}

static bool
leftmost_forwarded(const struct head *h, struct ip *out)
{
	size_t at = 0;
	struct span line, element;
	while ((line = head_next(h, "forwarded", &at)).p)
		while (forwarded_element(&line, &element)) {
			struct span value = forwarded_param(element, "for");
			if (value.p && clientip_parse(value, out))
				return true;
		}
	return false;
}

static bool
leftmost_xff(const struct head *h, struct ip *out)
{
	struct span line = head_first(h, "x-forwarded-for"), item;
	return span_split(&line, ',', &item) && clientip_parse(item, out);
}

static struct clientip
leftmost(const struct head *h)
{
	struct clientip c = {h->peer, CLIENTIP_PEER};
	if (leftmost_forwarded(h, &c.ip))
		c.source = CLIENTIP_FORWARDED;
	else if (leftmost_xff(h, &c.ip))
		c.source = CLIENTIP_XFF;
	return c;
}

/* Commas inside quotes separate too: no address holds one, and a quote that a client left open must
 * not swallow what the proxies behind it wrote. */
static void
read_chain(const struct head *h, enum clientip_source header, struct chain *c)
{
	bool forwarded = header == CLIENTIP_FORWARDED;
	size_t at = 0;
	struct span line, item;
	c->n = 0;
	while ((line = head_next(h, forwarded ? "forwarded" : "x-forwarded-for", &at)).p)
		while (span_split(&line, ',', &item))
			c->last[c->n++ % CHAIN_MAX] =
			        forwarded ? forwarded_param(item, "for") : item;
}

static bool
is_proxy(const struct clientip_rules *r, const struct ip *ip)
{
	for (size_t i = 0; i < r->n_proxies; i++)
		if (cidr_has(&r->proxies[i], ip))
			return true;
	return false;
}

static struct clientip
rightmost(const struct clientip_rules *r, const struct head *h)
{
	struct clientip c = {h->peer, CLIENTIP_PEER};
	struct chain chain;
	read_chain(h, r->header, &chain);
	size_t left = chain.n < CHAIN_MAX ? chain.n : CHAIN_MAX;
	for (unsigned hop = 0; left--; hop++) {
		struct ip next;
		if (r->hops ? hop == r->hops : !is_proxy(r, &c.ip))
			break;
		if (!clientip_parse(chain.last[(chain.n - 1 - hop) % CHAIN_MAX], &next))
			break;
		c = (struct clientip){next, r->header};
	}
	return c;
}

struct clientip
clientip_of(const struct clientip_rules *r, const struct head *h)
{
	if (!r->trust)
		return (struct clientip){h->peer, CLIENTIP_PEER};
	return r->hops || r->n_proxies ? rightmost(r, h) : leftmost(h);
}

const char *
clientip_source_name(enum clientip_source s)
{
	static const char *const name[] = {"ConnectInfo", "Forwarded", "XForwardedFor"};
	return name[s];
}
