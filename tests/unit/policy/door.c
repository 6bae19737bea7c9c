#include "policy/door.h"

#include "tests/unit/policy/make.h"

#include <stdlib.h>

static struct l2_conf
conf(void)
{
	static const char *const origin[] = {"https://app.test"}, *const host[] = {"l2.test"};
	return (struct l2_conf){
	        .origin = {.allowed = {.v = origin, .n = 1, .set = true}},
	        .host = {.allowed = {.v = host, .n = 1, .set = true}},
	        .auth = {.mode = AUTH_TOKEN,
	                .api_key = "key",
	                .session_secret = "",
	                .jwt_secret = "",
	                .jwt_audience = "",
	                .jwt_issuer = ""},
	        .client = {.trust_proxy = true},
	};
}

static void
expect(const struct door *d, struct head h, const char *query, enum refusal_why why)
{
	struct auth_room *room = malloc(sizeof *room);
	struct door_result *out = malloc(sizeof *out);
	h.query = span_str(query);
	door_check(d, &h, 0, room, out);
	assert_int_equal(out->refusal.why, why);
	free(out);
	free(room);
}

static void
test_order(void **state)
{
	(void)state;
	struct door d;
	struct err e = {0};
	struct l2_conf c = conf();
	assert_int_equal(door_init(&d, &c, &e), 0);
	expect(&d, HEAD(), "", REFUSAL_AUTH);
	expect(&d, HEAD(FIELD("Origin", "https://evil.test")), "token=x", REFUSAL_AUTH);
	expect(&d, HEAD(), "token=key", REFUSAL_ORIGIN_MISSING);
	expect(&d, HEAD(FIELD("Origin", "https://evil.test")), "token=key",
	        REFUSAL_ORIGIN_NOT_ALLOWED);
	expect(&d, HEAD(FIELD("Origin", "https://app.test")), "token=key", REFUSAL_HOST_MISSING);
	expect(&d, HEAD(FIELD("Origin", "https://app.test"), FIELD("Host", "x")), "token=key",
	        REFUSAL_HOST_NOT_ALLOWED);
	expect(&d, HEAD(FIELD("Origin", "https://app.test"), FIELD("Host", "l2.test:443")),
	        "token=key", REFUSAL_NONE);
	expect(&d, HEAD(FIELD("Origin", "https://app.test"), FIELD("Host", "l2.test:443")),
	        "token=keys", REFUSAL_AUTH);
	door_fini(&d);
}

static void
test_open_keeps_auth_on(void **state)
{
	(void)state;
	struct door d;
	struct err e = {0};
	struct l2_conf c = conf();
	c.origin.open = true;
	c.host.allowed = LIST();
	assert_int_equal(door_init(&d, &c, &e), 0);
	expect(&d, HEAD(), "", REFUSAL_AUTH);
	expect(&d, HEAD(), "token=key", REFUSAL_NONE);
	door_fini(&d);
}

static void
test_init_errors(void **state)
{
	(void)state;
	struct door d;
	struct err e = {0};
	struct l2_conf c = conf();
	c.auth.api_key = "";
	assert_int_not_equal(door_init(&d, &c, &e), 0);
	c = conf();
	c.origin.allowed = LIST("app.test");
	assert_int_not_equal(door_init(&d, &c, &e), 0);
	c = conf();
	c.host.allowed = LIST("a:b:c");
	assert_int_not_equal(door_init(&d, &c, &e), 0);
	c = conf();
	c.client.trusted_proxies = LIST("proxy.test");
	assert_int_not_equal(door_init(&d, &c, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_order),
	        cmocka_unit_test(test_open_keeps_auth_on),
	        cmocka_unit_test(test_init_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
