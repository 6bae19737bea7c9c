/* mac, ether and arp: what is below IP. */
#include "wire/arp.h"
#include "wire/ether.h"

#include "t.h"

#include <errno.h>

static void
test_mac_text(void **state)
{
	(void)state;
	struct mac m, was = {{9, 9, 9, 9, 9, 9}};
	char buf[MAC_TEXT];
	assert_true(mac_parse(SPAN_LIT("02:00:00:00:00:01"), &m));
	assert_string_equal(mac_text(&m, buf), "02:00:00:00:00:01");
	assert_true(mac_parse(SPAN_LIT("AA-bb-CC-dd-EE-ff"), &m));
	assert_string_equal(mac_text(&m, buf), "aa:bb:cc:dd:ee:ff");
	static const char *const bad[] = {"", "02:00:00:00:00", "02:00:00:00:00:1",
	        "02:00:00:00:00:01:", "02:00-00:00:00:01", "0g:00:00:00:00:01", "02.00.00.00.00.01",
	        "02:00:00:00:00:011"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		m = was;
		assert_false(mac_parse(span_str(bad[i]), &m));
		assert_true(mac_eq(&m, &was));
	}
}

static void
test_mac_kinds(void **state)
{
	(void)state;
	struct mac multi = {{0x33, 0x33, 0, 0, 0, 1}}, one = {{2, 0, 0, 0, 0, 1}};
	assert_true(mac_is_broadcast(&MAC_BROADCAST));
	assert_true(mac_is_multicast(&MAC_BROADCAST));
	assert_true(mac_is_multicast(&multi));
	assert_false(mac_is_broadcast(&multi));
	assert_false(mac_is_multicast(&one));
}

static void
test_ether(void **state)
{
	(void)state;
	struct bytes f = t_hex("ffffffffffff 020000000001 0806 0102");
	struct ether e;
	assert_int_equal(ether_parse(t_span(&f), &e), 0);
	assert_true(mac_is_broadcast(&e.dst));
	assert_int_equal(e.type, ETHER_ARP);
	assert_int_equal(e.payload.n, 2);
	uint8_t again[ETHER_HEAD];
	ether_put(again, &e.dst, &e.src, e.type);
	assert_memory_equal(again, f.b, ETHER_HEAD);
	for (size_t n = 0; n < ETHER_HEAD; n++)
		assert_int_equal(ether_parse(span(f.b, n), &e), -EBADMSG);
	assert_int_equal(ether_parse(span(f.b, ETHER_HEAD), &e), 0);
	assert_int_equal(e.payload.n, 0);
}

static void
test_arp(void **state)
{
	(void)state;
	/* Who has 10.0.2.2? A probe: the sender has no address yet (RFC 5227). */
	struct bytes b = t_hex("0001 0800 06 04 0001 525400123456 00000000 000000000000 0a000202"
	                       " 000000000000000000000000000000000000");
	struct arp a;
	assert_int_equal(arp_parse(t_span(&b), &a), 0);
	assert_int_equal(a.op, ARP_REQUEST);
	assert_int_equal(ip_u32(&a.sender), 0);
	assert_int_equal(ip_u32(&a.target), 0x0a000202);
	uint8_t again[ARP_LEN];
	arp_put(again, &a);
	assert_memory_equal(again, b.b, ARP_LEN);
	assert_int_equal(arp_parse(span(b.b, ARP_LEN), &a), 0);
	assert_int_equal(arp_parse(span(b.b, ARP_LEN - 1), &a), -EBADMSG);
	for (size_t i = 0; i < 6; i++) { /* each of the four constants */
		struct bytes bad = b;
		bad.b[i] ^= 0x40;
		assert_int_equal(arp_parse(t_span(&bad), &a), -EBADMSG);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_mac_text),
	        cmocka_unit_test(test_mac_kinds),
	        cmocka_unit_test(test_ether),
	        cmocka_unit_test(test_arp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
