/* worker: one process's event loop and what belongs to it.
 *
 * Owner    the process; worker_init once, worker_fini last (returns uv_loop_close's verdict: -EBUSY
 *          means that something was left open, and tests demand 0).
 * Order    worker_init -> worker_run (until worker_stop) -> worker_fini.
 * Pace     `turn` hooks run once at the end of every turn of the loop, before it sleeps: that is
 *          where dirty tunnels and sockets are flushed, one write each.
 * Time     worker_now: milliseconds, monotonic, cached for the turn. One timing wheel for all.
 * Thread   the process has one. */
#pragma once

#include "base/log.h"
#include "base/wheel.h"

#include <uv.h>

struct poller;

struct turn_hook { /* embedded in whoever wants to be called */
	struct list node;
	void (*turn)(struct turn_hook *h);
};

struct worker {
	uv_loop_t loop;
	struct wheel wheel;
	struct poller *poller; /* edge-triggered sockets, see poller.h */
	struct log log;        /* root of this process's log */
	uint8_t *scratch;      /* WORKER_SCRATCH bytes for any one call, never kept across one */
	/* private */
	uv_timer_t wheel_timer;
	uv_prepare_t prepare;
	uint64_t timer_at;
	struct list hooks;
};

#define WORKER_SCRATCH (256u << 10)

int worker_init(struct worker *w, const struct log *log);
void worker_run(struct worker *w);
void worker_stop(struct worker *w);
int worker_fini(struct worker *w);
uint64_t worker_now(const struct worker *w);
void worker_hook(struct worker *w, struct turn_hook *h);
void worker_unhook(struct turn_hook *h);
