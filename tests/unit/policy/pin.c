#include "policy/pin.h"

#include "tests/unit/policy/make.h"

static const struct hash_key key = {1, 2};

static void
test_expiry(void **state)
{
	(void)state;
	struct pins t;
	struct ip a = make_ip("93.184.216.34"), b = make_ip("2001:4860::1");
	pin_init(&t, &key, 4, 500);
	assert_false(pin_has(&t, &a, 0));
	assert_true(pin_add(&t, &a, 1000, 100));
	assert_true(pin_add(&t, &b, 0, 100));
	assert_true(pin_has(&t, &a, 100));
	assert_true(pin_has(&t, &b, 599)); /* the grace alone */
	assert_false(pin_has(&t, &b, 600));
	assert_true(pin_has(&t, &a, 1599));
	assert_false(pin_has(&t, &a, 1600));
	assert_int_equal(t.used, 0);
	assert_true(pin_add(&t, &a, 1000, 2000));
	assert_true(pin_add(&t, &a, 10, 2100)); /* a shorter answer takes nothing away */
	assert_true(pin_has(&t, &a, 3499));
	assert_true(pin_add(&t, &a, UINT64_MAX, 3499));
	assert_true(pin_has(&t, &a, UINT64_MAX - 1));
	pin_fini(&t);
}

static void
test_cap(void **state)
{
	(void)state;
	struct pins t;
	struct ip ip[5];
	pin_init(&t, &key, 4, 0);
	for (uint32_t i = 0; i < 5; i++)
		ip[i] = ip4(0x08080800 + i);
	for (uint32_t i = 0; i < 4; i++)
		assert_true(pin_add(&t, &ip[i], 1000, 0));
	assert_true(pin_has(&t, &ip[0], 1)); /* used: the next oldest goes */
	assert_true(pin_add(&t, &ip[4], 1000, 1));
	assert_int_equal(t.used, 4);
	assert_true(pin_has(&t, &ip[0], 2));
	assert_false(pin_has(&t, &ip[1], 2));
	assert_true(pin_has(&t, &ip[2], 2));
	assert_true(pin_has(&t, &ip[3], 2));
	assert_true(pin_has(&t, &ip[4], 2));
	pin_fini(&t);
	pin_init(&t, &key, 0, 0);
	assert_false(pin_add(&t, &ip[0], 1000, 0));
	pin_fini(&t);
}

static void
test_many(void **state)
{
	(void)state;
	struct pins t;
	pin_init(&t, &key, 1000, 0);
	for (uint32_t i = 0; i < 10000; i++) {
		struct ip ip = ip4(i);
		assert_true(pin_add(&t, &ip, 1000, i));
	}
	assert_int_equal(t.used, 1000);
	struct ip newest = ip4(9999), oldest = ip4(9000), gone = ip4(8999);
	assert_true(pin_has(&t, &newest, 9999));
	assert_true(pin_has(&t, &oldest, 9999));
	assert_false(pin_has(&t, &gone, 9999));
	pin_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_expiry),
	        cmocka_unit_test(test_cap),
	        cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
