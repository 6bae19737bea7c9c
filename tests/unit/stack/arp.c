#include "tests/unit/stack/lab.h"

static void
answers_for_the_gateway(void **state)
{
	struct lab *l = *state;
	lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	assert_true(l->wakes > 0);
	struct seen s = lab_one(l);
	assert_int_equal(l->frame[0].n, 42);
	assert_mac(s.eth.dst, GUEST_MAC);
	assert_int_equal(s.arp.op, ARP_REPLY);
	assert_mac(s.arp.sender_mac, GATEWAY_MAC);
	assert_ip(s.arp.sender, GATEWAY);
	assert_mac(s.arp.target_mac, GUEST_MAC);
	assert_ip(s.arp.target, GUEST);
}

static void
answers_probes_before_dhcp(void **state)
{
	struct lab *l = *state;
	lab_arp(l, ARP_REQUEST, NOBODY, GATEWAY);
	struct seen s = lab_one(l);
	assert_mac(s.eth.dst, GUEST_MAC);
	assert_ip(s.arp.target, NOBODY);
	assert_false(lab_totals(l).assigned);
}

static void
is_silent_for_all_others(void **state)
{
	struct lab *l = *state;
	lab_arp(l, ARP_REQUEST, NOBODY, GUEST);
	lab_arp(l, ARP_REQUEST, GUEST, GUEST);
	lab_arp(l, ARP_REQUEST, GUEST, ip4(0x0a000203));
	lab_arp(l, ARP_REQUEST, GUEST, WORLD);
	lab_arp(l, ARP_REPLY, GUEST, GATEWAY);
	lab_silence(l);
}

static void
adopts_the_sender(void **state)
{
	struct lab *l = *state;
	lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	struct stack_totals t = lab_totals(l);
	assert_true(t.assigned);
	assert_ip(t.guest_ip, GUEST);
	assert_mac(t.guest_mac, GUEST_MAC);
	l->mac = OTHER_MAC;
	lab_arp(l, ARP_REPLY, NEIGHBOUR, NEIGHBOUR);
	t = lab_totals(l);
	assert_ip(t.guest_ip, NEIGHBOUR);
	assert_mac(t.guest_mac, OTHER_MAC);
}

/* Each address keeps the station it was seen at. */
static void
knows_several_stations(void **state)
{
	struct lab *l = *state;
	lab_arp(l, ARP_REPLY, GUEST, GATEWAY);
	l->mac = OTHER_MAC;
	lab_arp(l, ARP_REPLY, NEIGHBOUR, GATEWAY);
	lab_echo(l, NEIGHBOUR, GATEWAY, 1, 1, SPAN_LIT("x"));
	l->mac = GUEST_MAC;
	lab_echo(l, GUEST, GATEWAY, 1, 1, SPAN_LIT("x"));
	assert_int_equal(lab_pull(l), 2);
	assert_mac(lab_seen(l, 0).eth.dst, OTHER_MAC);
	assert_mac(lab_seen(l, 1).eth.dst, GUEST_MAC);
	l->mac = OTHER_MAC;
	lab_arp(l, ARP_REPLY, GUEST, GATEWAY);
	lab_echo(l, GUEST, GATEWAY, 1, 1, SPAN_LIT("x"));
	assert_mac(lab_one(l).eth.dst, OTHER_MAC);
}

static void
survives_many_stations(void **state)
{
	struct lab *l = *state;
	for (unsigned i = 3; i < 255; i++) {
		l->mac.b[5] = (uint8_t)i;
		lab_arp(l, ARP_REPLY, ip4(0x0a000200 + i), GATEWAY);
		lab_echo(l, ip4(0x0a000200 + i), GATEWAY, 1, 1, SPAN_LIT("x"));
		assert_mac(lab_one(l).eth.dst, l->mac);
	}
	assert_true(lab_totals(l).memory < 1024 + 4096);
}

static void
drops_what_is_broken(void **state)
{
	struct lab *l = *state;
	uint8_t f[42] = {0};
	struct arp a = {.op = ARP_REQUEST, .sender_mac = GUEST_MAC, .target = GATEWAY};
	a.sender = GUEST;
	struct mac m = GUEST_MAC, all = MAC_BROADCAST;
	ether_put(f, &all, &m, ETHER_ARP);
	arp_put(f + ETHER_HEAD, &a);
	for (size_t n = 0; n < sizeof f; n++)
		lab_frame(l, f, n);
	f[ETHER_HEAD + 1] = 6; /* not Ethernet */
	lab_frame(l, f, sizeof f);
	a.sender_mac = all; /* a group is no sender */
	arp_put(f + ETHER_HEAD, &a);
	lab_frame(l, f, sizeof f);
	a.sender_mac = m;
	arp_put(f + ETHER_HEAD, &a);
	ether_put(f, &all, &all, ETHER_ARP);
	lab_frame(l, f, sizeof f);
	assert_int_equal(l->stats.frames_bad, 42 + 3);
	assert_false(lab_totals(l).assigned);
	lab_silence(l);
}

static void
ignores_foreign_senders(void **state)
{
	struct lab *l = *state;
	lab_arp(l, ARP_REQUEST, WORLD, NEIGHBOUR);
	lab_arp(l, ARP_REPLY, GATEWAY, GUEST);
	lab_arp(l, ARP_REPLY, ip4(0x0a0002ff), GUEST);
	lab_arp(l, ARP_REPLY, ip4(0x0a000200), GUEST);
	assert_false(lab_totals(l).assigned);
	lab_silence(l);
}

static void
pads_when_told(void **state)
{
	struct lab *l = *state;
	l->conf.pad_frames = true;
	lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	lab_one(l);
	assert_int_equal(l->frame[0].n, 60);
	for (size_t i = 42; i < 60; i++)
		assert_int_equal(l->frame[0].p[i], 0);
}

/* A guest that asks and never reads costs a bounded queue. */
static void
bounds_what_waits(void **state)
{
	struct lab *l = *state;
	for (int i = 0; i < 20000; i++)
		lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	assert_true(lab_totals(l).memory <= 140 * 1024);
	unsigned n = 0;
	do
		n += lab_pull(l);
	while (l->more || l->n == LAB_FRAMES);
	assert_true(n > 1000 && n < 20000);
	assert_int_equal(lab_totals(l).memory < 1024, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(answers_for_the_gateway),
	        LAB_TEST(answers_probes_before_dhcp),
	        LAB_TEST(is_silent_for_all_others),
	        LAB_TEST(adopts_the_sender),
	        LAB_TEST(knows_several_stations),
	        LAB_TEST(survives_many_stations),
	        LAB_TEST(drops_what_is_broken),
	        LAB_TEST(ignores_foreign_senders),
	        LAB_TEST(pads_when_told),
	        LAB_TEST(bounds_what_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
