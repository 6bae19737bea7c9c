#include "policy/special.h"

#include "tests/unit/policy/make.h"

#define BOTH (SPECIAL_STACK | SPECIAL_PROXY)

static unsigned
views(const char *text)
{
	struct ip ip = make_ip(text), judged;
	return (special_find(&ip, SPECIAL_STACK, &judged) ? SPECIAL_STACK : 0) |
	       (special_find(&ip, SPECIAL_PROXY, &judged) ? SPECIAL_PROXY : 0);
}

static void
test_boundaries(void **state)
{
	(void)state;
	static const struct {
		const char *before, *first, *last, *after; /* before, after: nothing special */
		unsigned view;
	} cases[] = {
	        {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0", BOTH},
	        {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", BOTH},
	        {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", BOTH},
	        {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", BOTH},
	        {"168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17", SPECIAL_PROXY},
	        {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", BOTH},
	        {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", BOTH},
	        {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0", BOTH},
	        {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", SPECIAL_PROXY},
	        {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0", SPECIAL_PROXY},
	        {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", BOTH},
	        {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", BOTH},
	        {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", SPECIAL_PROXY},
	        {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", SPECIAL_PROXY},
	        {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL, BOTH},
	        {NULL, "240.0.0.0", "255.255.255.255", NULL, BOTH},
	        {NULL, "::", "::1", NULL, BOTH},
	        {NULL, "64:ff9c::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::", BOTH},
	        {NULL, "100::", "100::ffff:ffff:ffff:ffff", NULL, BOTH},
	        {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	                "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::", BOTH},
	        {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::",
	                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", SPECIAL_PROXY},
	        {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::",
	                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::", SPECIAL_PROXY},
	        {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	                "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, BOTH},
	        {NULL, "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, BOTH},
	        {NULL, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, BOTH},
	        {NULL, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, BOTH},
	        {NULL, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, BOTH},
	        {NULL, "ff00::", "ff02::1", NULL, BOTH},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].before && views(cases[i].before) != 0)
			fail_msg("before: %s", cases[i].before);
		if (views(cases[i].first) != cases[i].view)
			fail_msg("first: %s", cases[i].first);
		if (views(cases[i].last) != cases[i].view)
			fail_msg("last: %s", cases[i].last);
		if (cases[i].after && views(cases[i].after) != 0)
			fail_msg("after: %s", cases[i].after);
	}
}

static void
test_public(void **state)
{
	(void)state;
	static const char *const fine[] = {"8.8.8.8", "1.1.1.1", "93.184.216.34", "172.32.0.1",
	        "192.31.196.1", "192.52.193.1", "192.175.48.1", "2606:4700::1111",
	        "2a00:1450:4001::200e", "2001:4860:4860::8888", "2620:4f:8000::1",
	        "::ffff:8.8.8.8"};
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		if (views(fine[i]))
			fail_msg("%s", fine[i]);
}

/* The same IPv4 address in everything that can carry it. */
static void
test_embedded(void **state)
{
	(void)state;
	static const struct {
		const char *ip, *carries;
		unsigned view;
		const char *name;
	} cases[] = {
	        {"::ffff:10.0.0.1", "10.0.0.1", BOTH, "private use"},
	        {"64:ff9b::10.0.0.1", "10.0.0.1", BOTH, "private use"},
	        {"64:ff9b::127.0.0.1", "127.0.0.1", BOTH, "loopback"},
	        {"64:ff9b::a9fe:a9fe", "169.254.169.254", BOTH, "link local"},
	        {"64:ff9b::192.0.2.1", "192.0.2.1", SPECIAL_PROXY, "documentation"},
	        {"64:ff9b::8.8.8.8", NULL, 0, NULL},
	        {"64:ff9b:1::10.0.0.1", "10.0.0.1", BOTH, "private use"},
	        {"64:ff9b:1::8.8.8.8", NULL, 0, NULL},
	        {"64:ff9b:1:abcd::10.0.0.1", "10.0.0.1", BOTH, NULL},
	        {"64:ff9b:1:a00:0:100::", "10.0.0.1", BOTH, NULL}, /* RFC 6052 /48 */
	        {"64:ff9b:1:0a:0:1::", "10.0.0.1", BOTH, NULL},    /* /56 */
	        {"64:ff9b:1:0:a:0:100::", "10.0.0.1", BOTH, NULL}, /* /64 */
	        {"64:ff9b:1:808:8:800::", NULL, 0, NULL},          /* 8.8.8.8 as /48 */
	        {"64:ff9b:1::", "0.0.0.0", BOTH, "this network"},
	        {"64:ff9b:0:1::8.8.8.8", "64:ff9b:0:1::808:808", BOTH, "not global unicast"},
	        {"64:ff9b:2::8.8.8.8", "64:ff9b:2::808:808", BOTH, "not global unicast"},
	        {"2002:a00:1::", "10.0.0.1", BOTH, "private use"},
	        {"2002:7f00:1::1", "127.0.0.1", BOTH, "loopback"},
	        {"2002:c000:204::1", "192.0.2.4", SPECIAL_PROXY, "documentation"},
	        {"2002:808:808::1", NULL, 0, NULL},
	        {"::ffff:0:10.0.0.1", "10.0.0.1", BOTH, "private use"},
	        {"::ffff:0:8.8.8.8", NULL, 0, NULL},
	        {"::10.0.0.1", "10.0.0.1", BOTH, "private use"},
	        {"::8.8.8.8", NULL, 0, NULL},
	        {"::2", "0.0.0.2", BOTH, "this network"},
	        {"2606:4700::5efe:10.0.0.1", "10.0.0.1", BOTH, "private use"},
	        {"2606:4700::200:5efe:192.168.1.1", "192.168.1.1", BOTH, "private use"},
	        {"2606:4700::5efe:8.8.8.8", NULL, 0, NULL},
	        {"2606:4700::100:5efe:10.0.0.1", NULL, 0, NULL}, /* not ISATAP */
	        {"fe80::5efe:8.8.8.8", "fe80::5efe:808:808", BOTH, "link local"},
	        {"2001:0:a00:1:0:0:f7f7:f7f7", "2001:0:a00:1::f7f7:f7f7", BOTH, "Teredo"},
	        {"2001:0:808:808:0:0:f7f7:f7f7", "2001:0:808:808::f7f7:f7f7", BOTH, "Teredo"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip ip = make_ip(cases[i].ip), judged;
		char text[ADDR_TEXT];
		const struct special *s = special_find(&ip, SPECIAL_PROXY, &judged);
		if (views(cases[i].ip) != cases[i].view)
			fail_msg("%s: view %u", cases[i].ip, views(cases[i].ip));
		if (!s)
			continue;
		ip_text(&judged, text);
		if (cases[i].carries && cases[i].name && strcmp(text, cases[i].carries) != 0)
			fail_msg("%s: judged %s", cases[i].ip, text);
		if (cases[i].name && strcmp(s->name, cases[i].name) != 0)
			fail_msg("%s: %s", cases[i].ip, s->name);
	}
}

static void
test_teredo_carries(void **state)
{
	(void)state;
	struct ip ip = make_ip("2001:0:4136:e378:8000:63bf:3fff:fdd2"), server, client;
	struct special_embedded e = special_embedded(&ip);
	server = make_ip("65.54.227.120");
	client = make_ip("192.0.2.45");
	assert_string_equal(e.how, "Teredo");
	assert_int_equal(e.n, 2);
	assert_true(ip_eq(&e.ip[0], &server) && ip_eq(&e.ip[1], &client));
	ip = make_ip("8.8.8.8");
	assert_null(special_embedded(&ip).how);
}

/* Both ends of every row are special, and no row hides behind a wider one before it. */
static void
test_table(void **state)
{
	(void)state;
	const struct special *s;
	for (size_t i = 0; (s = special_at(i)); i++) {
		struct ip judged, last = s->range.ip;
		for (unsigned bit = s->range.bits; bit < 128; bit++)
			last.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		const struct special *at_first = special_find(&s->range.ip, s->view, &judged);
		const struct special *at_last = special_find(&last, s->view, &judged);
		assert_true(at_first && at_last);
		assert_true(at_first == s || at_last == s);
	}
	assert_int_equal(special_at(0)->range.bits, 96 + 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_boundaries),
	        cmocka_unit_test(test_public),
	        cmocka_unit_test(test_embedded),
	        cmocka_unit_test(test_teredo_carries),
	        cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
