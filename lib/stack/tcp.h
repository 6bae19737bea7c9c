/* tcp: a TCP flow of the guest, as the owner of its upstream socket embeds it.
 *
 * Owner    the op tcp_alloc, zeroed; from then until tcp_free the stack's, which alone touches the
 *          fields. `remote` and `guest` may be read for the log.
 * Memory   no buffer. What a flow needs only while segments are missing is `repair`. */
#pragma once

#include "base/addr.h"
#include "base/hash.h"
#include "base/wheel.h"
#include "stack/sched_ent.h"

struct stack;
struct tcp_repair;

struct tcp_flow {
	struct hash_node node;
	struct timer timer; /* the only one: at the earliest of several deadlines */
	struct sched_ent ent;
	struct list link; /* one of the lists of tcp_part */
	struct stack *st;
	struct tcp_repair *repair;
	struct endpoint guest, remote;

	/* toward the guest */
	uint16_t mss;
	uint32_t snd_una, snd_nxt, snd_wnd;
	uint32_t rtt_seq; /* the byte whose acknowledgement is timed */
	uint32_t piped;   /* its part of what the tunnel has under way */

	/* from the guest */
	uint32_t rcv_nxt;
	uint32_t rcv_adv;   /* right edge of the window, as the guest knows it */
	uint32_t rcv_acked; /* last acknowledgement sent */
	uint32_t grow_seq;  /* rcv_nxt when the growth of the window was last looked at */

	/* times: milliseconds, low bits */
	uint32_t heard;  /* last segment from the guest */
	uint32_t rtx_at; /* retransmission or probe */
	uint16_t ack_at; /* delayed acknowledgement */
	uint16_t grow_at, rtt_at;
	uint16_t srtt, rttvar; /* RFC 6298, in 1/8 and 1/4 ms */

	uint16_t batch; /* place in the rx batch, from 1 */
	uint32_t flags;
	uint8_t state;
	uint8_t tos;
	uint8_t rtx;       /* what rtx_at is for */
	uint8_t backoff;   /* time-outs in a row */
	uint8_t quick;     /* early acknowledgements still to send */
	uint8_t snd_shift; /* window scale of the guest */
	uint8_t win_shift; /* window offered: the first one times 2^this */
};
