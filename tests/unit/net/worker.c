#include "net/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <unistd.h>

struct seen {
	struct turn_hook hook;
	struct later later;
	struct timer timer;
	struct worker *w;
	struct seen *other;
	char *trace;
	char name;
	int stop_after, runs;
};

static void
note(struct seen *s, char c)
{
	char t[2] = {c, 0};
	strcat(s->trace, t);
}

static void
on_turn(struct turn_hook *h)
{
	struct seen *s = CONTAINER_OF(h, struct seen, hook);
	note(s, s->name);
	if (s->other)
		worker_unhook(s->w, &s->other->hook);
	if (++s->runs == s->stop_after)
		worker_stop(s->w);
	else
		worker_later(s->w, &s->later);
}

static void
on_later(struct later *l)
{
	note(CONTAINER_OF(l, struct seen, later), '.');
}

static void
on_stop(struct later *l)
{
	worker_stop(CONTAINER_OF(l, struct seen, later)->w);
}

static void
start(struct worker *w)
{
	struct log log;
	log_root(&log, STDERR_FILENO, LOG_ERROR, LOG_TEXT);
	assert_int_equal(worker_init(w, &log), 0);
}

static void
hooks_last_first(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	char trace[32] = "";
	struct seen a = {.w = &w, .trace = trace, .name = 'a', .stop_after = 2};
	struct seen b = {.w = &w, .trace = trace, .name = 'b'};
	a.hook.turn = b.hook.turn = on_turn;
	later_init(&a.later, on_later);
	later_init(&b.later, on_later);
	worker_hook(&w, &a.hook);
	worker_hook(&w, &b.hook);
	worker_run(&w);
	assert_string_equal(trace, "ba..ba");
	worker_unhook(&w, &a.hook);
	worker_unhook(&w, &b.hook);
	later_cancel(&b.later);
	assert_int_equal(worker_fini(&w), 0);
}

static void
hook_takes_others_away(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	char trace[32] = "";
	struct seen a = {.w = &w, .trace = trace, .name = 'a', .stop_after = 1};
	struct seen b = {.w = &w, .trace = trace, .name = 'b'};
	struct seen c = {.w = &w, .trace = trace, .name = 'c', .other = &b};
	a.hook.turn = b.hook.turn = c.hook.turn = on_turn;
	later_init(&a.later, on_later);
	later_init(&b.later, on_later);
	later_init(&c.later, on_later);
	worker_hook(&w, &a.hook);
	worker_hook(&w, &b.hook);
	worker_hook(&w, &c.hook);
	worker_run(&w);
	assert_string_equal(trace, "ca");
	later_cancel(&c.later);
	assert_int_equal(worker_fini(&w), 0);
}

static void
again(struct later *l)
{
	struct seen *s = CONTAINER_OF(l, struct seen, later);
	if (++s->runs == 5)
		worker_stop(s->w);
	worker_later(s->w, l);
}

static void
job_asks_for_itself(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	struct seen a = {.w = &w};
	later_init(&a.later, again);
	worker_later(&w, &a.later);
	worker_later(&w, &a.later);
	worker_run(&w);
	assert_int_equal(a.runs, 5);
	later_cancel(&a.later);
	assert_int_equal(worker_fini(&w), 0);
}

static void
cancel_other(struct later *l)
{
	struct seen *s = CONTAINER_OF(l, struct seen, later);
	later_cancel(&s->other->later);
	worker_stop(s->w);
}

static void
job_cancels_a_job_of_its_batch(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	char trace[32] = "";
	struct seen b = {.w = &w, .trace = trace}, a = {.w = &w, .other = &b};
	later_init(&a.later, cancel_other);
	later_init(&b.later, on_later);
	worker_later(&w, &a.later);
	worker_later(&w, &b.later);
	worker_run(&w);
	assert_string_equal(trace, "");
	assert_int_equal(worker_fini(&w), 0);
}

static void
on_timer(struct timer *t, uint64_t now)
{
	struct seen *s = CONTAINER_OF(t, struct seen, timer);
	assert_true(now >= t->when);
	assert_true(now <= worker_now(s->w));
	note(s, s->name);
	if (s->stop_after)
		worker_stop(s->w);
}

static void
timers_fire_in_order(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	char trace[32] = "";
	struct seen a = {.w = &w, .trace = trace, .name = 'a', .stop_after = 1};
	struct seen b = {.w = &w, .trace = trace, .name = 'b'};
	struct seen gone = {.w = &w, .trace = trace, .name = 'g'};
	timer_init(&a.timer, on_timer);
	timer_init(&b.timer, on_timer);
	timer_init(&gone.timer, on_timer);
	uint64_t t0 = worker_now(&w);
	wheel_add(&w.wheel, &a.timer, t0 + 30);
	wheel_add(&w.wheel, &b.timer, t0 + 10);
	wheel_add(&w.wheel, &gone.timer, t0 + 5);
	wheel_del(&w.wheel, &gone.timer);
	worker_run(&w);
	assert_string_equal(trace, "ba");
	assert_in_range(worker_now(&w) - t0, 30, 500);
	assert_int_equal(worker_fini(&w), 0);
}

static void
hook_arms_a_timer(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	char trace[32] = "";
	struct seen a = {.w = &w, .trace = trace, .name = 't', .stop_after = 1};
	timer_init(&a.timer, on_timer);
	wheel_add(&w.wheel, &a.timer, 0); /* the past: at the next tick */
	worker_run(&w);
	assert_string_equal(trace, "t");
	assert_int_equal(worker_fini(&w), 0);
}

static void
nothing_to_do_sleeps(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	struct seen a = {.w = &w};
	later_init(&a.later, on_stop);
	worker_later(&w, &a.later);
	worker_run(&w);
	assert_false(uv_is_active((uv_handle_t *)&w.idle));
	assert_int_equal(uv_backend_timeout(&w.loop), -1);
	assert_int_equal(worker_fini(&w), 0);
}

static void
on_uv_timer(uv_timer_t *t)
{
	(void)t;
}

static void
left_open_is_reported(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	uv_timer_t t;
	uv_timer_init(&w.loop, &t);
	uv_timer_start(&t, on_uv_timer, 60000, 0);
	assert_int_equal(worker_fini(&w), UV_EBUSY);
	uv_close((uv_handle_t *)&t, NULL);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w.loop), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(hooks_last_first),
	        cmocka_unit_test(hook_takes_others_away),
	        cmocka_unit_test(job_asks_for_itself),
	        cmocka_unit_test(job_cancels_a_job_of_its_batch),
	        cmocka_unit_test(timers_fire_in_order),
	        cmocka_unit_test(hook_arms_a_timer),
	        cmocka_unit_test(nothing_to_do_sleeps),
	        cmocka_unit_test(left_open_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
