#include "guest/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void
is(const struct ranges *r, uint32_t n, const uint32_t *want)
{
	assert_int_equal(r->n, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(r->v[i].left, want[2 * i]);
		assert_int_equal(r->v[i].right, want[2 * i + 1]);
	}
}

#define IS(r, ...) \
	is(r, sizeof((const uint32_t[]){__VA_ARGS__}) / 8, (const uint32_t[]){__VA_ARGS__})

static void
joins(void **state)
{
	(void)state;
	struct ranges r = {.n = 0};
	assert_true(ranges_add(&r, 10, 20));
	assert_true(ranges_add(&r, 30, 40));
	IS(&r, 10, 20, 30, 40);
	assert_true(ranges_add(&r, 20, 30));
	IS(&r, 10, 40);
	assert_true(ranges_add(&r, 12, 15));
	IS(&r, 10, 40);
	assert_true(ranges_add(&r, 50, 60));
	assert_true(ranges_add(&r, 5, 8));
	assert_true(ranges_add(&r, 70, 80));
	IS(&r, 5, 8, 10, 40, 50, 60, 70, 80);
	assert_true(ranges_add(&r, 39, 71));
	IS(&r, 5, 8, 10, 80);
	assert_int_equal(ranges_bytes(&r), 73);
}

static void
cuts(void **state)
{
	(void)state;
	struct ranges r = {.n = 0};
	ranges_add(&r, 10, 20);
	ranges_add(&r, 30, 40);
	ranges_cut(&r, 5);
	IS(&r, 10, 20, 30, 40);
	ranges_cut(&r, 15);
	IS(&r, 15, 20, 30, 40);
	ranges_cut(&r, 20);
	IS(&r, 30, 40);
	ranges_cut(&r, 100);
	assert_int_equal(r.n, 0);
}

static void
gaps(void **state)
{
	(void)state;
	struct ranges r = {.n = 0};
	struct range g;
	assert_false(ranges_gap(&r, 0, &g));
	ranges_add(&r, 10, 20);
	ranges_add(&r, 30, 40);
	assert_true(ranges_gap(&r, 0, &g));
	assert_int_equal(g.left, 0);
	assert_int_equal(g.right, 10);
	assert_true(ranges_gap(&r, 10, &g));
	assert_int_equal(g.left, 20);
	assert_int_equal(g.right, 30);
	assert_true(ranges_gap(&r, 25, &g));
	assert_int_equal(g.left, 25);
	assert_false(ranges_gap(&r, 30, &g));
	assert_false(ranges_gap(&r, 99, &g));
	assert_int_equal(ranges_end_of(&r, 10), 20);
	assert_int_equal(ranges_end_of(&r, 20), 20);
	assert_int_equal(ranges_end_of(&r, 39), 40);
}

static void
wraps(void **state)
{
	(void)state;
	struct ranges r = {.n = 0};
	struct range g;
	ranges_add(&r, 0xfffffff0, 0x10);
	ranges_add(&r, 0x20, 0x30);
	ranges_add(&r, 0xffffffe0, 0xffffffe8);
	IS(&r, 0xffffffe0, 0xffffffe8, 0xfffffff0, 0x10, 0x20, 0x30);
	assert_int_equal(ranges_bytes(&r), 8 + 0x20 + 0x10);
	assert_true(ranges_gap(&r, 0xfffffff8, &g));
	assert_int_equal(g.left, 0x10);
	assert_int_equal(g.right, 0x20);
	ranges_cut(&r, 0x8);
	IS(&r, 0x8, 0x10, 0x20, 0x30);
}

static void
is_full(void **state)
{
	(void)state;
	struct ranges r = {.n = 0};
	for (uint32_t i = 0; i < RANGES_MOST; i++)
		assert_true(ranges_add(&r, i * 10, i * 10 + 5));
	assert_false(ranges_add(&r, 1000, 1001));
	assert_false(ranges_add(&r, 6, 7));
	assert_true(ranges_add(&r, 5, 10)); /* joining makes room */
	assert_int_equal(r.n, RANGES_MOST - 1);
	assert_true(ranges_add(&r, 1000, 1001));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(joins),
	        cmocka_unit_test(cuts),
	        cmocka_unit_test(gaps),
	        cmocka_unit_test(wraps),
	        cmocka_unit_test(is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
