/* A guest port and its socket are one piece of memory. Forwarded destinations are the exception in
 * everything: the guest must see answers come from the address it wrote to, so a binding remembers
 * which target stands for which address, and holds a first datagram while a target's name is
 * looked up. */
#include "serve/uplink_int.h"

#include <errno.h>
#include <stdlib.h>

#define FORWARDS_MOST 64 /* of one binding */

struct binding {
	struct udp_binding udp;
	struct dgram dgram;
	struct uplink *up;
	struct list forwards; /* of struct target */
	uint32_t n_forwards;
};

struct target {
	struct list node;
	struct binding *binding;
	struct endpoint from, to; /* as the guest sees it, as it is */
	struct resolve_addrs *lookup;
	struct buf held; /* a datagram that waits for the lookup */
	uint8_t ttl, tos;
	bool ready;
};

size_t
uplink_binding_size(void)
{
	return sizeof(struct binding);
}

static struct binding *
binding_of(struct udp_binding *b)
{
	return CONTAINER_OF(b, struct binding, udp);
}

struct udp_binding *
uplink_udp_alloc(struct stack *st)
{
	struct uplink *up = uplink_of(st);
	struct binding *b = slab_alloc(&up->svc->net->bindings);
	if (!b)
		return NULL;
	b->up = up;
	list_init(&b->forwards);
	dgram_open(&up->svc->net->dgram, &b->dgram);
	return &b->udp;
}

static void
drop_target(struct target *t)
{
	if (t->lookup)
		resolve_addrs_cancel(t->lookup);
	buf_fini(&t->held);
	list_del(&t->node);
	t->binding->n_forwards--;
	free(t);
}

void
uplink_udp_free(struct stack *st, struct udp_binding *udp)
{
	struct binding *b = binding_of(udp);
	(void)st;
	while (!list_empty(&b->forwards))
		drop_target(LIST_ENTRY(b->forwards.next, struct target, node));
	dgram_close(&b->dgram);
	slab_free(&b->up->svc->net->bindings, b);
}

void
uplink_udp_flows(struct stack *st, int delta)
{
	metric_move(uplink_of(st)->svc->shard, M_L2_UDP_FLOWS_ACTIVE, delta);
}

/* --- sending ----------------------------------------------------------------------------- */

static int
transmit(
        struct binding *b, const struct endpoint *to, struct span payload, uint8_t ttl, uint8_t tos)
{
	struct shard *shard = b->up->svc->shard;
	int rc = dgram_send(&b->dgram, to, payload, ttl, tos);
	if (rc < 0)
		metric_add(shard, M_L2_UDP_SEND_FAIL, 1);
	else
		metric_add(shard, M_L2_UDP_BYTES_TO_WORLD, payload.n);
	return rc;
}

static void
on_target(void *user, int status, const struct ip *addr, size_t n)
{
	struct target *t = user;
	t->lookup = NULL;
	if (!n) {
		if (status == -ETIMEDOUT)
			metric_add(t->binding->up->svc->shard, M_L2_DNS_FAIL, 1);
		metric_add(t->binding->up->svc->shard, M_L2_UDP_SEND_FAIL, 1);
		drop_target(t);
		return;
	}
	t->to.ip = addr[0];
	t->ready = true;
	transmit(t->binding, &t->to, buf_span(&t->held), t->ttl, t->tos);
	buf_fini(&t->held);
}

static struct target *
find_target(struct binding *b, const struct endpoint *from)
{
	LIST_FOR_EACH (it, &b->forwards)
		if (endpoint_eq(&LIST_ENTRY(it, struct target, node)->from, from))
			return LIST_ENTRY(it, struct target, node);
	return NULL;
}

static struct target *
new_target(struct binding *b, const struct endpoint *from, const struct forward *f)
{
	struct target *t = b->n_forwards < FORWARDS_MOST ? calloc(1, sizeof *t) : NULL;
	if (!t)
		return NULL;
	t->binding = b;
	t->from = *from;
	t->to = (struct endpoint){f->to.ip, f->port};
	t->ready = f->to.kind == HOST_IP;
	buf_init(&t->held, 65535);
	list_add(&b->forwards, &t->node);
	b->n_forwards++;
	return t;
}

static int
send_forwarded(struct binding *b, const struct endpoint *dst, const struct forward *f,
        struct span payload, uint8_t ttl, uint8_t tos)
{
	struct target *t = find_target(b, dst);
	if (!t)
		t = new_target(b, dst, f);
	if (!t)
		return -ENOBUFS;
	if (t->ready)
		return transmit(b, &t->to, payload, ttl, tos);
	if (t->lookup)
		return 0;
	buf_add(&t->held, payload);
	t->ttl = ttl;
	t->tos = tos;
	int rc = resolve_addrs(b->up->svc->resolve, f->to.name, on_target, t, &t->lookup);
	if (rc < 0)
		drop_target(t);
	return rc;
}

int
uplink_udp_send(struct stack *st, struct udp_binding *udp, const struct endpoint *dst,
        struct span payload, uint8_t ttl, uint8_t tos)
{
	struct binding *b = binding_of(udp);
	struct egress_verdict v = uplink_ask(uplink_of(st), IPPROTO_UDP, dst);
	if (!v.allow)
		return -EACCES;
	if (v.forward)
		return send_forwarded(b, dst, v.forward, payload, ttl, tos);
	return transmit(b, dst, payload, ttl, tos);
}

/* --- news -------------------------------------------------------------------------------- */

/* The address the guest knows the sender by. */
static const struct endpoint *
guest_view(struct binding *b, const struct endpoint *src)
{
	LIST_FOR_EACH (it, &b->forwards) {
		struct target *t = LIST_ENTRY(it, struct target, node);
		if (t->ready && endpoint_eq(&t->to, src))
			return &t->from;
	}
	return src;
}

static void
on_input(struct dgram *d, const struct endpoint *src, struct span payload)
{
	struct binding *b = CONTAINER_OF(d, struct binding, dgram);
	struct endpoint from = *guest_view(b, src);
	metric_add(b->up->svc->shard, M_L2_UDP_BYTES_TO_GUEST, payload.n);
	stack_udp_input(b->up->stack, &b->udp, &from, payload, uplink_now(b->up));
}

static void
on_error(struct dgram *d, const struct endpoint *dst, const struct ip *from, uint8_t type,
        uint8_t code, uint32_t mtu)
{
	struct binding *b = CONTAINER_OF(d, struct binding, dgram);
	struct endpoint to = *guest_view(b, dst);
	struct ip who = ip_eq(from, &dst->ip) ? to.ip : *from;
	metric_add(b->up->svc->shard, M_L2_UDP_SEND_FAIL, 1);
	stack_udp_error(b->up->stack, &b->udp, &to, &who, type, code, mtu, uplink_now(b->up));
}

const struct dgram_ops uplink_dgram_ops = {.input = on_input, .error = on_error};
