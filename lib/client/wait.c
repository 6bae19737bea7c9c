#include "client/wait.h"

#include "net/worker.h"

static void
on_late(struct timer *timer, uint64_t now)
{
	(void)now;
	struct wait *t = CONTAINER_OF(timer, struct wait, timer);
	t->late = true;
	worker_stop(t->w);
}

void
wait_init(struct wait *t, struct worker *w)
{
	*t = (struct wait){.w = w};
	timer_init(&t->timer, on_late);
}

void
wait_fini(struct wait *t)
{
	wheel_del(&t->w->wheel, &t->timer);
}

bool
wait_for(struct wait *t, uint64_t deadline)
{
	t->late = false;
	wheel_add(&t->w->wheel, &t->timer, deadline);
	while (!t->woken && !t->late)
		worker_run(t->w);
	wheel_del(&t->w->wheel, &t->timer);
	bool woken = t->woken;
	t->woken = false;
	return woken;
}

void
wait_wake(struct wait *t)
{
	t->woken = true;
	worker_stop(t->w);
}
