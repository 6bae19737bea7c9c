/* wheel: a hierarchical timing wheel; any number of timers for one clock.
 *
 * For      every deadline of every flow and tunnel on a worker: no handle, no system call a timer.
 * Owner    the timer lives in its user; wheel_del (idempotent) before that memory goes away.
 * Order    wheel_init; wheel_add / wheel_del at will, also inside `fire`; wheel_advance runs every
 *          timer whose time has come, in order of time to within one tick, each at most once.
 * Pace     add, delete: O(1). Resolution one millisecond; the clock and every deadline stay below
 *          2^42 ms (139 years of uptime), later deadlines are cut to that.
 * Thread   none; `now` is always an argument, in milliseconds of a clock that never steps back. */
#pragma once

#include "base/list.h"

#include <stdint.h>

struct timer {
	struct list node; /* on no list = not armed */
	uint64_t when;
	void (*fire)(struct timer *t, uint64_t now); /* now: what wheel_advance was told */
};

#define WHEEL_LEVELS 7 /* 2^42 ms: the clock never leaves the top level */
#define WHEEL_SLOTS 64

struct wheel {
	uint64_t now;
	uint64_t bits[WHEEL_LEVELS]; /* which slots hold something */
	struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now);
void timer_init(struct timer *t, void (*fire)(struct timer *, uint64_t now));
/* Arm, or move if armed; `when` in the past fires at the next advance. */
void wheel_add(struct wheel *w, struct timer *t, uint64_t when);
void wheel_del(struct wheel *w, struct timer *t);
void wheel_advance(struct wheel *w, uint64_t now);
/* When wheel_advance must be called next, never late; UINT64_MAX = nothing armed. It may be early:
 * a far timer first has to come down a level. */
uint64_t wheel_next(const struct wheel *w);

static inline bool
timer_armed(const struct timer *t)
{
	return !list_empty(&t->node);
}
