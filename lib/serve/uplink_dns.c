/* A guest's question, in order: the domain policy; names answered from the configuration; AAAA,
 * which is empty as long as guests have no IPv6; then cache and servers. Addresses in an answer are
 * asked of the policy again, so that a name cannot lead where an address may not, and those that
 * pass are pinned to the tunnel. */
#include "serve/uplink_int.h"

#include <errno.h>
#include <stdlib.h>

#define ANSWER_MOST 65535
#define OPT_SIZE 1232
#define OPT_LEN 11
#define ADDRS_MOST 64
#define BUSY_PERCENT 50 /* from here on, what all guests share is for those who ask little */
#define FAIR_LOOKUPS 64

struct lookup {
	struct list node; /* in uplink.lookups */
	struct uplink *up;
	struct resolve_req *req; /* NULL: the answer is here and waits for its turn */
	struct later later;
	uint32_t token;
	bool has_opt, opt_do;
	int rcode; /* of an answer made here */
	struct ip ip;
	uint16_t n;
	uint8_t query[DNS_HEAD + DNSNAME_MOST + 4]; /* header and question */
};

static void
count(struct uplink *up, enum metric m)
{
	metric_add(up->svc->shard, m, 1);
}

static void
question_of(const struct lookup *l, struct dnsmsg *q)
{
	dns_parse(span(l->query, l->n), q);
	q->has_opt = l->has_opt;
	q->opt_do = l->opt_do;
}

static void
end(struct lookup *l, struct span answer)
{
	struct uplink *up = l->up;
	uint32_t token = l->token;
	list_del(&l->node);
	up->n_lookups--;
	free(l);
	stack_dns_answer(up->stack, token, answer, uplink_now(up));
}

/* --- answers made here ------------------------------------------------------------------- */

static uint32_t
static_ttl(const struct uplink *up)
{
	return (uint32_t)(up->svc->app->l2->dns.default_ttl / 1000);
}

static void
end_with(struct lookup *l, int rcode, const struct ip *addr, size_t n, uint32_t ttl)
{
	uint8_t out[DNS_HEAD + DNSNAME_MOST + 4 + ADDRS_MOST * 28 + OPT_LEN];
	struct wr w = wr_init(out, sizeof out);
	struct dnsmsg q;
	question_of(l, &q);
	dns_put_reply(&w, &q, (enum dns_rcode)rcode);
	for (size_t i = 0; i < n; i++)
		dns_put_ip(&w, ttl, &addr[i]);
	if (l->has_opt)
		dns_put_opt(&w, OPT_SIZE, 0, l->opt_do);
	end(l, span(out, wr_len(&w)));
}

static void
on_made_here(struct later *later)
{
	struct lookup *l = CONTAINER_OF(later, struct lookup, later);
	bool has_ip = !ip_is_unspecified(&l->ip);
	if (has_ip && egress_pins(l->up->svc->app->egress))
		pin_add(&l->up->pins, &l->ip, static_ttl(l->up) * 1000ull, uplink_now(l->up));
	end_with(l, l->rcode, &l->ip, has_ip, static_ttl(l->up));
}

static int
make_here(struct lookup *l, int rcode)
{
	l->rcode = rcode;
	worker_later(l->up->svc->w, &l->later);
	return 0;
}

/* --- answers from servers ---------------------------------------------------------------- */

struct found {
	struct ip addr[ADDRS_MOST];
	size_t n, denied;
	uint32_t ttl;
	bool counted;
};

static bool
address_ok(struct uplink *up, const struct ip *ip, struct found *f)
{
	struct egress_query q = {.dst = {.ip = *ip}, .kind = EGRESS_ANSWER};
	struct egress_verdict v = egress_addr(up->svc->app->egress, &q, NULL);
	f->counted |= !v.allow && v.counted;
	return v.allow;
}

static void
collect(struct uplink *up, const struct dnsmsg *m, struct found *f)
{
	struct dnswalk walk;
	struct dnsrr rr;
	struct ip ip;
	f->ttl = UINT32_MAX;
	dns_walk(&walk, m);
	while (dns_next(&walk, &rr)) {
		if (rr.section != DNS_ANSWER || !dns_rr_ip(&rr, &ip))
			continue;
		if (!address_ok(up, &ip, f)) {
			f->denied++;
			continue;
		}
		if (f->n < ADDRS_MOST)
			f->addr[f->n++] = ip;
		if (rr.ttl < f->ttl)
			f->ttl = rr.ttl;
	}
}

static void
pin(struct uplink *up, const struct found *f)
{
	if (!egress_pins(up->svc->app->egress))
		return;
	for (size_t i = 0; i < f->n; i++)
		pin_add(&up->pins, &f->addr[i], f->ttl * 1000ull, uplink_now(up));
}

/* RFC 6891 6.1.1: who asked with OPT is answered with one, also when the server knows none. */
static size_t
add_opt(const struct dnsmsg *q, uint8_t *msg, size_t n)
{
	struct wr w = {.start = msg, .p = msg + n, .end = msg + ANSWER_MOST};
	dns_put_opt(&w, OPT_SIZE, 0, q->opt_do);
	return wr_len(&w);
}

/* The server's message as the guest may see it: its id, its spelling of the name, an OPT if it sent
 * one, and never the authority of somebody else. */
static void
pass_on(struct lookup *l, const struct dnsmsg *q, bool has_opt, uint8_t *msg, size_t n)
{
	uint16_t flags = get16(msg + 2) & (uint16_t) ~(DNS_AA | DNS_RD | DNS_CD);
	if (!q->opt_do && !(q->flags & DNS_AD))
		flags &= (uint16_t)~DNS_AD;
	dns_set_id(msg, q->id);
	dns_set_flags(msg, flags | DNS_RA | (q->flags & (DNS_RD | DNS_CD)));
	dns_echo_question(msg, n, q);
	if (!q->has_opt)
		n = dns_strip_opt(msg, n);
	else if (!has_opt)
		n = add_opt(q, msg, n);
	end(l, span(msg, n));
}

static void
on_answer(void *user, const struct resolve_answer *a)
{
	struct lookup *l = user;
	struct uplink *up = l->up;
	struct found f = {0};
	struct dnsmsg q, m;
	l->req = NULL;
	question_of(l, &q);
	if (!a->cached) {
		count(up, M_L2_DNS_QUERIES);
		up->dns_queries++;
	}
	if (a->status || dns_parse(a->msg, &m) < 0) {
		count(up, M_L2_DNS_FAIL);
		end_with(l, DNS_SERVFAIL, NULL, 0, 0);
		return;
	}
	collect(up, &m, &f);
	if (q.type == DNS_A && !a->cached && !f.n && !f.denied)
		count(up, M_L2_DNS_FAIL);
	if (f.denied && f.counted)
		count(up, M_L2_POLICY_DENIED);
	if (f.denied) {
		up->denied++;
		pin(up, &f);
		end_with(l, f.n ? DNS_NOERROR : DNS_NXDOMAIN, f.addr, f.n, f.ttl);
		return;
	}
	pin(up, &f);
	memcpy(up->svc->w->scratch, a->msg.p, a->msg.n);
	pass_on(l, &q, m.has_opt, up->svc->w->scratch, a->msg.n);
}

/* --- questions --------------------------------------------------------------------------- */

/* A host name that cannot exist is not worth a server's time. */
static bool
is_host_name(const struct dnsname *name)
{
	struct span label;
	bool any = false;
	for (size_t at = 0; dnsname_label(name, &at, &label); any = true)
		for (size_t i = 0; i < label.n; i++)
			if (label.p[i] <= ' ' || label.p[i] >= 127)
				return false;
	return any;
}

static int
refuse_name(struct lookup *l, const struct egress_verdict *v)
{
	struct uplink *up = l->up;
	up->denied++;
	if (v->counted)
		count(up, M_L2_POLICY_DENIED);
	log_debug(up->log, "dns.denied", kv_str("rule", egress_rule_name(v->rule)));
	return make_here(l, DNS_NXDOMAIN);
}

/* A name of dns.static-a: only the LAN's own filter is asked, and nothing is counted. */
static int
answer_static(struct lookup *l, const struct static_name *s)
{
	struct egress_query q = {.dst = {.ip = s->ip}, .kind = EGRESS_STATIC};
	if (!egress_addr(l->up->svc->app->egress, &q, NULL).allow)
		return make_here(l, DNS_NXDOMAIN);
	l->ip = s->ip;
	return make_here(l, DNS_NOERROR);
}

static int
ask_servers(struct lookup *l, const struct dnsmsg *q)
{
	struct uplink *up = l->up;
	uint32_t most = up->svc->app->l2->dns.max_pending;
	if (resolve_load(up->svc->resolve) >= BUSY_PERCENT && most > FAIR_LOOKUPS)
		most = FAIR_LOOKUPS;
	bool full = up->n_lookups > most;
	return resolve_query(up->svc->resolve, &q->name, q->type, q->class, q->opt_do,
	        full ? RESOLVE_CACHED_ONLY : 0, on_answer, l, &l->req);
}

static int
answer_locally(struct lookup *l, const struct dnsmsg *q, const struct static_name *s)
{
	count(l->up, M_L2_DNS_QUERIES);
	l->up->dns_queries++;
	if (s)
		return answer_static(l, s);
	count(l->up, M_L2_DNS_FAIL);
	(void)q;
	return make_here(l, DNS_NXDOMAIN);
}

static int
ask(struct lookup *l, const struct dnsmsg *q)
{
	const struct egress *rules = l->up->svc->app->egress;
	char text[DNSNAME_TEXT];
	struct span name = span_str(dnsname_text(&q->name, text));
	struct egress_verdict v = egress_name(rules, name, NULL);
	if (q->type == DNS_A && !is_host_name(&q->name))
		return l->up->svc->app->l2->dns.max_pending ? answer_locally(l, q, NULL) : -EAGAIN;
	if (!v.allow) {
		if (q->type == DNS_A)
			count(l->up, M_L2_DNS_QUERIES);
		return refuse_name(l, &v);
	}
	if (q->type == DNS_AAAA)
		return make_here(l, DNS_NOERROR);
	const struct static_name *s = q->type == DNS_A ? egress_static(rules, name, true) : NULL;
	if (s && !l->up->svc->app->l2->dns.max_pending)
		return -EAGAIN;
	return s ? answer_locally(l, q, s) : ask_servers(l, q);
}

int
uplink_dns_query(struct stack *st, uint32_t token, struct span query)
{
	struct uplink *up = uplink_of(st);
	struct dnsmsg q;
	int rc = dns_parse(query, &q);
	struct lookup *l = rc < 0 ? NULL : calloc(1, sizeof *l);
	if (!l)
		return rc < 0 ? rc : -ENOMEM;
	l->up = up;
	l->token = token;
	l->has_opt = q.has_opt;
	l->opt_do = q.opt_do;
	l->n = (uint16_t)(DNS_HEAD + q.question.n);
	memcpy(l->query, query.p, l->n);
	memset(l->query + 6, 0, 6); /* no records but the question */
	later_init(&l->later, on_made_here);
	list_add(&up->lookups, &l->node);
	up->n_lookups++;
	rc = ask(l, &q);
	if (rc < 0) {
		list_del(&l->node);
		up->n_lookups--;
		free(l);
	}
	return rc;
}

static void
drop(struct lookup *l)
{
	if (l->req)
		resolve_cancel(l->up->svc->resolve, l->req);
	later_cancel(&l->later);
	list_del(&l->node);
	l->up->n_lookups--;
	free(l);
}

void
uplink_dns_cancel(struct stack *st, uint32_t token)
{
	LIST_FOR_EACH_SAFE (it, &uplink_of(st)->lookups) {
		struct lookup *l = LIST_ENTRY(it, struct lookup, node);
		if (l->token == token)
			drop(l);
	}
}

void
uplink_dns_close(struct uplink *up)
{
	while (!list_empty(&up->lookups))
		drop(LIST_ENTRY(up->lookups.next, struct lookup, node));
}
