/* lab: one stack on a bench. Frames go in as bytes, frames come out as bytes, time is a number, and
 * every op is written down. What an op answers is set by the test beforehand. */
#pragma once

#include "base/cursor.h"
#include "stack/stack.h"
#include "stack/tcp.h"
#include "stack/udp.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define LAB_FRAMES 8192

#define GATEWAY ip4(0x0a000202)
#define GUEST ip4(0x0a00020f)
#define NEIGHBOUR ip4(0x0a000237)
#define WORLD ip4(0x08080808)
#define NOBODY ip4(0)
#define EVERYBODY ip4(0xffffffff)
#define GUEST_MAC ((struct mac){{0x52, 0x54, 0, 0x12, 0x34, 0x56}})
#define OTHER_MAC ((struct mac){{0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}})
#define GATEWAY_MAC ((struct mac){{2, 0, 0, 0, 0, 1}})

struct lab {
	struct stack_conf conf;
	struct stack_shared shared;
	struct stack_stats stats;
	struct wheel wheel;
	struct slab nodes;
	struct stack *st;
	uint64_t now;
	struct mac mac; /* source of what lab_ip sends */
	uint16_t ip_id;
	uint8_t tos, ttl;
	bool dont_fragment;

	/* out */
	uint8_t out[512 * 1024];
	size_t budget;
	struct span frame[LAB_FRAMES];
	unsigned n, dropped;
	bool more;
	unsigned wakes;

	/* ops */
	bool refuse; /* filter */
	struct endpoint filtered;
	uint8_t filtered_proto;
	int udp_ret, ping_ret, dns_ret;
	bool no_binding;
	unsigned udp_sends, bindings, bindings_ever, ping_sends, ping_ends, dns_queries,
	        dns_cancels;
	int flows;
	struct udp_binding *b; /* of the last udp_send */
	struct endpoint dst;
	uint8_t sent_ttl, sent_tos;
	uint8_t payload[65536];
	size_t payload_len;
	struct ip ping_dst;
	uint16_t ping_id, ping_seq, ping_ended;
	uint32_t token, cancelled;
};

static inline struct lab *
lab_of(struct stack *st)
{
	return stack_user(st);
}

static void
lab_wake(struct stack *st)
{
	lab_of(st)->wakes++;
}

static bool
lab_filter(struct stack *st, uint8_t proto, const struct endpoint *dst)
{
	struct lab *l = lab_of(st);
	l->filtered = *dst;
	l->filtered_proto = proto;
	return !l->refuse;
}

static struct tcp_flow *
lab_tcp_alloc(struct stack *st)
{
	(void)st;
	return NULL;
}

static struct udp_binding *
lab_udp_alloc(struct stack *st)
{
	struct lab *l = lab_of(st);
	if (l->no_binding)
		return NULL;
	l->bindings++;
	l->bindings_ever++;
	return calloc(1, sizeof(struct udp_binding));
}

static void
lab_udp_free(struct stack *st, struct udp_binding *b)
{
	struct lab *l = lab_of(st);
	l->bindings--;
	if (l->b == b)
		l->b = NULL;
	free(b);
}

static void
lab_keep(struct lab *l, struct span payload)
{
	assert_true(payload.n <= sizeof l->payload);
	if (payload.n)
		memcpy(l->payload, payload.p, payload.n);
	l->payload_len = payload.n;
}

static int
lab_udp_send(struct stack *st, struct udp_binding *b, const struct endpoint *dst,
        struct span payload, uint8_t ttl, uint8_t tos)
{
	struct lab *l = lab_of(st);
	l->udp_sends++;
	l->b = b;
	l->dst = *dst;
	l->sent_ttl = ttl;
	l->sent_tos = tos;
	lab_keep(l, payload);
	return l->udp_ret;
}

static void
lab_udp_flows(struct stack *st, int delta)
{
	lab_of(st)->flows += delta;
}

static int
lab_ping_send(struct stack *st, const struct ip *dst, uint16_t id, uint16_t seq,
        struct span payload, uint8_t ttl)
{
	struct lab *l = lab_of(st);
	l->ping_sends++;
	l->ping_dst = *dst;
	l->ping_id = id;
	l->ping_seq = seq;
	l->sent_ttl = ttl;
	lab_keep(l, payload);
	return l->ping_ret;
}

static void
lab_ping_end(struct stack *st, uint16_t id)
{
	lab_of(st)->ping_ends++;
	lab_of(st)->ping_ended = id;
}

static int
lab_dns_query(struct stack *st, uint32_t token, struct span query)
{
	struct lab *l = lab_of(st);
	l->dns_queries++;
	l->token = token;
	lab_keep(l, query);
	return l->dns_ret;
}

static void
lab_dns_cancel(struct stack *st, uint32_t token)
{
	lab_of(st)->dns_cancels++;
	lab_of(st)->cancelled = token;
}

static const struct stack_ops lab_ops = {
        .wake = lab_wake,
        .filter = lab_filter,
        .tcp_alloc = lab_tcp_alloc,
        .udp_alloc = lab_udp_alloc,
        .udp_free = lab_udp_free,
        .udp_send = lab_udp_send,
        .udp_flows = lab_udp_flows,
        .ping_send = lab_ping_send,
        .ping_end = lab_ping_end,
        .dns_query = lab_dns_query,
        .dns_cancel = lab_dns_cancel,
};

static inline void
lab_init_conf(struct stack_conf *c)
{
	*c = (struct stack_conf){
	        .gateway_mac = GATEWAY_MAC,
	        .gateway = GATEWAY,
	        .guest = GUEST,
	        .prefix_bits = 96 + 24,
	        .mtu = 1500,
	        .max_frame = 2048,
	        .lease_s = 86400,
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
	        .udp_max_flows = 256,
	        .udp_idle_ms = 60000,
	        .udp_unreplied_ms = 30000,
	        .udp_queue_bytes = 262144,
	        .udp_queue_ms = 20,
	        .frag_bytes = 65536,
	        .frag_count = 16,
	        .frag_ms = 5000,
	        .ping_max = 32,
	        .ping_ms = 10000,
	        .ping_rate = 0,
	        .icmp_error_rate = 0,
	        .dns_max_pending = 1024,
	        .queue_delay_target_ms = 5,
	};
}

static inline void
lab_start(struct lab *l)
{
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
	slab_init(&l->nodes, STACK_NODE, 4096);
	l->st = stack_new(&l->shared, l);
	assert_non_null(l->st);
}

/* For cmocka: *state is a lab in its usual settings, which the test may change at any time. */
static int
lab_setup(void **state)
{
	struct lab *l = calloc(1, sizeof *l);
	lab_init_conf(&l->conf);
	l->now = 1000000;
	l->mac = GUEST_MAC;
	l->ttl = 64;
	l->budget = sizeof l->out;
	lab_start(l);
	*state = l;
	return 0;
}

static int
lab_teardown(void **state)
{
	struct lab *l = *state;
	stack_free(l->st);
	assert_int_equal(l->bindings, 0);
	assert_int_equal(l->flows, 0);
	assert_int_equal(l->nodes.used, 0);
	stack_batch_free(l->shared.batch);
	slab_fini(&l->nodes);
	free(l);
	return 0;
}

#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

/* --- in --------------------------------------------------------------------------------------- */

/* From memory of exactly that size, so that the sanitizer sees a step beyond it. */
static inline void
lab_frame(struct lab *l, const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	memcpy(copy, p, n);
	stack_frame(l->st, span(copy, n), l->now);
	stack_rx_end(l->st, l->now);
	free(copy);
}

static inline void
lab_arp(struct lab *l, uint16_t op, struct ip sender, struct ip target)
{
	static const struct mac all = MAC_BROADCAST;
	struct arp a = {.op = op, .sender_mac = l->mac, .sender = sender, .target = target};
	uint8_t f[60] = {0};
	ether_put(f, &all, &l->mac, ETHER_ARP);
	arp_put(f + ETHER_HEAD, &a);
	lab_frame(l, f, sizeof f);
}

/* k: what differs from a plain packet; src and dst at the least. */
static inline void
lab_ip(struct lab *l, struct ippkt k, struct span payload)
{
	static uint8_t f[70000];
	static const struct mac gateway = GATEWAY_MAC;
	if (!k.ttl)
		k.ttl = l->ttl;
	if (!k.tos)
		k.tos = l->tos;
	if (!k.id)
		k.id = ++l->ip_id;
	k.dont_fragment |= l->dont_fragment;
	ether_put(f, &gateway, &l->mac, ETHER_IPV4);
	size_t head = ETHER_HEAD + ippkt_put(f + ETHER_HEAD, &k, payload.n);
	if (payload.n)
		memcpy(f + head, payload.p, payload.n);
	lab_frame(l, f, head + payload.n);
}

static inline void
lab_udp(struct lab *l, struct ip src, uint16_t sport, struct ip dst, uint16_t dport,
        struct span payload)
{
	static uint8_t d[66000];
	udp_put(d, sport, dport, &src, &dst, payload.n, checksum_sum(payload.p, payload.n));
	if (payload.n)
		memcpy(d + UDP_HEAD, payload.p, payload.n);
	struct ippkt k = {.src = src, .dst = dst, .proto = IPPROTO_UDP};
	lab_ip(l, k, span(d, UDP_HEAD + payload.n));
}

static inline void
lab_echo(struct lab *l, struct ip src, struct ip dst, uint16_t id, uint16_t seq, struct span body)
{
	static uint8_t d[66000];
	struct icmpmsg m = {.kind = ICMP_KIND_ECHO, .id = id, .seq = seq};
	icmp_put(d, &m, &src, &dst, body.n, checksum_sum(body.p, body.n));
	if (body.n)
		memcpy(d + ICMP_HEAD, body.p, body.n);
	struct ippkt k = {.src = src, .dst = dst, .proto = IPPROTO_ICMP};
	lab_ip(l, k, span(d, ICMP_HEAD + body.n));
}

static inline void
lab_tick(struct lab *l, uint64_t ms)
{
	l->now += ms;
	wheel_advance(&l->wheel, l->now);
}

/* --- out -------------------------------------------------------------------------------------- */

static size_t
lab_head_len(const struct emit *e, size_t len)
{
	(void)e, (void)len;
	return 0;
}

static void
lab_seal(struct emit *e, uint8_t *frame, size_t len)
{
	struct lab *l = e->user;
	assert_true(l->n < LAB_FRAMES);
	l->frame[l->n++] = span(frame, len);
}

/* One pull; the frames are in l->frame until the next. */
static inline unsigned
lab_pull(struct lab *l)
{
	struct emit e;
	emit_init(&e, l->out, sizeof l->out, l->budget, l->conf.max_frame);
	e.head_len = lab_head_len;
	e.seal = lab_seal;
	e.user = l;
	l->n = 0;
	l->more = stack_pull(l->st, &e, l->now);
	emit_end(&e);
	l->dropped = e.dropped;
	assert_int_equal(l->n, e.frames);
	return l->n;
}

struct seen {
	struct ether eth;
	struct ippkt ip;
	struct udpdgram udp;
	struct icmpmsg icmp;
	struct arp arp;
};

static inline struct seen
lab_seen(struct lab *l, unsigned i)
{
	static const struct mac gateway = GATEWAY_MAC;
	struct seen s = {0};
	assert_true(i < l->n);
	assert_int_equal(ether_parse(l->frame[i], &s.eth), 0);
	assert_true(mac_eq(&s.eth.src, &gateway));
	if (s.eth.type == ETHER_ARP) {
		assert_int_equal(arp_parse(s.eth.payload, &s.arp), 0);
		return s;
	}
	assert_int_equal(s.eth.type, ETHER_IPV4);
	assert_int_equal(ippkt_parse(s.eth.payload, &s.ip), 0);
	if (ippkt_is_fragment(&s.ip))
		return s;
	if (s.ip.proto == IPPROTO_UDP)
		assert_int_equal(udp_parse(&s.ip, &s.udp), 0);
	if (s.ip.proto == IPPROTO_ICMP)
		assert_int_equal(icmp_parse(&s.ip, &s.icmp), 0);
	return s;
}

static inline struct stack_totals
lab_totals(const struct lab *l)
{
	struct stack_totals t;
	stack_totals(l->st, &t);
	return t;
}

/* The one frame that a pull gives. */
static inline struct seen
lab_one(struct lab *l)
{
	assert_int_equal(lab_pull(l), 1);
	assert_false(l->more);
	return lab_seen(l, 0);
}

static inline void
lab_silence(struct lab *l)
{
	assert_int_equal(lab_pull(l), 0);
	assert_false(l->more);
}

#define assert_ip(x, y)                                    \
	do {                                               \
		struct ip ip_x_ = (x), ip_y_ = (y);        \
		assert_memory_equal(ip_x_.b, ip_y_.b, 16); \
	} while (0)
#define assert_mac(x, y)                                    \
	do {                                                \
		struct mac mac_x_ = (x), mac_y_ = (y);      \
		assert_memory_equal(mac_x_.b, mac_y_.b, 6); \
	} while (0)
