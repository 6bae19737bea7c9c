/* Datagrams for the guest wait as finished frames, per binding, in turn with everything else that
 * is sent to the guest. When too much waits, the fullest binding loses its oldest. */
#include "stack/udp_int.h"

#include "wire/checksum.h"
#include "wire/udp.h"

enum { PAYLOAD_MOST = 65535 - 20 - UDP_HEAD };

/* After every change of b's queue, which held `before` bytes. */
static void
account(struct stack *st, struct udp_binding *b, uint32_t before)
{
	st->udp.queued += b->queue.bytes - before;
	if (b->queue.frames) {
		if (list_empty(&b->waiting))
			list_add(&st->udp.waiting, &b->waiting);
		return;
	}
	list_del(&b->waiting);
}

static void
drop_oldest(struct stack *st, struct udp_binding *b)
{
	uint32_t before = b->queue.bytes;
	frameq_drop(&b->queue, st->sh->nodes);
	stats_of(st)->udp_dropped++;
	account(st, b, before);
	if (!b->queue.frames)
		sched_remove(st, &b->sched);
}

static struct udp_binding *
fullest(const struct stack *st)
{
	struct udp_binding *most = NULL;
	LIST_FOR_EACH (n, &st->udp.waiting) {
		struct udp_binding *b = LIST_ENTRY(n, struct udp_binding, waiting);
		if (!most || b->queue.bytes > most->queue.bytes)
			most = b;
	}
	return most;
}

/* A datagram that waited too long makes way for the next, but the last one always goes out: a
 * tunnel that stood still for a moment must not cost a lone answer. */
static void
drop_stale(struct stack *st, struct udp_binding *b)
{
	uint32_t most = conf_of(st)->udp_queue_ms;
	while (most && !b->queue.cut && b->queue.groups > 1 &&
	        (uint32_t)st->now - frameq_stamp(&b->queue) > most)
		drop_oldest(st, b);
}

static size_t
pull(struct stack *st, struct sched_ent *ent, struct emit *e, size_t bytes, uint64_t now,
        bool *more)
{
	struct udp_binding *b = CONTAINER_OF(ent, struct udp_binding, sched);
	uint32_t before;
	size_t n = 0;
	(void)now;
	drop_stale(st, b);
	before = b->queue.bytes;
	while (b->queue.frames && n < bytes) {
		size_t did = frameq_emit(&b->queue, st->sh->nodes, e, lan_frame_len(st, 0));
		if (!did)
			break;
		n += did;
	}
	account(st, b, before);
	*more = b->queue.frames > 0;
	return n;
}

static const struct sched_ops sched_ops = {.pull = pull};

void
udp_queue_init(struct udp_binding *b)
{
	list_init(&b->waiting);
	frameq_init(&b->queue);
	sched_ent_init(&b->sched, &sched_ops);
}

void
udp_queue_fini(struct stack *st, struct udp_binding *b)
{
	uint32_t before = b->queue.bytes;
	sched_remove(st, &b->sched);
	frameq_clear(&b->queue, st->sh->nodes);
	account(st, b, before);
}

bool
udp_queue_add(
        struct stack *st, struct udp_binding *b, const struct endpoint *src, struct span payload)
{
	struct ippkt k = {.src = src->ip, .dst = b->guest.ip, .proto = IPPROTO_UDP};
	uint32_t before = b->queue.bytes;
	uint8_t head[UDP_HEAD];
	if (payload.n > PAYLOAD_MOST)
		return false;
	udp_put(head, src->port, b->guest.port, &k.src, &k.dst, payload.n,
	        checksum_sum(payload.p, payload.n));
	if (!ip_queue(st, &b->queue, &k, span(head, sizeof head), payload))
		return false;
	account(st, b, before);
	sched_ready(st, &b->sched);
	while (st->udp.queued > conf_of(st)->udp_queue_bytes)
		drop_oldest(st, fullest(st));
	return true;
}
