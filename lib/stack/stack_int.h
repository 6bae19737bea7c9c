/* stack_int: what the files of lib/stack share with each other; nobody else includes it.
 *
 * One struct stack is the sum of its parts, each owned by one file: sched (who sends next), ctl
 * (small frames that go first), arp, dhcp, icmp, udp, frag, dns, tcp. Parts keep no memory while
 * they have nothing to keep. */
#pragma once

#include "stack/sched_ent.h"
#include "stack/stack.h"

/* --- sched: whose turn it is to send to the guest ----------------------------------------- */

struct sched_ops {
	/* Write frames of at most `bytes` (at least one frame may be written when bytes > 0).
	 * Returns bytes written; sets *more when it has frames left that may be sent now. */
	size_t (*pull)(struct stack *st, struct sched_ent *ent, struct emit *e, size_t bytes,
	        uint64_t now, bool *more);
};

struct sched {
	struct list fresh; /* flows that were idle: served first, one quantum */
	struct list bulk;  /* everybody else, in turn */
};

void sched_init(struct sched *s);
/* ent has something to send; idempotent. Wakes the transport. */
void sched_ready(struct stack *st, struct sched_ent *ent);
void sched_remove(struct sched_ent *ent); /* idempotent; an initialised ent only */
void sched_ent_init(struct sched_ent *ent, const struct sched_ops *ops);
bool sched_pull(struct stack *st, struct emit *e, uint64_t now);

/* --- ctl: control frames, ahead of everything, bounded ------------------------------------ */

struct ctl {
	struct list queue; /* of slab nodes holding one frame each */
	uint32_t bytes;
};

/* A frame of len bytes to be filled in now by the caller; NULL = queue full, frame is dropped. */
uint8_t *ctl_frame(struct stack *st, size_t len);

/* --- helpers every part needs ------------------------------------------------------------- */

/* Write Ethernet + IP headers for a packet to the guest (src is a gateway or remote address) at p;
 * returns where the L4 part begins. total: bytes of the L4 part. Same family rule as src. */
size_t ip_head_len(const struct stack *st, const struct ip *src);
uint8_t *ip_head(struct stack *st, uint8_t *p, const struct ip *src, const struct ip *dst,
        uint8_t proto, uint8_t ttl, uint8_t tos, size_t l4_len);

struct ippkt; /* wire/ipv4.h: a parsed packet of either family */
/* Queue an ICMP error (either family) quoting `pkt` to the guest; rate-limited. `from` NULL = the
 * gateway. */
void icmp_error(struct stack *st, const struct ip *from, const struct ippkt *pkt, uint8_t type,
        uint8_t code, uint32_t mtu, uint64_t now);

/* --- parts: entry points called by stack.c ------------------------------------------------- */
/* Owned by tcp.c and its files: */
struct tcp_part {
	struct hash flows;
	/* Every flow is on one of these: */
	struct list waiting;   /* for their turn to connect */
	struct list half_open; /* connecting, oldest first */
	struct list by_use;    /* the others, idlest first, for shedding */
	struct list acks;      /* owe the guest a frame without data */
	struct list time_wait; /* over, without a socket, oldest first */
	struct list blocked;   /* by pace; through their sched_ent, which is not ready then */
	uint32_t n_flows, n_half_open;
	uint32_t window_promised, ooo_bytes;
	uint32_t challenges, challenge_at; /* sent in this period (RFC 5961 7) */
	uint64_t opened;
	uint32_t tunnel_rtt_us; /* the last stack_rtt; 0 = unknown */
	struct tcp_pace *pace;  /* NULL until the first bulk transfer */
	struct dnstcp *dns;     /* NULL until the first query over TCP */
};
void tcp_part_init(struct stack *st);
void tcp_part_fini(struct stack *st);
void tcp_input(struct stack *st, const struct ippkt *pkt, uint64_t now);
void tcp_rx_end(struct stack *st, uint64_t now);
/* Bare ACKs and SYN-ACKs, RSTs that are due: written before any data. False when e is full. */
bool tcp_pull_control(struct stack *st, struct emit *e, uint64_t now);
bool tcp_control_pending(const struct stack *st);
void tcp_rtt(struct stack *st, uint32_t rtt_us);
size_t tcp_memory(const struct stack *st); /* heap bytes, without the flows themselves */

/* DNS over TCP (dnstcp.c) asks through dns.c, which checks the query, keeps the limit of pending
 * ones and calls op dns_query. Its tokens have this bit, and their answers go to dnstcp_answer. */
#define DNS_TOKEN_TCP 0x80000000u
int dns_ask(struct stack *st, uint32_t token, struct span query); /* -errno: say SERVFAIL */
void dns_forget(struct stack *st, uint32_t token);
void dnstcp_answer(struct stack *st, uint32_t token, struct span answer, uint64_t now);
