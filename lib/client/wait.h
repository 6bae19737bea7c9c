/* wait: the loop runs until something has happened: for tools that are written from top to bottom.
 *
 * Owner    embeds; wait_fini before the worker ends.
 * Order    wait_for outside callbacks only; wait_wake anywhere, also before wait_for, which then
 *          returns at once. What was woken for is the caller's to look up: it may be nothing new.
 * Thread   one worker. */
#pragma once

#include "base/wheel.h"

struct worker;

struct wait {
	struct worker *w;
	struct timer timer;
	bool woken, late;
};

void wait_init(struct wait *t, struct worker *w);
void wait_fini(struct wait *t);
/* True: somebody woke us; false: it is `deadline` (of worker_now). */
bool wait_for(struct wait *t, uint64_t deadline);
void wait_wake(struct wait *t);
