#include "rig.h"

#include <errno.h>

static void
resolves(void **state)
{
	(void)state;
	struct rig r;
	struct ether e;
	struct arp a;
	struct mac mac;
	struct ip gw = RIG_GATEWAY;
	rig_new(&r);
	assert_int_equal(guest_neighbour(r.g, &gw, &mac), NEIGHBOUR_UNKNOWN);
	guest_resolve(r.g, &gw, r.now);
	assert_int_equal(rig_pull(&r), 1);
	assert_int_equal(ether_parse(r.frame[0], &e), 0);
	assert_true(mac_is_broadcast(&e.dst));
	assert_int_equal(arp_parse(e.payload, &a), 0);
	assert_true(ip_is_unspecified(&a.sender)); /* RFC 5227: no address yet */
	assert_true(ip_eq(&a.target, &gw));
	assert_int_equal(guest_neighbour(r.g, &gw, &mac), NEIGHBOUR_ASKED);
	rig_give_arp(&r, &gw);
	assert_int_equal(guest_neighbour(r.g, &gw, &mac), NEIGHBOUR_FOUND);
	assert_true(mac_eq(&mac, &rig_gateway_mac));
	assert_true(r.events > 0);
	rig_free(&r);
}

static void
gives_up_on_silence(void **state)
{
	(void)state;
	struct rig r;
	struct mac mac;
	struct ip gw = RIG_GATEWAY;
	rig_new(&r);
	struct guest_net net = {RIG_GUEST, 120, gw, gw};
	guest_configure(r.g, &net);
	struct ip world = RIG_WORLD;
	assert_int_equal(gping_send(r.g, &world, 1, 1, 8, 0, r.now), 0);
	unsigned asked = 0;
	for (int i = 0; i < 50; i++) {
		asked += (unsigned)rig_pull(&r);
		rig_pass(&r, 100);
	}
	assert_int_equal(asked, 3);
	assert_int_equal(guest_neighbour(r.g, &gw, &mac), NEIGHBOUR_SILENT);
	assert_int_equal(guest_stats(r.g)->dropped, 1);
	rig_free(&r);
}

static void
answers_for_itself_alone(void **state)
{
	(void)state;
	struct rig r;
	uint8_t p[ARP_LEN];
	rig_ready(&r);
	struct arp a = {.op = ARP_REQUEST, .sender_mac = rig_gateway_mac, .sender = RIG_GATEWAY};
	a.target = RIG_GUEST;
	arp_put(p, &a);
	rig_give_raw(&r, &MAC_BROADCAST, ETHER_ARP, span(p, sizeof p));
	assert_int_equal(rig_pull(&r), 1);
	a.target = ip4(0x0a000210);
	arp_put(p, &a);
	rig_give_raw(&r, &MAC_BROADCAST, ETHER_ARP, span(p, sizeof p));
	assert_int_equal(rig_pull(&r), 0);
	rig_free(&r);
}

static void
frames_wait_for_the_neighbour(void **state)
{
	(void)state;
	struct rig r;
	struct ether e;
	struct ippkt k;
	struct ip world = RIG_WORLD, gw = RIG_GATEWAY;
	rig_new(&r);
	struct guest_net net = {RIG_GUEST, 120, gw, gw};
	guest_configure(r.g, &net);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(gping_send(r.g, &world, 7, i, 8, 9, r.now), 0);
	assert_int_equal(rig_pull(&r), 1); /* one question for all three */
	rig_give_arp(&r, &gw);
	assert_int_equal(rig_pull(&r), 3);
	assert_int_equal(ether_parse(r.frame[0], &e), 0);
	assert_true(mac_eq(&e.dst, &rig_gateway_mac));
	rig_ip(&r, 2, &k);
	assert_true(ip_eq(&k.dst, &world));
	assert_int_equal(k.ttl, 9);
	rig_free(&r);
}

static void
no_way_out(void **state)
{
	(void)state;
	struct rig r;
	struct ip world = RIG_WORLD;
	rig_new(&r);
	struct guest_net net = {RIG_GUEST, 120, ip4(0), ip4(0)};
	guest_configure(r.g, &net);
	assert_int_equal(gping_send(r.g, &world, 1, 1, 8, 0, r.now), -ENETUNREACH);
	rig_free(&r);
}

static void
pings(void **state)
{
	(void)state;
	struct rig r;
	struct ippkt k;
	struct icmpmsg m;
	struct gping_event ev;
	struct ip world = RIG_WORLD;
	rig_ready(&r);
	assert_int_equal(gping_send(r.g, &world, 77, 3, 100, 0, r.now), 0);
	assert_int_equal(rig_pull(&r), 1);
	rig_ip(&r, 0, &k);
	assert_int_equal(icmp_parse(&k, &m), 0);
	assert_int_equal(m.kind, ICMP_KIND_ECHO);
	assert_int_equal(m.body.n, 100);
	m.kind = ICMP_KIND_ECHO_REPLY;
	rig_give_icmp(&r, world, &m, m.body);
	assert_true(gping_next(r.g, &ev));
	assert_int_equal(ev.kind, ICMP_KIND_ECHO_REPLY);
	assert_int_equal(ev.id, 77);
	assert_int_equal(ev.seq, 3);
	assert_int_equal(ev.len, 100);
	assert_int_equal(ev.ttl, 60);
	assert_true(ev.same);
	assert_false(gping_next(r.g, &ev));
	rig_give_icmp(&r, world, &m, SPAN_LIT("something else"));
	assert_true(gping_next(r.g, &ev));
	assert_false(ev.same);
	rig_free(&r);
}

static void
hears_of_expired_ttl(void **state)
{
	(void)state;
	struct rig r;
	struct ippkt k;
	struct gping_event ev;
	struct ip world = RIG_WORLD, hop = ip4(0xc0000201);
	rig_ready(&r);
	gping_send(r.g, &world, 5, 6, 32, 1, r.now);
	rig_pull(&r);
	rig_ip(&r, 0, &k);
	struct icmpmsg m = {.kind = ICMP_KIND_TTL_EXCEEDED};
	rig_give_icmp(&r, hop, &m, span_first(k.whole, 28));
	assert_true(gping_next(r.g, &ev));
	assert_int_equal(ev.kind, ICMP_KIND_TTL_EXCEEDED);
	assert_true(ip_eq(&ev.from, &hop));
	assert_int_equal(ev.id, 5);
	assert_int_equal(ev.seq, 6);
	rig_free(&r);
}

static void
keeps_the_latest_events(void **state)
{
	(void)state;
	struct rig r;
	struct gping_event ev;
	rig_ready(&r);
	for (uint16_t i = 0; i < GPING_EVENTS + 5; i++) {
		struct icmpmsg m = {.kind = ICMP_KIND_ECHO_REPLY, .id = 1, .seq = i};
		rig_give_icmp(&r, RIG_WORLD, &m, SPAN_NONE);
	}
	for (uint16_t i = 5; i < GPING_EVENTS + 5; i++) {
		assert_true(gping_next(r.g, &ev));
		assert_int_equal(ev.seq, i);
	}
	assert_false(gping_next(r.g, &ev));
	rig_free(&r);
}

static void
udp_both_ways(void **state)
{
	(void)state;
	struct rig r;
	struct ippkt k;
	struct udpdgram d;
	struct endpoint to = {RIG_WORLD, 9}, from;
	char buf[8];
	rig_ready(&r);
	struct gudp *u = gudp_open(r.g, 5353);
	assert_int_equal(gudp_send(u, &to, SPAN_LIT("hello"), 3, r.now), 0);
	assert_int_equal(rig_pull(&r), 1);
	rig_ip(&r, 0, &k);
	assert_int_equal(k.ttl, 3);
	assert_int_equal(udp_parse(&k, &d), 0);
	assert_int_equal(d.sport, 5353);
	assert_int_equal(d.dport, 9);
	assert_true(span_is(d.payload, "hello"));
	assert_int_equal(gudp_recv(u, &from, buf, sizeof buf), -EAGAIN);
	rig_give_udp(&r, RIG_WORLD, 9, RIG_GUEST, 5353, SPAN_LIT("wide world"));
	rig_give_udp(&r, RIG_WORLD, 9, RIG_GUEST, 5353, SPAN_NONE);
	rig_give_udp(&r, RIG_WORLD, 9, RIG_GUEST, 5354, SPAN_LIT("nobody"));
	assert_int_equal(gudp_recv(u, &from, buf, sizeof buf), 8);
	assert_memory_equal(buf, "wide wor", 8);
	assert_true(endpoint_eq(&from, &to));
	assert_int_equal(gudp_recv(u, &from, buf, sizeof buf), 0);
	assert_int_equal(gudp_recv(u, &from, buf, sizeof buf), -EAGAIN);
	assert_int_equal(guest_stats(r.g)->dropped, 1);
	gudp_free(u);
	rig_free(&r);
}

static void
udp_hears_of_errors(void **state)
{
	(void)state;
	struct rig r;
	struct ippkt k;
	struct endpoint to = {RIG_WORLD, 9};
	struct gudp_trouble t;
	rig_ready(&r);
	struct gudp *u = gudp_open(r.g, 0);
	assert_true(gudp_port(u) >= 49152);
	gudp_send(u, &to, SPAN_LIT("hello"), 0, r.now);
	rig_pull(&r);
	rig_ip(&r, 0, &k);
	struct icmpmsg m = {.kind = ICMP_KIND_PORT_UNREACHABLE};
	rig_give_icmp(&r, to.ip, &m, k.whole);
	assert_true(gudp_trouble(u, &t));
	assert_int_equal(t.kind, ICMP_KIND_PORT_UNREACHABLE);
	assert_true(endpoint_eq(&t.about, &to));
	assert_false(gudp_trouble(u, &t));
	rig_free(&r); /* frees the socket too */
}

/* Out in pieces, and the same pieces back in any order. */
static void
fragments(void **state)
{
	(void)state;
	static const int order[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
	struct rig r;
	struct endpoint to = {RIG_WORLD, 9}, from;
	static uint8_t big[4000], back[4000];
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 7);
	for (size_t o = 0; o < 3; o++) {
		rig_ready(&r);
		struct gudp *u = gudp_open(r.g, 700);
		assert_int_equal(gudp_send(u, &to, span(big, sizeof big), 0, r.now), 0);
		assert_int_equal(rig_pull(&r), 3);
		struct ippkt k[3];
		for (size_t i = 0; i < 3; i++) {
			rig_ip(&r, i, &k[i]);
			assert_true(r.frame[i].n <= 1514);
			assert_int_equal(k[i].offset, 1480 * i);
			assert_int_equal(k[i].more, i < 2);
			assert_false(k[i].dont_fragment);
			struct ip src = k[i].dst;
			k[i].dst = k[i].src;
			k[i].src = src;
		}
		/* the same port both ways, so that the checksum still fits */
		uint8_t head[1480];
		memcpy(head, k[0].payload.p, k[0].payload.n);
		put16(head, 9);
		put16(head + 2, 700);
		k[0].payload.p = head;
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(gudp_recv(u, &from, back, sizeof back), -EAGAIN);
			rig_give_ip(&r, &k[order[o][i]], k[order[o][i]].payload);
		}
		assert_int_equal(gudp_recv(u, &from, back, sizeof back), sizeof big);
		assert_memory_equal(big, back, sizeof big);
		rig_free(&r);
	}
}

static void
bad_fragments_cost_nothing(void **state)
{
	(void)state;
	struct rig r;
	uint8_t piece[1480] = {0};
	rig_ready(&r);
	struct ippkt k = {.src = RIG_WORLD, .dst = RIG_GUEST, .proto = IPPROTO_UDP, .ttl = 9};
	k.more = true;
	k.id = 1;
	rig_give_ip(&r, &k, span(piece, 800));
	k.offset = 400; /* overlaps: the datagram is gone */
	rig_give_ip(&r, &k, span(piece, 800));
	assert_int_equal(guest_stats(r.g)->bad, 1);
	for (k.id = 2; k.id < 40; k.id++) /* more than are kept */
		rig_give_ip(&r, &k, span(piece, 800));
	k.id = 99;
	k.offset = 65528;
	k.more = false;
	rig_give_ip(&r, &k, span(piece, 800)); /* beyond 64 KiB */
	assert_int_equal(guest_stats(r.g)->bad, 2);
	rig_pass(&r, 16000);
	rig_free(&r); /* and no timer is left */
}

static void
junk_is_counted(void **state)
{
	(void)state;
	struct rig r;
	uint8_t p[64];
	rig_ready(&r);
	guest_frame(r.g, span(p, 3), r.now);
	memset(p, 0xff, sizeof p);
	rig_give_raw(&r, &rig_guest_mac, ETHER_IPV4, span(p, sizeof p));
	rig_give_raw(&r, &rig_guest_mac, ETHER_ARP, span(p, sizeof p));
	p[0] = 0x45;
	rig_give_raw(&r, &rig_guest_mac, ETHER_IPV4, span(p, sizeof p));
	assert_true(guest_stats(r.g)->bad >= 3);
	struct mac other = {{2, 9, 9, 9, 9, 9}};
	rig_give_raw(&r, &other, ETHER_ARP, span(p, sizeof p));
	rig_give_raw(&r, &rig_guest_mac, 0x88cc, span(p, sizeof p));
	assert_true(guest_stats(r.g)->dropped >= 2);
	assert_int_equal(rig_pull(&r), 0);
	rig_free(&r);
}

static void
a_full_queue_is_bounded(void **state)
{
	(void)state;
	struct rig r;
	struct ip world = RIG_WORLD;
	int last = 0;
	rig_ready(&r);
	for (int i = 0; i < 2000 && last == 0; i++)
		last = gping_send(r.g, &world, 1, 1, 1400, 0, r.now);
	assert_int_equal(last, -ENOBUFS);
	assert_true(rig_pull_some(&r, 4000)); /* two fit, more wait */
	assert_int_equal(r.n, 2);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(resolves),
	        cmocka_unit_test(gives_up_on_silence),
	        cmocka_unit_test(answers_for_itself_alone),
	        cmocka_unit_test(frames_wait_for_the_neighbour),
	        cmocka_unit_test(no_way_out),
	        cmocka_unit_test(pings),
	        cmocka_unit_test(hears_of_expired_ttl),
	        cmocka_unit_test(keeps_the_latest_events),
	        cmocka_unit_test(udp_both_ways),
	        cmocka_unit_test(udp_hears_of_errors),
	        cmocka_unit_test(fragments),
	        cmocka_unit_test(bad_fragments_cost_nothing),
	        cmocka_unit_test(junk_is_counted),
	        cmocka_unit_test(a_full_queue_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
