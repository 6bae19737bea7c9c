#include "tests/unit/stack/lab.h"

#define LEN 4000

/* A UDP datagram of LEN bytes with its header, and its fragments. */
static uint8_t dgram[LEN];

static void
make(struct ip src)
{
	struct ip dst = WORLD;
	size_t n = LEN - UDP_HEAD;
	for (size_t i = 0; i < LEN; i++)
		dgram[i] = (uint8_t)(i * 31);
	udp_put(dgram, 1000, 9, &src, &dst, n, checksum_sum(dgram + UDP_HEAD, n));
}

struct piece {
	uint16_t at, n;
	bool more;
};

static void
send_piece(struct lab *l, struct piece p, uint16_t id)
{
	struct ippkt k = {
	        .src = GUEST,
	        .dst = WORLD,
	        .proto = IPPROTO_UDP,
	        .id = id,
	        .offset = p.at,
	        .more = p.more,
	};
	lab_ip(l, k, span(dgram + p.at, p.n));
}

/* at, n, more, and the id unless it is 1 */
#define PIECE(...) PIECE_(__VA_ARGS__, 1, 0)
#define PIECE_(at_, n_, more_, id_, ...) send_piece(l, (struct piece){at_, n_, more_}, id_)

static void
arrived(struct lab *l, unsigned times)
{
	assert_int_equal(l->udp_sends, times);
	assert_int_equal(l->stats.frag_done, times);
	if (!times)
		return;
	assert_int_equal(l->payload_len, LEN - UDP_HEAD);
	assert_memory_equal(l->payload, dgram + UDP_HEAD, LEN - UDP_HEAD);
}

static int
setup(void **state)
{
	make(GUEST);
	return lab_setup(state);
}

#define FRAG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, lab_teardown)

static void
joins_in_order(void **state)
{
	struct lab *l = *state;
	size_t before = lab_totals(l).memory;
	PIECE(0, 1480, true);
	PIECE(1480, 1480, true);
	arrived(l, 0);
	assert_true(lab_totals(l).memory > before);
	PIECE(2960, LEN - 2960, false);
	arrived(l, 1);
	assert_int_equal(l->sent_ttl, 63);
	assert_true(lab_totals(l).memory < before + 512);
	assert_int_equal(l->stats.frag_in, 3);
}

/* Every order of five fragments. */
static void
joins_in_any_order(void **state)
{
	struct lab *l = *state;
	unsigned done = 0;
	for (unsigned code = 0; code < 5 * 5 * 5 * 5 * 5; code++) {
		unsigned seen = 0, c = code;
		for (int i = 0; i < 5; i++, c /= 5)
			seen |= 1u << c % 5;
		if (seen != 31)
			continue;
		c = code;
		for (int i = 0; i < 5; i++, c /= 5)
			PIECE((uint16_t)(c % 5 * 800), 800, c % 5 < 4, (uint16_t)(1 + code));
		arrived(l, ++done);
	}
	assert_int_equal(done, 120);
	assert_int_equal(l->stats.frag_dropped, 0);
}

static void
keeps_datagrams_apart(void **state)
{
	struct lab *l = *state;
	PIECE(0, 2000, true, 1);
	PIECE(2000, 2000, false, 2);
	arrived(l, 0);
	PIECE(2000, 2000, false, 1);
	arrived(l, 1);
	PIECE(0, 2000, true, 2);
	arrived(l, 2);
	struct ippkt k = {.src = NEIGHBOUR, .dst = WORLD, .proto = IPPROTO_UDP, .id = 7};
	k.more = true;
	lab_ip(l, k, span(dgram, 2000));
	PIECE(2000, 2000, false, 7);
	arrived(l, 2);
	k.src = GUEST;
	k.proto = 99;
	lab_ip(l, k, span(dgram, 2000));
	arrived(l, 2);
	k.proto = IPPROTO_UDP;
	k.dst = ip4(0x01010101);
	lab_ip(l, k, span(dgram, 2000));
	arrived(l, 2);
}

static void
ignores_exact_duplicates(void **state)
{
	struct lab *l = *state;
	PIECE(0, 2000, true);
	PIECE(0, 2000, true);
	PIECE(8, 16, true);
	PIECE(2000, 2000, false);
	arrived(l, 1);
}

/* Whatever overlaps ends the datagram, and what comes later is no new one. */
static void
drops_what_overlaps(void **state)
{
	struct lab *l = *state;
	static const struct piece cases[][4] = {
	        {{0, 2000, true}, {1992, 1000, true}, {2992, LEN - 2992, false}},
	        {{1992, 1000, true}, {0, 2000, true}, {2992, LEN - 2992, false}},
	        {{2000, 2000, false}, {0, 2008, true}, {0, 2000, true}},
	        {{0, 800, true}, {1600, 800, true}, {792, 816, true}, {2400, LEN - 2400, false}},
	        {{0, 800, true}, {1600, 800, true}, {800, 808, true}, {2400, LEN - 2400, false}},
	        {{0, 800, true}, {800, LEN - 800, false}, {800, 800, true}},
	        {{2400, LEN - 2400, false}, {0, 2400, true}},
	};
	for (uint16_t i = 0; i < ARRAY_LEN(cases) - 2; i++) {
		for (int j = 0; j < 4; j++) {
			if (cases[i][j].n)
				send_piece(l, cases[i][j], (uint16_t)(10 + i));
		}
		arrived(l, 0);
	}
	lab_tick(l, 5000);
	lab_silence(l);
	assert_int_equal(l->stats.frag_dropped, ARRAY_LEN(cases) - 2);
	for (int j = 0; j < 2; j++)
		send_piece(l, cases[ARRAY_LEN(cases) - 1][j], 1);
	arrived(l, 1);
}

/* The same place, other bytes. */
static void
drops_forged_duplicates(void **state)
{
	struct lab *l = *state;
	PIECE(0, 2000, true);
	dgram[100] ^= 1;
	PIECE(0, 2000, true);
	dgram[100] ^= 1;
	PIECE(2000, 2000, false);
	arrived(l, 0);
}

static void
wants_one_length(void **state)
{
	struct lab *l = *state;
	PIECE(2000, 2000, false, 1);
	PIECE(2000, 1000, false, 1);
	PIECE(0, 2000, true, 1);
	arrived(l, 0);
	PIECE(2000, 1000, false, 2); /* ends before what is there */
	PIECE(3000, 1000, true, 2);
	PIECE(0, 2000, true, 2);
	arrived(l, 0);
	PIECE(3000, 1000, true, 3);
	PIECE(0, 3000, false, 3);
	arrived(l, 0);
}

/* RFC 1858, RFC 3128: nothing that hides a header from whoever looks at first fragments. */
static void
drops_tiny_ones(void **state)
{
	struct lab *l = *state;
	struct ippkt k = {.src = GUEST, .dst = WORLD, .proto = IPPROTO_TCP, .id = 5};
	k.more = true;
	lab_ip(l, k, span(dgram, 16));
	k.id = 6;
	k.offset = 8;
	lab_ip(l, k, span(dgram, 40));
	k.id = 7;
	k.offset = 16;
	lab_ip(l, k, span(dgram, 40));
	assert_int_equal(lab_totals(l).memory < 2048, 1);
	lab_tick(l, 5000);
	assert_int_equal(l->stats.frag_dropped, 3);
	PIECE(0, 8, true, 8); /* a whole UDP header is enough */
	PIECE(8, LEN - 8, false, 8);
	arrived(l, 1);
}

static void
stays_below_the_count(void **state)
{
	struct lab *l = *state;
	l->conf.frag_count = 4;
	for (uint16_t id = 1; id <= 6; id++)
		PIECE(0, 2000, true, id);
	assert_int_equal(l->stats.frag_dropped, 2);
	PIECE(2000, 2000, false, 2); /* was dropped: opens a new one, 3 goes */
	arrived(l, 0);
	PIECE(2000, 2000, false, 6);
	arrived(l, 1);
	l->conf.frag_count = 0;
	PIECE(0, 2000, true, 20);
	PIECE(2000, 2000, false, 20);
	arrived(l, 1);
}

static void
stays_below_the_bytes(void **state)
{
	struct lab *l = *state;
	l->conf.frag_count = 1000;
	l->conf.frag_bytes = 20000;
	for (uint16_t id = 1; id <= 500; id++) {
		PIECE(0, 2000, true, id);
		assert_true(lab_totals(l).memory < 20000 + 500 * 256 + 2048);
	}
	PIECE(2000, 2000, false, 500);
	arrived(l, 1);
	PIECE(2000, 2000, false, 1); /* one that lies beyond the limit alone */
	l->conf.frag_bytes = 3000;
	PIECE(0, 2000, true, 1000);
	PIECE(2000, 2000, false, 1000);
	arrived(l, 1);
	l->conf.frag_bytes = 65536;
	PIECE(0, 2000, true, 1001);
	PIECE(2000, 2000, false, 1001);
	arrived(l, 2);
}

/* Many small holes cost a bounded list. */
static void
stays_below_the_holes(void **state)
{
	struct lab *l = *state;
	for (uint16_t i = 0; i < 200; i++)
		PIECE((uint16_t)(i * 16), 8, true);
	for (uint16_t i = 0; i < 200; i++)
		PIECE((uint16_t)(i * 16 + 8), 8, true);
	PIECE(3200, 800, false);
	arrived(l, 0);
	for (uint16_t i = 0; i < 20; i++)
		PIECE((uint16_t)(i * 16), 8, true, 2);
	for (uint16_t i = 0; i < 20; i++)
		PIECE((uint16_t)(i * 16 + 8), 8, true, 2);
	PIECE(320, LEN - 320, false, 2);
	arrived(l, 1);
}

static void
gives_up(void **state)
{
	struct lab *l = *state;
	PIECE(0, 2000, true, 1);
	lab_tick(l, 100);
	PIECE(2000, 2000, false, 2);
	lab_tick(l, 4899);
	lab_silence(l);
	lab_tick(l, 1);
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_REASSEMBLY_TIMEOUT);
	assert_ip(s.ip.src, GATEWAY);
	struct ippkt q;
	assert_int_equal(ippkt_parse_quoted(s.icmp.body, &q), 0);
	assert_ip(q.dst, WORLD);
	assert_int_equal(q.id, 1);
	assert_memory_equal(q.payload.p, dgram, 100);
	PIECE(2000, 2000, false, 1);
	arrived(l, 0);
	lab_tick(l, 100);
	lab_silence(l); /* nothing to quote */
	assert_int_equal(l->stats.frag_dropped, 2);
	lab_tick(l, 10000);
	assert_int_equal(l->stats.frag_dropped, 3);
	assert_true(wheel_next(&l->wheel) > l->now);
}

/* Ports of a later fragment are payload: they open no flows, whatever they look like. */
static void
reads_no_header_in_later_fragments(void **state)
{
	struct lab *l = *state;
	struct ippkt k = {.src = GUEST, .dst = WORLD, .proto = IPPROTO_UDP, .offset = 1480};
	uint8_t d[64];
	struct ip src = GUEST, dst = WORLD;
	memset(d, 1, sizeof d);
	udp_put(d, 1000, 9, &src, &dst, sizeof d - UDP_HEAD,
	        checksum_sum(d + UDP_HEAD, sizeof d - UDP_HEAD));
	lab_ip(l, k, span(d, sizeof d));
	k.proto = IPPROTO_ICMP;
	lab_ip(l, k, span(d, sizeof d));
	k.dst = GATEWAY;
	lab_ip(l, k, span(d, sizeof d));
	assert_int_equal(l->udp_sends, 0);
	assert_int_equal(l->bindings_ever, 0);
	lab_silence(l);
}

static void
counts_ttl_before_joining(void **state)
{
	struct lab *l = *state;
	l->ttl = 1;
	PIECE(0, 2000, true);
	assert_int_equal(lab_one(l).icmp.kind, ICMP_KIND_TTL_EXCEEDED);
	PIECE(2000, 2000, false);
	lab_silence(l);
	arrived(l, 0);
}

/* An error about a joined datagram quotes it as one packet. */
static void
quotes_the_whole(void **state)
{
	struct lab *l = *state;
	l->udp_ret = -EHOSTUNREACH;
	PIECE(2000, 2000, false);
	PIECE(0, 2000, true);
	struct seen s = lab_one(l);
	struct ippkt q;
	assert_int_equal(s.icmp.kind, ICMP_KIND_HOST_UNREACHABLE);
	assert_int_equal(ippkt_parse_quoted(s.icmp.body, &q), 0);
	assert_false(ippkt_is_fragment(&q));
	assert_int_equal(get16(s.icmp.body.p + 2), LEN + 20);
	assert_memory_equal(q.payload.p, dgram, 100);
}

static void
goes_with_the_stack(void **state)
{
	struct lab *l = *state;
	PIECE(0, 2000, true);
	PIECE(3000, 8, true, 3);
}

static void
wants_a_guest_as_sender(void **state)
{
	struct lab *l = *state;
	struct ippkt k = {.src = NOBODY, .dst = GATEWAY, .proto = IPPROTO_UDP, .more = true};
	lab_ip(l, k, span(dgram, 2000));
	k.src = ip4(0xc0a80101);
	lab_ip(l, k, span(dgram, 2000));
	assert_int_equal(l->stats.frag_in, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        FRAG_TEST(joins_in_order),
	        FRAG_TEST(joins_in_any_order),
	        FRAG_TEST(keeps_datagrams_apart),
	        FRAG_TEST(ignores_exact_duplicates),
	        FRAG_TEST(drops_what_overlaps),
	        FRAG_TEST(drops_forged_duplicates),
	        FRAG_TEST(wants_one_length),
	        FRAG_TEST(drops_tiny_ones),
	        FRAG_TEST(stays_below_the_count),
	        FRAG_TEST(stays_below_the_bytes),
	        FRAG_TEST(stays_below_the_holes),
	        FRAG_TEST(gives_up),
	        FRAG_TEST(reads_no_header_in_later_fragments),
	        FRAG_TEST(counts_ttl_before_joining),
	        FRAG_TEST(quotes_the_whole),
	        FRAG_TEST(goes_with_the_stack),
	        FRAG_TEST(wants_a_guest_as_sender),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
