/* Two questions, one after the other: IPv4, then IPv6 only if the name has no IPv4 address. An
 * address needs neither and is answered in the next turn. */
#include "net/resolve.h"

#include <errno.h>
#include <stdlib.h>

#define ADDRS_MOST 16

struct resolve_addrs {
	struct resolve *r;
	struct resolve_req *req; /* NULL: a literal, waiting for its turn */
	struct later later;
	resolve_addrs_cb *cb;
	void *user;
	struct dnsname name;
	uint16_t type;
	struct ip literal;
};

static void
finish(struct resolve_addrs *a, int status, const struct ip *addr, size_t n)
{
	resolve_addrs_cb *cb = a->cb;
	void *user = a->user;
	free(a);
	cb(user, status, addr, n);
}

static void
on_literal(struct later *l)
{
	struct resolve_addrs *a = CONTAINER_OF(l, struct resolve_addrs, later);
	struct ip ip = a->literal;
	finish(a, 0, &ip, 1);
}

static size_t
collect(struct span msg, struct ip *addr)
{
	struct dnsmsg m;
	struct dnswalk walk;
	struct dnsrr rr;
	size_t n = 0;
	if (dns_parse(msg, &m) < 0)
		return 0;
	dns_walk(&walk, &m);
	while (n < ADDRS_MOST && dns_next(&walk, &rr))
		if (rr.section == DNS_ANSWER && dns_rr_ip(&rr, &addr[n]))
			n++;
	return n;
}

static int ask(struct resolve_addrs *a, uint16_t type);

static void
on_answer(void *user, const struct resolve_answer *ans)
{
	struct resolve_addrs *a = user;
	struct ip addr[ADDRS_MOST];
	size_t n = ans->status ? 0 : collect(ans->msg, addr);
	a->req = NULL;
	if (!n && !ans->status && a->type == DNS_A && ask(a, DNS_AAAA) == 0)
		return;
	finish(a, ans->status ? ans->status : n ? 0 : -ENOENT, addr, n);
}

static int
ask(struct resolve_addrs *a, uint16_t type)
{
	a->type = type;
	return resolve_query(a->r, &a->name, type, DNS_IN, false, 0, on_answer, a, &a->req);
}

int
resolve_addrs(struct resolve *r, const char *name, resolve_addrs_cb *cb, void *user,
        struct resolve_addrs **out)
{
	struct resolve_addrs *a = calloc(1, sizeof *a);
	int rc = 0;
	if (!a)
		return -ENOMEM;
	a->r = r;
	a->cb = cb;
	a->user = user;
	later_init(&a->later, on_literal);
	if (ip_parse(span_str(name), &a->literal))
		worker_later(resolve_worker(r), &a->later);
	else if (dnsname_parse(span_str(name), &a->name) < 0)
		rc = -EINVAL;
	else
		rc = ask(a, DNS_A);
	if (rc < 0)
		free(a);
	else
		*out = a;
	return rc;
}

void
resolve_addrs_cancel(struct resolve_addrs *a)
{
	if (a->req)
		resolve_cancel(a->r, a->req);
	later_cancel(&a->later);
	free(a);
}
