#include "policy/egress.h"

#include "base/mem.h"
#include "conf/item.h"
#include "policy/names.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_ITEM UINT32_MAX

struct ports {
	const struct opt_list *list;
	bool all;
	uint64_t bit[65536 / 64];
};

struct ranges {
	const struct opt_list *list;
	struct cidr *v; /* as many as the list has */
};

struct egress {
	const struct egress_conf *conf;
	struct ports tcp, udp;
	struct names blocked, allowed;
	struct ranges deny, allow;
	struct forwards tcp_forward, udp_forward;
	struct static_names names;
};

/* --- set-up ----------------------------------------------------------------------------------- */

static int
bad_entry(struct err *e, const char *option, const char *entry, const char *what)
{
	return err_set(e, -EINVAL, "%s: \"%.200s\" is not %s", option, entry, what);
}

static int
load_ports(struct ports *p, const struct opt_list *l, const char *option, struct err *e)
{
	p->list = l;
	p->all = !l->set;
	for (uint32_t i = 0; i < l->n; i++) {
		uint16_t lo, hi;
		if (!item_read_ports(span_trim(span_str(l->v[i])), &lo, &hi))
			return bad_entry(e, option, l->v[i], "a port or first-last, 0 to 65535");
		for (uint32_t port = lo; port <= hi; port++)
			p->bit[port / 64] |= 1ull << port % 64;
	}
	return 0;
}

static int
load_ranges(struct ranges *r, const struct opt_list *l, const char *option, struct err *e)
{
	r->list = l;
	r->v = xcalloc(l->n + 1u, sizeof *r->v);
	for (uint32_t i = 0; i < l->n; i++)
		if (!cidr_parse(span_trim(span_str(l->v[i])), &r->v[i]))
			return bad_entry(e, option, l->v[i], "an address or an address range");
	return 0;
}

int
egress_new(
        struct egress **out, const struct egress_conf *c, const struct dns_conf *dns, struct err *e)
{
	struct egress *g = xcalloc(1, sizeof *g);
	g->conf = c;
	int rc = load_ports(&g->tcp, &c->tcp_ports, "egress.tcp-ports", e);
	if (!rc)
		rc = load_ports(&g->udp, &c->udp_ports, "egress.udp-ports", e);
	if (!rc)
		rc = names_load(&g->blocked, NAMES_DOMAINS, &c->blocked_domains,
		        "egress.blocked-domains", e);
	if (!rc)
		rc = names_load(&g->allowed, NAMES_DOMAINS, &c->allowed_domains,
		        "egress.allowed-domains", e);
	if (!rc)
		rc = load_ranges(&g->deny, &c->deny, "egress.deny", e);
	if (!rc)
		rc = load_ranges(&g->allow, &c->allow, "egress.allow", e);
	if (!rc)
		rc = forward_load(&g->tcp_forward, &c->tcp_forward, "egress.tcp-forward", e);
	if (!rc)
		rc = forward_load(&g->udp_forward, &c->udp_forward, "egress.udp-forward", e);
	if (!rc)
		rc = static_load(&g->names, &dns->static_a, "dns.static-a", e);
	if (rc)
		egress_free(g);
	else
		*out = g;
	return rc;
}

void
egress_free(struct egress *g)
{
	if (!g)
		return;
	names_fini(&g->blocked);
	names_fini(&g->allowed);
	free(g->deny.v);
	free(g->allow.v);
	forward_fini(&g->tcp_forward);
	forward_fini(&g->udp_forward);
	static_fini(&g->names);
	free(g);
}

/* --- names ------------------------------------------------------------------------------------ */

static void
note(struct egress_trace *t, enum egress_rule rule, enum egress_outcome outcome)
{
	if (!t || t->n == ARRAY_LEN(t->step))
		return;
	t->step[t->n].rule = rule;
	t->step[t->n++].outcome = outcome;
}

static struct egress_verdict
decided_by(enum egress_rule rule, bool allow, const struct opt_list *list, const char *option,
        uint32_t item)
{
	return (struct egress_verdict){
	        .allow = allow,
	        .counted = !allow,
	        .rule = rule,
	        .list = list,
	        .option = option,
	        .item = item,
	};
}

static struct egress_verdict
by_default(void)
{
	return decided_by(EGRESS_DEFAULT, true, NULL, "", NO_ITEM);
}

struct egress_verdict
egress_name(const struct egress *g, struct span name, struct egress_trace *trace)
{
	char text[HOST_NAME_MAX_LEN + 1];
	if (trace)
		trace->n = 0;
	/* A NUL would end the name early for whoever takes it as a C string. */
	if ((name.n && memchr(name.p, 0, name.n)) || !host_lower(name, text)) {
		note(trace, EGRESS_NAME_INVALID, EGRESS_DENIED);
		struct egress_verdict v = decided_by(EGRESS_NAME_INVALID, false, NULL, "", NO_ITEM);
		v.counted = false;
		return v;
	}
	struct span s = span_str(text);
	uint32_t item = names_match(&g->blocked, s);
	note(trace, EGRESS_NAME_BLOCKED, item != NO_ITEM ? EGRESS_DENIED : EGRESS_PASSED);
	if (item != NO_ITEM)
		return decided_by(EGRESS_NAME_BLOCKED, false, &g->conf->blocked_domains,
		        "egress.blocked-domains", item);
	if (!g->allowed.n) {
		note(trace, EGRESS_DEFAULT, EGRESS_ALLOWED);
		return by_default();
	}
	item = names_match(&g->allowed, s);
	note(trace, EGRESS_NAME_ALLOWED, item != NO_ITEM ? EGRESS_ALLOWED : EGRESS_DENIED);
	return decided_by(EGRESS_NAME_ALLOWED, item != NO_ITEM, &g->conf->allowed_domains,
	        "egress.allowed-domains", item);
}

/* --- addresses -------------------------------------------------------------------------------- */

static uint32_t
range_with(const struct ranges *r, const struct ip *ip)
{
	for (uint32_t i = 0; i < r->list->n; i++)
		if (cidr_has(&r->v[i], ip))
			return i;
	return NO_ITEM;
}

/* The entry that holds the address or, for an address that only stands for another, that one. */
static uint32_t
allow_item(const struct egress *g, const struct ip *ip)
{
	if (!g->allow.list->n)
		return NO_ITEM;
	uint32_t item = range_with(&g->allow, ip);
	struct special_embedded inner = special_embedded(ip);
	if (item == NO_ITEM && inner.stands_for && inner.n == 1)
		item = range_with(&g->allow, &inner.ip[0]);
	return item;
}

static enum egress_outcome
check_special(const struct egress *g, const struct egress_query *q, unsigned view,
        struct egress_verdict *v)
{
	if (g->conf->allow_private)
		return EGRESS_PASSED;
	v->special = special_find(&q->dst.ip, view, &v->judged);
	if (!v->special)
		return EGRESS_PASSED;
	if (allow_item(g, &q->dst.ip) == NO_ITEM)
		return EGRESS_DENIED;
	v->special = NULL;
	return EGRESS_PASSED;
}

/* Not counted: what the LAN does not route at all never reached the policy. */
static enum egress_outcome
rule_filter(const struct egress *g, const struct egress_query *q, struct egress_verdict *v)
{
	enum egress_outcome o = check_special(g, q, SPECIAL_STACK, v);
	v->counted = false;
	return o;
}

static enum egress_outcome
rule_port(const struct egress *g, const struct egress_query *q, struct egress_verdict *v)
{
	const struct ports *p = q->proto == IPPROTO_TCP   ? &g->tcp
	                        : q->proto == IPPROTO_UDP ? &g->udp
	                                                  : NULL;
	if (!p || p->all || q->kind == EGRESS_ANSWER)
		return EGRESS_PASSED;
	v->list = p->list;
	v->option = p == &g->tcp ? "egress.tcp-ports" : "egress.udp-ports";
	return p->bit[q->dst.port / 64] >> q->dst.port % 64 & 1 ? EGRESS_PASSED : EGRESS_DENIED;
}

static enum egress_outcome
rule_forward(const struct egress *g, const struct egress_query *q, struct egress_verdict *v)
{
	bool tcp = q->proto == IPPROTO_TCP;
	if (q->kind != EGRESS_DIAL || (!tcp && q->proto != IPPROTO_UDP))
		return EGRESS_PASSED;
	v->forward = forward_find(tcp ? &g->tcp_forward : &g->udp_forward, &q->dst);
	if (!v->forward)
		return EGRESS_PASSED;
	v->list = tcp ? &g->conf->tcp_forward : &g->conf->udp_forward;
	v->option = tcp ? "egress.tcp-forward" : "egress.udp-forward";
	v->item = v->forward->item;
	return EGRESS_ALLOWED;
}

static enum egress_outcome
rule_deny(const struct egress *g, const struct egress_query *q, struct egress_verdict *v)
{
	if (!g->deny.list->n)
		return EGRESS_PASSED;
	struct special_embedded inner = special_embedded(&q->dst.ip);
	v->judged = q->dst.ip;
	v->item = range_with(&g->deny, &q->dst.ip);
	for (size_t i = 0; v->item == NO_ITEM && i < inner.n; i++) {
		v->judged = inner.ip[i];
		v->item = range_with(&g->deny, &inner.ip[i]);
	}
	v->list = &g->conf->deny;
	v->option = "egress.deny";
	return v->item == NO_ITEM ? EGRESS_PASSED : EGRESS_DENIED;
}

static enum egress_outcome
rule_allow(const struct egress *g, const struct egress_query *q, struct egress_verdict *v)
{
	v->item = allow_item(g, &q->dst.ip);
	v->list = &g->conf->allow;
	v->option = "egress.allow";
	return v->item == NO_ITEM ? EGRESS_PASSED : EGRESS_ALLOWED;
}

static enum egress_outcome
rule_special(const struct egress *g, const struct egress_query *q, struct egress_verdict *v)
{
	return check_special(g, q, SPECIAL_PROXY, v);
}

static enum egress_outcome
rule_pin(const struct egress *g, const struct egress_query *q, struct egress_verdict *v)
{
	if (q->kind != EGRESS_DIAL || !egress_pins(g) || q->pinned)
		return EGRESS_PASSED;
	v->list = g->allowed.n ? &g->conf->allowed_domains : &g->conf->blocked_domains;
	v->option = "egress.pin-dns";
	return EGRESS_DENIED;
}

static const struct {
	enum egress_rule rule;
	uint8_t ask;
	enum egress_outcome (*check)(
	        const struct egress *g, const struct egress_query *q, struct egress_verdict *v);
} rules[] = {
        {EGRESS_FILTER, EGRESS_ASK_FILTER, rule_filter},
        {EGRESS_PORT, EGRESS_ASK_POLICY | EGRESS_ASK_PORT, rule_port},
        {EGRESS_FORWARD, EGRESS_ASK_POLICY, rule_forward},
        {EGRESS_DENY, EGRESS_ASK_POLICY, rule_deny},
        {EGRESS_ALLOW, EGRESS_ASK_POLICY, rule_allow},
        {EGRESS_SPECIAL, EGRESS_ASK_POLICY, rule_special},
        {EGRESS_PIN, EGRESS_ASK_POLICY, rule_pin},
};

/* A name's address is counted when it is refused, whichever point refuses it; one that was written
 * into the configuration is not the policy's business. */
static uint8_t
asked(const struct egress_query *q)
{
	switch (q->kind) {
	case EGRESS_ANSWER: return EGRESS_ASK_POLICY;
	case EGRESS_STATIC: return EGRESS_ASK_FILTER;
	case EGRESS_NAMED: return EGRESS_ASK_PORT;
	default: return q->ask ? q->ask : EGRESS_ASK_FILTER | EGRESS_ASK_POLICY;
	}
}

struct egress_verdict
egress_addr(const struct egress *g, const struct egress_query *q, struct egress_trace *trace)
{
	uint8_t ask = asked(q);
	if (trace)
		trace->n = 0;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (!(rules[i].ask & ask))
			continue;
		struct egress_verdict v = decided_by(rules[i].rule, false, NULL, "", NO_ITEM);
		v.judged = q->dst.ip;
		enum egress_outcome o = rules[i].check(g, q, &v);
		note(trace, rules[i].rule, o);
		if (o == EGRESS_PASSED)
			continue;
		v.allow = o == EGRESS_ALLOWED;
		v.counted = v.counted && !v.allow;
		return v;
	}
	note(trace, EGRESS_DEFAULT, EGRESS_ALLOWED);
	return by_default();
}

bool
egress_pins(const struct egress *g)
{
	return g->conf->pin_dns && (g->allowed.n || g->blocked.n);
}

const struct static_name *
egress_static(const struct egress *g, struct span name, bool four)
{
	return static_find(&g->names, name, four);
}

/* --- words ------------------------------------------------------------------------------------ */

const char *
egress_rule_name(enum egress_rule r)
{
	static const char *const name[EGRESS_RULES] = {"default", "name", "blocked-domains",
	        "allowed-domains", "filter", "port", "forward", "deny", "allow", "special", "pin"};
	return name[r];
}

static const char *
entry_of(const struct egress_verdict *v)
{
	return v->list && v->item < v->list->n ? v->list->v[v->item] : "";
}

static const char *
special_words(const struct egress_verdict *v, char buf[EGRESS_WORDS])
{
	char ip[ADDR_TEXT], range[ADDR_TEXT];
	snprintf(buf, EGRESS_WORDS, "%s is in %s, %s (%s)", ip_text(&v->judged, ip),
	        cidr_text(&v->special->range, range), v->special->name, v->special->spec);
	return buf;
}

const char *
egress_words(const struct egress_verdict *v, char buf[EGRESS_WORDS])
{
	static const char *const words[EGRESS_RULES] = {
	        [EGRESS_DEFAULT] = "nothing forbids it",
	        [EGRESS_NAME_INVALID] = "not a name that can be looked up",
	        [EGRESS_NAME_BLOCKED] = "listed in ",
	        [EGRESS_NAME_ALLOWED] = "listed in ",
	        [EGRESS_PORT] = "the port is not in ",
	        [EGRESS_FORWARD] = "listed in ",
	        [EGRESS_DENY] = " is listed in ",
	        [EGRESS_ALLOW] = "listed in ",
	        [EGRESS_PIN] = "no allowed name resolved to this address, ",
	};
	char ip[ADDR_TEXT] = "";
	if (v->special)
		return special_words(v, buf);
	if (v->rule == EGRESS_DENY)
		ip_text(&v->judged, ip);
	bool unlisted = v->rule == EGRESS_NAME_ALLOWED && !v->allow;
	const char *entry = entry_of(v);
	snprintf(buf, EGRESS_WORDS, "%s%s%s%s%s%.200s", ip, unlisted ? "not " : "", words[v->rule],
	        v->option, entry[0] ? ": " : "", entry);
	return buf;
}
