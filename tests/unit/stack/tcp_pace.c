/* Pacing against a pipe: a rate, a base round trip, a queue without end. Time goes in steps of a
 * millisecond, and the sender always has more than it may send. */
#include "stack/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEPS = 1 << 16 };

struct pipe {
	double rate;   /* bytes a millisecond */
	unsigned base; /* ms */
	double sent, left, arrived;
	double history[STEPS]; /* bytes that have left the queue by each ms */
	uint64_t from, now;
	double noise;
	unsigned seed;
};

static double
in_flight(const struct pipe *q)
{
	return q->sent - q->arrived;
}

/* Bytes leave the queue at the rate, and are acknowledged a base round trip later. */
static void
pass(struct pipe *q, struct tcp_pace *p, uint64_t ms)
{
	for (uint64_t end = q->now + ms; q->now < end;) {
		if (in_flight(q) < pace_budget(p))
			q->sent += pace_budget(p) - in_flight(q);
		pace_limited(p);
		q->now++;
		q->seed = q->seed * 1103515245 + 12345;
		double rate = q->rate * (1 + q->noise * ((double)(q->seed >> 16) / 32768 - 1));
		q->left = q->left + rate < q->sent ? q->left + rate : q->sent;
		uint64_t t = q->now - q->from;
		assert_true(t < STEPS);
		q->history[t] = q->left;
		double seen = t > q->base ? q->history[t - q->base] : 0;
		double n = seen - q->arrived;
		q->arrived = seen;
		if (n >= 1) {
			double queue = (q->sent - q->left) / q->rate;
			if (q->now % 7 == 0)
				pace_sample(p, q->base + (uint32_t)queue);
			pace_arrived(p, (uint32_t)n, (uint32_t)in_flight(q), q->now);
		}
	}
}

static struct pipe *
start(struct tcp_pace *p, double mbit, unsigned base)
{
	struct pipe *q = calloc(1, sizeof *q);
	q->rate = mbit * 125;
	q->base = base;
	q->now = q->from = 1000000;
	pace_init(p, 1000, base * 1000, q->now);
	return q;
}

/* Share of the rate that was used in the next ms, and the mean queue in ms. */
static double
used(struct pipe *q, struct tcp_pace *p, uint64_t ms, double *queue)
{
	double from = q->arrived, sum = 0;
	for (uint64_t i = 0; i < ms; i++) {
		pass(q, p, 1);
		sum += (q->sent - q->left) / q->rate;
	}
	*queue = sum / (double)ms;
	return (q->arrived - from) / (q->rate * (double)ms);
}

static void
check(double mbit, unsigned base, double noise, double least_used, double most_queue)
{
	struct tcp_pace p;
	struct pipe *q = start(&p, mbit, base);
	double queue;
	q->noise = noise;
	pass(q, &p, 3000);
	double share = used(q, &p, 20000, &queue);
	if (getenv("SIM_VERBOSE"))
		print_message("# %g Mbit/s, %u ms: %.0f %% used, queue %.2f ms, budget %u\n", mbit,
		        base, share * 100, queue, pace_budget(&p));
	free(q);
	assert_true(share >= least_used);
	assert_true(queue <= most_queue);
}

static void
test_rates_and_round_trips(void **state)
{
	(void)state;
	check(50, 1, 0, 0.9, 2.5);
	check(50, 5, 0, 0.9, 3.5);
	check(50, 20, 0, 0.9, 5);
	check(10, 30, 0, 0.9, 12);
	check(200, 10, 0, 0.9, 4);
	check(600, 50, 0, 0.9, 8);
	check(10000, 1, 0, 0.95, 3.5);
	check(5, 200, 0, 0.85, 40);
}

static void
test_noise(void **state)
{
	(void)state;
	check(50, 5, 0.3, 0.75, 6);
	check(1000, 2, 0.3, 0.75, 6);
}

/* The rate falls to a tenth, and comes back. */
static void
test_changes(void **state)
{
	(void)state;
	struct tcp_pace p;
	struct pipe *q = start(&p, 500, 10);
	double queue;
	pass(q, &p, 2000);
	q->rate /= 10;
	pass(q, &p, 5000);
	assert_true(used(q, &p, 2000, &queue) > 0.9);
	assert_true(queue < 6);
	q->rate *= 10;
	pass(q, &p, 6000);
	assert_true(used(q, &p, 2000, &queue) > 0.85);
	/* The way gets longer: a larger budget is found although round trips got worse. */
	q->base = 60;
	pass(q, &p, 20000);
	assert_true(used(q, &p, 2000, &queue) > 0.8);
	free(q);
}

/* A round trip that was short while the guest was idle, and is not when it works. */
static void
test_wrong_idea_of_the_round_trip(void **state)
{
	(void)state;
	struct tcp_pace p;
	struct pipe *q = start(&p, 100, 16);
	double queue;
	pace_rtt(&p, 300);
	pass(q, &p, 8000);
	assert_true(used(q, &p, 5000, &queue) > 0.8);
	free(q);
}

static void
test_bounds(void **state)
{
	(void)state;
	struct tcp_pace p;
	pace_init(&p, 1000, 0, 5);
	assert_int_equal(pace_budget(&p), PACE_FIRST);
	struct pipe *q = start(&p, 0.1, 1);
	pass(q, &p, 60000);
	assert_in_range(pace_budget(&p), PACE_FLOOR / 2, PACE_FLOOR * 2);
	free(q);
	q = start(&p, 100000, 100);
	pass(q, &p, 5000);
	assert_true(pace_budget(&p) <= PACE_CAP && pace_budget(&p) >= PACE_CAP / 2);
	/* Nothing that was not held back is learned from. */
	pace_init(&p, 1000, 1000, 0);
	for (uint64_t now = 1; now < 10000; now++)
		pace_arrived(&p, 100, 100, now);
	assert_int_equal(pace_budget(&p), PACE_FIRST);
	/* A step of the clock of zero or of years. */
	pace_limited(&p);
	pace_arrived(&p, UINT32_MAX, 0, 10000);
	pace_arrived(&p, UINT32_MAX, 0, 1ull << 50);
	assert_true(pace_budget(&p) >= PACE_FLOOR / 2 && pace_budget(&p) <= PACE_CAP);
	free(q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_rates_and_round_trips),
	        cmocka_unit_test(test_noise),
	        cmocka_unit_test(test_changes),
	        cmocka_unit_test(test_wrong_idea_of_the_round_trip),
	        cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
