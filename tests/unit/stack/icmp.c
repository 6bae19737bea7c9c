#include "tests/unit/stack/lab.h"

/* Whether the quoted packet is the one that went from src to dst. */
static void
quotes(const struct seen *s, struct ip src, struct ip dst, uint8_t proto)
{
	struct ippkt q;
	assert_int_equal(ippkt_parse_quoted(s->icmp.body, &q), 0);
	assert_ip(q.src, src);
	assert_ip(q.dst, dst);
	assert_int_equal(q.proto, proto);
	assert_true(q.payload.n >= 8);
}

static void
answers_for_the_gateway(void **state)
{
	struct lab *l = *state;
	l->tos = 0x48;
	lab_echo(l, GUEST, GATEWAY, 7, 9, SPAN_LIT("abcdefg"));
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_ECHO_REPLY);
	assert_int_equal(s.icmp.id, 7);
	assert_int_equal(s.icmp.seq, 9);
	assert_true(span_is(s.icmp.body, "abcdefg"));
	assert_ip(s.ip.src, GATEWAY);
	assert_ip(s.ip.dst, GUEST);
	assert_int_equal(s.ip.tos, 0x48);
	assert_int_equal(s.ip.ttl, 64);
	assert_mac(s.eth.dst, GUEST_MAC);
	assert_int_equal(l->ping_sends, 0);
	l->ttl = 1;
	lab_echo(l, NEIGHBOUR, GATEWAY, 7, 9, SPAN_NONE);
	assert_ip(lab_one(l).ip.dst, NEIGHBOUR);
}

/* One larger than the link comes in fragments and goes back in fragments. */
static void
answers_large_ones(void **state)
{
	struct lab *l = *state;
	static uint8_t body[65507], got[65535], d[65535];
	struct ip src = GUEST, dst = GATEWAY;
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(i * 7);
	struct icmpmsg m = {.kind = ICMP_KIND_ECHO, .id = 1, .seq = 2};
	static const size_t sizes[] = {1473, 2000, 8000, sizeof body};
	for (unsigned k = 0; k < 4; k++) {
		size_t n = ICMP_HEAD + sizes[k], sum = 0;
		icmp_put(d, &m, &src, &dst, sizes[k], checksum_sum(body, sizes[k]));
		memcpy(d + ICMP_HEAD, body, sizes[k]);
		for (size_t at = 0; at < n; at += 1480) {
			size_t part = n - at < 1480 ? n - at : 1480;
			struct ippkt f = {
			        .src = src, .dst = dst, .proto = IPPROTO_ICMP, .id = 77 + k};
			f.offset = (uint16_t)at;
			f.more = at + part < n;
			lab_ip(l, f, span(d + at, part));
		}
		assert_int_equal(lab_pull(l), (n + 1479) / 1480);
		for (unsigned i = 0; i < l->n; i++) {
			struct seen s = lab_seen(l, i);
			assert_true(l->frame[i].n <= 1514);
			assert_false(s.ip.dont_fragment);
			assert_int_equal(s.ip.more, i + 1 < l->n);
			memcpy(got + s.ip.offset, s.ip.payload.p, s.ip.payload.n);
			sum += s.ip.payload.n;
		}
		assert_int_equal(sum, n);
		assert_int_equal(checksum_finish(checksum_sum(got, n)), 0);
		assert_memory_equal(got + ICMP_HEAD, body, sizes[k]);
	}
}

static void
carries_pings(void **state)
{
	struct lab *l = *state;
	lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
	lab_silence(l);
	assert_int_equal(l->ping_sends, 1);
	assert_ip(l->ping_dst, WORLD);
	assert_int_equal(l->ping_id, 7);
	assert_int_equal(l->ping_seq, 9);
	assert_int_equal(l->sent_ttl, 63);
	assert_true(span_is(span(l->payload, l->payload_len), "hello"));
	assert_int_equal(l->filtered_proto, IPPROTO_ICMP);
	struct ip from = WORLD;
	stack_ping_reply(l->st, &from, 7, 9, SPAN_LIT("hello"), 55, l->now);
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_ECHO_REPLY);
	assert_int_equal(s.icmp.id, 7);
	assert_int_equal(s.icmp.seq, 9);
	assert_int_equal(s.ip.ttl, 54);
	assert_ip(s.ip.src, WORLD);
	assert_ip(s.ip.dst, GUEST);
}

static void
is_hop_one(void **state)
{
	struct lab *l = *state;
	for (l->ttl = 1; l->ttl < 3; l->ttl++) {
		lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
		lab_pull(l);
	}
	assert_int_equal(l->ping_sends, 1);
	assert_int_equal(l->sent_ttl, 1);
	l->ttl = 1;
	lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_TTL_EXCEEDED);
	assert_ip(s.ip.src, GATEWAY);
	quotes(&s, GUEST, WORLD, IPPROTO_ICMP);
	assert_int_equal(s.icmp.body.n, 20 + 8 + 5);
}

static void
says_what_is_forbidden(void **state)
{
	struct lab *l = *state;
	static const int errs[] = {-EACCES, -EPERM};
	for (unsigned i = 0; i < 2; i++) {
		l->ping_ret = errs[i];
		lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
		struct seen s = lab_one(l);
		assert_int_equal(s.icmp.kind, ICMP_KIND_PROHIBITED);
		assert_int_equal(s.icmp.code, 13);
		quotes(&s, GUEST, WORLD, IPPROTO_ICMP);
	}
	l->ping_ret = -ENETUNREACH;
	lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
	assert_int_equal(lab_one(l).icmp.kind, ICMP_KIND_NET_UNREACHABLE);
	l->ping_ret = -EMSGSIZE;
	lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
	lab_silence(l);
	l->dont_fragment = true;
	lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
	struct seen big = lab_one(l);
	assert_int_equal(big.icmp.kind, ICMP_KIND_TOO_BIG);
	assert_int_equal(big.icmp.mtu, 68);
	l->dont_fragment = false;
	l->ping_ret = -EMFILE;
	lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
	lab_silence(l);
	l->refuse = true;
	lab_echo(l, GUEST, WORLD, 7, 9, SPAN_LIT("hello"));
	assert_int_equal(lab_one(l).icmp.kind, ICMP_KIND_PROHIBITED);
	assert_int_equal(l->stats.filtered, 1);
	assert_int_equal(l->ping_ends, 0);
	struct ip from = WORLD;
	stack_ping_reply(l->st, &from, 7, 9, SPAN_LIT("hello"), 55, l->now);
	lab_silence(l);
}

static void
maps_ids(void **state)
{
	struct lab *l = *state;
	struct ip from = WORLD;
	lab_echo(l, GUEST, WORLD, 7, 1, SPAN_NONE);
	assert_int_equal(l->ping_id, 7);
	lab_echo(l, NEIGHBOUR, WORLD, 7, 2, SPAN_NONE);
	uint16_t other = l->ping_id;
	assert_int_not_equal(other, 7);
	lab_echo(l, NEIGHBOUR, WORLD, 7, 3, SPAN_NONE);
	assert_int_equal(l->ping_id, other);
	lab_echo(l, GUEST, ip4(0x01010101), 7, 1, SPAN_NONE);
	assert_int_equal(l->ping_id, 7);
	stack_ping_reply(l->st, &from, other, 2, SPAN_NONE, 55, l->now);
	struct seen s = lab_one(l);
	assert_ip(s.ip.dst, NEIGHBOUR);
	assert_int_equal(s.icmp.id, 7);
	stack_ping_reply(l->st, &from, 999, 2, SPAN_NONE, 55, l->now);
	lab_silence(l);
}

static void
bounds_ids(void **state)
{
	struct lab *l = *state;
	l->conf.ping_max = 4;
	for (uint16_t id = 0; id < 4; id++) {
		lab_echo(l, GUEST, WORLD, id, 1, SPAN_NONE);
		lab_tick(l, 1);
	}
	lab_echo(l, GUEST, WORLD, 0, 2, SPAN_NONE); /* in use again: 1 is the idlest now */
	assert_int_equal(l->ping_ends, 0);
	lab_echo(l, GUEST, WORLD, 100, 1, SPAN_NONE);
	assert_int_equal(l->ping_ends, 1);
	assert_int_equal(l->ping_ended, 1);
	for (uint16_t id = 1000; id < 3000; id++)
		lab_echo(l, GUEST, WORLD, id, 1, SPAN_NONE);
	assert_int_equal(l->ping_ends, 2001);
	l->conf.ping_max = 0;
	lab_echo(l, GUEST, WORLD, 5, 1, SPAN_NONE);
	assert_int_equal(l->ping_sends, 5 + 1 + 2000);
}

static void
idles_out(void **state)
{
	struct lab *l = *state;
	struct ip from = WORLD;
	size_t idle = lab_totals(l).memory;
	lab_echo(l, GUEST, WORLD, 7, 1, SPAN_NONE);
	lab_tick(l, 6000);
	stack_ping_reply(l->st, &from, 7, 1, SPAN_NONE, 9, l->now);
	lab_tick(l, 9999);
	assert_int_equal(l->ping_ends, 0);
	lab_tick(l, 1);
	assert_int_equal(l->ping_ends, 1);
	lab_pull(l);
	assert_true(lab_totals(l).memory <= idle + 2 * 8 * sizeof(void *));
	stack_ping_reply(l->st, &from, 7, 1, SPAN_NONE, 9, l->now);
	lab_silence(l);
}

static void
ends_ids_with_the_stack(void **state)
{
	struct lab *l = *state;
	lab_echo(l, GUEST, WORLD, 7, 1, SPAN_NONE);
	lab_echo(l, GUEST, WORLD, 8, 1, SPAN_NONE);
	stack_free(l->st);
	assert_int_equal(l->ping_ends, 2);
	assert_int_equal(wheel_next(&l->wheel) > l->now, 1);
	l->st = stack_new(&l->shared, l);
}

static void
limits_requests(void **state)
{
	struct lab *l = *state;
	l->conf.ping_rate = 10;
	for (int i = 0; i < 100; i++)
		lab_echo(l, GUEST, WORLD, 7, 1, SPAN_NONE);
	assert_int_equal(l->ping_sends, 10);
	lab_tick(l, 500);
	for (int i = 0; i < 100; i++)
		lab_echo(l, GUEST, WORLD, 7, 1, SPAN_NONE);
	assert_int_equal(l->ping_sends, 15);
	lab_tick(l, 3600000);
	for (int i = 0; i < 100; i++)
		lab_echo(l, GUEST, WORLD, 7, 1, SPAN_NONE);
	assert_int_equal(l->ping_sends, 25);
}

static void
passes_errors_on(void **state)
{
	struct lab *l = *state;
	struct ip dst = WORLD, router = ip4(0xc6336401);
	lab_echo(l, NEIGHBOUR, WORLD, 7, 1, SPAN_NONE);
	lab_echo(l, GUEST, WORLD, 7, 1, SPAN_NONE);
	uint16_t id = l->ping_id;
	stack_ping_error(l->st, &dst, id, 5, &router, 11, 0, 0, l->now);
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_TTL_EXCEEDED);
	assert_ip(s.ip.src, router);
	assert_ip(s.ip.dst, GUEST);
	quotes(&s, GUEST, WORLD, IPPROTO_ICMP);
	struct ippkt q;
	ippkt_parse_quoted(s.icmp.body, &q);
	assert_int_equal(q.payload.p[0], 8);
	assert_int_equal(get16(q.payload.p + 4), 7);
	assert_int_equal(get16(q.payload.p + 6), 5);
	stack_ping_error(l->st, &dst, id, 5, &router, 3, 1, 0, l->now);
	assert_int_equal(lab_one(l).icmp.kind, ICMP_KIND_HOST_UNREACHABLE);
	stack_ping_error(l->st, &dst, id, 5, &router, 3, 4, 1400, l->now);
	s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_TOO_BIG);
	assert_int_equal(s.icmp.mtu, 1400);
	stack_ping_error(l->st, &dst, id, 5, &router, 3, 15, 0, l->now);
	s = lab_one(l);
	assert_int_equal(s.icmp.type, 3);
	assert_int_equal(s.icmp.code, 15);
	stack_ping_error(l->st, &dst, id, 5, &router, 0, 0, 0, l->now);
	stack_ping_error(l->st, &dst, id, 5, &router, 5, 0, 0, l->now);
	stack_ping_error(l->st, &dst, 12345, 5, &router, 11, 0, 0, l->now);
	lab_silence(l);
}

/* A router cannot have an address of the guest's network, nor the server's own loopback. */
static void
speaks_for_impossible_routers(void **state)
{
	struct lab *l = *state;
	struct ip dst = WORLD;
	static const uint32_t bad[] = {
	        0x0a000205, 0x0a00020f, 0x7f000001, 0, 0xffffffff, 0xe0000001};
	lab_echo(l, GUEST, WORLD, 7, 1, SPAN_NONE);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct ip from = ip4(bad[i]);
		stack_ping_error(l->st, &dst, 7, 5, &from, 11, 0, 0, l->now);
		assert_ip(lab_one(l).ip.src, GATEWAY);
	}
	struct ip v6 = {{0x20, 1}};
	stack_ping_error(l->st, &dst, 7, 5, &v6, 11, 0, 0, l->now);
	assert_ip(lab_one(l).ip.src, GATEWAY);
	stack_ping_error(l->st, &v6, 7, 5, &v6, 1, 0, 0, l->now);
	stack_ping_reply(l->st, &v6, 7, 5, SPAN_NONE, 9, l->now);
	lab_silence(l);
}

static void
quotes_no_more_than_it_should(void **state)
{
	struct lab *l = *state;
	static uint8_t big[1400];
	l->ttl = 1;
	lab_udp(l, GUEST, 5, WORLD, 6, span(big, sizeof big));
	struct seen s = lab_one(l);
	assert_int_equal(s.ip.whole.n, 576); /* RFC 1812 4.3.2.3 */
	lab_udp(l, GUEST, 5, WORLD, 6, SPAN_LIT("ab"));
	s = lab_one(l);
	assert_int_equal(s.icmp.body.n, 30);
}

static void
keeps_silent(void **state)
{
	struct lab *l = *state;
	static const uint8_t error[16] = {3, 3, 0xfc, 0xfc};
	struct ippkt k = {.src = GUEST, .dst = WORLD, .proto = IPPROTO_ICMP, .ttl = 1};
	lab_ip(l, k, span(error, 16)); /* an error about an error */
	k.proto = 200;
	k.offset = 1480;
	lab_ip(l, k, span(error, 16)); /* a later fragment */
	k.offset = 0;
	k.ttl = 64;
	k.dst = ip4(0x0a0002ff);
	lab_ip(l, k, span(error, 16));
	k.dst = ip4(0xe0000016);
	k.proto = 2;
	lab_ip(l, k, span(error, 16));
	k.dst = EVERYBODY;
	lab_ip(l, k, span(error, 16));
	lab_echo(l, GUEST, ip4(0x0a0002ff), 1, 1, SPAN_NONE);
	lab_echo(l, GUEST, EVERYBODY, 1, 1, SPAN_NONE);
	lab_echo(l, GUEST, ip4(0xe0000001), 1, 1, SPAN_NONE);
	lab_silence(l);
	assert_int_equal(l->ping_sends, 0);
	/* to all stations, though to one host (RFC 1122 3.2.2) */
	uint8_t f[60] = {0};
	struct mac all = MAC_BROADCAST, m = GUEST_MAC;
	k.dst = WORLD;
	k.proto = 200;
	ether_put(f, &all, &m, ETHER_IPV4);
	ippkt_put(f + ETHER_HEAD, &k, 20);
	lab_frame(l, f, sizeof f);
	lab_silence(l);
	ether_put(f, &m, &m, ETHER_IPV4);
	lab_frame(l, f, sizeof f);
	assert_int_equal(lab_one(l).icmp.kind, ICMP_KIND_PROTO_UNREACHABLE);
}

static void
limits_errors(void **state)
{
	struct lab *l = *state;
	l->conf.icmp_error_rate = 100;
	l->ttl = 1;
	for (int i = 0; i < 1000; i++)
		lab_udp(l, GUEST, 5, WORLD, 6, SPAN_LIT("ab"));
	assert_int_equal(lab_pull(l), 100);
	assert_int_equal(l->stats.icmp_errors_out, 100);
	lab_tick(l, 30);
	for (int i = 0; i < 1000; i++)
		lab_udp(l, GUEST, 5, WORLD, 6, SPAN_LIT("ab"));
	assert_int_equal(lab_pull(l), 3);
}

static void
drops_what_is_broken(void **state)
{
	struct lab *l = *state;
	struct ippkt k = {.src = GUEST, .dst = GATEWAY, .proto = IPPROTO_ICMP};
	static const uint8_t bad[] = {8, 0, 0, 1, 0, 1, 0, 1};
	lab_ip(l, k, span(bad, 8));
	lab_ip(l, k, span(bad, 7));
	lab_ip(l, k, span(bad, 0));
	assert_int_equal(l->stats.frames_bad, 3);
	static const uint8_t code[] = {8, 1, 0xf7, 0xfc, 0, 1, 0, 1};
	static const uint8_t stamp[] = {13, 0, 0xf2, 0xfd, 0, 1, 0, 1};
	lab_ip(l, k, span(code, 8));
	lab_ip(l, k, span(stamp, 8));
	lab_silence(l);
	assert_int_equal(l->stats.frames_bad, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(answers_for_the_gateway),
	        LAB_TEST(answers_large_ones),
	        LAB_TEST(carries_pings),
	        LAB_TEST(is_hop_one),
	        LAB_TEST(says_what_is_forbidden),
	        LAB_TEST(maps_ids),
	        LAB_TEST(bounds_ids),
	        LAB_TEST(idles_out),
	        LAB_TEST(ends_ids_with_the_stack),
	        LAB_TEST(limits_requests),
	        LAB_TEST(passes_errors_on),
	        LAB_TEST(speaks_for_impossible_routers),
	        LAB_TEST(quotes_no_more_than_it_should),
	        LAB_TEST(keeps_silent),
	        LAB_TEST(limits_errors),
	        LAB_TEST(drops_what_is_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
