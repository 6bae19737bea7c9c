/* A segment of an open flow: may it be looked at (RFC 9293 3.10.7.4, RFC 5961), and what does it
 * acknowledge. */
#include "stack/tcp_int.h"

enum {
	CHALLENGE_MS = 1000, /* the period of the limit */
	CHALLENGES = 100,
};

void
tcp_challenge(struct tcp_flow *f)
{
	struct tcp_part *t = &f->st->tcp;
	if (tcp_now(f) - t->challenge_at >= CHALLENGE_MS) {
		t->challenge_at = tcp_now(f);
		t->challenges = 0;
	}
	if (t->challenges >= CHALLENGES)
		return;
	t->challenges++;
	stats_of(f->st)->tcp_challenge++;
	tcp_ack_now(f);
}

/* RFC 5961 5.2: not for what was never sent, nor from longer ago than the largest window. */
static bool
ack_is_sane(const struct tcp_flow *f, uint32_t ack)
{
	return !tcp_after(ack, f->snd_nxt) &&
	       !tcp_before(ack, f->snd_una - ((uint32_t)UINT16_MAX << f->snd_shift));
}

/* RFC 5681 2, with the guest's window as it was. */
static bool
is_duplicate(const struct tcp_flow *f, const struct tcpseg *s, uint32_t window)
{
	return s->ack == f->snd_una && f->snd_una != f->snd_nxt && !tcp_seg_len(s) &&
	       window == f->snd_wnd && window > 0;
}

static void
forward(struct tcp_flow *f, uint32_t ack)
{
	uint32_t was = f->snd_una, n = ack - was;
	if (f->flags & FLOW_FIN_SENT && ack == f->snd_nxt) {
		f->flags |= FLOW_FIN_ACKED;
		n--;
	}
	f->snd_una = ack;
	f->backoff = 0;
	f->flags &= ~(uint32_t)(FLOW_PROBED | FLOW_TAIL | FLOW_HEAD);
	if (n)
		batch_discard(f, n);
	loss_acked(f, was);
}

static void
take_ack(struct tcp_flow *f, const struct tcpseg *s)
{
	uint32_t window = (uint32_t)s->window << f->snd_shift;
	bool news = false;
	if (tcp_before(s->ack, f->snd_una))
		return;
	if (s->ack != f->snd_una) {
		forward(f, s->ack);
		news = true;
	} else if (!(f->flags & FLOW_SACK) && is_duplicate(f, s, window)) {
		loss_duplicate(f);
	}
	if (f->flags & FLOW_SACK && s->opt.nsack)
		news |= loss_sacked(f, &s->opt);
	f->snd_wnd = window;
	if (f->flags & FLOW_TIMED && !tcp_before(loss_reached(f), f->rtt_seq)) {
		f->flags &= ~(uint32_t)FLOW_TIMED;
		tcp_rtt_sample(f, (uint16_t)(tcp_now(f) - f->rtt_at));
	}
	tcp_watch(f, news);
}

/* A keepalive probe lies just below the window, with no byte or one (RFC 9293 3.8.4). The guest
 * hears from us that its peer is alive, so it is on us to find out. */
static void
note_probe(struct tcp_flow *f, const struct tcpseg *s)
{
	const struct stack_ops *ops = ops_of(f->st);
	if (s->seq + 1 != f->rcv_nxt || s->payload.n > 1 || s->flags & (TCPF_FIN | TCPF_RST))
		return;
	if (f->flags & (FLOW_PROBES | FLOW_LOCAL) || !(f->flags & FLOW_UP) || !ops->tcp_keepalive)
		return;
	f->flags |= FLOW_PROBES;
	ops->tcp_keepalive(f->st, f);
}

void
tcp_segment(struct tcp_flow *f, const struct tcpseg *s)
{
	uint32_t end = s->seq + tcp_seg_len(s);
	note_probe(f, s);
	f->heard = tcp_now(f);
	batch_touch(f);
	if (s->flags & TCPF_SYN) { /* RFC 5961 4.2 */
		tcp_challenge(f);
	} else if (tcp_before(end, f->rcv_nxt) || tcp_after(s->seq, f->rcv_adv)) {
		if (!(s->flags & TCPF_RST))
			tcp_ack_now(f);
	} else if (s->flags & TCPF_RST) { /* RFC 5961 3.2 */
		if (s->seq == f->rcv_nxt) {
			stats_of(f->st)->tcp_reset++;
			flow_free(f, true);
		} else {
			tcp_challenge(f);
		}
	} else if (s->flags & TCPF_ACK) {
		if (ack_is_sane(f, s->ack)) {
			take_ack(f, s);
			tcp_take(f, s);
		} else {
			tcp_challenge(f);
		}
	}
}
