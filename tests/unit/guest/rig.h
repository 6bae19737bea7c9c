/* rig: a guest on a table: its clock, its frames, and a hand-made gateway's answers. */
#pragma once

#include "guest/gdhcp.h"
#include "guest/gdns.h"
#include "guest/gping.h"
#include "guest/gtcp.h"
#include "guest/gudp.h"
#include "guest/guest.h"

#include "base/cursor.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/dhcp.h"
#include "wire/ether.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define RIG_ARENA (1u << 20)
#define RIG_FRAMES 1024

struct rig {
	struct wheel wheel;
	struct guest *g;
	uint64_t now;
	uint8_t *arena;
	struct span frame[RIG_FRAMES]; /* of the last pull */
	size_t n;
	unsigned wakes, events;
};

static const struct mac rig_guest_mac = {{2, 0, 0, 0, 0, 9}};
static const struct mac rig_gateway_mac = {{2, 0, 0, 0, 0, 1}};
#define RIG_GUEST ip4(0x0a00020f)
#define RIG_GATEWAY ip4(0x0a000202)
#define RIG_WORLD ip4(0xc6336402)

static void
rig_wake(struct guest *g)
{
	((struct rig *)guest_user(g))->wakes++;
}

static void
rig_event(struct guest *g)
{
	((struct rig *)guest_user(g))->events++;
}

static const struct guest_ops rig_ops = {rig_wake, rig_event};

static inline void
rig_new(struct rig *r)
{
	memset(r, 0, sizeof *r);
	r->now = 1000;
	r->arena = malloc(RIG_ARENA);
	wheel_init(&r->wheel, r->now);
	struct guest_conf conf = {
	        .mac = rig_guest_mac,
	        .mtu = 1500,
	        .wheel = &r->wheel,
	        .ops = &rig_ops,
	        .user = r,
	};
	r->g = guest_new(&conf);
	assert_non_null(r->g);
}

static inline void
rig_free(struct rig *r)
{
	guest_free(r->g);
	free(r->arena);
	for (size_t i = 0; i < WHEEL_LEVELS; i++)
		for (size_t j = 0; j < WHEEL_SLOTS; j++)
			assert_true(list_empty(&r->wheel.slot[i][j]));
}

static size_t
rig_head_len(const struct emit *e, size_t len)
{
	(void)e;
	(void)len;
	return 0;
}

static void
rig_seal(struct emit *e, uint8_t *frame, size_t len)
{
	struct rig *r = e->user;
	assert_true(r->n < RIG_FRAMES);
	r->frame[r->n++] = span(frame, len);
}

/* All frames that wait, or those that fit `budget`. */
static inline bool
rig_pull_some(struct rig *r, size_t budget)
{
	struct emit e;
	r->n = 0;
	emit_init(&e, r->arena, RIG_ARENA, budget, 1514);
	e.head_len = rig_head_len;
	e.seal = rig_seal;
	e.user = r;
	bool more = guest_pull(r->g, &e, r->now);
	emit_end(&e);
	return more;
}

static inline size_t
rig_pull(struct rig *r)
{
	while (rig_pull_some(r, RIG_ARENA) && !r->n)
		;
	return r->n;
}

static inline void
rig_pass(struct rig *r, uint64_t ms)
{
	while (ms--)
		wheel_advance(&r->wheel, ++r->now);
}

/* The i-th frame of the last pull, taken apart. */
static inline void
rig_ip(const struct rig *r, size_t i, struct ippkt *k)
{
	struct ether e;
	assert_true(i < r->n);
	assert_int_equal(ether_parse(r->frame[i], &e), 0);
	assert_int_equal(e.type, ETHER_IPV4);
	assert_int_equal(ippkt_parse(e.payload, k), 0);
}

static inline void
rig_tcp(const struct rig *r, size_t i, struct tcpseg *s)
{
	struct ippkt k;
	rig_ip(r, i, &k);
	assert_int_equal(k.proto, IPPROTO_TCP);
	assert_int_equal(tcp_parse(&k, s), 0);
}

static inline void
rig_give_raw(struct rig *r, const struct mac *to, uint16_t type, struct span payload)
{
	uint8_t *p = malloc(ETHER_HEAD + payload.n);
	ether_put(p, to, &rig_gateway_mac, type);
	if (payload.n)
		memcpy(p + ETHER_HEAD, payload.p, payload.n);
	guest_frame(r->g, span(p, ETHER_HEAD + payload.n), r->now);
	free(p);
}

static inline void
rig_give_ip(struct rig *r, const struct ippkt *k, struct span l4)
{
	uint8_t *p = malloc(IPPKT_HEAD_MOST + l4.n);
	size_t head = ippkt_put(p, k, l4.n);
	if (l4.n)
		memcpy(p + head, l4.p, l4.n);
	bool all = ip_u32(&k->dst) == UINT32_MAX;
	rig_give_raw(r, all ? &MAC_BROADCAST : &rig_guest_mac, ETHER_IPV4, span(p, head + l4.n));
	free(p);
}

static inline void
rig_give_arp(struct rig *r, const struct ip *sender)
{
	uint8_t p[ARP_LEN];
	struct arp a = {
	        .op = ARP_REPLY,
	        .sender_mac = rig_gateway_mac,
	        .target_mac = rig_guest_mac,
	        .sender = *sender,
	        .target = guest_net(r->g)->addr,
	};
	arp_put(p, &a);
	rig_give_raw(r, &rig_guest_mac, ETHER_ARP, span(p, sizeof p));
}

static inline void
rig_give_udp(struct rig *r, struct ip src, uint16_t sport, struct ip dst, uint16_t dport,
        struct span payload)
{
	uint8_t *p = malloc(UDP_HEAD + payload.n);
	struct ippkt k = {.src = src, .dst = dst, .proto = IPPROTO_UDP, .ttl = 64};
	if (payload.n)
		memcpy(p + UDP_HEAD, payload.p, payload.n);
	udp_put(p, sport, dport, &src, &dst, payload.n, checksum_sum(payload.p, payload.n));
	rig_give_ip(r, &k, span(p, UDP_HEAD + payload.n));
	free(p);
}

static inline void
rig_give_icmp(struct rig *r, struct ip src, const struct icmpmsg *m, struct span body)
{
	uint8_t *p = malloc(ICMP_HEAD + body.n);
	struct ip dst = guest_net(r->g)->addr;
	struct ippkt k = {.src = src, .dst = dst, .proto = IPPROTO_ICMP, .ttl = 60};
	if (body.n)
		memcpy(p + ICMP_HEAD, body.p, body.n);
	icmp_put(p, m, &src, &dst, body.n, checksum_sum(body.p, body.n));
	rig_give_ip(r, &k, span(p, ICMP_HEAD + body.n));
	free(p);
}

/* A guest with a static address, whose gateway has been resolved. */
static inline void
rig_ready(struct rig *r)
{
	rig_new(r);
	struct guest_net net = {RIG_GUEST, 120, RIG_GATEWAY, RIG_GATEWAY};
	guest_configure(r->g, &net);
	guest_resolve(r->g, &net.router, r->now);
	rig_pull(r);
	rig_give_arp(r, &net.router);
}
