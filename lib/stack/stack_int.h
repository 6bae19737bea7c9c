/* stack_int: what the files of lib/stack share with each other; nobody else includes it.
 *
 * One struct stack is the sum of its parts, each owned by one file: lan (addresses), sched (who
 * sends next), ctl (small frames that go first), icmp, udp, frag, dns, tcp; arp and dhcp keep
 * nothing. A part has no memory of its own while it has nothing to keep. */
#pragma once

#include "stack/frameq.h"
#include "stack/sched.h"
#include "stack/stack.h"
#include "wire/icmp.h"
#include "wire/ippkt.h"

/* --- lan: who is where, and headers for the guest (lan.c) ------------------------------------- */

#define LAN_HOSTS 6 /* addresses whose Ethernet address is remembered */

struct lan {
	struct mac mac;  /* last learned: for addresses that are not in the table */
	struct ip ip;    /* last seen in use, or leased */
	bool assigned;   /* ip is one that the guest really uses */
	bool to_group;   /* a frame is at hand that was sent to a group of stations */
	uint8_t n, turn; /* of host: in use; next to be replaced */
	uint16_t ip_id;  /* of the last packet sent */
	struct lan_host {
		struct ip ip;
		struct mac mac;
	} host[LAN_HOSTS];
};

void lan_init(struct stack *st);
/* An address of the guest's network that a guest may have: not the gateway's, not a broadcast. */
bool lan_is_guest(const struct stack *st, const struct ip *a);
bool lan_is_gateway(const struct stack *st, const struct ip *a);
/* Stands for no single host: unspecified, multicast, the network's or the limited broadcast. */
bool lan_is_group(const struct stack *st, const struct ip *a);
void lan_learn(struct stack *st, const struct ip *a, const struct mac *mac);
/* Only if nothing is known about it; says nothing about its being assigned. */
void lan_guess(struct stack *st, const struct ip *a, const struct mac *mac);
void lan_forget(struct stack *st, const struct ip *a);
const struct mac *lan_mac(const struct stack *st, const struct ip *a);

/* Most bytes of one IP packet to the guest. */
size_t lan_mtu(const struct stack *st);
/* What a frame of len bytes is padded to. */
size_t lan_frame_len(const struct stack *st, size_t len);

/* Length of the Ethernet and IP headers of an unfragmented packet from src. */
static inline size_t
ip_head_len(const struct ip *src)
{
	return ETHER_HEAD + (ip_is4(src) ? 20 : 40);
}

/* Write Ethernet + IP headers of an unfragmented packet to the guest; returns where the l4_len
 * bytes behind it begin. Takes src, dst, proto, tos and, unless 0, ttl of k. */
uint8_t *ip_head(struct stack *st, uint8_t *p, const struct ippkt *k, size_t l4_len);
/* The same to a station that need not be the one known for k->dst. */
uint8_t *ip_head_to(
        struct stack *st, uint8_t *p, const struct mac *mac, const struct ippkt *k, size_t l4_len);
/* Queue a packet, cut into fragments where the guest's link needs it. What is behind the IP header
 * is head and body, checksums done. All of it or, when memory is short, nothing. */
bool ip_queue(struct stack *st, struct frameq *q, const struct ippkt *k, struct span head,
        struct span body);

/* --- ctl: control frames, ahead of everything, bounded (ctl.c) -------------------------------- */

/* A frame of len bytes, at most FRAMEQ_NODE_MOST, to be filled in at once; NULL = no room, it is
 * not sent. Wakes the transport. */
uint8_t *ctl_frame(struct stack *st, size_t len);
/* ip_queue to this queue. */
bool ctl_packet(struct stack *st, const struct ippkt *k, struct span head, struct span body);
bool ctl_pull(struct stack *st, struct emit *e); /* false: e is full */

/* Memory in e for a frame, padded if the configuration says so; NULL as emit_frame. */
uint8_t *stack_emit_frame(struct stack *st, struct emit *e, size_t len);

/* --- icmp ------------------------------------------------------------------------------------- */

/* Tokens that come back over time; at most one second's worth. */
struct rate {
	uint64_t at;
	uint32_t credit; /* thousandths */
	bool started;
};

bool rate_take(struct rate *r, uint32_t per_second, uint64_t now); /* per_second 0: always */

struct icmp_part {
	struct hash by_guest, by_id; /* struct ping */
	struct list by_use;          /* idlest first */
	struct timer idle;
	uint32_t n;
	struct rate errors, pings;
};

void icmp_batch_init(struct stack_batch *b);
void icmp_init(struct stack *st);
void icmp_fini(struct stack *st);
size_t icmp_memory(const struct stack *st);
void icmp_input(struct stack *st, const struct ippkt *k);
/* Queue an ICMP error (either family) that quotes k to k's source. m: kind, or type and code, and
 * mtu. from: who complains; NULL = the gateway. Rate-limited, and silent where RFC 1122 3.2.2 and
 * RFC 4443 2.4 want silence. */
void icmp_error(
        struct stack *st, const struct ip *from, const struct ippkt *k, const struct icmpmsg *m);

/* The error that says what errno err (> 0) says, for packets to a; false = there is none. */
bool icmp_of_errno(int err, struct icmpmsg *out);

/* That error about k, which the guest sent. */
void icmp_refuse(struct stack *st, const struct ippkt *k, int err);

/* Whether news of this type may be passed on as an error. */
bool icmp_is_error_type(bool v6, uint8_t type);

/* A packet that is quoted from memory: its header and the first 8 bytes behind that. */
#define ICMP_FORGED_MOST (IPPKT_HEAD_MOST + 8)
/* k: src, dst, proto, ttl, tos, id of a packet that had l4_len bytes behind its header, the first
 * eight of which are l4. Fills in k->whole and k->payload, in buf. */
void icmp_forge(uint8_t buf[ICMP_FORGED_MOST], struct ippkt *k, const uint8_t l4[8], size_t l4_len);

/* --- udp -------------------------------------------------------------------------------------- */

enum udp_use {
	UDP_FRESH, /* not answered yet */
	UDP_REPLIED,
	UDP_LOOKUP, /* with a name server */
	UDP_USES
};

struct udp_part {
	struct hash bindings;      /* by guest endpoint */
	struct hash flows;         /* by guest and remote endpoint */
	struct list use[UDP_USES]; /* flows, idlest first; each list has its own patience */
	struct list waiting;       /* bindings with something queued */
	struct timer idle;
	uint32_t n_bindings, n_flows;
	uint32_t queued; /* bytes, over all bindings */
	uint64_t opened;
};

void udp_batch_init(struct stack_batch *b);
void udp_init(struct stack *st);
void udp_fini(struct stack *st);
size_t udp_memory(const struct stack *st);
void udp_input(struct stack *st, const struct ippkt *k);

/* --- frag: datagrams that came in pieces ------------------------------------------------------ */

struct frag_part {
	struct list open; /* oldest first */
	struct list done; /* read by others until the batch ends */
	struct timer late;
	uint32_t n, bytes;
};

void frag_init(struct stack *st);
void frag_fini(struct stack *st);
/* True: *whole is now the datagram that k completed; its bytes stay until stack_rx_end. */
bool frag_input(struct stack *st, const struct ippkt *k, struct ippkt *whole);
void frag_rx_end(struct stack *st);
size_t frag_memory(const struct stack *st);

/* --- dns -------------------------------------------------------------------------------------- */

struct dns_part {
	struct hash waits; /* by token */
	struct list open;  /* the same */
	uint32_t n, last_token;
};

void dns_batch_init(struct stack_batch *b);
void dns_init(struct stack *st);
void dns_fini(struct stack *st);
size_t dns_memory(const struct stack *st);
void dns_input(struct stack *st, const struct ippkt *k, uint16_t sport, struct span query);

/* DNS over TCP (dnstcp.c) asks through dns.c too, which checks the query, keeps the limit of
 * pending ones and calls op dns_query. Its tokens are its own choice but have this bit. */
#define DNS_TOKEN_TCP 0x80000000u
/* 0: dnstcp_answer will come, later. Else it will not: dns_refusal gives the reply to send. */
int dns_ask(struct stack *st, uint32_t token, struct span query);
/* Nobody waits for this token any more. One that is not in use is fine. */
void dns_forget(struct stack *st, uint32_t token);
#define DNS_REFUSAL_MOST 320
/* The reply to a query for which dns_ask gave err; returns its length, 0 = there is none: the bytes
 * are no query. */
size_t dns_refusal(uint8_t out[DNS_REFUSAL_MOST], struct span query, int err);
/* The whole reply, never empty, without a length in front. The token is free before the call. */
void dnstcp_answer(struct stack *st, uint32_t token, struct span reply, uint64_t now);

/* --- arp, dhcp -------------------------------------------------------------------------------- */

void arp_input(struct stack *st, struct span payload);
void dhcp_input(struct stack *st, struct span message);

/* --- tcp: owned by tcp.c and its files -------------------------------------------------------- */

struct tcp_part {
	struct hash flows;
	/* Every flow is on one of these: */
	struct list waiting;   /* for their turn to connect */
	struct list half_open; /* connecting, oldest first */
	struct list by_use;    /* the others, idlest first, for shedding */
	struct list acks;      /* owe the guest a frame without data */
	struct list blocked;   /* by pace; who waited longest first */
	struct list time_wait; /* over, without a socket, oldest first */
	uint32_t n_flows, n_half_open;
	uint32_t n_over; /* on time_wait; not in n_flows */
	uint32_t window_promised, ooo_bytes, repairs;
	uint32_t in_flight;                /* bytes under way to the guest */
	uint32_t challenges, challenge_at; /* sent in this period (RFC 5961 7) */
	uint64_t opened;
	uint32_t tunnel_rtt_us; /* the last stack_rtt; 0 = unknown */
	struct tcp_pace *pace;  /* NULL until the first bulk transfer */
	struct list dns;        /* connections to the gateway's own server */
	uint32_t n_dns, last_dns_token;
};
struct tcp_batch *tcp_batch_new(void); /* scratch of a worker; NULL = there is none */
void tcp_batch_free(struct tcp_batch *b);
void tcp_part_init(struct stack *st);
void tcp_part_fini(struct stack *st);
/* k is a whole datagram from a guest's address to a single host; the bytes of its payload stay
 * until tcp_rx_end returns. */
void tcp_input(struct stack *st, const struct ippkt *k, uint64_t now);
void tcp_rx_end(struct stack *st, uint64_t now);
/* Bare ACKs and SYN-ACKs, RSTs that are due: written before any data. False when e is full. */
bool tcp_pull_control(struct stack *st, struct emit *e, uint64_t now);
void tcp_rtt(struct stack *st, uint32_t rtt_us);
size_t tcp_memory(const struct stack *st); /* heap bytes, without the flows themselves */

/* --- the whole -------------------------------------------------------------------------------- */

struct stack {
	struct stack_shared *sh;
	void *user;
	uint64_t now; /* of the call under way, or of the last one */
	struct lan lan;
	struct sched sched;
	struct frameq ctl;
	struct icmp_part icmp;
	struct udp_part udp;
	struct frag_part frag;
	struct dns_part dns;
	struct tcp_part tcp;
};

/* What the stacks of a worker share beyond what the owner knows of: slabs for small things, and
 * scratch. */
struct stack_batch {
	struct slab pings, flows, waits;
	struct tcp_batch *tcp; /* tcp.c's */
};

static inline const struct stack_conf *
conf_of(const struct stack *st)
{
	return st->sh->conf;
}

static inline const struct stack_ops *
ops_of(const struct stack *st)
{
	return st->sh->ops;
}

static inline struct stack_stats *
stats_of(const struct stack *st)
{
	return st->sh->stats;
}
