/* worker: one process's event loop and what belongs to it.
 *
 * Owner    the process; worker_init once, worker_fini last, outside the loop (it returns
 *          uv_loop_close's verdict: -EBUSY means that something was left open, and tests demand 0).
 * Order    worker_init -> worker_run (until worker_stop) -> worker_fini. A failed worker_init
 *          leaves nothing behind.
 * Pace     `turn` hooks run once at the end of every turn of the loop, before it sleeps: that is
 *          where dirty tunnels and sockets are flushed, one write each. What was hooked last runs
 *          first: transports are made before what stands on them, so they flush last.
 *          worker_later runs a job once at the start of the next turn: for news that must come
 *          from the loop, never from inside a call (`closed`), and for work that was cut short.
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

struct later { /* likewise; on no list = not due */
	struct list node;
	void (*run)(struct later *l);
};

struct worker {
	uv_loop_t loop;
	struct wheel wheel;
	struct poller *poller; /* edge-triggered sockets, see poller.h */
	struct log log;        /* root of this process's log */
	uint8_t *scratch;      /* WORKER_SCRATCH bytes for any one call, never kept across one */
	int guest_fds; /* guests' sockets have lower numbers, the rest is for clients; 0 = all */
	/* private */
	uv_timer_t wheel_timer;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uint64_t timer_at;
	struct list hooks, jobs;
	struct list *next_hook; /* while they run */
};

#define WORKER_SCRATCH (256u << 10)

int worker_init(struct worker *w, const struct log *log);
void worker_run(struct worker *w);
void worker_stop(struct worker *w); /* from inside the loop */
int worker_fini(struct worker *w);
/* A socket on behalf of a guest; negative errno, also where only clients' descriptors are left. */
int worker_guest_socket(const struct worker *w, int family, int type, int protocol);
uint64_t worker_now(const struct worker *w);
/* Look at the clock again: outside the loop, after something that took its time. */
void worker_look(struct worker *w);
void worker_hook(struct worker *w, struct turn_hook *h);
void worker_unhook(struct worker *w, struct turn_hook *h); /* legal inside any hook */
void later_init(struct later *l, void (*run)(struct later *l));
void worker_later(struct worker *w, struct later *l); /* once, however often asked */
void later_cancel(struct later *l);
