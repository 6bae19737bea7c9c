#include "tests/unit/stack/lab.h"

#include "stack/stack_int.h"

static void
costs_little_while_idle(void **state)
{
	struct lab *l = *state;
	assert_true(sizeof(struct stack) < 1024);
	assert_int_equal(lab_totals(l).memory, sizeof(struct stack));
	lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	assert_int_equal(lab_totals(l).memory, sizeof(struct stack) + STACK_NODE);
	lab_pull(l);
	assert_int_equal(lab_totals(l).memory, sizeof(struct stack));
	assert_int_equal(l->nodes.used, 0);
}

static void
ignores_other_protocols(void **state)
{
	struct lab *l = *state;
	static const uint16_t types[] = {0x86dd, 0x8100, 0x88cc, 46, 0x8863, 0};
	struct mac m = GUEST_MAC;
	uint8_t f[100];
	memset(f, 0x60, sizeof f);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		ether_put(f, &m, &m, types[i]);
		lab_frame(l, f, sizeof f);
	}
	assert_int_equal(l->stats.frames_in, ARRAY_LEN(types));
	assert_int_equal(l->stats.frames_bad, 0);
	assert_false(lab_totals(l).assigned);
	lab_silence(l);
}

static void
drops_what_is_broken(void **state)
{
	struct lab *l = *state;
	struct mac m = GUEST_MAC;
	uint8_t f[60] = {0};
	struct ip src = GUEST, dst = WORLD;
	struct ippkt k = {.src = src, .dst = dst, .proto = 99, .ttl = 64};
	ether_put(f, &m, &m, ETHER_IPV4);
	ippkt_put(f + ETHER_HEAD, &k, 20);
	for (size_t n = 0; n < ETHER_HEAD + 40; n++)
		lab_frame(l, f, n);
	assert_int_equal(l->stats.frames_bad, ETHER_HEAD + 40);
	assert_false(lab_totals(l).assigned);
	f[ETHER_HEAD + 8]++; /* header checksum */
	lab_frame(l, f, sizeof f);
	f[ETHER_HEAD + 8]--;
	f[ETHER_HEAD] = 0x65; /* the wrong version */
	lab_frame(l, f, sizeof f);
	f[ETHER_HEAD] = 0x44; /* too short a header */
	lab_frame(l, f, sizeof f);
	f[ETHER_HEAD] = 0x4f; /* longer than the packet */
	lab_frame(l, f, sizeof f);
	f[ETHER_HEAD] = 0x45;
	f[6] |= 1; /* a group as sender */
	lab_frame(l, f, sizeof f);
	assert_int_equal(l->stats.frames_bad, ETHER_HEAD + 45);
	lab_silence(l);
	f[6] &= 0xfe;
	lab_frame(l, f, sizeof f); /* padding behind it is fine */
	assert_int_equal(lab_one(l).icmp.kind, ICMP_KIND_PROTO_UNREACHABLE);
}

static void
adopts_any_address_of_the_network(void **state)
{
	struct lab *l = *state;
	lab_echo(l, NEIGHBOUR, GATEWAY, 1, 1, SPAN_NONE);
	struct seen s = lab_one(l);
	assert_ip(s.ip.dst, NEIGHBOUR);
	struct stack_totals t = lab_totals(l);
	assert_true(t.assigned);
	assert_ip(t.guest_ip, NEIGHBOUR);
	assert_mac(t.guest_mac, GUEST_MAC);
}

static void
knows_no_foreigners(void **state)
{
	struct lab *l = *state;
	static const uint32_t bad[] = {0xc0a80105, 0x0a000102, 0x0a000300, 0x0a000202, 0x0a000200,
	        0x0a0002ff, 0, 0xffffffff};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		lab_echo(l, ip4(bad[i]), GATEWAY, 1, 1, SPAN_NONE);
	assert_int_equal(l->stats.frames_bad, ARRAY_LEN(bad));
	assert_false(lab_totals(l).assigned);
	lab_silence(l);
}

static void
honours_the_prefix(void **state)
{
	struct lab *l = *state;
	l->conf.prefix_bits = 96 + 8;
	lab_echo(l, ip4(0x0a0002ff), GATEWAY, 1, 1, SPAN_NONE);
	lab_one(l);
	lab_echo(l, ip4(0x0affffff), GATEWAY, 1, 1, SPAN_NONE);
	lab_echo(l, ip4(0x0a000000), GATEWAY, 1, 1, SPAN_NONE);
	lab_echo(l, ip4(0x0b000001), GATEWAY, 1, 1, SPAN_NONE);
	lab_silence(l);
	l->conf.prefix_bits = 96 + 30;
	lab_echo(l, ip4(0x0a000201), GATEWAY, 1, 1, SPAN_NONE);
	lab_one(l);
	lab_echo(l, ip4(0x0a000203), GATEWAY, 1, 1, SPAN_NONE);
	lab_silence(l);
}

static void
answers_unknown_protocols(void **state)
{
	struct lab *l = *state;
	struct ippkt k = {.src = GUEST, .dst = WORLD, .proto = 47};
	lab_ip(l, k, SPAN_LIT("12345678"));
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_PROTO_UNREACHABLE);
	assert_ip(s.ip.src, GATEWAY);
}

static void
pads_when_told(void **state)
{
	struct lab *l = *state;
	l->conf.pad_frames = true;
	lab_echo(l, GUEST, GATEWAY, 1, 1, SPAN_LIT("x"));
	lab_one(l);
	assert_int_equal(l->frame[0].n, 60);
	lab_udp(l, GUEST, 1000, WORLD, 9, SPAN_LIT("x"));
	struct endpoint src = {WORLD, 9};
	stack_udp_input(l->st, l->b, &src, SPAN_LIT("y"), l->now);
	struct seen s = lab_one(l);
	assert_int_equal(l->frame[0].n, 60);
	assert_int_equal(s.udp.payload.n, 1);
	for (size_t i = 43; i < 60; i++)
		assert_int_equal(l->frame[0].p[i], 0);
}

static void
counts_identifiers_from_one(void **state)
{
	struct lab *l = *state;
	for (uint32_t i = 1; i < 4; i++) {
		lab_echo(l, GUEST, GATEWAY, 1, 1, SPAN_NONE);
		assert_int_equal(lab_one(l).ip.id, i);
	}
	for (uint32_t i = 4; i < 65540; i++) {
		lab_echo(l, GUEST, GATEWAY, 1, 1, SPAN_NONE);
		assert_int_equal(lab_one(l).ip.id, (uint16_t)i);
	}
}

static void
counts_frames(void **state)
{
	struct lab *l = *state;
	for (int i = 0; i < 10; i++)
		lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	l->budget = 42 * 4;
	lab_pull(l);
	lab_pull(l);
	assert_true(l->more);
	lab_pull(l);
	assert_false(l->more);
	assert_int_equal(l->stats.frames_in, 10);
	assert_int_equal(l->stats.frames_out, 10);
	assert_int_equal(l->stats.arp_in, 10);
}

/* Two stacks of one worker share slabs and nothing else. */
static void
keeps_tunnels_apart(void **state)
{
	struct lab *l = *state;
	struct stack *first = l->st;
	lab_udp(l, GUEST, 1000, WORLD, 9, SPAN_LIT("x"));
	struct udp_binding *b = l->b;
	l->st = stack_new(&l->shared, l);
	assert_false(lab_totals(l).assigned);
	lab_udp(l, GUEST, 1000, WORLD, 9, SPAN_LIT("x"));
	assert_ptr_not_equal(l->b, b);
	assert_int_equal(lab_totals(l).udp_flows, 1);
	stack_free(first);
	assert_int_equal(l->bindings, 1);
}

static void
new_fails_cleanly(void **state)
{
	(void)state;
	stack_free(NULL);
	stack_batch_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(costs_little_while_idle),
	        LAB_TEST(ignores_other_protocols),
	        LAB_TEST(drops_what_is_broken),
	        LAB_TEST(adopts_any_address_of_the_network),
	        LAB_TEST(knows_no_foreigners),
	        LAB_TEST(honours_the_prefix),
	        LAB_TEST(answers_unknown_protocols),
	        LAB_TEST(pads_when_told),
	        LAB_TEST(counts_identifiers_from_one),
	        LAB_TEST(counts_frames),
	        LAB_TEST(keeps_tunnels_apart),
	        cmocka_unit_test(new_fails_cleanly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
