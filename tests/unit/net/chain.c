#include "net/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Against a flat array: add, eat, look at any place. */
static void
test_against_a_model(void **state)
{
	(void)state;
	static uint8_t flat[1 << 20], p[20000], got[20000];
	struct slab s;
	struct chain c = {0};
	size_t n = 0;
	chain_slab_init(&s, 1 << 20);
	srand(5);
	for (int round = 0; round < 3000; round++) {
		size_t k = (size_t)rand() % sizeof p, skip = (size_t)rand() % (k + 1);
		if (n + k < 500000) {
			for (size_t i = 0; i < k; i++)
				p[i] = (uint8_t)rand();
			struct iovec iov[3] = {{p, k / 4}, {p + k / 4, 0}, {p + k / 4, k - k / 4}};
			assert_true(chain_add(&c, &s, iov, 3, skip, k - skip));
			memcpy(flat + n, p + skip, k - skip);
			n += k - skip;
		}
		size_t off = (size_t)rand() % (n + 1), want = (size_t)rand() % sizeof got + 1;
		struct iovec to[2] = {{got, want / 3}, {got + want / 3, want - want / 3}};
		size_t have = n - off < want ? n - off : want;
		assert_int_equal(chain_copy(&c, off, to, 2), have);
		assert_memory_equal(got, flat + off, have);
		struct iovec front[4];
		int pieces = chain_front(&c, front, 4, 9000);
		for (size_t i = 0, at = 0; i < (size_t)pieces; at += front[i++].iov_len)
			assert_memory_equal(front[i].iov_base, flat + at, front[i].iov_len);
		size_t eat = (size_t)rand() % (n + 1) / 2;
		chain_eat(&c, &s, eat);
		memmove(flat, flat + eat, n - eat);
		n -= eat;
		assert_int_equal(c.n, n);
	}
	chain_fini(&c, &s);
	assert_int_equal(s.used, 0);
	assert_null(c.head);
	slab_fini(&s);
}

static void
test_exhausted_slab_changes_nothing(void **state)
{
	(void)state;
	static uint8_t p[4 * CHAIN_PIECE];
	struct slab s;
	struct chain c = {0};
	struct iovec iov = {p, sizeof p};
	chain_slab_init(&s, 3 * CHAIN_PIECE);
	assert_false(chain_add(&c, &s, &iov, 1, 0, sizeof p));
	assert_int_equal(s.used, 0);
	assert_int_equal(c.n, 0);
	assert_true(chain_add(&c, &s, &iov, 1, 0, 2 * CHAIN_PIECE + 1));
	assert_false(chain_add(&c, &s, &iov, 1, 0, CHAIN_PIECE));
	assert_true(chain_add(&c, &s, &iov, 1, 0, CHAIN_PIECE - 1));
	assert_int_equal(c.n, 3 * CHAIN_PIECE);
	chain_fini(&c, &s);
	slab_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_against_a_model),
	        cmocka_unit_test(test_exhausted_slab_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
