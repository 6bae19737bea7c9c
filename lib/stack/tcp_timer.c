/* Deadlines of a flow. Round trips and retransmission time-outs are those of RFC 6298, with a floor
 * of 200 ms because the way back leads through the main loop of a browser; the last segments of a
 * burst are probed earlier (RFC 8985 7). */
#include "stack/tcp_int.h"

#include "stack/pace.h"

#include <errno.h>

enum {
	SAMPLE_MOST = 8000,     /* what srtt can hold, in ms */
	DELAYED_ACK_MOST = 200, /* of a guest that has one segment to acknowledge */
	BACKOFF_MOST = 16,
};

void
tcp_rtt_sample(struct tcp_flow *f, uint32_t ms)
{
	uint32_t m = ms < SAMPLE_MOST ? ms : SAMPLE_MOST;
	if (!f->srtt) {
		f->srtt = (uint16_t)(m ? m * 8 : 1);
		f->rttvar = (uint16_t)(m * 2);
	} else {
		uint32_t s = f->srtt / 8u, off = s > m ? s - m : m - s;
		f->rttvar = (uint16_t)(f->rttvar + off - f->rttvar / 4u);
		uint32_t next = f->srtt + m - s;
		f->srtt = (uint16_t)(next ? next : 1);
	}
	if (f->st->tcp.pace)
		pace_sample(f->st->tcp.pace, ms);
}

/* Of the n-th time-out in a row. */
static uint32_t
rto_after(const struct tcp_flow *f, unsigned n)
{
	uint32_t rto = TCP_RTO_FIRST;
	if (f->srtt)
		rto = f->srtt / 8u + (f->rttvar ? f->rttvar : 1u);
	if (rto < TCP_RTO_LEAST)
		rto = TCP_RTO_LEAST;
	while (n-- && rto < TCP_RTO_MOST)
		rto *= 2;
	return rto < TCP_RTO_MOST ? rto : TCP_RTO_MOST;
}

/* --- what is waited for ------------------------------------------------------------------- */

static void
watch_for(struct tcp_flow *f, enum flow_rtx what, uint32_t ms)
{
	f->rtx = (uint8_t)what;
	f->rtx_at = tcp_now(f) + ms;
}

/* The end of a burst is probed before its time-out; where the guest has only one segment to
 * acknowledge it may take its time, and that is not worth a probe. */
static bool
watch_tail(struct tcp_flow *f, uint32_t rto)
{
	uint32_t ms = f->srtt / 4u > TCP_PROBE_LEAST ? f->srtt / 4u : TCP_PROBE_LEAST;
	if (f->snd_nxt - f->snd_una <= f->mss)
		ms += DELAYED_ACK_MOST;
	if (!(f->flags & FLOW_SACK) || f->flags & FLOW_PROBED || f->backoff || !f->srtt ||
	        (f->repair && f->repair->n) || ms >= rto)
		return false;
	watch_for(f, RTX_TAIL, ms);
	return true;
}

void
tcp_watch(struct tcp_flow *f, bool progress)
{
	bool running = f->rtx == RTX_RESEND || f->rtx == RTX_TAIL || f->rtx == RTX_SYN_ACK;
	if (f->state == FLOW_SYN_RCVD) {
		if (!running)
			watch_for(f, RTX_SYN_ACK, TCP_RTO_FIRST);
	} else if (f->snd_una != f->snd_nxt) {
		if (f->rtx == RTX_PERSIST)
			f->backoff = 0;
		uint32_t rto = rto_after(f, f->backoff);
		if ((progress || !running) && !watch_tail(f, rto))
			watch_for(f, RTX_RESEND, rto);
	} else if (f->flags & FLOW_READABLE && !f->snd_wnd) {
		if (f->rtx != RTX_PERSIST)
			watch_for(f, RTX_PERSIST, rto_after(f, 0));
	} else {
		f->rtx = RTX_NONE;
	}
}

/* --- when it did not come ----------------------------------------------------------------- */

/* How long the guest has left what was sent unanswered. */
static uint32_t
silence(const struct tcp_flow *f)
{
	uint32_t ms = 0;
	for (unsigned i = 0; i < f->backoff; i++)
		ms += rto_after(f, i);
	return ms;
}

/* Has it been silent for so long? It may have been before anything was sent, too, which does not
 * count; and any word of it does. */
static bool
give_up(const struct tcp_flow *f, uint32_t at_least)
{
	return silence(f) >= conf_of(f->st)->tcp_give_up_ms && tcp_now(f) - f->heard >= at_least;
}

/* The window is shut: is there anything for it, and is it still? False: the flow is gone. */
static bool
persist(struct tcp_flow *f)
{
	uint8_t byte;
	struct iovec v = {&byte, 1};
	ssize_t r = far_peek(f, 0, &v, 1);
	if (r == -EAGAIN) {
		f->flags &= ~(uint32_t)FLOW_READABLE;
		f->rtx = RTX_NONE;
		f->backoff = 0;
		return true;
	}
	if (r < 0 || give_up(f, conf_of(f->st)->tcp_give_up_ms)) {
		flow_reset(f);
		return false;
	}
	if (r == 0) {
		f->flags |= FLOW_EOF;
		f->rtx = RTX_NONE;
		flow_kick(f);
		return true;
	}
	f->backoff += f->backoff < BACKOFF_MOST;
	flow_owe(f, FLOW_PROBE);
	watch_for(f, RTX_PERSIST, rto_after(f, f->backoff));
	return true;
}

static bool
resend(struct tcp_flow *f)
{
	if (give_up(f, TCP_RTO_LEAST)) {
		flow_reset(f);
		return false;
	}
	f->backoff += f->backoff < BACKOFF_MOST;
	f->flags &= ~(uint32_t)FLOW_TIMED;
	stats_of(f->st)->tcp_rto++;
	loss_timeout(f);
	pace_account(f);
	watch_for(f, RTX_RESEND, rto_after(f, f->backoff));
	flow_kick(f);
	return true;
}

/* False: the flow is gone. */
static bool
on_rtx(struct tcp_flow *f)
{
	switch ((enum flow_rtx)f->rtx) {
	case RTX_NONE: break;
	case RTX_RESEND: return resend(f);
	case RTX_TAIL:
		f->flags |= FLOW_PROBED | FLOW_TAIL;
		watch_for(f, RTX_RESEND, rto_after(f, 0));
		flow_kick(f);
		break;
	case RTX_PERSIST: return persist(f);
	case RTX_SYN_ACK:
		f->backoff += f->backoff < BACKOFF_MOST;
		flow_owe(f, FLOW_SYN_ACK);
		watch_for(f, RTX_SYN_ACK,
		        (uint32_t)TCP_RTO_FIRST << (f->backoff < 6 ? f->backoff : 6));
		break;
	}
	return true;
}

/* --- the end of patience ------------------------------------------------------------------ */

/* How long the flow may live on without a word of the guest. */
static uint32_t
patience(const struct tcp_flow *f)
{
	const struct stack_conf *c = conf_of(f->st);
	switch ((enum flow_state)f->state) {
	case FLOW_WAITING:
	case FLOW_CONNECTING:
	case FLOW_SYN_RCVD: return c->tcp_half_open_ms;
	case FLOW_TIME_WAIT:
	case FLOW_REFUSED: return c->tcp_time_wait_ms;
	case FLOW_OPEN: break;
	}
	bool fin_wait_2 = f->flags & FLOW_FIN_ACKED && !(f->flags & FLOW_FIN_RCVD);
	bool last_ack = f->flags & FLOW_FIN_SENT && f->flags & FLOW_FIN_RCVD;
	if (fin_wait_2 || last_ack)
		return c->tcp_fin_wait_ms;
	return f->flags & FLOW_LOCAL ? DNSTCP_IDLE_MS : c->tcp_idle_ms;
}

/* True: the flow is gone. */
static bool
expire(struct tcp_flow *f)
{
	if (f->state == FLOW_SYN_RCVD) {
		flow_reset(f);
	} else if (f->state != FLOW_OPEN) {
		flow_free(f, f->state < FLOW_OPEN);
	} else if (f->flags & FLOW_LOCAL && dnstcp_idle(f)) {
		f->heard = tcp_now(f);
		return false;
	} else {
		flow_reset(f);
	}
	return true;
}

static bool
due(const struct tcp_flow *f, uint32_t at)
{
	return (int32_t)(tcp_now(f) - at) >= 0;
}

static void
on_timer(struct timer *timer, uint64_t now)
{
	struct tcp_flow *f = CONTAINER_OF(timer, struct tcp_flow, timer);
	struct stack *st = f->st;
	st->now = now;
	uint32_t most = patience(f);
	if (most && (uint32_t)now - f->heard >= most && expire(f)) {
		tcp_open_next(st);
		pace_release(st);
		return;
	}
	if (f->flags & FLOW_ACK_LATER && (int16_t)((uint16_t)now - f->ack_at) >= 0) {
		f->flags &= ~(uint32_t)FLOW_ACK_LATER;
		tcp_ack_now(f);
	}
	bool alive = f->rtx == RTX_NONE || !due(f, f->rtx_at) || on_rtx(f);
	if (alive)
		tcp_arm(f);
	pace_release(st);
}

void
tcp_timer_init(struct tcp_flow *f)
{
	timer_init(&f->timer, on_timer);
}

static void
sooner(uint32_t *left, int32_t ms)
{
	uint32_t n = ms > 0 ? (uint32_t)ms : 0;
	if (n < *left)
		*left = n;
}

/* A deadline that moved away leaves the timer where it is: when it fires it finds nothing due and
 * is set anew. */
void
tcp_arm(struct tcp_flow *f)
{
	uint32_t now = tcp_now(f), most = patience(f), left = INT32_MAX;
	if (most)
		sooner(&left, (int32_t)(f->heard + most - now));
	if (f->rtx != RTX_NONE)
		sooner(&left, (int32_t)(f->rtx_at - now));
	if (f->flags & FLOW_ACK_LATER)
		sooner(&left, (int16_t)(f->ack_at - (uint16_t)now));
	uint64_t when = f->st->now + left;
	if (!timer_armed(&f->timer) || when < f->timer.when)
		wheel_add(f->st->sh->wheel, &f->timer, when);
}
