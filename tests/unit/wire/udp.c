#include "wire/udp.h"

#include "base/cursor.h"
#include "wire/checksum.h"

#include "t.h"

#include <errno.h>

static struct ippkt
packet(struct ip src, struct ip dst, const uint8_t *p, size_t n)
{
	return (struct ippkt){.src = src, .dst = dst, .proto = IPPROTO_UDP, .payload = span(p, n)};
}

static struct ip
six(uint8_t last)
{
	struct ip a = {{0x20, 0x01, 0x0d, 0xb8}};
	a.b[15] = last;
	return a;
}

static void
round_trip(struct ip src, struct ip dst)
{
	uint8_t b[UDP_HEAD + 5 + 3] = "........hellopad";
	struct udpdgram u;
	udp_put(b, 53, 0xfedc, &src, &dst, 5, checksum_sum("hello", 5));
	struct ippkt k = packet(src, dst, b, sizeof b); /* IP padding behind the UDP length */
	assert_int_equal(udp_parse(&k, &u), 0);
	assert_int_equal(u.sport, 53);
	assert_int_equal(u.dport, 0xfedc);
	t_text(u.payload, "hello");
	for (size_t i = 0; i < UDP_HEAD + 5; i++) {
		b[i] ^= 1;
		assert_true(udp_parse(&k, &u) < 0);
		b[i] ^= 1;
	}
	for (size_t n = 0; n < UDP_HEAD + 5; n++) {
		k.payload.n = n;
		assert_int_equal(udp_parse(&k, &u), -EBADMSG);
	}
	put16(b + 4, UDP_HEAD - 1);
	k.payload.n = sizeof b;
	assert_int_equal(udp_parse(&k, &u), -EBADMSG);
}

static void
test_round_trip(void **state)
{
	(void)state;
	round_trip(ip4(0x0a000202), ip4(0x0a00020f));
	round_trip(six(1), six(2));
}

static void
test_zero_checksum(void **state)
{
	(void)state;
	uint8_t b[UDP_HEAD] = {0, 1, 0, 2, 0, 8, 0, 0};
	struct udpdgram u;
	struct ippkt k = packet(ip4(1), ip4(2), b, sizeof b);
	assert_int_equal(udp_parse(&k, &u), 0);
	assert_int_equal(u.payload.n, 0);
	k = packet(six(1), six(2), b, sizeof b);
	assert_int_equal(udp_parse(&k, &u), -EILSEQ);
}

/* A sum that comes out as 0 is written as ffff, and read back as right. */
static void
test_sum_of_zero(void **state)
{
	(void)state;
	struct ip src = ip4(0x0a000202), dst = ip4(0x0a00020f);
	uint8_t b[UDP_HEAD + 2];
	struct udpdgram u;
	udp_put(b, 1, 2, &src, &dst, 2, 0);
	put16(b + 8, get16(b + 6)); /* payload = what was missing */
	udp_put(b, 1, 2, &src, &dst, 2, checksum_sum(b + 8, 2));
	assert_int_equal(get16(b + 6), 0xffff);
	struct ippkt k = packet(src, dst, b, sizeof b);
	assert_int_equal(udp_parse(&k, &u), 0);
}

static void
test_ports(void **state)
{
	(void)state;
	uint8_t b[4] = {0x12, 0x34, 0, 53};
	uint16_t s, d;
	struct ippkt k = packet(ip4(1), ip4(2), b, sizeof b);
	assert_int_equal(udp_ports(&k, &s, &d), 0);
	assert_int_equal(s, 0x1234);
	assert_int_equal(d, 53);
	k.payload.n = 3;
	assert_int_equal(udp_ports(&k, &s, &d), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trip),
	        cmocka_unit_test(test_zero_checksum),
	        cmocka_unit_test(test_sum_of_zero),
	        cmocka_unit_test(test_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
