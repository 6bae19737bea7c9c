#include "base/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MANY 2000

struct probe {
	struct timer t;
	uint64_t fired;
};

static void
on_fire(struct timer *t, uint64_t now)
{
	struct probe *p = CONTAINER_OF(t, struct probe, t);
	assert_int_equal(p->fired, 0);
	p->fired = now;
}

/* Advance exactly when wheel_next says, as the loop does, and demand punctuality. */
static void
test_every_timer_fires_on_its_tick(void **state)
{
	(void)state;
	struct wheel w;
	struct probe *p = calloc(MANY, sizeof *p);
	wheel_init(&w, 1000003);
	srand(7);
	for (int i = 0; i < MANY; i++) {
		timer_init(&p[i].t, on_fire);
		wheel_add(&w, &p[i].t, w.now + 1 + (uint64_t)rand() % (1u << (i % 24 + 1)));
	}
	for (int i = 0; i < MANY; i += 7)
		wheel_del(&w, &p[i].t);
	for (uint64_t at; (at = wheel_next(&w)) != UINT64_MAX;)
		wheel_advance(&w, at);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(p[i].fired, i % 7 ? p[i].t.when : 0);
	free(p);
}

static void
test_past_and_far(void **state)
{
	(void)state;
	struct wheel w;
	struct probe past = {0}, far = {0};
	wheel_init(&w, (1ull << 36) - 3);
	timer_init(&past.t, on_fire);
	timer_init(&far.t, on_fire);
	wheel_add(&w, &past.t, 1);
	wheel_add(&w, &far.t, w.now + (1ull << 32) + 9);
	assert_int_equal(wheel_next(&w), (1ull << 36) - 2);
	wheel_advance(&w, (1ull << 36) - 2);
	assert_int_equal(past.fired, (1ull << 36) - 2);
	for (int i = 0; i < 100000 && !far.fired; i++)
		wheel_advance(&w, wheel_next(&w));
	assert_int_equal(far.fired, far.t.when);
}

static void
test_big_step(void **state)
{
	(void)state;
	struct wheel w;
	struct probe a = {0};
	wheel_init(&w, 0);
	timer_init(&a.t, on_fire);
	wheel_add(&w, &a.t, 4100);
	wheel_advance(&w, 100000);
	assert_int_equal(a.fired, 100000); /* told the time it is, not the time it was due */
	assert_int_equal(w.now, 100000);
	a.fired = 0;
	wheel_add(&w, &a.t, 100010);
	wheel_advance(&w, 100010);
	assert_int_equal(a.fired, 100010);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_every_timer_fires_on_its_tick),
	        cmocka_unit_test(test_past_and_far),
	        cmocka_unit_test(test_big_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
