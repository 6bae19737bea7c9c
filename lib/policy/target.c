#include "policy/target.h"

#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>

static const struct {
	const char *name;
	uint8_t ipproto;
	bool port;
} protos[] = {
        {"tcp", IPPROTO_TCP, true},
        {"udp", IPPROTO_UDP, true},
        {"icmp", IPPROTO_ICMP, false},
};

static int
bad(struct err *e, struct span s, const char *why)
{
	return err_set(
	        e, -EINVAL, "\"%.*s\": %s", (int)span_first(s, 200).n, (const char *)s.p, why);
}

int
target_parse(struct span s, struct target *t, struct err *e)
{
	struct span host = s, proto;
	uint64_t port = 0;
	size_t i = 0;
	span_split(&host, '/', &proto);
	while (i < ARRAY_LEN(protos) && !span_is(proto, protos[i].name))
		i++;
	if (!host.p || i == ARRAY_LEN(protos))
		return bad(e, s, "write tcp/host:port, udp/host:port or icmp/host");
	if (protos[i].port) {
		const uint8_t *colon = host.n ? memrchr(host.p, ':', host.n) : NULL;
		size_t at = colon ? (size_t)(colon - host.p) : 0;
		if (!colon || !span_u64(span_skip(host, at + 1), 65535, &port))
			return bad(e, s, "a port, 0 to 65535, must follow the host");
		host = span_first(host, at);
		if (host.n && host.p[0] != '[' && memchr(host.p, ':', host.n))
			return bad(e, s, "an IPv6 address needs brackets");
	}
	if (!host.n)
		return bad(e, s, "there is no host");
	*t = (struct target){
	        .proto = protos[i].name,
	        .ipproto = protos[i].ipproto,
	        .port = (uint16_t)port,
	        .text = host,
	        .host = host_classify(host),
	};
	return 0;
}

static void
add(struct target_report *r, const struct ip *ip, bool listed)
{
	for (size_t i = 0; i < r->n; i++)
		if (ip_eq(&r->addr[i].ip, ip))
			return;
	if (r->n == TARGET_ADDRS)
		return;
	r->addr[r->n].ip = *ip;
	r->addr[r->n++].listed = listed;
}

static void
collect(const struct egress *g, const struct target *t, const struct ip *ips, size_t n,
        struct target_report *r)
{
	if (t->host.kind == HOST_IP) {
		add(r, &t->host.ip, false);
		return;
	}
	for (int four = 1; four >= 0; four--) {
		const struct static_name *s = egress_static(g, span_str(t->host.name), four);
		if (s)
			add(r, &s->ip, true);
	}
	if (r->n)
		return;
	for (size_t i = 0; i < n; i++)
		add(r, &ips[i], false);
	r->known = ips != NULL;
}

/* As a guest meets it: the answer first, then the address it was told. */
static void
judge_addr(const struct egress *g, const struct target *t, struct target_addr *a)
{
	struct egress_query q = {
	        .dst = {a->ip, t->port},
	        .proto = t->ipproto,
	        .kind = a->listed ? EGRESS_STATIC : EGRESS_ANSWER,
	        .pinned = t->host.kind == HOST_NAME,
	};
	if (t->host.kind == HOST_NAME) {
		a->verdict = egress_addr(g, &q, &a->trace);
		if (!a->verdict.allow)
			return;
	}
	q.kind = EGRESS_DIAL;
	a->verdict = egress_addr(g, &q, &a->trace);
}

static void
judge_name(const struct egress *g, const struct target *t, struct target_report *r)
{
	struct egress_query q = {.dst.port = t->port, .proto = t->ipproto, .kind = EGRESS_NAMED};
	r->named = true;
	r->name = egress_name(g, span_str(t->host.name), &r->name_trace);
	r->verdict = r->name;
	if (!r->verdict.allow)
		return;
	struct egress_verdict port = egress_addr(g, &q, NULL);
	if (!port.allow)
		r->verdict = port;
}

void
target_judge(const struct egress *g, const struct target *t, const struct ip *ips, size_t n,
        struct target_report *r)
{
	*r = (struct target_report){.verdict = {.rule = EGRESS_NAME_INVALID, .option = ""}};
	if (t->host.kind == HOST_BAD)
		return;
	collect(g, t, ips, n, r);
	r->known = r->known || r->n;
	if (t->host.kind == HOST_NAME) {
		judge_name(g, t, r);
		if (!r->name.allow)
			r->n = 0;
		if (!r->n || !r->verdict.allow)
			return;
	}
	for (size_t i = 0; i < r->n; i++) {
		judge_addr(g, t, &r->addr[i]);
		if (i == 0 || (r->addr[i].verdict.allow && !r->verdict.allow))
			r->verdict = r->addr[i].verdict;
	}
}
