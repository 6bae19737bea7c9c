#include "wire/icmp.h"

#include "base/cursor.h"
#include "wire/checksum.h"

#include "t.h"

#include <errno.h>

static struct ip
six(uint8_t last)
{
	struct ip a = {{0x20, 0x01, 0x0d, 0xb8}};
	a.b[15] = last;
	return a;
}

static struct ippkt
packet(const struct ip *src, const struct ip *dst, const uint8_t *p, size_t n)
{
	return (struct ippkt){.src = *src,
	        .dst = *dst,
	        .proto = icmp_proto(src),
	        .payload = span(p, n),
	        .whole = span(p, n)};
}

/* Write, read back, compare, for both families. */
static void
round_trip(struct icmpmsg m, const struct ip *src, const struct ip *dst, uint8_t type, uint8_t code)
{
	uint8_t b[ICMP_HEAD + 5] = "........hello";
	struct icmpmsg got;
	icmp_put(b, &m, src, dst, 5, checksum_sum("hello", 5));
	assert_int_equal(b[0], type);
	assert_int_equal(b[1], code);
	struct ippkt k = packet(src, dst, b, sizeof b);
	assert_int_equal(icmp_parse(&k, &got), 0);
	assert_int_equal(got.kind, m.kind);
	t_text(got.body, "hello");
	if (m.kind == ICMP_KIND_ECHO)
		assert_true(got.id == m.id && got.seq == m.seq);
	if (m.kind == ICMP_KIND_TOO_BIG)
		assert_int_equal(got.mtu, m.mtu);
	for (size_t i = 0; i < sizeof b; i++) {
		b[i] ^= 0x10;
		assert_int_equal(icmp_parse(&k, &got), -EILSEQ);
		b[i] ^= 0x10;
	}
	for (size_t n = 0; n < ICMP_HEAD; n++) {
		k.payload.n = n;
		assert_int_equal(icmp_parse(&k, &got), -EBADMSG);
	}
}

static void
test_kinds(void **state)
{
	(void)state;
	static const struct {
		enum icmp_kind kind;
		uint8_t type4, code4, type6, code6;
	} rows[] = {
	        {ICMP_KIND_ECHO, 8, 0, 128, 0},
	        {ICMP_KIND_ECHO_REPLY, 0, 0, 129, 0},
	        {ICMP_KIND_NET_UNREACHABLE, 3, 0, 1, 0},
	        {ICMP_KIND_HOST_UNREACHABLE, 3, 1, 1, 3},
	        {ICMP_KIND_PROTO_UNREACHABLE, 3, 2, 4, 1},
	        {ICMP_KIND_PORT_UNREACHABLE, 3, 3, 1, 4},
	        {ICMP_KIND_TOO_BIG, 3, 4, 2, 0},
	        {ICMP_KIND_PROHIBITED, 3, 13, 1, 1},
	        {ICMP_KIND_TTL_EXCEEDED, 11, 0, 3, 0},
	        {ICMP_KIND_REASSEMBLY_TIMEOUT, 11, 1, 3, 1},
	        {ICMP_KIND_BAD_PARAMETER, 12, 0, 4, 0},
	};
	struct ip a4 = ip4(0x0a000202), b4 = ip4(0x0a00020f), a6 = six(1), b6 = six(2);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct icmpmsg m = {.kind = rows[i].kind, .id = 0x1234, .seq = 7, .mtu = 1400};
		round_trip(m, &a4, &b4, rows[i].type4, rows[i].code4);
		round_trip(m, &a6, &b6, rows[i].type6, rows[i].code6);
	}
	assert_int_equal(icmp_kind_of(false, 3, 10), ICMP_KIND_PROHIBITED);
	assert_int_equal(icmp_kind_of(false, 5, 0), ICMP_KIND_OTHER);
	assert_int_equal(icmp_kind_of(true, 135, 0), ICMP_KIND_OTHER);
	assert_int_equal(icmp_kind_of(true, 255, 255), ICMP_KIND_OTHER);
}

static void
test_family_must_fit(void **state)
{
	(void)state;
	struct ip a = six(1), b = six(2);
	uint8_t p[8] = {8, 0, 0xf7, 0xff};
	struct icmpmsg m;
	struct ippkt k = packet(&a, &b, p, sizeof p);
	k.proto = IPPROTO_ICMP;
	assert_int_equal(icmp_parse(&k, &m), -EBADMSG);
}

static void
test_other_is_raw(void **state)
{
	(void)state;
	struct ip a = ip4(0x0a000202), b = ip4(0x0a00020f);
	struct icmpmsg m = {.type = 13, .code = 2, .id = 1, .seq = 2};
	uint8_t p[ICMP_HEAD];
	icmp_put(p, &m, &a, &b, 0, 0);
	assert_int_equal(p[0], 13);
	assert_int_equal(p[1], 2);
	assert_int_equal(get32(p + 4), 0x00010002);
}

static void
test_may_answer(void **state)
{
	(void)state;
	struct ip a = ip4(0x0a00020f), b = ip4(0x01010101);
	uint8_t udp[8] = {0}, unreachable[8] = {3, 3}, echo[8] = {8};
	struct ippkt k = packet(&a, &b, udp, 8);
	k.proto = IPPROTO_UDP;
	assert_true(icmp_may_answer(&k));
	k.more = true; /* the first fragment may be answered */
	assert_true(icmp_may_answer(&k));
	k.offset = 8;
	assert_false(icmp_may_answer(&k));
	k = packet(&a, &b, unreachable, 8);
	assert_true(icmp_is_error(&k));
	assert_false(icmp_may_answer(&k));
	k = packet(&a, &b, echo, 8);
	assert_true(icmp_may_answer(&k));
	static const uint32_t many[] = {
	        0, 0x00000001, 0x7f000001, 0xe0000001, 0xf0000001, 0xffffffff};
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		k = packet(&a, &b, echo, 8);
		k.src = ip4(many[i]);
		assert_false(icmp_may_answer(&k));
		k = packet(&a, &b, echo, 8);
		k.dst = ip4(many[i]);
		assert_false(icmp_may_answer(&k));
	}
	static const char *const many6[] = {"::", "::1", "ff02::1"};
	uint8_t echo6[8] = {128}, big6[8] = {2};
	for (size_t i = 0; i < ARRAY_LEN(many6); i++) {
		struct ip s = six(1), d = six(2);
		k = packet(&s, &d, echo6, 8);
		assert_true(icmp_may_answer(&k));
		assert_true(ip_parse(span_str(many6[i]), &k.src));
		assert_false(icmp_may_answer(&k));
		k = packet(&s, &d, big6, 8);
		assert_false(icmp_may_answer(&k));
	}
}

static void
test_quote(void **state)
{
	(void)state;
	static uint8_t p[2000];
	struct ip a = ip4(1), b = ip4(2), c = six(1);
	struct ippkt k = packet(&a, &b, p, sizeof p);
	assert_int_equal(icmp_quote(&k).n + ICMP_HEAD + 20, 576);
	k = packet(&c, &c, p, sizeof p);
	assert_int_equal(icmp_quote(&k).n + ICMP_HEAD + 40, 1280);
	k = packet(&a, &b, p, 40);
	assert_int_equal(icmp_quote(&k).n, 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_kinds),
	        cmocka_unit_test(test_family_must_fit),
	        cmocka_unit_test(test_other_is_raw),
	        cmocka_unit_test(test_may_answer),
	        cmocka_unit_test(test_quote),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
