#include "obs/limit.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct shard
make(uint32_t workers, uint32_t slots)
{
	struct shard s;
	struct shard_conf c = {.workers = workers, .limit_slots = slots, .extra = 256};
	assert_int_equal(shard_new(&s, &c), 0);
	return s;
}

static void
test_counts_up_to_the_maximum(void **state)
{
	(void)state;
	struct shard s = make(1, 8);
	struct limit_hold h[4];
	uint32_t active;
	shard_attach(&s, 0);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(limit_acquire(&s, LIMIT_IP, SPAN_LIT("a"), 3, &h[i], &active), 0);
		assert_int_equal(active, i);
	}
	assert_int_equal(limit_acquire(&s, LIMIT_IP, SPAN_LIT("a"), 3, &h[3], &active), -EDQUOT);
	assert_int_equal(active, 3);
	assert_int_equal(h[3].slot, 0);
	limit_release(&s, &h[3]);
	assert_int_equal(limit_active(&s, LIMIT_IP, SPAN_LIT("a")), 3);
	limit_release(&s, &h[1]);
	limit_release(&s, &h[1]);
	assert_int_equal(limit_active(&s, LIMIT_IP, SPAN_LIT("a")), 2);
	assert_int_equal(limit_acquire(&s, LIMIT_IP, SPAN_LIT("a"), 3, &h[1], NULL), 0);
	shard_free(&s);
}

static void
test_kinds_and_keys_are_apart(void **state)
{
	(void)state;
	struct shard s = make(1, 8);
	struct limit_hold a, b, c, d;
	assert_int_equal(limit_acquire(&s, LIMIT_IP, SPAN_LIT("x"), 1, &a, NULL), 0);
	assert_int_equal(limit_acquire(&s, LIMIT_SID, SPAN_LIT("x"), 1, &b, NULL), 0);
	assert_int_equal(limit_acquire(&s, LIMIT_IP, SPAN_LIT("y"), 1, &c, NULL), 0);
	assert_int_equal(limit_acquire(&s, LIMIT_TUNNELS, SPAN_NONE, 1, &d, NULL), 0);
	assert_int_equal(limit_acquire(&s, LIMIT_TUNNELS, SPAN_NONE, 1, &d, NULL), -EDQUOT);
	assert_int_equal(limit_active(&s, LIMIT_SID, SPAN_LIT("y")), 0);
	shard_free(&s);
}

static void
test_full_table_refuses(void **state)
{
	(void)state;
	struct shard s = make(1, 4);
	struct limit_hold h[5];
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		        limit_acquire(&s, LIMIT_IP, span(&i, sizeof i), 9, &h[i], NULL), 0);
	int more = 4;
	struct span key = span(&more, sizeof more);
	assert_int_equal(limit_acquire(&s, LIMIT_IP, key, 9, &h[4], NULL), -ENOSPC);
	assert_int_equal(s.mine->metric[M_LIMIT_TABLE_FULL], 1);
	/* Without a maximum there is nothing to enforce. */
	assert_int_equal(limit_acquire(&s, LIMIT_IP, key, 0, &h[4], NULL), 0);
	assert_int_equal(h[4].slot, 0);
	limit_release(&s, &h[2]);
	assert_int_equal(limit_acquire(&s, LIMIT_IP, key, 9, &h[4], NULL), 0);
	int third = 2;
	assert_int_equal(limit_active(&s, LIMIT_IP, span(&third, sizeof third)), 0);
	assert_int_equal(limit_active(&s, LIMIT_IP, key), 1);
	shard_free(&s);
}

/* Many keys come and go at random; a plain array says what must be there. */
static void
test_against_a_model(void **state)
{
	(void)state;
	enum { KEYS = 40, HOLDS = 120 };
	struct shard s = make(2, 64);
	struct limit_hold h[HOLDS] = {0};
	int key_of[HOLDS];
	uint32_t want[KEYS] = {0};
	srand(3);
	for (int round = 0; round < 20000; round++) {
		int i = rand() % HOLDS, k = rand() % KEYS;
		s.mine = &s.block->row[i % 3];
		if (h[i].slot) {
			limit_release(&s, &h[i]);
			want[key_of[i]]--;
			continue;
		}
		int r = limit_acquire(&s, LIMIT_IP, span(&k, sizeof k), 3, &h[i], NULL);
		assert_int_equal(r, want[k] >= 3 ? -EDQUOT : 0);
		want[k] += r == 0;
		key_of[i] = k;
	}
	for (int k = 0; k < KEYS; k++)
		assert_int_equal(limit_active(&s, LIMIT_IP, span(&k, sizeof k)), want[k]);
	shard_free(&s);
}

static void
run_child(struct shard *s, uint32_t worker, void (*work)(struct shard *s), int how)
{
	pid_t pid = fork();
	if (pid == 0) {
		shard_attach(s, worker);
		work(s);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (how)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == how);
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
take_two(struct shard *s)
{
	struct limit_hold h[2];
	if (limit_acquire(s, LIMIT_SID, SPAN_LIT("sid"), 3, &h[0], NULL) ||
	        limit_acquire(s, LIMIT_SID, SPAN_LIT("sid"), 3, &h[1], NULL))
		_exit(1);
	metric_add(s, M_L2_SESSIONS, 2);
	metric_add(s, M_L2_SESSIONS_ACTIVE, 2);
}

static void
test_a_dead_worker_gives_back(void **state)
{
	(void)state;
	struct shard s = make(2, 16);
	struct limit_hold h;
	run_child(&s, 0, take_two, 0);
	assert_int_equal(limit_acquire(&s, LIMIT_SID, SPAN_LIT("sid"), 3, &h, NULL), 0);
	struct limit_hold over;
	assert_int_equal(limit_acquire(&s, LIMIT_SID, SPAN_LIT("sid"), 3, &over, NULL), -EDQUOT);
	shard_reset_worker(&s, 0);
	assert_int_equal(limit_active(&s, LIMIT_SID, SPAN_LIT("sid")), 1);
	limit_release(&s, &h);
	assert_int_equal(limit_active(&s, LIMIT_SID, SPAN_LIT("sid")), 0);
	shard_free(&s);
}

static void
die_locked(struct shard *s)
{
	take_two(s);
	shard_lock(s);
	kill(getpid(), SIGKILL);
}

static void
test_lock_of_a_dead_worker_is_taken_over(void **state)
{
	(void)state;
	struct shard s = make(2, 16);
	struct limit_hold h;
	run_child(&s, 1, die_locked, SIGKILL);
	assert_int_equal(limit_active(&s, LIMIT_SID, SPAN_LIT("sid")), 2);
	shard_reset_worker(&s, 1);
	assert_int_equal(limit_acquire(&s, LIMIT_SID, SPAN_LIT("sid"), 1, &h, NULL), 0);
	shard_free(&s);
}

/* Killed at any moment of its work, a worker leaves a table that adds up. */
static void
churn(struct shard *s)
{
	for (int i = 0;; i = (i + 1) % 7) {
		struct limit_hold h;
		if (limit_acquire(s, LIMIT_IP, span(&i, sizeof i), 2, &h, NULL) == 0)
			limit_release(s, &h);
	}
}

static void
test_killed_at_any_moment(void **state)
{
	(void)state;
	struct shard s = make(1, 8);
	struct limit_hold mine;
	int key = 3;
	assert_int_equal(limit_acquire(&s, LIMIT_IP, span(&key, sizeof key), 2, &mine, NULL), 0);
	for (int round = 0; round < 30; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			shard_attach(&s, 0);
			churn(&s);
		}
		usleep(500 + (useconds_t)round * 37);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		shard_reset_worker(&s, 0);
		for (int k = 0; k < 7; k++)
			assert_int_equal(limit_active(&s, LIMIT_IP, span(&k, sizeof k)), k == 3);
	}
	/* No slot was lost on the way: all the others can be had. */
	struct limit_hold h[8];
	for (int k = 10; k < 17; k++)
		assert_int_equal(
		        limit_acquire(&s, LIMIT_IP, span(&k, sizeof k), 2, &h[0], NULL), 0);
	shard_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_counts_up_to_the_maximum),
	        cmocka_unit_test(test_kinds_and_keys_are_apart),
	        cmocka_unit_test(test_full_table_refuses),
	        cmocka_unit_test(test_against_a_model),
	        cmocka_unit_test(test_a_dead_worker_gives_back),
	        cmocka_unit_test(test_lock_of_a_dead_worker_is_taken_over),
	        cmocka_unit_test(test_killed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
