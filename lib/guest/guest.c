/* The middle of the machine: frames in are taken apart and handed to whom they belong, datagrams
 * out are cut to the MTU and find their next hop. Small things wait in one queue of whole frames;
 * TCP writes its segments only when the transport asks. */
#include "guest/guest_int.h"

#include "base/crypto.h"
#include "wire/ether.h"
#include "wire/udp.h"

#include <errno.h>
#include <stdlib.h>

enum {
	PORT_FIRST = 49152,
	FRAGMENT_ALIGN = 8,
};

struct guest *
guest_new(const struct guest_conf *conf)
{
	struct guest *g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	uint16_t seed[2];
	random_bytes(seed, sizeof seed);
	g->conf = *conf;
	g->ip_id = seed[0];
	g->next_port = (uint16_t)(PORT_FIRST + seed[1] % (65536 - PORT_FIRST));
	list_init(&g->queue);
	list_init(&g->datagrams);
	list_init(&g->udp);
	list_init(&g->tcp);
	list_init(&g->ready);
	g->net = (struct guest_net){0};
	garp_init(g);
	gdhcp_init(g);
	return g;
}

void
guest_free(struct guest *g)
{
	if (!g)
		return;
	gdhcp_fini(g);
	gtcp_fini(g);
	gudp_fini(g);
	greasm_fini(g);
	garp_fini(g);
	for (struct list *n; (n = list_pop(&g->queue));)
		gframe_free(g, LIST_ENTRY(n, struct gframe, node));
	free(g);
}

void *
guest_user(const struct guest *g)
{
	return g->conf.user;
}

const struct guest_stats *
guest_stats(const struct guest *g)
{
	return &g->stats;
}

void
guest_configure(struct guest *g, const struct guest_net *net)
{
	g->net = *net;
	guest_event(g);
}

const struct guest_net *
guest_net(const struct guest *g)
{
	return &g->net;
}

uint16_t
guest_port(struct guest *g)
{
	uint16_t port = g->next_port++;
	if (g->next_port < PORT_FIRST)
		g->next_port = PORT_FIRST;
	return port;
}

/* --- out -------------------------------------------------------------------------------------- */

struct gframe *
gframe_new(struct guest *g, size_t len)
{
	if (g->queued + len > GUEST_QUEUE_MOST) {
		g->stats.dropped++;
		return NULL;
	}
	struct gframe *f = malloc(sizeof *f + len);
	if (!f)
		return NULL;
	list_init(&f->node);
	f->len = (uint32_t)len;
	g->queued += f->len;
	return f;
}

void
gframe_free(struct guest *g, struct gframe *f)
{
	list_del(&f->node);
	g->queued -= f->len;
	free(f);
}

void
gframe_queue(struct guest *g, struct gframe *f)
{
	list_del(&f->node);
	list_add(&g->queue, &f->node);
	guest_wake(g);
}

struct ip
guest_source(const struct guest *g, const struct ip *dst)
{
	return ip_is_unspecified(&g->net.addr) && ip_is4(dst) ? ip4(0) : g->net.addr;
}

static bool
is_broadcast(const struct guest *g, const struct ip *dst)
{
	if (!ip_is4(dst) || ip_u32(dst) == UINT32_MAX)
		return ip_is4(dst);
	if (!ip_is4(&g->net.addr) || g->net.prefix_bits <= 96 || g->net.prefix_bits >= 127)
		return false;
	uint32_t host = UINT32_MAX >> (g->net.prefix_bits - 96);
	return ip_u32(dst) == (ip_u32(&g->net.addr) | host);
}

struct ip
guest_hop(const struct guest *g, const struct ip *dst)
{
	struct cidr lan = {g->net.addr, g->net.prefix_bits};
	bool local = ip_is_unspecified(&g->net.addr) || is_broadcast(g, dst);
	return local || cidr_has(&lan, dst) ? *dst : g->net.router;
}

enum guest_neighbour
guest_route(struct guest *g, const struct ip *dst, struct mac *out, uint64_t now)
{
	if (is_broadcast(g, dst)) {
		*out = MAC_BROADCAST;
		return NEIGHBOUR_FOUND;
	}
	struct ip hop = guest_hop(g, dst);
	if (ip_is_unspecified(&hop))
		return NEIGHBOUR_SILENT;
	enum guest_neighbour known = guest_neighbour(g, &hop, out);
	if (known == NEIGHBOUR_UNKNOWN) {
		guest_resolve(g, &hop, now);
		return NEIGHBOUR_ASKED;
	}
	return known;
}

static int
send_packet(struct guest *g, const struct ippkt *k, struct span piece, uint64_t now)
{
	struct ip hop = guest_hop(g, &k->dst);
	if (ip_is_unspecified(&hop))
		return -ENETUNREACH;
	size_t head = ETHER_HEAD + ippkt_head_len(k);
	struct gframe *f = gframe_new(g, head + piece.n);
	if (!f)
		return -ENOBUFS;
	struct mac dst = MAC_BROADCAST;
	ether_put(f->b, &dst, &g->conf.mac, ip_is4(&k->src) ? ETHER_IPV4 : ETHER_IPV6);
	ippkt_put(f->b + ETHER_HEAD, k, piece.n);
	if (piece.n)
		memcpy(f->b + head, piece.p, piece.n);
	if (is_broadcast(g, &k->dst))
		gframe_queue(g, f);
	else
		garp_send_take(g, &hop, f, now);
	return 0;
}

int
guest_send(struct guest *g, const struct ip *src, const struct ip *dst, uint8_t proto, uint8_t ttl,
        struct span l4, uint64_t now)
{
	struct ippkt k = {
	        .src = *src,
	        .dst = *dst,
	        .proto = proto,
	        .ttl = ttl ? ttl : GUEST_TTL,
	        .id = g->ip_id++,
	};
	size_t room = g->conf.mtu - ippkt_head_len(&k);
	k.dont_fragment = l4.n <= room;
	room -= k.dont_fragment ? 0 : room % FRAGMENT_ALIGN;
	do {
		struct span piece = span_first(l4, room);
		l4 = span_skip(l4, piece.n);
		k.more = l4.n > 0;
		int r = send_packet(g, &k, piece, now);
		if (r < 0)
			return r;
		k.offset = (uint16_t)(k.offset + piece.n);
	} while (l4.n);
	return 0;
}

bool
guest_pull(struct guest *g, struct emit *e, uint64_t now)
{
	while (!list_empty(&g->queue)) {
		struct gframe *f = LIST_ENTRY(g->queue.next, struct gframe, node);
		uint8_t *p = emit_frame(e, f->len);
		if (!p && e->full)
			return true;
		if (p) {
			memcpy(p, f->b, f->len);
			g->stats.frames_out++;
		}
		gframe_free(g, f);
	}
	return !gtcp_pull(g, e, now);
}

/* --- in --------------------------------------------------------------------------------------- */

/* An error belongs to whoever sent the packet that it quotes. */
static void
icmp_input(struct guest *g, const struct ippkt *k, uint64_t now)
{
	struct icmpmsg m;
	struct ippkt quoted;
	if (icmp_parse(k, &m) < 0) {
		g->stats.bad++;
		return;
	}
	if (!icmp_is_error(k)) {
		gping_input(g, k, now);
		return;
	}
	if (ippkt_parse_quoted(m.body, &quoted) < 0) {
		g->stats.bad++;
		return;
	}
	switch (quoted.proto) {
	case IPPROTO_TCP: gtcp_error(g, k, &m, &quoted, now); break;
	case IPPROTO_UDP: gudp_error(g, k, &m, &quoted); break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: gping_error(g, k, &m, &quoted, now); break;
	default: g->stats.dropped++;
	}
}

static void
l4_input(struct guest *g, const struct ippkt *k, uint64_t now)
{
	bool ours = ip_is_unspecified(&g->net.addr) || ip_eq(&k->dst, &g->net.addr);
	switch (ours || is_broadcast(g, &k->dst) ? k->proto : IPPROTO_NONE) {
	case IPPROTO_TCP: gtcp_input(g, k, now); break;
	case IPPROTO_UDP: gudp_input(g, k, now); break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: icmp_input(g, k, now); break;
	default: g->stats.dropped++;
	}
}

static void
ip_input(struct guest *g, struct span packet, uint64_t now)
{
	struct ippkt k;
	uint8_t *whole = NULL;
	int r = ippkt_parse(packet, &k);
	if (r < 0) {
		*(r == -EPROTONOSUPPORT ? &g->stats.dropped : &g->stats.bad) += 1;
		return;
	}
	if (!ippkt_is_fragment(&k) || greasm_add(g, &k, &whole, now))
		l4_input(g, &k, now);
	free(whole);
}

void
guest_frame(struct guest *g, struct span frame, uint64_t now)
{
	struct ether e;
	g->stats.frames_in++;
	if (ether_parse(frame, &e) < 0) {
		g->stats.bad++;
		return;
	}
	if (!mac_is_multicast(&e.dst) && !mac_eq(&e.dst, &g->conf.mac)) {
		g->stats.dropped++;
		return;
	}
	if (e.type == ETHER_ARP)
		garp_input(g, e.payload, now);
	else if (e.type == ETHER_IPV4 || e.type == ETHER_IPV6)
		ip_input(g, e.payload, now);
	else
		g->stats.dropped++;
}
