/* Datagrams that came in pieces. Pieces that overlap end the datagram (RFC 5722, kept for IPv4
 * too); so do too many of them, and fifteen seconds. */
#include "guest/guest_int.h"

#include <stdlib.h>

enum {
	DATAGRAM_MOST = 65535,
	PATIENCE_MS = 15000,
};

struct datagram {
	struct list node;
	struct timer timer;
	struct guest *g;
	struct ip src, dst;
	uint32_t id;
	uint8_t proto;
	struct ranges have;
	uint32_t total; /* 0: the last piece has not come */
	uint8_t b[DATAGRAM_MOST];
};

static void
forget(struct datagram *d)
{
	wheel_del(d->g->conf.wheel, &d->timer);
	list_del(&d->node);
	free(d);
}

static void
on_timer(struct timer *t, uint64_t now)
{
	(void)now;
	struct datagram *d = CONTAINER_OF(t, struct datagram, timer);
	d->g->stats.dropped++;
	forget(d);
}

void
greasm_fini(struct guest *g)
{
	while (!list_empty(&g->datagrams))
		forget(LIST_ENTRY(g->datagrams.next, struct datagram, node));
}

static struct datagram *
find(struct guest *g, const struct ippkt *k, uint64_t now)
{
	uint32_t n = 0;
	LIST_FOR_EACH (it, &g->datagrams) {
		struct datagram *d = LIST_ENTRY(it, struct datagram, node);
		if (d->id == k->id && d->proto == k->proto && ip_eq(&d->src, &k->src) &&
		        ip_eq(&d->dst, &k->dst))
			return d;
		n++;
	}
	if (n == GUEST_REASM_MOST) {
		g->stats.dropped++;
		forget(LIST_ENTRY(g->datagrams.next, struct datagram, node));
	}
	struct datagram *d = malloc(sizeof *d);
	if (!d)
		return NULL;
	d->g = g;
	d->src = k->src;
	d->dst = k->dst;
	d->id = k->id;
	d->proto = k->proto;
	d->have.n = 0;
	d->total = 0;
	timer_init(&d->timer, on_timer);
	wheel_add(g->conf.wheel, &d->timer, now + PATIENCE_MS);
	list_add(&g->datagrams, &d->node);
	return d;
}

static bool
take(struct datagram *d, const struct ippkt *k)
{
	uint32_t left = k->offset, right = left + (uint32_t)k->payload.n;
	uint32_t were = ranges_bytes(&d->have);
	if (right > DATAGRAM_MOST || left == right || (d->total && (right > d->total || !k->more)))
		return false;
	if (!ranges_add(&d->have, left, right) || ranges_bytes(&d->have) != were + right - left)
		return false;
	if (!k->more)
		d->total = right;
	memcpy(d->b + left, k->payload.p, k->payload.n);
	return d->have.v[d->have.n - 1].right <= (d->total ? d->total : DATAGRAM_MOST);
}

bool
greasm_add(struct guest *g, struct ippkt *k, uint8_t **buf, uint64_t now)
{
	struct datagram *d = find(g, k, now);
	if (!d)
		return false;
	if (!take(d, k)) {
		g->stats.bad++;
		forget(d);
		return false;
	}
	if (!d->total || d->have.n != 1 || d->have.v[0].left || d->have.v[0].right != d->total)
		return false;
	*buf = malloc(d->total);
	if (*buf) {
		memcpy(*buf, d->b, d->total);
		k->payload = span(*buf, d->total);
		k->whole = k->payload;
		k->offset = 0;
		k->more = false;
	}
	forget(d);
	return *buf != NULL;
}
