#include "wire/tcp.h"

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
packet(struct ip src, struct ip dst, const uint8_t *p, size_t n)
{
	return (struct ippkt){.src = src, .dst = dst, .proto = IPPROTO_TCP, .payload = span(p, n)};
}

/* A segment with these option bytes, checksum made right. */
static int
parse_options(const char *hex, struct tcpopts *out)
{
	struct bytes o = t_hex(hex);
	uint8_t b[TCP_HEAD_MOST] = {0};
	size_t head = TCP_HEAD + (o.n + 3) / 4 * 4;
	struct ip src = ip4(1), dst = ip4(2);
	struct tcpseg s;
	memcpy(b + TCP_HEAD, o.b, o.n);
	b[12] = (uint8_t)(head / 4 << 4);
	uint16_t sum =
	        checksum_add(checksum_sum(b, head), checksum_pseudo(&src, &dst, IPPROTO_TCP, head));
	put16(b + 16, checksum_finish(sum));
	struct ippkt k = packet(src, dst, b, head);
	int r = tcp_parse(&k, &s);
	*out = s.opt;
	return r;
}

static void
round_trip(struct tcpseg s, struct ip src, struct ip dst)
{
	uint8_t b[TCP_HEAD_MOST + 5];
	struct tcpseg got;
	size_t head = tcp_put(b, &s, &src, &dst, 5, checksum_sum("hello", 5));
	assert_int_equal(head, tcp_head_len(&s.opt));
	assert_true(head <= TCP_HEAD_MOST && head % 4 == 0);
	memcpy(b + head, "hello", 5);
	struct ippkt k = packet(src, dst, b, head + 5);
	assert_int_equal(tcp_parse(&k, &got), 0);
	t_text(got.payload, "hello");
	got.payload = s.payload = SPAN_NONE;
	assert_true(got.sport == s.sport && got.dport == s.dport && got.seq == s.seq);
	assert_true(got.ack == s.ack && got.flags == s.flags && got.window == s.window);
	assert_true(got.urgent == s.urgent && got.opt.mss == s.opt.mss);
	assert_true(got.opt.has_wscale == s.opt.has_wscale && got.opt.wscale == s.opt.wscale);
	assert_true(got.opt.sack_ok == s.opt.sack_ok && got.opt.has_stamps == s.opt.has_stamps);
	assert_true(got.opt.stamp == s.opt.stamp && got.opt.echo == s.opt.echo);
	assert_true(got.opt.nsack <= s.opt.nsack);
	assert_memory_equal(got.opt.sack, s.opt.sack, got.opt.nsack * sizeof s.opt.sack[0]);
	for (size_t i = 0; i < head + 5; i++) {
		b[i] ^= 0x20;
		assert_true(tcp_parse(&k, &got) < 0);
		b[i] ^= 0x20;
	}
}

static void
test_round_trip(void **state)
{
	(void)state;
	struct tcpseg s = {.sport = 80,
	        .dport = 40000,
	        .seq = 0xfffffff0,
	        .ack = 5,
	        .flags = TCPF_ACK | TCPF_PSH,
	        .window = 0xffff,
	        .urgent = 9};
	for (unsigned bits = 0; bits < 16; bits++) {
		s.opt = (struct tcpopts){0};
		if (bits & 1)
			s.opt.mss = 1460;
		if (bits & 2)
			s.opt.has_wscale = true, s.opt.wscale = 8;
		if (bits & 4)
			s.opt.sack_ok = true;
		if (bits & 8)
			s.opt.has_stamps = true, s.opt.stamp = 1, s.opt.echo = 0xdeadbeef;
		for (uint8_t n = 0; n <= TCP_SACKS; n++) {
			s.opt.nsack = n;
			for (uint32_t i = 0; i < n; i++)
				s.opt.sack[i] = (struct tcpsack){i * 10, i * 10 + 5};
			round_trip(s, ip4(0x0a000202), ip4(0x0a00020f));
			round_trip(s, six(1), six(2));
		}
	}
}

static void
test_sacks_that_fit(void **state)
{
	(void)state;
	struct tcpopts o = {.nsack = 4};
	assert_int_equal(tcp_head_len(&o), 20 + 4 + 32);
	o.has_stamps = true; /* RFC 2018 3: three with timestamps */
	assert_int_equal(tcp_head_len(&o), 20 + 12 + 4 + 24);
}

/* What Linux sends in a SYN, in its order and padding. */
static void
test_linux_syn(void **state)
{
	(void)state;
	struct tcpopts o;
	assert_int_equal(parse_options("020405b4 0402 080a 00000001 00000000 01 030307", &o), 0);
	assert_int_equal(o.mss, 1460);
	assert_true(o.sack_ok && o.has_stamps && o.has_wscale);
	assert_int_equal(o.wscale, 7);
	assert_int_equal(o.stamp, 1);
}

static void
test_odd_options(void **state)
{
	(void)state;
	struct tcpopts o;
	assert_int_equal(parse_options("0303ff", &o), 0);
	assert_int_equal(o.wscale, TCP_WSCALE_MOST);
	assert_int_equal(parse_options("02030500", &o), 0); /* MSS of a wrong length */
	assert_int_equal(o.mss, 0);
	assert_int_equal(parse_options("00020405b4", &o), 0); /* behind the end */
	assert_int_equal(o.mss, 0);
	assert_int_equal(parse_options("1e00 020405b4", &o), 0); /* length 0 ends it */
	assert_int_equal(o.mss, 0);
	assert_int_equal(parse_options("1e01 020405b4", &o), 0);
	assert_int_equal(o.mss, 0);
	assert_int_equal(parse_options("fd06aabbccdd 020405b4", &o), 0); /* unknown, skipped */
	assert_int_equal(o.mss, 1460);
	assert_int_equal(parse_options("020405b4 02ff", &o), 0); /* cut off: what came counts */
	assert_int_equal(o.mss, 1460);
	assert_int_equal(parse_options("0509 00000001000000", &o), 0); /* no whole block */
	assert_int_equal(o.nsack, 0);
	assert_int_equal(parse_options("050a 0000000100000002", &o), 0);
	assert_int_equal(o.nsack, 1);
	assert_int_equal(o.sack[0].right, 2);
	/* a fifth block has no place in the header, two options of four have none in the struct */
	assert_int_equal(parse_options("0512 01010101020202020303030304040404 0512 "
	                               "05050505060606060707070708080808",
	                         &o),
	        0);
	assert_int_equal(o.nsack, TCP_SACKS);
}

static void
test_offset(void **state)
{
	(void)state;
	uint8_t b[40] = {0};
	struct tcpseg s;
	struct ippkt k = packet(ip4(1), ip4(2), b, sizeof b);
	b[12] = 0x40; /* below 20 */
	assert_int_equal(tcp_parse(&k, &s), -EBADMSG);
	b[12] = 0xb0; /* beyond the segment */
	assert_int_equal(tcp_parse(&k, &s), -EBADMSG);
	b[12] = 0x50;
	assert_int_equal(tcp_parse(&k, &s), -EILSEQ);
	k.payload.n = 19;
	assert_int_equal(tcp_parse(&k, &s), -EBADMSG);
}

static void
test_sequence(void **state)
{
	(void)state;
	assert_true(tcp_before(0xffffffff, 0));
	assert_true(tcp_after(5, 0xfffffff0));
	assert_false(tcp_before(7, 7));
	assert_false(tcp_after(7, 7));
	struct tcpseg s = {.flags = TCPF_SYN | TCPF_FIN, .payload = SPAN_LIT("abc")};
	assert_int_equal(tcp_seg_len(&s), 5);
	s.flags = TCPF_ACK;
	assert_int_equal(tcp_seg_len(&s), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trip),
	        cmocka_unit_test(test_sacks_that_fit),
	        cmocka_unit_test(test_linux_syn),
	        cmocka_unit_test(test_odd_options),
	        cmocka_unit_test(test_offset),
	        cmocka_unit_test(test_sequence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
