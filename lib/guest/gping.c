#include "guest/guest_int.h"

#include "base/cursor.h"
#include "wire/checksum.h"

#include <errno.h>
#include <stdlib.h>

enum { DATA_MOST = 65507 };

static uint8_t
pattern(size_t i)
{
	return (uint8_t)('a' + i % 23);
}

int
gping_send(struct guest *g, const struct ip *dst, uint16_t id, uint16_t seq, size_t len,
        uint8_t ttl, uint64_t now)
{
	if (len > DATA_MOST)
		return -EMSGSIZE;
	uint8_t *p = malloc(ICMP_HEAD + len);
	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		p[ICMP_HEAD + i] = pattern(i);
	struct icmpmsg m = {.kind = ICMP_KIND_ECHO, .id = id, .seq = seq};
	struct ip src = guest_source(g, dst);
	icmp_put(p, &m, &src, dst, len, checksum_sum(p + ICMP_HEAD, len));
	int r = guest_send(g, &src, dst, icmp_proto(dst), ttl, span(p, ICMP_HEAD + len), now);
	free(p);
	return r;
}

static void
keep(struct guest *g, const struct gping_event *e)
{
	struct gping_part *p = &g->ping;
	p->ring[(p->head + p->n) % GPING_EVENTS] = *e;
	if (p->n < GPING_EVENTS)
		p->n++;
	else
		p->head = (p->head + 1) % GPING_EVENTS;
	guest_event(g);
}

void
gping_input(struct guest *g, const struct ippkt *k, uint64_t now)
{
	struct icmpmsg m;
	if (icmp_parse(k, &m) < 0 || m.kind != ICMP_KIND_ECHO_REPLY) {
		g->stats.dropped++;
		return;
	}
	struct gping_event e = {
	        .kind = m.kind,
	        .from = k->src,
	        .id = m.id,
	        .seq = m.seq,
	        .ttl = k->ttl,
	        .len = (uint32_t)m.body.n,
	        .same = true,
	        .at = now,
	};
	for (size_t i = 0; i < m.body.n; i++)
		e.same = e.same && m.body.p[i] == pattern(i);
	keep(g, &e);
}

void
gping_error(struct guest *g, const struct ippkt *k, const struct icmpmsg *m,
        const struct ippkt *quoted, uint64_t now)
{
	if (quoted->payload.n < ICMP_HEAD) {
		g->stats.bad++;
		return;
	}
	struct gping_event e = {
	        .kind = m->kind,
	        .from = k->src,
	        .id = get16(quoted->payload.p + 4),
	        .seq = get16(quoted->payload.p + 6),
	        .ttl = k->ttl,
	        .at = now,
	};
	keep(g, &e);
}

bool
gping_next(struct guest *g, struct gping_event *out)
{
	struct gping_part *p = &g->ping;
	if (!p->n)
		return false;
	*out = p->ring[p->head];
	p->head = (p->head + 1) % GPING_EVENTS;
	p->n--;
	return true;
}
