#include "net/signals.h"

#include "net/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <unistd.h>

struct seen {
	struct signals s;
	int n, last;
};

static void
came(struct signals *s, int number)
{
	struct seen *seen = CONTAINER_OF(s, struct seen, s);
	seen->n++;
	seen->last = number;
	worker_stop(s->w);
}

static void
come_from_the_loop(void **state)
{
	(void)state;
	struct worker w;
	struct log log;
	struct seen seen = {.n = 0};
	log_root(&log, STDERR_FILENO, LOG_ERROR, LOG_TEXT);
	assert_int_equal(worker_init(&w, &log), 0);
	const int which[] = {SIGUSR1, SIGUSR2, 0};
	assert_int_equal(signals_open(&seen.s, &w, which, came), 0);
	raise(SIGUSR1);
	assert_int_equal(seen.n, 0); /* not from inside the call */
	worker_run(&w);
	assert_int_equal(seen.last, SIGUSR1);
	raise(SIGUSR2);
	worker_run(&w);
	assert_int_equal(seen.last, SIGUSR2);
	assert_int_equal(seen.n, 2);
	signals_close(&seen.s);
	signals_close(&seen.s);
	assert_int_equal(worker_fini(&w), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(come_from_the_loop)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
