#include "policy/quota.h"

#include "tests/unit/policy/make.h"

static void
test_bytes(void **state)
{
	(void)state;
	struct quota q;
	quota_init(&q, 150, 0, 0);
	assert_true(quota_bytes(&q, 68));
	assert_true(quota_bytes(&q, 68));
	assert_false(quota_bytes(&q, 68));
	quota_init(&q, 11, 0, 0);
	assert_false(quota_bytes(&q, 12));
	quota_init(&q, 11, 0, 0);
	assert_true(quota_bytes(&q, 11)); /* the limit itself is still allowed */
	assert_false(quota_bytes(&q, 1));
	quota_init(&q, UINT64_MAX, 0, 0);
	assert_true(quota_bytes(&q, UINT64_MAX));
	assert_true(quota_bytes(&q, UINT64_MAX)); /* stays at the top instead of wrapping */
	quota_init(&q, 0, 0, 0);
	assert_true(quota_bytes(&q, UINT64_MAX));
	assert_true(quota_bytes(&q, 5));
}

static void
test_messages(void **state)
{
	(void)state;
	struct quota q;
	quota_init(&q, 0, 2, 5000);
	assert_true(quota_message(&q, 5000));
	assert_true(quota_message(&q, 5999));
	assert_false(quota_message(&q, 5999));
	assert_true(quota_message(&q, 6000)); /* a new window, opened by this message */
	assert_true(quota_message(&q, 6999));
	assert_false(quota_message(&q, 6999));
	assert_true(quota_message(&q, 9500));
	assert_true(quota_message(&q, 10499));
	assert_false(quota_message(&q, 10499));
	quota_init(&q, 0, 1, 0);
	assert_true(quota_message(&q, 999));
	assert_false(quota_message(&q, 999)); /* the first window opened with the session */
	assert_true(quota_message(&q, 1000));
	quota_init(&q, 0, 0, 0);
	for (int i = 0; i < 100000; i++)
		assert_true(quota_message(&q, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_bytes),
	        cmocka_unit_test(test_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
