/* guest_int: what the files of lib/guest share with each other; nobody else includes it. */
#pragma once

#include "base/list.h"
#include "guest/gdhcp.h"
#include "guest/gping.h"
#include "guest/guest.h"
#include "guest/ranges.h"
#include "wire/icmp.h"
#include "wire/ippkt.h"

enum {
	GUEST_QUEUE_MOST = 1 << 20, /* bytes of whole frames waiting to be sent */
	GUEST_NEIGHBOURS = 8,
	GUEST_REASM_MOST = 8, /* datagrams being put together */
	GUEST_TTL = 64,
};

struct gframe { /* a frame that waits */
	struct list node;
	uint32_t len;
	uint8_t b[];
};

struct neighbour {
	struct ip ip;
	struct mac mac;
	enum guest_neighbour state;
	uint8_t tries;
	struct timer timer;
	struct list waiting; /* frames without a destination yet */
	struct guest *g;
};

struct gping_part {
	struct gping_event ring[GPING_EVENTS];
	uint32_t head, n;
};

struct gdhcp_part {
	struct gdhcp_lease lease;
	struct gdhcp_count count;
	enum gdhcp_state state;
	uint32_t xid, tries;
	struct timer timer;
	uint64_t bound_at;
};

struct guest {
	struct guest_conf conf;
	struct guest_net net;
	struct guest_stats stats;
	struct list queue; /* of gframe */
	uint32_t queued;   /* bytes of all gframes, those waiting for neighbours too */
	struct neighbour neighbour[GUEST_NEIGHBOURS];
	uint32_t next_neighbour; /* to be replaced */
	uint16_t ip_id, next_port;
	struct gping_part ping;
	struct gdhcp_part dhcp;
	struct list datagrams; /* being put together, oldest first */
	struct list udp;       /* sockets */
	struct list tcp;       /* flows */
	struct list ready;     /* flows that have something to send */
};

static inline void
guest_wake(struct guest *g)
{
	g->conf.ops->wake(g);
}

static inline void
guest_event(struct guest *g)
{
	g->conf.ops->event(g);
}

/* The address packets carry as their source: our own, or the unspecified one of that family. */
struct ip guest_source(const struct guest *g, const struct ip *dst);
uint16_t guest_port(struct guest *g); /* the next ephemeral port */

/* Send a datagram, in fragments if it must be. -ENETUNREACH, -ENOBUFS. */
int guest_send(struct guest *g, const struct ip *src, const struct ip *dst, uint8_t proto,
        uint8_t ttl, struct span l4, uint64_t now);
/* Where frames for dst go. FOUND: *out is the address. ASKED: not yet known, being asked for.
 * SILENT: nobody answered, or there is no way there. */
enum guest_neighbour guest_route(
        struct guest *g, const struct ip *dst, struct mac *out, uint64_t now);

/* arp.c */
void garp_init(struct guest *g);
void garp_fini(struct guest *g);
void garp_input(struct guest *g, struct span payload, uint64_t now);
/* Takes a frame for `hop`: queued now, or when the neighbour has answered. */
void garp_send_take(struct guest *g, const struct ip *hop, struct gframe *f, uint64_t now);
/* The whole machine hears of it: flows that waited go on or fail. */
void gtcp_neighbour(struct guest *g, const struct ip *hop, bool found, uint64_t now);
struct ip guest_hop(const struct guest *g, const struct ip *dst); /* unspecified: no way there */

/* A frame of len bytes, counted; NULL = queue full. */
struct gframe *gframe_new(struct guest *g, size_t len);
void gframe_free(struct guest *g, struct gframe *f);
void gframe_queue(struct guest *g, struct gframe *f);

/* greasm.c: a datagram that is whole now, or nothing yet (payload.p NULL). *buf is to be freed. */
bool greasm_add(struct guest *g, struct ippkt *k, uint8_t **buf, uint64_t now);
void greasm_fini(struct guest *g);

/* What arrives, by protocol. An ICMP error about our own packet goes to whoever sent it. */
void gping_input(struct guest *g, const struct ippkt *k, uint64_t now);
void gping_error(struct guest *g, const struct ippkt *k, const struct icmpmsg *m,
        const struct ippkt *quoted, uint64_t now);
void gudp_input(struct guest *g, const struct ippkt *k, uint64_t now);
void gudp_error(struct guest *g, const struct ippkt *k, const struct icmpmsg *m,
        const struct ippkt *quoted);
void gtcp_input(struct guest *g, const struct ippkt *k, uint64_t now);
void gtcp_error(struct guest *g, const struct ippkt *k, const struct icmpmsg *m,
        const struct ippkt *quoted, uint64_t now);
void gdhcp_input(struct guest *g, struct span msg, uint64_t now);
void gdhcp_init(struct guest *g);
void gdhcp_fini(struct guest *g);
void gudp_fini(struct guest *g);
void gtcp_fini(struct guest *g);
/* Let ready flows write; false when e is full. */
bool gtcp_pull(struct guest *g, struct emit *e, uint64_t now);
