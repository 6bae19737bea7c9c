/* tcp_int: what the tcp*.c files and dnstcp.c share.
 *
 *   tcp.c        flows: finding, beginning, ending, news from upstream
 *   tcp_open.c   the handshake and its limits
 *   tcp_in.c     segments of an open flow: what is acceptable, acknowledgements
 *   tcp_take.c   bytes of the guest: in order, out of order, urgent
 *   tcp_batch.c  what one batch of frames brought, written and answered at its end
 *   tcp_window.c how much the guest may send, and when it is told
 *   tcp_out.c    frames for the guest
 *   tcp_loss.c   what the guest has not got, and when to send it again
 *   tcp_timer.c  deadlines
 *   pace.c       how much may be under way to the guest in all
 *   dnstcp.c     the far side of flows to the gateway's port 53
 */
#pragma once

#include "stack/stack_int.h"
#include "stack/tcp.h"
#include "wire/tcp.h"

enum {
	TCP_OUR_SCALE = 8,
	TCP_FIRST_WINDOW = 65536,
	TCP_MSS_LEAST = 64,
	TCP_MSS_DEFAULT = 536, /* RFC 9293 3.7.1 */
	TCP_RTO_FIRST = 1000,  /* RFC 6298 2.1 */
	TCP_RTO_LEAST = 200,
	TCP_RTO_MOST = 60000,
	TCP_PROBE_LEAST = 10, /* tail-loss probe */
	TCP_QUICK_ACKS = 45,  /* one for two full segments of the first 128 KiB */
};

enum flow_state {
	FLOW_WAITING,    /* SYN taken; too many connects are under way */
	FLOW_CONNECTING, /* the guest has heard nothing yet */
	FLOW_SYN_RCVD,   /* SYN-ACK owed or sent; upstream is up, or the guest sent early data */
	FLOW_OPEN,       /* and all states between ESTABLISHED and LAST-ACK: see the FIN flags */
	FLOW_TIME_WAIT,  /* without a socket */
	FLOW_REFUSED,    /* told so by ICMP; without a socket */
};

enum flow_flag {
	FLOW_UP = 1 << 0,       /* upstream is connected */
	FLOW_LOCAL = 1 << 1,    /* the far side is dnstcp.c, not the ops */
	FLOW_SACK = 1 << 2,     /* agreed in both directions */
	FLOW_SCALE = 1 << 3,    /* ditto */
	FLOW_READABLE = 1 << 4, /* upstream may have more than was peeked */
	FLOW_SYN_ACK = 1 << 5,  /* owed */
	FLOW_ACK_NOW = 1 << 6,  /* owed */
	FLOW_ACK_LATER = 1 << 7,
	FLOW_PROBE = 1 << 8,     /* zero-window probe, owed */
	FLOW_FIN_RCVD = 1 << 9,  /* in order: the guest sends no more */
	FLOW_SHUT = 1 << 10,     /* and upstream was told */
	FLOW_FIN_SENT = 1 << 11, /* snd_nxt counts it */
	FLOW_FIN_ACKED = 1 << 12,
	FLOW_LAST_ACK = 1 << 13, /* the guest closed first: no TIME_WAIT here */
	FLOW_TIMED = 1 << 14,    /* rtt_seq and rtt_at are in use */
	FLOW_PROBED = 1 << 15,   /* a tail-loss probe is out */
	FLOW_TAIL = 1 << 16,     /* send the last segment again (tail-loss probe) */
	FLOW_HEAD = 1 << 17,     /* send the first segment again */
	FLOW_BLOCKED = 1 << 18,  /* by pace */
	FLOW_EOF = 1 << 19,      /* upstream ends behind what was sent */
	FLOW_ROOM = 1 << 20,     /* upstream has room again; for the end of the batch */
	FLOW_PROBES = 1 << 21,   /* the guest sends keepalive probes */
	FLOW_OWES = FLOW_SYN_ACK | FLOW_ACK_NOW | FLOW_PROBE,
};

enum flow_rtx { RTX_NONE, RTX_RESEND, RTX_TAIL, RTX_PERSIST, RTX_SYN_ACK };

/* --- tcp.c -------------------------------------------------------------------------------- */

struct tcp_flow *flow_find(
        struct stack *st, const struct endpoint *guest, const struct endpoint *remote);
/* Enter a zeroed flow as FLOW_WAITING; false: no memory, it is still the caller's. */
bool flow_enter(struct stack *st, struct tcp_flow *f, const struct endpoint *guest,
        const struct endpoint *remote);
void flow_change(struct tcp_flow *f, enum flow_state state, uint32_t more_flags);
/* Gone after this: the far side is closed, the guest hears nothing. */
void flow_free(struct tcp_flow *f, bool abort);
/* The same, with a RST to the guest. */
void flow_reset(struct tcp_flow *f);
/* Both directions are over: TIME_WAIT, or gone. */
void flow_finish(struct tcp_flow *f);
/* Put it on the list where it belongs when it owes nothing, as the one used last. */
void flow_rest(struct tcp_flow *f);
/* It owes the guest a frame without data: FLOW_OWES says which. */
void flow_owe(struct tcp_flow *f, uint32_t what);
/* Bytes or a FIN may have become sendable. */
void flow_kick(struct tcp_flow *f);

/* --- tcp_open.c --------------------------------------------------------------------------- */

/* A segment that belongs to no flow. */
void tcp_listen(struct stack *st, const struct ippkt *k, const struct tcpseg *s);
/* A segment for a flow that is not open yet. */
void tcp_handshake(struct tcp_flow *f, const struct ippkt *k, const struct tcpseg *s);
/* A segment for a flow that is over. True: the flow is gone, and the segment begins a new one. */
bool tcp_after_life(struct tcp_flow *f, const struct tcpseg *s);
void tcp_connected(struct tcp_flow *f);
void tcp_not_connected(struct tcp_flow *f, int err);
/* Begin connects that wait for their turn, now that others may be over. */
void tcp_open_next(struct stack *st);
uint16_t tcp_our_mss(const struct stack *st, const struct ip *remote);

/* --- tcp_in.c ----------------------------------------------------------------------------- */

void tcp_segment(struct tcp_flow *f, const struct tcpseg *s);
void tcp_challenge(struct tcp_flow *f);

/* --- tcp_take.c --------------------------------------------------------------------------- */

void tcp_take(struct tcp_flow *f, const struct tcpseg *s);
/* SACK blocks for what lies out of order; returns how many. */
unsigned tcp_sacks(const struct tcp_flow *f, struct tcpsack out[TCP_SACKS]);
void tcp_drop_pieces(struct tcp_flow *f);
void tcp_free_pieces(struct stack *st, struct list *pieces);

/* --- tcp_batch.c -------------------------------------------------------------------------- */

/* Makes room for one more segment of any flow of st. May end flows. */
void batch_begin(struct stack *st);
/* f has had a segment: it is looked at when the batch ends. */
void batch_touch(struct tcp_flow *f);
void batch_add(struct tcp_flow *f, const void *p, size_t n);
/* Write what there is, the last byte as urgent. */
void batch_urgent(struct tcp_flow *f);
/* The guest has acknowledged n bytes. */
void batch_discard(struct tcp_flow *f, uint32_t n);
/* A piece whose bytes were added. */
void batch_spent(struct stack *st, struct list *piece);
void batch_forget(struct tcp_flow *f);
void batch_end(struct stack *st);
/* st ends, and with it its flows did. */
void batch_drop(struct stack *st);
/* The flow of the last segment, if it has this address pair. */
struct tcp_flow *batch_last(
        const struct stack *st, const struct endpoint *guest, const struct endpoint *remote);
struct slab *batch_repairs(const struct stack *st);

/* --- tcp_window.c ------------------------------------------------------------------------- */

/* Move the right edge as far as room and manners allow. */
void tcp_open_window(struct tcp_flow *f);
/* Decide when what came in is acknowledged. */
void tcp_plan_ack(struct tcp_flow *f);
void tcp_ack_now(struct tcp_flow *f);
/* What the window field says. */
uint16_t tcp_window_field(const struct tcp_flow *f, uint32_t ack, bool syn);
/* Upstream took some: tell the guest if it matters. */
void tcp_window_update(struct tcp_flow *f);
/* An acknowledgement of everything has gone out. */
void tcp_acked(struct tcp_flow *f);
void tcp_advance(struct tcp_flow *f, uint32_t n); /* rcv_nxt, and the promise with it */

/* --- tcp_out.c ---------------------------------------------------------------------------- */

extern const struct sched_ops tcp_sched_ops;
/* Whether it has, or may have, something to send that may be sent now. */
bool tcp_can_send(const struct tcp_flow *f);
/* RST|ACK to the guest. */
void tcp_rst(struct stack *st, const struct endpoint *guest, const struct endpoint *remote,
        uint32_t seq, uint32_t ack);

/* --- tcp_loss.c --------------------------------------------------------------------------- */

#define TCP_HOLES 96

struct hole {
	uint32_t left, right;
	uint32_t mark;  /* snd_nxt when it was sent again */
	uint32_t stamp; /* its turn among all that were sent again; 0 = lost and not sent again */
};

struct tcp_repair {
	/* toward the guest: below `high`, what is in no hole has arrived; above, nothing is known.
	 * Without a hole, high means nothing. */
	uint32_t high;
	uint32_t stamp;
	uint32_t recover;   /* snd_nxt when the loss was seen */
	uint32_t burst;     /* most bytes in flight; UINT32_MAX = no limit */
	uint32_t threshold; /* up to here burst grows with every acknowledgement */
	uint32_t round_end, round_flight, round_lost;
	uint32_t undo_high, undo_burst, resent; /* after a time-out: see loss_timeout */
	uint16_t n;
	bool recovering; /* until recover is acknowledged */
	bool blind;      /* without SACK */
	bool timed_out;  /* nothing but the first segment was sent again yet */
	bool cut;        /* burst was cut in this round */
	bool has_fin;
	/* from the guest */
	uint32_t fin, newest;
	struct list pieces; /* by sequence, apart from each other */
	struct hole hole[TCP_HOLES];
};

/* NULL: no memory now. */
struct tcp_repair *repair_get(struct tcp_flow *f);
void repair_drop_if_idle(struct tcp_flow *f);
void repair_free(struct tcp_flow *f);
/* snd_una has moved here from `was`. */
void loss_acked(struct tcp_flow *f, uint32_t was);
/* True: it says something new. */
bool loss_sacked(struct tcp_flow *f, const struct tcpopts *o);
/* A duplicate acknowledgement of a guest without SACK. */
void loss_duplicate(struct tcp_flow *f);
void loss_timeout(struct tcp_flow *f);
/* The first hole to be sent again, or NULL. */
struct hole *loss_next(const struct tcp_flow *f);
/* The first n bytes of it were. */
void loss_resent(struct tcp_flow *f, struct hole *h, uint32_t n);
/* There are about as many holes as can be remembered. */
bool loss_is_crowded(const struct tcp_flow *f);
/* Bytes under way: sent and neither known to have arrived nor known to be lost. */
uint32_t loss_pipe(const struct tcp_flow *f);
/* The highest byte known to have arrived. */
uint32_t loss_reached(const struct tcp_flow *f);
/* Bytes that arrived in all, modulo 2^32: only differences mean something. */
uint32_t loss_delivered(const struct tcp_flow *f);
/* How many more bytes may be under way. */
uint32_t loss_room(const struct tcp_flow *f);

/* --- tcp_timer.c -------------------------------------------------------------------------- */

void tcp_timer_init(struct tcp_flow *f);
/* Set the flow's timer for its earliest deadline. */
void tcp_arm(struct tcp_flow *f);
/* (Re)start or stop the retransmission timer after sending (progress false) or hearing. */
void tcp_watch(struct tcp_flow *f, bool progress);
void tcp_rtt_sample(struct tcp_flow *f, uint32_t ms);
uint32_t tcp_rto(const struct tcp_flow *f);

/* --- tcp_flight.c: pace.c applied to the flows of a tunnel -------------------------------- */

/* What f has under way counts from now on as it is. */
void pace_account(struct tcp_flow *f);
/* How many more bytes the tunnel may have under way. */
uint32_t pace_room(const struct stack *st);
/* f has to wait until there is more of that. */
void pace_block(struct tcp_flow *f);
/* Let as many of those that wait go on as there is room for two segments of. */
void pace_release(struct stack *st);
/* The guest has got n bytes, of any flows. */
void pace_delivered(struct stack *st, uint32_t n);

/* --- dnstcp.c ----------------------------------------------------------------------------- */

struct tcp_flow *dnstcp_alloc(struct stack *st); /* NULL: too many */
void dnstcp_free(struct tcp_flow *f);
uint32_t dnstcp_room(struct tcp_flow *f);
int dnstcp_write(struct tcp_flow *f, const struct iovec *iov, int n);
void dnstcp_shutdown(struct tcp_flow *f);
ssize_t dnstcp_peek(struct tcp_flow *f, uint32_t off, const struct iovec *iov, int n);
void dnstcp_discard(struct tcp_flow *f, uint32_t n);
/* Close it for having been idle; false: it was closing already. */
bool dnstcp_idle(struct tcp_flow *f);
size_t dnstcp_memory(const struct stack *st);
enum { DNSTCP_PORT = 53, DNSTCP_IDLE_MS = 10000 };

/* --- the far side: the ops, or the gateway itself ----------------------------------------- */

static inline uint32_t
far_room(struct tcp_flow *f)
{
	return f->flags & FLOW_LOCAL ? dnstcp_room(f) : ops_of(f->st)->tcp_room(f->st, f);
}

static inline int
far_write(struct tcp_flow *f, const struct iovec *iov, int n, bool urgent)
{
	if (f->flags & FLOW_LOCAL)
		return dnstcp_write(f, iov, n);
	return ops_of(f->st)->tcp_write(f->st, f, iov, n, urgent);
}

static inline void
far_shutdown(struct tcp_flow *f)
{
	if (f->flags & FLOW_LOCAL)
		dnstcp_shutdown(f);
	else
		ops_of(f->st)->tcp_shutdown(f->st, f);
}

static inline ssize_t
far_peek(struct tcp_flow *f, uint32_t off, const struct iovec *iov, int n)
{
	if (f->flags & FLOW_LOCAL)
		return dnstcp_peek(f, off, iov, n);
	return ops_of(f->st)->tcp_peek(f->st, f, off, iov, n);
}

static inline void
far_discard(struct tcp_flow *f, uint32_t n)
{
	if (f->flags & FLOW_LOCAL)
		dnstcp_discard(f, n);
	else
		ops_of(f->st)->tcp_discard(f->st, f, n);
}

static inline void
far_free(struct tcp_flow *f, bool abort)
{
	if (f->flags & FLOW_LOCAL)
		dnstcp_free(f);
	else
		ops_of(f->st)->tcp_free(f->st, f, abort);
}

/* Milliseconds of the call under way, low bits. */
static inline uint32_t
tcp_now(const struct tcp_flow *f)
{
	return (uint32_t)f->st->now;
}
