/* Round trips are known to the millisecond at best, which says nothing about a queue of one or two.
 * So the budget is found by trying: does a quarter more of it bring more bytes a second? Then there
 * was no queue, and it stays. Does half of it bring as many? Then there was one, and the budget
 * shrinks. Round trips, where they are long enough to be measured, only speed this up.
 *
 *   startup   the budget grows by what arrives, until the round trip shows a queue or the rate
 *             stops growing
 *   after     phases of two epochs each, the first of which only lets the change take effect:
 *             as it is, a quarter more, as it is, a quarter more, ... half.
 *
 * An epoch ends when everything that was under way at its beginning has arrived, but is long enough
 * to be measured. Epochs in which the budget held nobody back teach nothing.
 *
 * The budget is never less than what arrives within the queueing delay that is accepted anyway; on
 * a fast short path that alone is more than enough, and the rest does not matter. */
#include "stack/pace.h"

#include <string.h>

enum {
	EPOCH_LEAST_MS = 8,
	PERIOD_MS = 10000, /* how long the shortest round trip is believed */
	PHASES = 16,
	PHASE_HALF = PHASES - 1,
	RATE_MOST = INT32_MAX,
	SLOW_MOST = 3, /* epochs without growth end startup */
	NOISE_US = 1000,
};

static uint32_t
clamp(uint64_t v)
{
	if (v < PACE_FLOOR)
		return PACE_FLOOR;
	return v < PACE_CAP ? (uint32_t)v : PACE_CAP;
}

void
pace_init(struct tcp_pace *p, uint32_t target_us, uint32_t rtt_us, uint64_t now)
{
	*p = (struct tcp_pace){
	        .budget = PACE_FIRST,
	        .base = PACE_FIRST,
	        .target_us = target_us / 2, /* trying more of the budget takes the rest */
	        .least_us = rtt_us ? rtt_us : UINT32_MAX,
	        .least_before_us = UINT32_MAX,
	        .period_at = now,
	        .epoch_at = now,
	        .startup = true,
	};
}

void
pace_sample(struct tcp_pace *p, uint32_t ms)
{
	p->sample_sum += ms;
	p->sample_n++;
}

void
pace_rtt(struct tcp_pace *p, uint32_t rtt_us)
{
	if (rtt_us && rtt_us < p->least_us)
		p->least_us = rtt_us;
}

void
pace_limited(struct tcp_pace *p)
{
	p->limited = true;
}

static uint32_t
least_rtt(const struct tcp_pace *p)
{
	uint32_t us = p->least_us < p->least_before_us ? p->least_us : p->least_before_us;
	return us == UINT32_MAX ? 0 : us;
}

/* Bytes that arrive at this rate within so many microseconds. */
static uint64_t
within(uint32_t rate, uint64_t us)
{
	return (uint64_t)rate * us / 1000000;
}

/* What an epoch has shown. */
struct lesson {
	uint32_t rate;   /* bytes a second */
	uint32_t rtt_us; /* mean; 0 = nobody timed any */
};

/* Is there a queue beyond what is accepted? `times`: how sure. */
static bool
is_queueing(const struct tcp_pace *p, const struct lesson *l, uint32_t times)
{
	uint64_t least = least_rtt(p);
	uint64_t slack = (p->target_us > least / 8 ? p->target_us : least / 8) + NOISE_US;
	return l->rtt_us && least && l->rtt_us > least + slack * times;
}

/* What it takes at this rate when nothing queues. */
static uint32_t
fair(const struct tcp_pace *p, const struct lesson *l)
{
	return clamp(within(l->rate, (uint64_t)least_rtt(p) + p->target_us));
}

static void
cut(struct tcp_pace *p, const struct lesson *l, uint64_t to)
{
	uint32_t base = clamp(to);
	if (base >= p->base)
		return;
	p->cut_from = p->base;
	p->cut_rate = l->rate;
	p->base = base;
}

/* If the rate has fallen with the budget there was no queue: the way itself takes that long when
 * it has work to do, whatever it took before. */
static void
check_cut(struct tcp_pace *p, const struct lesson *l)
{
	uint32_t share = (uint32_t)((uint64_t)p->cut_rate * (p->cut_from - p->base) / p->cut_from);
	if (l->rate < p->cut_rate - share / 2) {
		p->base = p->cut_from;
		if (l->rtt_us)
			p->least_us = p->least_before_us = l->rtt_us;
	}
	p->cut_from = 0;
}

static void
learn_in_startup(struct tcp_pace *p, const struct lesson *l)
{
	bool queueing = is_queueing(p, l, 2);
	if (p->limited) {
		bool grew = l->rate > p->rate_last + p->rate_last / 4;
		p->slow = grew ? 0 : (uint8_t)(p->slow + 1);
		p->rate_last = l->rate;
		queueing |= p->slow && is_queueing(p, l, 1);
	}
	if (queueing)
		cut(p, l, fair(p, l));
	p->startup = !queueing && p->slow < SLOW_MOST && p->base < PACE_CAP;
}

/* The budget held nobody back, and still there is a queue: it is much too large. */
static void
learn_unlimited(struct tcp_pace *p, const struct lesson *l)
{
	if (is_queueing(p, l, 2))
		cut(p, l, fair(p, l));
}

static bool
tries_more(const struct tcp_pace *p)
{
	return p->phase % 2 && p->phase != PHASE_HALF;
}

static void
learn_later(struct tcp_pace *p, const struct lesson *l)
{
	if (p->phase == PHASE_HALF) {
		if (l->rate >= p->rate_base - p->rate_base / 16)
			p->base = clamp(p->base - p->base / 4);
	} else if (p->phase % 2 == 0) {
		p->rate_base = l->rate;
		if (p->cut_from)
			check_cut(p, l);
		else if (is_queueing(p, l, 2))
			cut(p, l, p->base / 2);
	} else if (tries_more(p) && l->rate > p->rate_base + p->rate_base / 10) {
		p->base = clamp(p->base + p->base / 4);
	} else if (is_queueing(p, l, 1)) {
		p->base = clamp(p->base - p->base / 8);
	}
	uint64_t least = within(l->rate, p->target_us);
	if (p->base < least)
		p->base = clamp(least);
	p->phase = (uint8_t)((p->phase + 1) % PHASES);
}

static void
set_budget(struct tcp_pace *p)
{
	p->budget = p->base;
	if (p->startup)
		return;
	if (p->phase == PHASE_HALF)
		p->budget = p->base / 2 > PACE_FLOOR / 2 ? p->base / 2 : PACE_FLOOR / 2;
	else if (tries_more(p))
		p->budget = clamp(p->base + p->base / 4);
}

static void
note_rtt(struct tcp_pace *p, uint32_t us, uint64_t now)
{
	if (now - p->period_at >= PERIOD_MS) {
		p->least_before_us = p->least_us;
		p->least_us = UINT32_MAX;
		p->period_at = now;
	}
	pace_rtt(p, us);
}

static void
end_epoch(struct tcp_pace *p, uint32_t in_flight, uint64_t now)
{
	uint64_t ms = now - p->epoch_at, n = p->delivered - p->delivered_at_start;
	uint64_t rate = n * 1000 / (ms ? ms : 1);
	struct lesson l = {.rate = rate < RATE_MOST ? (uint32_t)rate : RATE_MOST};
	if (p->sample_n)
		l.rtt_us = (uint32_t)((uint64_t)p->sample_sum * 1000 / p->sample_n);
	if (l.rtt_us)
		note_rtt(p, l.rtt_us, now);
	if (p->startup)
		learn_in_startup(p, &l);
	else if (!p->limited)
		learn_unlimited(p, &l);
	else if (p->settled)
		learn_later(p, &l);
	p->settled = p->limited && !p->settled;
	p->limited = false;
	p->sample_sum = p->sample_n = 0;
	p->delivered_at_start = p->delivered;
	p->mark = p->delivered + in_flight;
	p->epoch_at = now;
	set_budget(p);
}

void
pace_arrived(struct tcp_pace *p, uint32_t n, uint32_t in_flight, uint64_t now)
{
	p->delivered += n;
	if (p->startup && p->limited)
		p->budget = p->base = clamp((uint64_t)p->base + n);
	if (p->delivered >= p->mark && now - p->epoch_at >= EPOCH_LEAST_MS)
		end_epoch(p, in_flight, now);
}
