#include "wire/ippkt.h"

#include "base/cursor.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

#include "t.h"

#include <errno.h>

static void
fix_sum(struct bytes *b)
{
	size_t head = (b->b[0] & 15u) * 4;
	put16(b->b + 10, 0);
	put16(b->b + 10, checksum_finish(checksum_sum(b->b, head)));
}

/* A header as seen on many wires, with the checksum everybody knows: b861. */
static const char sample4[] = "45 00 00 73 00 00 40 00 40 11 b8 61 c0 a8 00 01 c0 a8 00 c7";

static struct bytes
packet4(void)
{
	struct bytes b = t_hex(sample4);
	b.n = 0x73;
	return b;
}

static void
test_v4(void **state)
{
	(void)state;
	struct bytes b = packet4();
	struct ippkt k;
	b.n += 7; /* link padding */
	assert_int_equal(ippkt_parse(t_span(&b), &k), 0);
	assert_int_equal(ip_u32(&k.src), 0xc0a80001);
	assert_int_equal(ip_u32(&k.dst), 0xc0a800c7);
	assert_int_equal(k.proto, IPPROTO_UDP);
	assert_int_equal(k.ttl, 64);
	assert_true(k.dont_fragment);
	assert_false(ippkt_is_fragment(&k));
	assert_int_equal(k.whole.n, 0x73);
	assert_int_equal(k.payload.n, 0x73 - 20);
	uint8_t again[IPPKT_HEAD_MOST];
	assert_int_equal(ippkt_head_len(&k), 20);
	assert_int_equal(ippkt_put(again, &k, k.payload.n), 20);
	assert_memory_equal(again, b.b, 20);
}

static void
test_v4_refused(void **state)
{
	(void)state;
	struct ippkt k;
	struct bytes b = packet4();
	for (size_t n = 0; n < 0x73; n++)
		assert_int_equal(ippkt_parse(span(b.b, n), &k), -EBADMSG);
	struct {
		uint8_t at, v;
		int want;
	} bad[] = {
	        {0, 0x55, -EPROTONOSUPPORT}, {0, 0x44, -EBADMSG}, /* header below 20 */
	        {2, 0x01, -EBADMSG},                              /* total above what is there */
	        {3, 19, -EBADMSG},                                /* total below the header */
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct bytes c = b;
		c.b[bad[i].at] = bad[i].v;
		assert_int_equal(ippkt_parse(t_span(&c), &k), bad[i].want);
	}
	for (size_t i = 0; i < 160; i++) { /* every single bit counts */
		struct bytes c = b;
		if (i == 5) /* but this one makes it another family's */
			continue;
		c.b[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_true(ippkt_parse(t_span(&c), &k) < 0);
	}
	b.b[0] = 0x4f; /* 60 bytes of header, all there, sum wrong */
	assert_int_equal(ippkt_parse(t_span(&b), &k), -EILSEQ);
	fix_sum(&b);
	assert_int_equal(ippkt_parse(t_span(&b), &k), 0);
	assert_int_equal(k.payload.n, 0x73 - 60);
}

static int
parse_fragment(uint16_t field, size_t payload, struct ippkt *k)
{
	struct bytes b = packet4();
	b.n = 20 + payload;
	put16(b.b + 2, (uint16_t)b.n);
	put16(b.b + 6, field);
	fix_sum(&b);
	struct span s = t_span(&b);
	return ippkt_parse(s, k);
}

static void
test_v4_fragments(void **state)
{
	(void)state;
	struct ippkt k;
	assert_int_equal(parse_fragment(0x2000, 16, &k), 0);
	assert_true(k.more && k.offset == 0 && ippkt_is_fragment(&k));
	assert_int_equal(parse_fragment(0x2001, 16, &k), 0);
	assert_int_equal(k.offset, 8);
	assert_int_equal(parse_fragment(0x0002, 5, &k), 0);
	assert_true(!k.more && k.offset == 16 && ippkt_is_fragment(&k));
	assert_int_equal(parse_fragment(0x2000, 15, &k), -EBADMSG);
	assert_int_equal(parse_fragment(0x2000, 0, &k), -EBADMSG);
	/* The ping of death: the last fragment would end beyond 65535. */
	assert_int_equal(parse_fragment(0x1fff, 9, &k), -EBADMSG);
	assert_int_equal(parse_fragment(0x1ffc, 24, &k), -EBADMSG);
	assert_int_equal(parse_fragment(0x1ffc, 11, &k), 0);
	assert_int_equal(k.offset + k.payload.n, 65535 - 20);
	uint8_t head[IPPKT_HEAD_MOST];
	k.more = true;
	k.offset = 1480;
	k.dont_fragment = false;
	ippkt_put(head, &k, 8);
	assert_int_equal(get16(head + 6), 0x2000 | 185);
}

static void
test_v4_quoted(void **state)
{
	(void)state;
	struct ippkt k;
	struct bytes b = packet4();
	b.b[10] ^= 1; /* routers change what they quote */
	assert_int_equal(ippkt_parse_quoted(span(b.b, 28), &k), 0);
	assert_int_equal(k.payload.n, 8);
	assert_int_equal(ip_u32(&k.dst), 0xc0a800c7);
	put16(b.b + 2, 24); /* shorter than the quote */
	assert_int_equal(ippkt_parse_quoted(span(b.b, 28), &k), 0);
	assert_int_equal(k.payload.n, 4);
	put16(b.b + 2, 0);
	assert_int_equal(ippkt_parse_quoted(span(b.b, 28), &k), 0);
	assert_int_equal(k.payload.n, 8);
	for (size_t n = 0; n < 20; n++)
		assert_int_equal(ippkt_parse_quoted(span(b.b, n), &k), -EBADMSG);
}

/* --- IPv6 ------------------------------------------------------------------------------------- */

#define SRC6 "20010db8000000000000000000000001"
#define DST6 "20010db8000000000000000000000002"

static struct bytes
packet6(uint8_t next, const char *payload)
{
	struct bytes b = t_hex("6a b0 00 00 0000 00 40" SRC6 DST6), p = t_hex(payload);
	memcpy(b.b + 40, p.b, p.n);
	b.n += p.n;
	put16(b.b + 4, (uint16_t)p.n);
	b.b[6] = next;
	return b;
}

static int
parse6(uint8_t next, const char *payload, struct ippkt *k)
{
	static struct bytes b; /* payload stays borrowed until the next call */
	b = packet6(next, payload);
	return ippkt_parse(t_span(&b), k);
}

static void
test_v6(void **state)
{
	(void)state;
	struct ippkt k;
	assert_int_equal(parse6(17, "0102030405060708", &k), 0);
	assert_false(ip_is4(&k.src));
	assert_int_equal(k.proto, 17);
	assert_int_equal(k.tos, 0xab);
	assert_int_equal(k.ttl, 64);
	assert_true(k.dont_fragment);
	assert_int_equal(k.payload.n, 8);
	uint8_t again[IPPKT_HEAD_MOST];
	struct bytes b = packet6(17, "0102030405060708");
	assert_int_equal(ippkt_head_len(&k), 40);
	assert_int_equal(ippkt_put(again, &k, 8), 40);
	assert_memory_equal(again, b.b, 40);
	b.n += 6; /* link padding */
	assert_int_equal(ippkt_parse(t_span(&b), &k), 0);
	assert_int_equal(k.payload.n, 8);
	for (size_t n = 0; n < 48; n++)
		assert_int_equal(ippkt_parse(span(b.b, n), &k), -EBADMSG);
	/* An IPv4 address in IPv6 clothes must not come in by this door. */
	b = packet6(17, "");
	memcpy(b.b + 24, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
	assert_int_equal(ippkt_parse(t_span(&b), &k), -EBADMSG);
}

static void
test_v6_chain(void **state)
{
	(void)state;
	struct ippkt k;
	/* hop-by-hop (PadN, router alert) -> destination options -> UDP */
	assert_int_equal(parse6(0, "3c00 05020000 0100  1100 010400000000  aabb", &k), 0);
	assert_int_equal(k.proto, 17);
	t_same(k.payload, SPAN_LIT("\xaa\xbb"));
	/* routing header that is used up -> TCP; one that is not */
	assert_int_equal(parse6(43, "0600 0400 00000000 cc", &k), 0);
	assert_int_equal(k.proto, 6);
	assert_int_equal(parse6(43, "0600 0401 00000000 cc", &k), -EPROTONOSUPPORT);
	/* unknown options: 00 is skipped, others drop the packet; a jumbogram cannot be */
	assert_int_equal(parse6(60, "1100 1e0400000000", &k), 0);
	assert_int_equal(parse6(60, "1100 5e0400000000", &k), -EPROTONOSUPPORT);
	assert_int_equal(parse6(60, "1100 9e0400000000", &k), -EPROTONOSUPPORT);
	assert_int_equal(parse6(60, "1100 de0400000000", &k), -EPROTONOSUPPORT);
	assert_int_equal(parse6(0, "1100 c20400010000", &k), -EBADMSG);
	/* hop-by-hop anywhere but first */
	assert_int_equal(parse6(60, "0000 010400000000 1100 010400000000", &k), -EBADMSG);
	/* cut off, or an option beyond its header */
	assert_int_equal(parse6(60, "11", &k), -EBADMSG);
	assert_int_equal(parse6(60, "1101 010400000000", &k), -EBADMSG);
	assert_int_equal(parse6(60, "1100 010500000000", &k), -EBADMSG);
	assert_int_equal(parse6(43, "0600", &k), -EBADMSG);
	/* no next header, ESP: not ours to look behind */
	assert_int_equal(parse6(59, "", &k), 0);
	assert_int_equal(k.proto, 59);
	assert_int_equal(parse6(50, "0102", &k), 0);
	assert_int_equal(k.proto, 50);
}

static void
test_v6_chain_is_bounded(void **state)
{
	(void)state;
	struct ippkt k;
	char text[2 * 8 * 20 + 1] = "";
	for (int i = 0; i < 8; i++)
		strcat(text, "3c00010400000000");
	text[2 * 8 * 7] = '1', text[2 * 8 * 7 + 1] = '1';
	assert_int_equal(parse6(60, text, &k), 0);
	assert_int_equal(k.proto, 17);
	text[0] = 0;
	for (int i = 0; i < 12; i++)
		strcat(text, "3c00010400000000");
	assert_int_equal(parse6(60, text, &k), -EBADMSG);
}

static void
test_v6_fragments(void **state)
{
	(void)state;
	struct ippkt k;
	assert_int_equal(parse6(44, "1100 0001 12345678 0102030405060708", &k), 0);
	assert_true(k.more && k.offset == 0);
	assert_int_equal(k.id, 0x12345678);
	assert_int_equal(k.proto, 17);
	assert_int_equal(k.payload.n, 8);
	uint8_t again[IPPKT_HEAD_MOST];
	struct bytes b = packet6(44, "1100 0001 12345678 0102030405060708");
	assert_int_equal(ippkt_put(again, &k, 8), 48);
	assert_memory_equal(again, b.b, 48);
	assert_int_equal(parse6(44, "3c00 0010 12345678 01", &k), 0); /* not walked further */
	assert_int_equal(k.proto, 60);
	assert_int_equal(k.offset, 16);
	assert_int_equal(parse6(44, "1100 0001 12345678 01020304050607", &k), -EBADMSG);
	assert_int_equal(parse6(44, "1100 fff8 12345678 0102030405060708", &k), -EBADMSG);
	assert_int_equal(parse6(44, "1100 0001 1234", &k), -EBADMSG);
	/* an atomic one is no fragment (RFC 6946) */
	assert_int_equal(parse6(44, "1100 0000 12345678 aa", &k), 0);
	assert_false(ippkt_is_fragment(&k));
	assert_int_equal(k.proto, 17);
	/* what reassembly gives may begin with destination options, never with a fragment */
	struct bytes rest = t_hex("1100 010400000000 bb");
	k.proto = 60;
	k.payload = t_span(&rest);
	assert_int_equal(ipv6_upper(&k), 0);
	assert_int_equal(k.proto, 17);
	assert_int_equal(k.payload.n, 1);
	k.proto = 44;
	k.payload = t_span(&rest);
	assert_int_equal(ipv6_upper(&k), -EBADMSG);
}

static void
test_v6_quoted(void **state)
{
	(void)state;
	struct ippkt k;
	struct bytes b = packet6(17, "0102030405060708");
	put16(b.b + 4, 1000);
	assert_int_equal(ippkt_parse(t_span(&b), &k), -EBADMSG);
	assert_int_equal(ippkt_parse_quoted(t_span(&b), &k), 0);
	assert_int_equal(k.payload.n, 8);
	assert_int_equal(ippkt_parse_quoted(span(b.b, 39), &k), -EBADMSG);
	assert_int_equal(ippkt_parse_quoted(SPAN_NONE, &k), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_v4),
	        cmocka_unit_test(test_v4_refused),
	        cmocka_unit_test(test_v4_fragments),
	        cmocka_unit_test(test_v4_quoted),
	        cmocka_unit_test(test_v6),
	        cmocka_unit_test(test_v6_chain),
	        cmocka_unit_test(test_v6_chain_is_bounded),
	        cmocka_unit_test(test_v6_fragments),
	        cmocka_unit_test(test_v6_quoted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
