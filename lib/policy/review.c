#include "policy/review.h"

#include "base/buf.h"
#include "base/mem.h"

#include <netinet/in.h>

#define SHOWN 8 /* entries of a list */

struct review {
	const struct l2_conf *c;
	review_say *say;
	void *arg;
	struct buf line;
};

static void
begin(struct review *r, const struct l2_conf *c, review_say *say, void *arg)
{
	*r = (struct review){.c = c, .say = say, .arg = arg};
	buf_init(&r->line, REVIEW_LINE);
}

/* What has been written into the line, and whatever of it fits. */
static void
flush(struct review *r, const void *field)
{
	r->say(r->arg, field, buf_str(&r->line));
	buf_clear(&r->line);
}

static void
tell(struct review *r, const void *field, const char *text)
{
	buf_adds(&r->line, text);
	flush(r, field);
}

static void
add_list(struct review *r, const struct opt_list *l)
{
	for (uint32_t i = 0; i < l->n && i < SHOWN; i++)
		buf_addf(&r->line, "%s%.100s", i ? ", " : "", l->v[i]);
	if (l->n > SHOWN)
		buf_addf(&r->line, " and %u more", l->n - SHOWN);
}

static void
tell_list(struct review *r, const struct opt_list *l, const char *before, const char *after)
{
	if (!l->n)
		return;
	buf_adds(&r->line, before);
	add_list(r, l);
	buf_adds(&r->line, after);
	flush(r, l);
}

static void
tell_ports(struct review *r, const struct opt_list *l, const char *proto)
{
	buf_addf(&r->line, "%s: ", proto);
	if (!l->set)
		buf_adds(&r->line, "every port.");
	else if (!l->n)
		buf_adds(&r->line, "no port at all.");
	else
		buf_adds(&r->line, "only ports ");
	add_list(r, l);
	flush(r, l);
}

static void
tell_names(struct review *r, const struct egress_conf *e)
{
	if (!e->allowed_domains.n && !e->blocked_domains.n)
		tell(r, &e->allowed_domains, "Names: every name may be looked up.");
	tell_list(r, &e->blocked_domains, "Names: never ", ", nor anything below.");
	tell_list(r, &e->allowed_domains, "Names: only ", " and what is below.");
}

static void
tell_addresses(struct review *r, const struct egress_conf *e)
{
	size_t ranges = 0;
	while (special_at(ranges))
		ranges++;
	if (e->allow_private) {
		tell(r, &e->allow_private,
		        "Addresses: private, loopback and other special ranges are open.");
	} else {
		buf_addf(&r->line,
		        "Addresses: special-use ranges (%zu of both families, and what is not "
		        "global unicast) are denied, also inside NAT64, 6to4, SIIT, v4-mapped, "
		        "v4-compatible and ISATAP addresses.",
		        ranges);
		flush(r, &e->allow_private);
	}
	tell_list(r, &e->deny, "Addresses: denied besides: ", ".");
	tell_list(r, &e->allow, "Addresses: allowed all the same: ", ".");
	if (e->pin_dns && (e->allowed_domains.n || e->blocked_domains.n))
		tell(r, &e->pin_dns, "Addresses: only those that an allowed name resolved to.");
}

void
review_words(const struct l2_conf *c, review_say *say, void *arg)
{
	struct review r;
	begin(&r, c, say, arg);
	tell_names(&r, &c->egress);
	tell_list(&r, &c->dns.static_a, "Names: answered from here: ", ".");
	tell_ports(&r, &c->egress.tcp_ports, "TCP");
	tell_ports(&r, &c->egress.udp_ports, "UDP");
	tell_addresses(&r, &c->egress);
	tell_list(&r, &c->egress.tcp_forward, "TCP forwarded: ", ".");
	tell_list(&r, &c->egress.udp_forward, "UDP forwarded: ", ".");
	buf_fini(&r.line);
}

/* --- warnings --------------------------------------------------------------------------------- */

static void
warn_domains(struct review *r, const struct egress_conf *e)
{
	bool any = e->allowed_domains.n || e->blocked_domains.n;
	if (any && !e->pin_dns)
		tell(r, &e->pin_dns,
		        "The domain lists are about names only: a guest that knows an address "
		        "reaches it, and may ask any other DNS server. egress.pin-dns = yes closes "
		        "both.");
	if (!any && e->pin_dns)
		tell(r, &e->pin_dns, "egress.pin-dns does nothing without a domain list.");
}

static void
warn_ports(struct review *r, const struct opt_list *l, const char *proto)
{
	if (!l->set || l->n)
		return;
	buf_addf(&r->line, "The list of %s ports is set but empty: nothing gets through.", proto);
	flush(r, l);
}

static void
warn_static(struct review *r, const struct egress *g, const struct opt_list *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct static_names one;
		struct opt_list row = {.v = &l->v[i], .n = 1, .set = true};
		if (static_load(&one, &row, "", NULL) == 0) {
			struct egress_query q = {.dst.ip = one.v[0].ip, .kind = EGRESS_STATIC};
			if (!egress_addr(g, &q, NULL).allow) {
				buf_addf(&r->line,
				        "dns.static-a %.200s is useless: the address lies in a "
				        "range that guests cannot reach.",
				        l->v[i]);
				flush(r, l);
			}
		}
		static_fini(&one);
	}
}

/* A forward that no packet can meet: the filter or the port list comes first. */
static void
warn_forwards(struct review *r, const struct egress *g, const struct opt_list *l, uint8_t proto)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct forwards one;
		struct opt_list row = {.v = &l->v[i], .n = 1, .set = true};
		if (forward_load(&one, &row, "", NULL) == 0) {
			struct egress_query q = {.dst = one.v[0].from, .proto = proto};
			struct egress_verdict v = egress_addr(g, &q, NULL);
			if (!v.allow) {
				buf_addf(&r->line,
				        "The forward %.200s is useless: its left side "
				        "is denied (%s).",
				        l->v[i], egress_rule_name(v.rule));
				flush(r, l);
			}
		}
		forward_fini(&one);
	}
}

static bool
covers(const struct cidr *wide, const struct cidr *narrow)
{
	return wide->bits <= narrow->bits && cidr_has(wide, &narrow->ip);
}

static void
warn_ranges(struct review *r, const struct egress_conf *e)
{
	for (uint32_t i = 0; i < e->allow.n; i++) {
		struct cidr allow, deny;
		if (!cidr_parse(span_str(e->allow.v[i]), &allow))
			continue;
		if (allow.bits == 0 || (ip_is4(&allow.ip) && allow.bits <= 96))
			tell(r, &e->allow,
			        "egress.allow holds every address: special-use ranges are open.");
		for (uint32_t k = 0; k < e->deny.n; k++)
			if (cidr_parse(span_str(e->deny.v[k]), &deny) && covers(&deny, &allow)) {
				buf_addf(&r->line,
				        "egress.allow %.60s is useless: egress.deny %.60s wins.",
				        e->allow.v[i], e->deny.v[k]);
				flush(r, &e->allow);
			}
	}
}

void
review_warnings(const struct egress *g, const struct l2_conf *c, review_say *say, void *arg)
{
	struct review r;
	begin(&r, c, say, arg);
	warn_domains(&r, &c->egress);
	warn_ports(&r, &c->egress.tcp_ports, "TCP");
	warn_ports(&r, &c->egress.udp_ports, "UDP");
	warn_ranges(&r, &c->egress);
	warn_forwards(&r, g, &c->egress.tcp_forward, IPPROTO_TCP);
	warn_forwards(&r, g, &c->egress.udp_forward, IPPROTO_UDP);
	warn_static(&r, g, &c->dns.static_a);
	if (c->egress.allow_private)
		tell(&r, &c->egress.allow_private,
		        "egress.allow-private is on: guests reach this machine's own network, "
		        "metadata services included.");
	buf_fini(&r.line);
}
