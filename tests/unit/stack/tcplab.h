/* tcplab: one stack, a guest that speaks in single segments, and servers made of memory. Time is a
 * number; nothing happens unless the test says so. */
#pragma once

#include "base/cursor.h"
#include "stack/stack.h"
#include "stack/tcp.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/tcp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define GATEWAY ip4(0x0a000202)
#define GUEST ip4(0x0a00020f)
#define WORLD ip4(0x08080808)
#define ISN 1000u

enum { LAB_SEGS = 4096, LAB_FARS = 16384, LAB_OUT = 4 << 20 };

/* What the ops were told about one flow; outlives it. */
struct far {
	struct far_flow *flow; /* NULL: freed */
	struct endpoint dst;
	bool opened, answered, shut, aborted, released;
	unsigned keepalives;
	uint8_t *got; /* what the guest sent */
	size_t n_got, cap_got;
	unsigned writes, urgent;
	size_t urgent_at;
	uint32_t room;
	uint64_t promised; /* farthest byte that room allowed */
	/* what the server sends: byte i is far_byte(seed + i) */
	uint32_t seed;
	uint64_t sent, discarded;
	bool eof;
	int err;
	unsigned peeks, late; /* so many find nothing */
};

struct far_flow {
	struct tcp_flow f;
	struct far *far;
};

struct lab {
	struct stack_conf conf;
	struct stack_shared shared;
	struct stack_stats stats;
	struct wheel wheel;
	struct slab nodes;
	struct stack *st;
	uint64_t now;
	/* ops */
	bool refuse;     /* filter */
	bool check_only; /* what the guest sends is compared with far_byte, not kept */
	int open_ret, dns_ret;
	unsigned allocs_left;
	uint32_t room; /* of new flows */
	struct far *far[LAB_FARS];
	unsigned n_far, live, wakes, dns_queries, dns_cancels;
	uint32_t tokens[64];
	uint8_t dns_msg[4096];
	size_t dns_len;
	/* frames of the last pull */
	uint8_t *out;
	size_t budget, max_frame;
	struct tcpseg seg[LAB_SEGS];
	unsigned n, icmps;
	struct icmpmsg icmp;
	bool more;
	/* frames of a batch must stay where they are until it ends */
	void *held[1024];
	unsigned n_held;
};

static inline uint8_t
far_byte(uint64_t i)
{
	return (uint8_t)((i * 0x9e3779b97f4a7c15ull) >> 37);
}

static inline struct lab *
lab_of(struct stack *st)
{
	return stack_user(st);
}

static inline struct far *
far_of(struct tcp_flow *f)
{
	return CONTAINER_OF(f, struct far_flow, f)->far;
}

/* --- ops ---------------------------------------------------------------------------------- */

static void
op_wake(struct stack *st)
{
	lab_of(st)->wakes++;
}

static bool
op_filter(struct stack *st, uint8_t proto, const struct endpoint *dst)
{
	(void)proto, (void)dst;
	return !lab_of(st)->refuse;
}

static struct tcp_flow *
op_alloc(struct stack *st)
{
	struct lab *l = lab_of(st);
	if (!l->allocs_left)
		return NULL;
	l->allocs_left--;
	struct far_flow *ff = calloc(1, sizeof *ff);
	struct far *far = ff->far = calloc(1, sizeof *far);
	far->flow = ff;
	far->room = l->room;
	far->seed = l->n_far * 1000003u;
	assert_true(l->n_far < LAB_FARS);
	l->far[l->n_far++] = far;
	l->live++;
	return &ff->f;
}

static void
op_free(struct stack *st, struct tcp_flow *f, bool abort)
{
	struct lab *l = lab_of(st);
	struct far *far = far_of(f);
	far->aborted = abort;
	free(far->flow);
	far->flow = NULL;
	l->live--;
	l->allocs_left++;
}

static int
op_open(struct stack *st, struct tcp_flow *f, const struct endpoint *dst, uint8_t tos)
{
	(void)tos;
	far_of(f)->dst = *dst;
	far_of(f)->opened = true;
	return lab_of(st)->open_ret;
}

static uint32_t
op_room(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	struct far *far = far_of(f);
	if (far->n_got + far->room > far->promised)
		far->promised = far->n_got + far->room;
	return far->room;
}

static int
op_write(struct stack *st, struct tcp_flow *f, const struct iovec *v, int n, bool urgent)
{
	struct far *far = far_of(f);
	if (far->err)
		return -far->err;
	for (int i = 0; i < n; i++) {
		if (lab_of(st)->check_only) {
			const uint8_t *p = v[i].iov_base;
			for (size_t j = 0; j < v[i].iov_len; j++)
				assert_int_equal(p[j], far_byte(far->n_got + j));
			far->n_got += v[i].iov_len;
			continue;
		}
		if (far->n_got + v[i].iov_len > far->cap_got) {
			far->cap_got = (far->n_got + v[i].iov_len) * 2;
			far->got = realloc(far->got, far->cap_got);
		}
		memcpy(far->got + far->n_got, v[i].iov_base, v[i].iov_len);
		far->n_got += v[i].iov_len;
	}
	far->writes++;
	if (urgent) {
		far->urgent++;
		far->urgent_at = far->n_got - 1;
	}
	assert_false(far->shut);
	return 0;
}

static void
op_shutdown(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	assert_false(far_of(f)->shut);
	far_of(f)->shut = true;
}

static ssize_t
op_peek(struct stack *st, struct tcp_flow *f, uint32_t off, const struct iovec *v, int n)
{
	(void)st;
	struct far *far = far_of(f);
	uint64_t at = far->discarded + off;
	ssize_t got = 0;
	far->peeks++;
	assert_false(far->released);
	if (far->err)
		return -far->err;
	assert_true(at <= far->sent);
	if (far->late && far->late--)
		return -EAGAIN;
	for (int i = 0; i < n; i++)
		for (size_t j = 0; j < v[i].iov_len && at < far->sent; j++, at++, got++)
			((uint8_t *)v[i].iov_base)[j] = far_byte(far->seed + at);
	if (got)
		return got;
	return far->eof ? 0 : -EAGAIN;
}

static void
op_discard(struct stack *st, struct tcp_flow *f, uint32_t n)
{
	(void)st;
	far_of(f)->discarded += n;
	assert_true(far_of(f)->discarded <= far_of(f)->sent);
}

static void
op_release(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	assert_false(far_of(f)->released);
	far_of(f)->released = true;
}

static void
op_keepalive(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	far_of(f)->keepalives++;
}

static int
op_dns_query(struct stack *st, uint32_t token, struct span query)
{
	struct lab *l = lab_of(st);
	l->tokens[l->dns_queries++ % 64] = token;
	l->dns_len = query.n;
	memcpy(l->dns_msg, query.p, query.n);
	return l->dns_ret;
}

static void
op_dns_cancel(struct stack *st, uint32_t token)
{
	(void)token;
	lab_of(st)->dns_cancels++;
}

static const struct stack_ops lab_ops = {
        .wake = op_wake,
        .filter = op_filter,
        .tcp_alloc = op_alloc,
        .tcp_free = op_free,
        .tcp_open = op_open,
        .tcp_room = op_room,
        .tcp_write = op_write,
        .tcp_shutdown = op_shutdown,
        .tcp_peek = op_peek,
        .tcp_discard = op_discard,
        .tcp_release = op_release,
        .tcp_keepalive = op_keepalive,
        .dns_query = op_dns_query,
        .dns_cancel = op_dns_cancel,
};

/* --- life --------------------------------------------------------------------------------- */

static int
lab_setup(void **state)
{
	struct lab *l = calloc(1, sizeof *l);
	l->conf = (struct stack_conf){
	        .gateway_mac = {{2, 0, 0, 0, 0, 1}},
	        .gateway = GATEWAY,
	        .guest = GUEST,
	        .prefix_bits = 96 + 24,
	        .mtu = 1500,
	        .max_frame = 2048,
	        .domain = "",
	        .hostname = "",
	        .wpad = "",
	        .tcp_max_flows = 1024,
	        .tcp_max_half_open = 256,
	        .tcp_max_half_open_to = 32,
	        .tcp_early_bytes = 262144,
	        .tcp_window_flow = 1 << 20,
	        .tcp_window_tunnel = 4 << 20,
	        .tcp_ooo_tunnel = 32768,
	        .tcp_idle_ms = 7440000,
	        .tcp_half_open_ms = 75000,
	        .tcp_fin_wait_ms = 60000,
	        .tcp_time_wait_ms = 5000,
	        .tcp_give_up_ms = 120000,
	        .tcp_delayed_ack_ms = 4,
	        .dns_max_pending = 1024,
	        .queue_delay_target_ms = 1,
	};
	l->now = 1000000;
	l->room = 4 << 20;
	l->allocs_left = LAB_FARS;
	l->budget = LAB_OUT;
	l->max_frame = 2048;
	l->out = malloc(LAB_OUT);
	l->shared = (struct stack_shared){
	        .conf = &l->conf,
	        .ops = &lab_ops,
	        .wheel = &l->wheel,
	        .stats = &l->stats,
	        .hash_key = {1, 2},
	        .nodes = &l->nodes,
	        .batch = stack_batch_new(),
	};
	wheel_init(&l->wheel, l->now);
	slab_init(&l->nodes, 2048, 65536);
	l->st = stack_new(&l->shared, l);
	assert_non_null(l->st);
	*state = l;
	return 0;
}

static inline void
lab_release(struct lab *l)
{
	for (unsigned i = 0; i < l->n_held; i++)
		free(l->held[i]);
	l->n_held = 0;
}

static int
lab_teardown(void **state)
{
	struct lab *l = *state;
	stack_free(l->st);
	assert_int_equal(l->live, 0);
	assert_int_equal(l->nodes.used, 0);
	stack_batch_free(l->shared.batch);
	slab_fini(&l->nodes);
	lab_release(l);
	for (unsigned i = 0; i < l->n_far; i++) {
		free(l->far[i]->got);
		free(l->far[i]);
	}
	free(l->out);
	free(l);
	return 0;
}

#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

/* --- in ----------------------------------------------------------------------------------- */

/* s with everything filled in but the checksum; `bad`: spoil that. */
static inline void
lab_put(struct lab *l, struct ip dst, const struct tcpseg *s, bool bad)
{
	static const struct mac gateway = {{2, 0, 0, 0, 0, 1}}, guest = {{2, 0, 0, 0, 0, 9}};
	struct ippkt k = {.src = GUEST, .dst = dst, .proto = IPPROTO_TCP, .ttl = 64};
	size_t head = tcp_head_len(&s->opt), n = head + s->payload.n;
	uint8_t *f = malloc(ETHER_HEAD + 20 + n), *p = f + ETHER_HEAD + 20;
	ether_put(f, &gateway, &guest, ETHER_IPV4);
	ippkt_put(f + ETHER_HEAD, &k, n);
	if (s->payload.n)
		memcpy(p + head, s->payload.p, s->payload.n);
	tcp_put(p, s, &k.src, &k.dst, s->payload.n, checksum_sum(p + head, s->payload.n));
	p[16] ^= bad;
	assert_true(l->n_held < 1024);
	l->held[l->n_held++] = f;
	stack_frame(l->st, span(f, ETHER_HEAD + 20 + n), l->now);
}

static inline void
lab_end(struct lab *l)
{
	stack_rx_end(l->st, l->now);
	lab_release(l);
}

/* --- out ---------------------------------------------------------------------------------- */

static size_t
no_head(const struct emit *e, size_t len)
{
	(void)e, (void)len;
	return 0;
}

static void
parse_out(struct emit *e, uint8_t *frame, size_t n)
{
	struct lab *l = e->user;
	struct ether eth;
	struct ippkt k;
	assert_int_equal(ether_parse(span(frame, n), &eth), 0);
	assert_int_equal(ippkt_parse(eth.payload, &k), 0);
	if (k.proto == IPPROTO_ICMP) {
		l->icmps++;
		assert_int_equal(icmp_parse(&k, &l->icmp), 0);
		return;
	}
	assert_int_equal(k.proto, IPPROTO_TCP);
	assert_true(l->n < LAB_SEGS);
	assert_int_equal(tcp_parse(&k, &l->seg[l->n++]), 0);
}

/* Everything that may be sent now. */
static inline unsigned
lab_pull(struct lab *l)
{
	struct emit e;
	l->n = l->icmps = 0;
	emit_init(&e, l->out, LAB_OUT, l->budget, l->max_frame);
	e.head_len = no_head;
	e.seal = parse_out;
	e.user = l;
	l->more = stack_pull(l->st, &e, l->now);
	emit_end(&e);
	return l->n;
}

/* Time passes: timers fire, at their time. */
static inline void
lab_pass(struct lab *l, uint64_t ms)
{
	uint64_t end = l->now + ms;
	for (uint64_t at; (at = wheel_next(&l->wheel)) <= end;) {
		l->now = at;
		wheel_advance(&l->wheel, at);
	}
	l->now = end;
	wheel_advance(&l->wheel, end);
}

/* --- one connection, from the guest's side ------------------------------------------------ */

struct conn {
	struct lab *l;
	struct ip dst;
	uint16_t sport, dport;
	uint32_t seq, ack; /* next to send, next expected */
	uint16_t window;
	struct far *far;
};

static inline struct tcpseg
conn_seg(const struct conn *c, uint8_t flags, struct span payload)
{
	return (struct tcpseg){
	        .sport = c->sport,
	        .dport = c->dport,
	        .seq = c->seq,
	        .ack = flags & TCPF_ACK ? c->ack : 0,
	        .flags = flags,
	        .window = c->window,
	        .payload = payload,
	};
}

/* A segment in a batch of its own, then everything that comes out. */
static inline unsigned
conn_put(struct conn *c, const struct tcpseg *s)
{
	lab_put(c->l, c->dst, s, false);
	lab_end(c->l);
	return lab_pull(c->l);
}

static inline unsigned
conn_send(struct conn *c, uint8_t flags, const void *p, size_t n)
{
	struct tcpseg s = conn_seg(c, flags, span(p, n));
	c->seq += tcp_seg_len(&s);
	return conn_put(c, &s);
}

static inline unsigned
conn_ack(struct conn *c, uint32_t ack)
{
	c->ack = ack;
	return conn_send(c, TCPF_ACK, NULL, 0);
}

static inline struct conn
conn_new(struct lab *l, uint16_t sport, uint16_t dport)
{
	return (struct conn){
	        .l = l, .dst = WORLD, .sport = sport, .dport = dport, .seq = ISN, .window = 65535};
}

static inline void
conn_syn(struct conn *c, const struct tcpopts *o)
{
	struct tcpseg s = conn_seg(c, TCPF_SYN, SPAN_NONE);
	if (o)
		s.opt = *o;
	c->seq++;
	conn_put(c, &s);
	if (c->l->n_far)
		c->far = c->l->far[c->l->n_far - 1];
}

static const struct tcpopts modern = {
        .mss = 1460, .has_wscale = true, .wscale = 7, .sack_ok = true};

/* SYN, connect, SYN-ACK, ACK. The segment array holds the SYN-ACK afterwards. */
static inline struct conn
conn_open(struct lab *l, uint16_t sport, const struct tcpopts *o)
{
	struct conn c = conn_new(l, sport, 80);
	conn_syn(&c, o);
	assert_int_equal(l->n, 0);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	assert_int_equal(lab_pull(l), 1);
	struct tcpseg sa = l->seg[0];
	assert_int_equal(sa.flags, TCPF_SYN | TCPF_ACK);
	assert_int_equal(sa.ack, c.seq);
	c.ack = sa.seq + 1;
	assert_int_equal(conn_send(&c, TCPF_ACK, NULL, 0), 0);
	l->seg[0] = sa;
	return c;
}

/* The server says n bytes; nothing is pulled. */
static inline void
far_say(struct conn *c, size_t n)
{
	c->far->sent += n;
	stack_tcp_readable(c->l->st, &c->far->flow->f, c->l->now);
}

static inline void
far_end(struct conn *c)
{
	c->far->eof = true;
	stack_tcp_readable(c->l->st, &c->far->flow->f, c->l->now);
}

/* What the stack sent from `seq` on (relative to the first byte) is what the server said. */
static inline void
assert_said(const struct conn *c, const struct tcpseg *s, uint64_t at)
{
	for (size_t i = 0; i < s->payload.n; i++)
		assert_int_equal(s->payload.p[i], far_byte(c->far->seed + at + i));
}
