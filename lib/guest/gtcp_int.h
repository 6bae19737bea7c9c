/* gtcp_int: the three files of a connection share this: gtcp.c its life, gtcpin.c what arrives,
 * gtcpout.c what is sent. */
#pragma once

#include "guest/gtcp.h"
#include "guest/guest_int.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

enum gtcp_phase { GTCP_SYN_SENT, GTCP_UP, GTCP_DONE, GTCP_DEAD };

struct gring {
	uint8_t *p;
	uint32_t cap, head, n;
};

struct gtcp {
	struct list node, ready;
	struct guest *g;
	struct endpoint local, remote;
	enum gtcp_phase phase;
	bool orphan; /* nobody holds it any more */
	bool fin_wanted, fin_acked;
	bool fin_seen, fin_rcvd; /* seen, perhaps ahead of data; reached */
	bool need_ack, syn_due, probe_due;
	int err;
	enum icmp_kind icmp;
	struct ip icmp_from;

	/* out; the ring starts with the byte at snd_una */
	struct gring snd;
	uint32_t iss, snd_una, snd_nxt, snd_max, snd_wnd;
	uint32_t cwnd, ssthresh, recover, rtx_nxt;
	uint32_t dupacks;
	bool recovering;
	struct ranges sacked;
	uint16_t mss;
	uint8_t snd_shift, rcv_shift;
	bool sack;

	/* in; the ring holds what was not read, then what is out of order */
	struct gring rcv;
	uint32_t rcv_nxt, rcv_adv, fin_seq, last_left;
	struct ranges early;

	struct timer rtx, end;
	uint32_t srtt8, rttvar4; /* RFC 6298, in 1/8 and 1/4 ms */
	uint32_t rtt_seq;
	uint64_t rtt_at; /* 0: nothing is timed */
	uint32_t backoff;
	uint64_t in, out, retransmits, timeouts, duplicates, out_of_order;
};

void gring_put(struct gring *r, uint32_t off, const uint8_t *p, uint32_t n);
void gring_get(const struct gring *r, uint32_t off, uint8_t *p, uint32_t n);
void gring_drop(struct gring *r, uint32_t n);

/* gtcp.c */
void gtcp_die(struct gtcp *t, int err); /* err 0: nobody needs to know more */
void gtcp_ready(struct gtcp *t);
void gtcp_done(struct gtcp *t, uint64_t now); /* both directions have ended */
void gtcp_reset(struct gtcp *t, uint64_t now);
void gtcp_arm(struct gtcp *t, uint64_t now); /* the retransmission timer, afresh */

/* gtcpout.c */
uint32_t gtcp_window(const struct gtcp *t);

static inline uint32_t
gtcp_data_end(const struct gtcp *t)
{
	return t->snd_una + t->snd.n;
}

/* The longest segment that our own link carries in one piece. */
static inline uint16_t
gtcp_own_mss(const struct gtcp *t)
{
	size_t head = ip_is4(&t->remote.ip) ? IPV4_HEAD : IPV6_HEAD;
	return (uint16_t)(t->g->conf.mtu - head - TCP_HEAD);
}
