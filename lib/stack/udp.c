/* A binding is a guest's port and one socket of the server; a flow is a binding and one remote
 * endpoint. Flows are what is counted, limited and timed out; a binding lives as long as it has a
 * flow. The guest opens flows by sending; a datagram from outside is let in only by the flow that
 * it belongs to.
 *
 * Datagrams for the guest wait as finished frames, per binding, in turn with everything else that
 * is sent to the guest. When too much waits, the fullest binding loses its oldest. */
#include "stack/udp.h"

#include "base/cursor.h"
#include "stack/stack_int.h"
#include "wire/checksum.h"
#include "wire/dhcp.h"
#include "wire/udp.h"

#include <errno.h>

enum {
	PORT_DNS = 53,
	PAYLOAD_MOST = 65535 - 20 - UDP_HEAD,
};

struct flow {
	struct hash_node node;
	struct list of;  /* its binding */
	struct list use; /* fresh or replied */
	struct udp_binding *b;
	uint64_t last;
	struct endpoint remote;
	uint16_t len, sum, id; /* of the last datagram sent: an error about it quotes them */
	uint8_t tos;
	bool replied;
};

/* --- tables --------------------------------------------------------------------------------------
 */

static size_t
put_key(uint8_t *key, const struct endpoint *e)
{
	memcpy(key, e->ip.b, 16);
	put16(key + 16, e->port);
	return 18;
}

static uint64_t
hash_binding(const struct stack *st, const struct endpoint *guest)
{
	uint8_t key[18];
	return siphash13(&st->sh->hash_key, key, put_key(key, guest));
}

static uint64_t
hash_flow(const struct stack *st, const struct endpoint *guest, const struct endpoint *remote)
{
	uint8_t key[36];
	size_t n = put_key(key, guest);
	return siphash13(&st->sh->hash_key, key, n + put_key(key + n, remote));
}

static struct udp_binding *
find_binding(const struct stack *st, const struct endpoint *guest)
{
	uint64_t h = hash_binding(st, guest);
	HASH_FOR_EACH (n, &st->udp.bindings, h) {
		struct udp_binding *b = CONTAINER_OF(n, struct udp_binding, node);
		if (endpoint_eq(&b->guest, guest))
			return b;
	}
	return NULL;
}

static struct flow *
find_flow(const struct stack *st, const struct endpoint *guest, const struct endpoint *remote)
{
	uint64_t h = hash_flow(st, guest, remote);
	HASH_FOR_EACH (n, &st->udp.flows, h) {
		struct flow *f = CONTAINER_OF(n, struct flow, node);
		if (endpoint_eq(&f->remote, remote) && endpoint_eq(&f->b->guest, guest))
			return f;
	}
	return NULL;
}

/* --- what waits for the guest
 * ---------------------------------------------------------------------- */

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

/* --- flows and bindings
 * ------------------------------------------------------------------------------ */

static void
free_binding(struct stack *st, struct udp_binding *b)
{
	uint32_t before = b->queue.bytes;
	sched_remove(st, &b->sched);
	frameq_clear(&b->queue, st->sh->nodes);
	account(st, b, before);
	hash_del(&st->udp.bindings, &b->node);
	st->udp.n_bindings--;
	ops_of(st)->udp_free(st, b);
}

static struct udp_binding *
new_binding(struct stack *st, const struct endpoint *guest)
{
	struct udp_binding *b = ops_of(st)->udp_alloc(st);
	if (!b)
		return NULL;
	b->guest = *guest;
	list_init(&b->flows);
	list_init(&b->waiting);
	frameq_init(&b->queue);
	sched_ent_init(&b->sched, &sched_ops);
	st->udp.n_bindings++;
	if (hash_add(&st->udp.bindings, &b->node, hash_binding(st, guest)))
		return b;
	free_binding(st, b);
	return NULL;
}

static void
close_flow(struct stack *st, struct flow *f)
{
	struct udp_binding *b = f->b;
	hash_del(&st->udp.flows, &f->node);
	list_del(&f->of);
	list_del(&f->use);
	slab_free(&st->sh->batch->flows, f);
	st->udp.n_flows--;
	ops_of(st)->udp_flows(st, -1);
	if (list_empty(&b->flows))
		free_binding(st, b);
}

static struct flow *
new_flow(struct stack *st, struct udp_binding *b, const struct endpoint *remote)
{
	struct flow *f = slab_alloc(&st->sh->batch->flows);
	if (!f)
		return NULL;
	f->b = b;
	f->remote = *remote;
	if (!hash_add(&st->udp.flows, &f->node, hash_flow(st, &b->guest, remote))) {
		slab_free(&st->sh->batch->flows, f);
		return NULL;
	}
	list_add(&b->flows, &f->of);
	list_add(&st->udp.fresh, &f->use);
	st->udp.n_flows++;
	ops_of(st)->udp_flows(st, 1);
	return f;
}

static struct flow *
open_flow(struct stack *st, const struct endpoint *guest, const struct endpoint *remote)
{
	uint32_t most = conf_of(st)->udp_max_flows;
	struct udp_binding *b = NULL;
	if (!most || st->udp.n_flows < most) {
		b = find_binding(st, guest);
		if (!b)
			b = new_binding(st, guest);
	}
	if (!b) {
		stats_of(st)->udp_flow_limit++;
		return NULL;
	}
	struct flow *f = new_flow(st, b, remote);
	if (!f && list_empty(&b->flows))
		free_binding(st, b);
	return f;
}

/* --- patience
 * ------------------------------------------------------------------------------------------ */

/* 0 = endless. */
static uint32_t
patience(const struct stack *st, bool replied)
{
	const struct stack_conf *c = conf_of(st);
	uint32_t less = c->udp_unreplied_ms;
	if (replied || !less || (c->udp_idle_ms && c->udp_idle_ms < less))
		return c->udp_idle_ms;
	return less;
}

/* When the idlest flow of a list is to be closed. */
static uint64_t
due(const struct stack *st, const struct list *l, bool replied)
{
	uint32_t ms = patience(st, replied);
	if (!ms || list_empty(l))
		return UINT64_MAX;
	return LIST_ENTRY(l->next, struct flow, use)->last + ms;
}

static void
arm(struct stack *st)
{
	uint64_t a = due(st, &st->udp.fresh, false), b = due(st, &st->udp.replied, true);
	uint64_t when = a < b ? a : b;
	if (when == UINT64_MAX)
		wheel_del(st->sh->wheel, &st->udp.idle);
	else if (!timer_armed(&st->udp.idle) || st->udp.idle.when > when)
		wheel_add(st->sh->wheel, &st->udp.idle, when);
}

static void
close_due(struct stack *st, struct list *l, bool replied)
{
	while (due(st, l, replied) <= st->now)
		close_flow(st, LIST_ENTRY(l->next, struct flow, use));
}

static void
on_idle(struct timer *t, uint64_t now)
{
	struct stack *st = CONTAINER_OF(t, struct stack, udp.idle);
	st->now = now;
	close_due(st, &st->udp.fresh, false);
	close_due(st, &st->udp.replied, true);
	arm(st);
}

static void
touch(struct stack *st, struct flow *f)
{
	f->last = st->now;
	list_del(&f->use);
	list_add(f->replied ? &st->udp.replied : &st->udp.fresh, &f->use);
	if (!timer_armed(&st->udp.idle) || !f->replied)
		arm(st);
}

/* --- from the guest
 * -------------------------------------------------------------------------------------- */

static void
remember(struct flow *f, const struct ippkt *k)
{
	f->len = get16(k->payload.p + 4);
	f->sum = get16(k->payload.p + 6);
	f->id = (uint16_t)k->id;
	f->tos = k->tos;
}

static void
to_world(struct stack *st, const struct ippkt *k, const struct udpdgram *d)
{
	struct endpoint guest = {k->src, d->sport}, remote = {k->dst, d->dport};
	struct flow *f = find_flow(st, &guest, &remote);
	bool fresh = !f;
	if (!f)
		f = open_flow(st, &guest, &remote);
	if (!f) {
		stats_of(st)->udp_dropped++;
		return;
	}
	remember(f, k);
	/* What is meant for the gateway itself but forwarded by it has no hop behind it. */
	uint8_t ttl = k->ttl > 1 ? k->ttl - 1 : 1;
	int r = ops_of(st)->udp_send(st, f->b, &remote, d->payload, ttl, k->tos);
	if (r == 0 || (r == -EMSGSIZE && !fresh)) {
		touch(st, f);
		st->udp.opened += fresh;
		stats_of(st)->udp_out += r == 0;
	} else {
		close_flow(st, f);
	}
	if (r < 0 && r != -EACCES)
		icmp_refuse(st, k, -r);
}

static void
nat_input(struct stack *st, const struct ippkt *k, const struct udpdgram *d)
{
	static const struct icmpmsg closed = {.kind = ICMP_KIND_PORT_UNREACHABLE};
	struct endpoint remote = {k->dst, d->dport};
	if (!lan_is_guest(st, &k->src) || lan_is_group(st, &k->dst) || !d->sport || !d->dport)
		return;
	if (ops_of(st)->filter(st, IPPROTO_UDP, &remote)) {
		to_world(st, k, d);
		return;
	}
	stats_of(st)->filtered++;
	if (lan_is_gateway(st, &k->dst))
		icmp_error(st, NULL, k, &closed);
}

void
udp_input(struct stack *st, const struct ippkt *k)
{
	struct udpdgram d;
	if (udp_parse(k, &d) < 0) {
		stats_of(st)->frames_bad++;
		return;
	}
	if (d.sport == DHCP_CLIENT_PORT && d.dport == DHCP_SERVER_PORT)
		dhcp_input(st, d.payload);
	else if (d.dport == PORT_DNS && lan_is_gateway(st, &k->dst))
		dns_input(st, k, d.sport, d.payload);
	else
		nat_input(st, k, &d);
}

/* --- news
 * --------------------------------------------------------------------------------------------------
 */

static bool
enqueue(struct stack *st, struct udp_binding *b, const struct endpoint *src, struct span payload)
{
	struct ippkt k = {.src = src->ip, .dst = b->guest.ip, .proto = IPPROTO_UDP};
	uint32_t before = b->queue.bytes;
	uint8_t head[UDP_HEAD];
	udp_put(head, src->port, b->guest.port, &k.src, &k.dst, payload.n,
	        checksum_sum(payload.p, payload.n));
	bool done = ip_queue(st, &b->queue, &k, span(head, sizeof head), payload);
	account(st, b, before);
	return done;
}

void
stack_udp_input(struct stack *st, struct udp_binding *b, const struct endpoint *src,
        struct span payload, uint64_t now)
{
	st->now = now;
	struct flow *f = find_flow(st, &b->guest, src);
	if (!f || payload.n > PAYLOAD_MOST || !enqueue(st, b, src, payload)) {
		stats_of(st)->udp_dropped++;
		return;
	}
	stats_of(st)->udp_in++;
	f->replied = true;
	touch(st, f);
	sched_ready(st, &b->sched);
	while (st->udp.queued > conf_of(st)->udp_queue_bytes)
		drop_oldest(st, fullest(st));
}

void
stack_udp_error(struct stack *st, struct udp_binding *b, const struct endpoint *dst,
        const struct ip *from, uint8_t type, uint8_t code, uint32_t mtu, uint64_t now)
{
	st->now = now;
	bool v6 = !ip_is4(&dst->ip);
	struct flow *f = find_flow(st, &b->guest, dst);
	if (!f || !icmp_is_error_type(v6, type))
		return;
	struct ippkt k = {
	        .src = b->guest.ip,
	        .dst = dst->ip,
	        .proto = IPPROTO_UDP,
	        .ttl = 1,
	        .tos = f->tos,
	        .id = f->id,
	};
	struct icmpmsg m = {
	        .kind = icmp_kind_of(v6, type, code),
	        .type = type,
	        .code = code,
	        .mtu = mtu,
	};
	uint8_t l4[UDP_HEAD], buf[ICMP_FORGED_MOST];
	put16(l4, b->guest.port);
	put16(l4 + 2, dst->port);
	put16(l4 + 4, f->len);
	put16(l4 + 6, f->sum);
	icmp_forge(buf, &k, l4, f->len);
	icmp_error(st, from, &k, &m);
	if (m.kind == ICMP_KIND_PORT_UNREACHABLE)
		close_flow(st, f);
}

/* --- life
 * ----------------------------------------------------------------------------------------------------
 */

void
udp_batch_init(struct stack_batch *b)
{
	slab_init(&b->flows, sizeof(struct flow), UINT32_MAX);
}

void
udp_init(struct stack *st)
{
	list_init(&st->udp.fresh);
	list_init(&st->udp.replied);
	list_init(&st->udp.waiting);
	timer_init(&st->udp.idle, on_idle);
}

static void
close_all(struct stack *st, struct list *l)
{
	while (!list_empty(l))
		close_flow(st, LIST_ENTRY(l->next, struct flow, use));
}

void
udp_fini(struct stack *st)
{
	close_all(st, &st->udp.fresh);
	close_all(st, &st->udp.replied);
	wheel_del(st->sh->wheel, &st->udp.idle);
	hash_fini(&st->udp.bindings);
	hash_fini(&st->udp.flows);
}

size_t
udp_memory(const struct stack *st)
{
	const struct udp_part *u = &st->udp;
	return u->queued + u->n_flows * sizeof(struct flow) +
	       ((size_t)u->bindings.size + u->flows.size) * sizeof(struct hash_node *);
}
