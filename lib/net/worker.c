/* One prepare handle is the end of the turn: it runs the hooks and then arms the single timer that
 * stands for the whole wheel. Jobs for the next turn keep an idle handle running, which also keeps
 * the loop from sleeping. */
#include "net/worker.h"

#include "net/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void
on_wheel(uv_timer_t *t)
{
	struct worker *w = CONTAINER_OF(t, struct worker, wheel_timer);
	w->timer_at = UINT64_MAX;
	wheel_advance(&w->wheel, uv_now(&w->loop));
}

static void
arm_wheel(struct worker *w)
{
	uint64_t at = wheel_next(&w->wheel);
	if (at == w->timer_at)
		return;
	w->timer_at = at;
	if (at == UINT64_MAX) {
		uv_timer_stop(&w->wheel_timer);
		return;
	}
	uint64_t now = uv_now(&w->loop);
	uv_timer_start(&w->wheel_timer, on_wheel, at > now ? at - now : 0, 0);
}

/* Whoever goes off the list while hooks run moves the bookmark, see worker_unhook. */
static void
on_prepare(uv_prepare_t *p)
{
	struct worker *w = CONTAINER_OF(p, struct worker, prepare);
	for (struct list *n = w->hooks.next; n != &w->hooks; n = w->next_hook) {
		w->next_hook = n->next;
		struct turn_hook *h = LIST_ENTRY(n, struct turn_hook, node);
		h->turn(h);
	}
	w->next_hook = NULL;
	uv_update_time(&w->loop); /* a long turn must not make timers late by its length */
	arm_wheel(w);
}

/* Jobs asked for while these run belong to the next turn. */
static void
on_idle(uv_idle_t *i)
{
	struct worker *w = CONTAINER_OF(i, struct worker, idle);
	struct list due = w->jobs;
	if (list_empty(&w->jobs)) {
		uv_idle_stop(i);
		return;
	}
	due.next->prev = due.prev->next = &due;
	list_init(&w->jobs);
	for (struct list *n; (n = list_pop(&due));) {
		struct later *l = LIST_ENTRY(n, struct later, node);
		l->run(l);
	}
	if (list_empty(&w->jobs))
		uv_idle_stop(i);
}

int
worker_init(struct worker *w, const struct log *log)
{
	*w = (struct worker){.log = *log, .timer_at = UINT64_MAX};
	list_init(&w->hooks);
	list_init(&w->jobs);
	int r = uv_loop_init(&w->loop);
	if (r < 0)
		return r;
	wheel_init(&w->wheel, uv_now(&w->loop));
	uv_timer_init(&w->loop, &w->wheel_timer);
	uv_idle_init(&w->loop, &w->idle);
	uv_prepare_init(&w->loop, &w->prepare);
	uv_prepare_start(&w->prepare, on_prepare);
	w->scratch = malloc(WORKER_SCRATCH);
	r = w->scratch ? poller_open(w, &w->poller) : -ENOMEM;
	if (r < 0)
		worker_fini(w);
	return r;
}

void
worker_run(struct worker *w)
{
	uv_run(&w->loop, UV_RUN_DEFAULT);
}

void
worker_stop(struct worker *w)
{
	uv_stop(&w->loop);
}

/* The last turns let jobs run and handles close; they end when nothing moves any more, so that a
 * handle left open is reported instead of waited for. */
int
worker_fini(struct worker *w)
{
	for (int i = 0; i < 64 && !list_empty(&w->jobs); i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	if (w->poller)
		poller_close(w->poller);
	w->poller = NULL;
	uv_close((uv_handle_t *)&w->wheel_timer, NULL);
	uv_close((uv_handle_t *)&w->prepare, NULL);
	uv_close((uv_handle_t *)&w->idle, NULL);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	int r = -EBUSY;
	for (int i = 0; i < 8 && (r = uv_loop_close(&w->loop)) == UV_EBUSY; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	free(w->scratch);
	w->scratch = NULL;
	return r;
}

/* The kernel gives the lowest number that is free, so a number tells how many are taken. */
int
worker_guest_socket(const struct worker *w, int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	if (!w->guest_fds || fd < w->guest_fds)
		return fd;
	close(fd);
	return -EMFILE;
}

uint64_t
worker_now(const struct worker *w)
{
	return uv_now(&w->loop);
}

void
worker_look(struct worker *w)
{
	uv_update_time(&w->loop);
}

void
worker_hook(struct worker *w, struct turn_hook *h)
{
	list_push(&w->hooks, &h->node);
}

void
worker_unhook(struct worker *w, struct turn_hook *h)
{
	if (w->next_hook == &h->node)
		w->next_hook = h->node.next;
	list_del(&h->node);
}

void
later_init(struct later *l, void (*run)(struct later *l))
{
	list_init(&l->node);
	l->run = run;
}

void
worker_later(struct worker *w, struct later *l)
{
	if (!list_empty(&l->node))
		return;
	list_add(&w->jobs, &l->node);
	uv_idle_start(&w->idle, on_idle);
}

void
later_cancel(struct later *l)
{
	list_del(&l->node);
}
