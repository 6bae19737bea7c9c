/* Flows are what is counted, limited and timed out; a binding lives as long as it has a flow. */
#include "stack/udp_int.h"

#include "base/cursor.h"

enum {
	PORT_DNS = 53,
	LOOKUP_MS = 10000,
};

/* --- tables ----------------------------------------------------------------------------------- */

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

struct udp_flow *
udp_flow_find(const struct stack *st, const struct endpoint *guest, const struct endpoint *remote)
{
	uint64_t h = hash_flow(st, guest, remote);
	HASH_FOR_EACH (n, &st->udp.flows, h) {
		struct udp_flow *f = CONTAINER_OF(n, struct udp_flow, node);
		if (endpoint_eq(&f->remote, remote) && endpoint_eq(&f->b->guest, guest))
			return f;
	}
	return NULL;
}

/* --- bindings and flows ----------------------------------------------------------------------- */

/* A lookup is over with its answer; a guest that asks servers of its own opens a flow for each. */
static struct list *
use_of(struct stack *st, const struct udp_flow *f)
{
	bool lookup = f->remote.port == PORT_DNS;
	return &st->udp.use[lookup ? UDP_LOOKUP : f->replied ? UDP_REPLIED : UDP_FRESH];
}

static void
free_binding(struct stack *st, struct udp_binding *b)
{
	udp_queue_fini(st, b);
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
	udp_queue_init(b);
	st->udp.n_bindings++;
	if (hash_add(&st->udp.bindings, &b->node, hash_binding(st, guest)))
		return b;
	free_binding(st, b);
	return NULL;
}

void
udp_flow_close(struct stack *st, struct udp_flow *f)
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

static struct udp_flow *
new_flow(struct stack *st, struct udp_binding *b, const struct endpoint *remote)
{
	struct udp_flow *f = slab_alloc(&st->sh->batch->flows);
	if (!f)
		return NULL;
	f->b = b;
	f->remote = *remote;
	if (!hash_add(&st->udp.flows, &f->node, hash_flow(st, &b->guest, remote))) {
		slab_free(&st->sh->batch->flows, f);
		return NULL;
	}
	list_add(&b->flows, &f->of);
	list_add(use_of(st, f), &f->use);
	st->udp.n_flows++;
	ops_of(st)->udp_flows(st, 1);
	return f;
}

struct udp_flow *
udp_flow_open(struct stack *st, const struct endpoint *guest, const struct endpoint *remote)
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
	struct udp_flow *f = new_flow(st, b, remote);
	if (!f && list_empty(&b->flows))
		free_binding(st, b);
	return f;
}

/* --- patience --------------------------------------------------------------------------------- */

static uint32_t
shorter(uint32_t a, uint32_t b)
{
	return b && (!a || b < a) ? b : a;
}

/* 0 = endless. */
static uint32_t
patience(const struct stack *st, enum udp_use use)
{
	const struct stack_conf *c = conf_of(st);
	if (use == UDP_LOOKUP && c->udp_idle_ms)
		return shorter(c->udp_idle_ms, LOOKUP_MS);
	return use == UDP_FRESH ? shorter(c->udp_idle_ms, c->udp_unreplied_ms) : c->udp_idle_ms;
}

/* When the idlest of them is to be closed. */
static uint64_t
due(const struct stack *st, enum udp_use use)
{
	const struct list *l = &st->udp.use[use];
	uint32_t ms = patience(st, use);
	if (!ms || list_empty(l))
		return UINT64_MAX;
	return LIST_ENTRY(l->next, struct udp_flow, use)->last + ms;
}

static void
arm(struct stack *st)
{
	struct timer *t = &st->udp.idle;
	uint64_t when = UINT64_MAX;
	for (enum udp_use u = 0; u < UDP_USES; u++)
		if (due(st, u) < when)
			when = due(st, u);
	if (when == UINT64_MAX)
		wheel_del(st->sh->wheel, t);
	else if (!timer_armed(t) || t->when > when)
		wheel_add(st->sh->wheel, t, when);
}

static void
close_first(struct stack *st, enum udp_use use)
{
	udp_flow_close(st, LIST_ENTRY(st->udp.use[use].next, struct udp_flow, use));
}

static void
on_idle(struct timer *t, uint64_t now)
{
	struct stack *st = CONTAINER_OF(t, struct stack, udp.idle);
	st->now = now;
	for (enum udp_use u = 0; u < UDP_USES; u++)
		while (due(st, u) <= now)
			close_first(st, u);
	arm(st);
}

void
udp_flow_touch(struct stack *st, struct udp_flow *f)
{
	f->last = st->now;
	list_del(&f->use);
	list_add(use_of(st, f), &f->use);
	arm(st);
}

/* --- life ------------------------------------------------------------------------------------- */

void
udp_batch_init(struct stack_batch *b)
{
	slab_init(&b->flows, sizeof(struct udp_flow), UINT32_MAX);
}

void
udp_init(struct stack *st)
{
	for (enum udp_use u = 0; u < UDP_USES; u++)
		list_init(&st->udp.use[u]);
	list_init(&st->udp.waiting);
	timer_init(&st->udp.idle, on_idle);
}

void
udp_fini(struct stack *st)
{
	for (enum udp_use u = 0; u < UDP_USES; u++)
		while (!list_empty(&st->udp.use[u]))
			close_first(st, u);
	wheel_del(st->sh->wheel, &st->udp.idle);
	hash_fini(&st->udp.bindings);
	hash_fini(&st->udp.flows);
}

size_t
udp_memory(const struct stack *st)
{
	const struct udp_part *u = &st->udp;
	return u->queued + u->n_flows * sizeof(struct udp_flow) +
	       ((size_t)u->bindings.size + u->flows.size) * sizeof(struct hash_node *);
}
