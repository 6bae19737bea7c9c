#include "guest/gudp.h"

#include "base/cursor.h"
#include "guest/guest_int.h"
#include "wire/checksum.h"
#include "wire/dhcp.h"
#include "wire/udp.h"

#include <errno.h>
#include <stdlib.h>

enum {
	WAITING_MOST = 256 << 10,
	PAYLOAD_MOST = 65507,
};

struct dgram {
	struct list node;
	struct endpoint from;
	size_t n;
	uint8_t b[];
};

struct gudp {
	struct list node;
	struct guest *g;
	uint16_t port;
	struct list waiting;
	size_t bytes;
	bool troubled;
	struct gudp_trouble trouble;
};

static struct gudp *
find(const struct guest *g, uint16_t port)
{
	LIST_FOR_EACH (it, &g->udp) {
		struct gudp *u = LIST_ENTRY(it, struct gudp, node);
		if (u->port == port)
			return u;
	}
	return NULL;
}

struct gudp *
gudp_open(struct guest *g, uint16_t port)
{
	struct gudp *u = calloc(1, sizeof *u);
	if (!u)
		return NULL;
	u->g = g;
	list_init(&u->waiting);
	for (u->port = port; !u->port || (!port && find(g, u->port));)
		u->port = guest_port(g);
	list_add(&g->udp, &u->node);
	return u;
}

static void
drop_first(struct gudp *u)
{
	struct dgram *d = LIST_ENTRY(list_pop(&u->waiting), struct dgram, node);
	u->bytes -= d->n;
	free(d);
}

void
gudp_free(struct gudp *u)
{
	if (!u)
		return;
	while (!list_empty(&u->waiting))
		drop_first(u);
	list_del(&u->node);
	free(u);
}

void
gudp_fini(struct guest *g)
{
	while (!list_empty(&g->udp))
		gudp_free(LIST_ENTRY(g->udp.next, struct gudp, node));
}

uint16_t
gudp_port(const struct gudp *u)
{
	return u->port;
}

int
gudp_send(struct gudp *u, const struct endpoint *to, struct span payload, uint8_t ttl, uint64_t now)
{
	if (payload.n > PAYLOAD_MOST)
		return -EMSGSIZE;
	uint8_t *p = malloc(UDP_HEAD + payload.n);
	if (!p)
		return -ENOBUFS;
	struct ip src = guest_source(u->g, &to->ip);
	if (payload.n)
		memcpy(p + UDP_HEAD, payload.p, payload.n);
	udp_put(p, u->port, to->port, &src, &to->ip, payload.n, checksum_sum(payload.p, payload.n));
	int r = guest_send(
	        u->g, &src, &to->ip, IPPROTO_UDP, ttl, span(p, UDP_HEAD + payload.n), now);
	free(p);
	return r;
}

ssize_t
gudp_recv(struct gudp *u, struct endpoint *from, void *p, size_t cap)
{
	if (list_empty(&u->waiting))
		return -EAGAIN;
	struct dgram *d = LIST_ENTRY(u->waiting.next, struct dgram, node);
	size_t n = d->n < cap ? d->n : cap;
	*from = d->from;
	if (n)
		memcpy(p, d->b, n);
	drop_first(u);
	return (ssize_t)n;
}

bool
gudp_trouble(struct gudp *u, struct gudp_trouble *out)
{
	bool was = u->troubled;
	if (was)
		*out = u->trouble;
	u->troubled = false;
	return was;
}

static void
keep(struct gudp *u, const struct ippkt *k, const struct udpdgram *in)
{
	struct dgram *d = NULL;
	if (u->bytes + in->payload.n <= WAITING_MOST)
		d = malloc(sizeof *d + in->payload.n);
	if (!d) {
		u->g->stats.dropped++;
		return;
	}
	d->from = (struct endpoint){k->src, in->sport};
	d->n = in->payload.n;
	if (d->n)
		memcpy(d->b, in->payload.p, d->n);
	u->bytes += d->n;
	list_add(&u->waiting, &d->node);
	guest_event(u->g);
}

void
gudp_input(struct guest *g, const struct ippkt *k, uint64_t now)
{
	struct udpdgram d;
	if (udp_parse(k, &d) < 0) {
		g->stats.bad++;
		return;
	}
	struct gudp *u = find(g, d.dport);
	if (u)
		keep(u, k, &d);
	else if (d.dport == DHCP_CLIENT_PORT && d.sport == DHCP_SERVER_PORT)
		gdhcp_input(g, d.payload, now);
	else
		g->stats.dropped++;
}

void
gudp_error(
        struct guest *g, const struct ippkt *k, const struct icmpmsg *m, const struct ippkt *quoted)
{
	uint16_t sport, dport;
	struct gudp *u = NULL;
	if (udp_ports(quoted, &sport, &dport) == 0)
		u = find(g, sport);
	if (!u) {
		g->stats.dropped++;
		return;
	}
	u->troubled = true;
	u->trouble = (struct gudp_trouble){m->kind, k->src, {quoted->dst, dport}, m->mtu};
	guest_event(g);
}
