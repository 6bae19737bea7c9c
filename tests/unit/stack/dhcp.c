#include "tests/unit/stack/lab.h"

#include "wire/dhcp.h"

struct ask {
	struct dhcp d;
	struct wr w;
	uint8_t buf[1400];
};

static void
begin(struct ask *a, uint8_t type)
{
	a->d = (struct dhcp){
	        .op = DHCP_FROM_CLIENT,
	        .type = type,
	        .xid = 0xdecafbad,
	        .flags = DHCP_BROADCAST,
	        .chaddr = GUEST_MAC,
	};
	a->w = wr_init(a->buf, sizeof a->buf);
}

static void
send_from(struct lab *l, struct ask *a, struct ip src, struct ip dst)
{
	dhcp_end(&a->w);
	lab_udp(l, src, 68, dst, 67, span(a->buf, wr_len(&a->w)));
}

static void
send_plain(struct lab *l, uint8_t type)
{
	struct ask a;
	begin(&a, type);
	dhcp_begin(&a.w, &a.d);
	send_from(l, &a, NOBODY, EVERYBODY);
}

static void
ask_for(struct lab *l, uint8_t type, struct span params)
{
	struct ask a;
	begin(&a, type);
	dhcp_begin(&a.w, &a.d);
	dhcp_opt(&a.w, DHCP_OPT_PARAMS, params);
	send_from(l, &a, NOBODY, EVERYBODY);
}

/* The message in frame i. */
static void
message(struct lab *l, unsigned i, struct dhcp *d)
{
	struct seen s = lab_seen(l, i);
	assert_ip(s.ip.src, GATEWAY);
	assert_int_equal(s.udp.sport, 67);
	assert_int_equal(s.udp.dport, 68);
	assert_true(s.udp.payload.n >= 300);
	assert_int_equal(dhcp_parse(s.udp.payload, d), 0);
	assert_int_equal(d->op, DHCP_FROM_SERVER);
	assert_int_equal(d->xid, 0xdecafbad);
	assert_int_equal(d->flags, DHCP_BROADCAST);
	assert_int_equal(d->secs, 0);
	assert_int_equal(d->hops, 0);
	assert_mac(d->chaddr, GUEST_MAC);
	assert_true(ip_is_unspecified(&d->giaddr));
}

/* Two copies, to everybody and to the client. */
static void
both(struct lab *l, uint8_t type, struct ip yiaddr)
{
	struct dhcp d;
	assert_int_equal(lab_pull(l), 2);
	struct seen a = lab_seen(l, 0), b = lab_seen(l, 1);
	assert_mac(a.eth.dst, MAC_BROADCAST);
	assert_ip(a.ip.dst, EVERYBODY);
	assert_mac(b.eth.dst, GUEST_MAC);
	assert_int_equal(a.udp.payload.n, b.udp.payload.n);
	assert_memory_equal(a.udp.payload.p, b.udp.payload.p, a.udp.payload.n);
	assert_int_equal(a.ip.ttl, 64);
	assert_true(a.ip.dont_fragment);
	for (unsigned i = 0; i < 2; i++) {
		message(l, i, &d);
		assert_int_equal(d.type, type);
		assert_ip(d.yiaddr, yiaddr);
	}
}

/* Codes in the order in which they stand in the message. */
static size_t
codes(struct lab *l, uint8_t out[64])
{
	struct span m = lab_seen(l, 0).udp.payload;
	size_t n = 0;
	for (size_t at = DHCP_HEAD; at < m.n && m.p[at] != 255; at += 2u + m.p[at + 1])
		if (n < 64)
			out[n++] = m.p[at];
	return n;
}

static struct span
option(struct lab *l, uint8_t code)
{
	static struct dhcp d;
	static uint8_t scratch[600];
	message(l, 0, &d);
	return dhcp_get(&d, code, scratch, sizeof scratch);
}

static void
offers_twice(void **state)
{
	struct lab *l = *state;
	send_plain(l, DHCP_DISCOVER);
	both(l, DHCP_OFFER, GUEST);
	assert_ip(lab_seen(l, 1).ip.dst, GUEST);
	assert_false(lab_totals(l).assigned);
	static const uint8_t order[] = {53, 54, 1, 3, 6, 51, 58, 59};
	uint8_t got[64];
	assert_int_equal(codes(l, got), sizeof order);
	assert_memory_equal(got, order, sizeof order);
	struct span mask = option(l, 1), lease = option(l, 51);
	assert_int_equal(get32(mask.p), 0xffffff00);
	assert_int_equal(get32(lease.p), 86400);
	assert_int_equal(get32(option(l, 58).p), 43200);
	assert_int_equal(get32(option(l, 59).p), 75600);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(get32(option(l, ((uint8_t[]){54, 3, 6})[i]).p), 0x0a000202);
}

/* No DISCOVER before it, no address in it. */
static void
acks_a_bare_request(void **state)
{
	struct lab *l = *state;
	send_plain(l, DHCP_REQUEST);
	both(l, DHCP_ACK, GUEST);
	struct stack_totals t = lab_totals(l);
	assert_true(t.assigned);
	assert_ip(t.guest_ip, GUEST);
	assert_mac(t.guest_mac, GUEST_MAC);
}

static void
request(struct lab *l, struct ip requested, struct ip server, struct ip ciaddr)
{
	struct ask a;
	begin(&a, DHCP_REQUEST);
	a.d.ciaddr = ciaddr;
	dhcp_begin(&a.w, &a.d);
	if (!ip_is_unspecified(&requested))
		dhcp_opt_ip(&a.w, DHCP_OPT_REQUESTED, &requested);
	if (!ip_is_unspecified(&server))
		dhcp_opt_ip(&a.w, DHCP_OPT_SERVER, &server);
	send_from(l, &a, ciaddr, ip_is_unspecified(&ciaddr) ? EVERYBODY : GATEWAY);
}

static void
acks_what_it_offered(void **state)
{
	struct lab *l = *state;
	request(l, GUEST, GATEWAY, NOBODY);
	both(l, DHCP_ACK, GUEST);
	request(l, GUEST, NOBODY, NOBODY); /* after a reboot */
	both(l, DHCP_ACK, GUEST);
	request(l, NOBODY, NOBODY, GUEST); /* unicast renewal */
	both(l, DHCP_ACK, GUEST);
}

static void
refuses(struct lab *l)
{
	struct dhcp d;
	assert_int_equal(lab_pull(l), 1);
	struct seen s = lab_seen(l, 0);
	assert_mac(s.eth.dst, MAC_BROADCAST);
	assert_ip(s.ip.dst, EVERYBODY);
	message(l, 0, &d);
	assert_int_equal(d.type, DHCP_NAK);
	assert_ip(d.yiaddr, NOBODY);
	assert_ip(d.siaddr, NOBODY);
	assert_int_equal(get32(option(l, 54).p), 0x0a000202);
	assert_null(option(l, 51).p);
}

static void
naks_a_foreign_address(void **state)
{
	struct lab *l = *state;
	request(l, ip4(0xc0a80105), NOBODY, NOBODY);
	refuses(l);
	request(l, NEIGHBOUR, GATEWAY, NOBODY);
	refuses(l);
	request(l, NOBODY, NOBODY, ip4(0xc0a80105)); /* rebinding what another network leased */
	refuses(l);
	assert_false(lab_totals(l).assigned);
}

static void
leaves_other_servers_alone(void **state)
{
	struct lab *l = *state;
	request(l, ip4(0xc0a80105), ip4(0xc0a80101), NOBODY);
	lab_silence(l);
}

static void
informs(void **state)
{
	struct lab *l = *state;
	static const struct ip addrs[] = {
	        {{[10] = 0xff, 0xff, 10, 0, 2, 15}}, {{[10] = 0xff, 0xff, 10, 0, 2, 55}}};
	for (unsigned i = 0; i < 2; i++) {
		struct ask a;
		struct dhcp d;
		begin(&a, DHCP_INFORM);
		a.d.ciaddr = addrs[i];
		dhcp_begin(&a.w, &a.d);
		send_from(l, &a, addrs[i], EVERYBODY);
		both(l, DHCP_ACK, NOBODY);
		assert_ip(lab_seen(l, 1).ip.dst, addrs[i]);
		message(l, 1, &d);
		assert_ip(d.ciaddr, addrs[i]);
		assert_null(option(l, 51).p);
		assert_null(option(l, 58).p);
		assert_null(option(l, 59).p);
		assert_int_equal(get32(option(l, 6).p), 0x0a000202);
	}
}

static void
forgets_what_is_given_back(void **state)
{
	struct lab *l = *state;
	static const uint8_t types[] = {DHCP_RELEASE, DHCP_DECLINE};
	for (unsigned i = 0; i < 2; i++) {
		send_plain(l, DHCP_REQUEST);
		both(l, DHCP_ACK, GUEST);
		assert_true(lab_totals(l).assigned);
		send_plain(l, types[i]);
		lab_silence(l);
		assert_false(lab_totals(l).assigned);
	}
}

static void
gives_what_is_asked_for(void **state)
{
	struct lab *l = *state;
	static const struct ip ntp[] = {
	        {{[10] = 0xff, 0xff, 192, 0, 2, 1}}, {{[10] = 0xff, 0xff, 192, 0, 2, 2}}};
	l->conf.hostname = "vm";
	l->conf.domain = "example.org";
	l->conf.search = SPAN_LIT("\4corp\7example\3org");
	l->conf.search.n++; /* the root */
	l->conf.routes = SPAN_LIT("\x10\xc0\xa8\x0a\x00\x02\x02");
	l->conf.ntp = ntp;
	l->conf.n_ntp = 2;
	l->conf.wpad = "http://wpad/x";
	ask_for(l, DHCP_DISCOVER,
	        SPAN_LIT("\x01\x03\x06\x0c\x0f\x1a\x1c\x2a\x33\x77\x79\xf9\xfc\x0c"));
	both(l, DHCP_OFFER, GUEST);
	static const uint8_t order[] = {
	        53, 54, 1, 3, 6, 51, 58, 59, 12, 15, 26, 28, 42, 119, 121, 249, 252};
	uint8_t got[64];
	assert_int_equal(codes(l, got), sizeof order);
	assert_memory_equal(got, order, sizeof order);
	assert_true(span_is(option(l, 12), "vm"));
	assert_true(span_is(option(l, 15), "example.org"));
	assert_int_equal(get16(option(l, 26).p), 1500);
	assert_int_equal(get32(option(l, 28).p), 0x0a0002ff);
	assert_int_equal(option(l, 42).n, 8);
	assert_true(span_eq(option(l, 119), l->conf.search));
	/* with the default route, which option 3 no longer gives */
	assert_true(span_eq(
	        option(l, 121), SPAN_LIT("\x10\xc0\xa8\x0a\x00\x02\x02\x00\x0a\x00\x02\x02")));
	assert_true(span_eq(option(l, 249), option(l, 121)));
	assert_true(span_is(option(l, 252), "http://wpad/x"));
}

static void
keeps_a_default_route_that_is_there(void **state)
{
	struct lab *l = *state;
	l->conf.routes = SPAN_LIT("\x00\x0a\x00\x02\x03\x08\x0a\x0a\x00\x02\x02");
	ask_for(l, DHCP_DISCOVER, SPAN_LIT("\x79"));
	both(l, DHCP_OFFER, GUEST);
	assert_true(span_eq(option(l, 121), l->conf.routes));
}

static void
leaves_out_what_there_is_not(void **state)
{
	struct lab *l = *state;
	ask_for(l, DHCP_DISCOVER, SPAN_LIT("\x0c\x0f\x2a\x77\x79\xf9\xfc\x2b\x3c\x42\x35\x36"));
	both(l, DHCP_OFFER, GUEST);
	uint8_t got[64];
	assert_int_equal(codes(l, got), 8);
	l->conf.max_frame = 600;
	ask_for(l, DHCP_DISCOVER, SPAN_LIT("\x1a"));
	both(l, DHCP_OFFER, GUEST);
	assert_int_equal(get16(option(l, 26).p), 586);
}

/* Without option 57 no client has to take more than 576 bytes of IP. */
static void
honours_the_size_a_client_takes(void **state)
{
	struct lab *l = *state;
	static uint8_t big[400];
	memset(big, 1, sizeof big);
	l->conf.search = span(big, sizeof big);
	l->conf.domain = "example.org";
	ask_for(l, DHCP_DISCOVER, SPAN_LIT("\x77\x0f"));
	both(l, DHCP_OFFER, GUEST);
	assert_null(option(l, 119).p);
	assert_non_null(option(l, 15).p);
	assert_true(lab_seen(l, 0).udp.payload.n <= 548);
	struct ask a;
	begin(&a, DHCP_DISCOVER);
	dhcp_begin(&a.w, &a.d);
	dhcp_opt(&a.w, DHCP_OPT_PARAMS, SPAN_LIT("\x77\x0f"));
	dhcp_opt_u16(&a.w, DHCP_OPT_MAX_SIZE, 1500);
	send_from(l, &a, NOBODY, EVERYBODY);
	both(l, DHCP_OFFER, GUEST);
	assert_true(span_eq(option(l, 119), l->conf.search));
	assert_true(lab_seen(l, 0).udp.payload.n > 548);
	assert_true(l->frame[0].n <= 1514);
}

static void
updates_the_station(void **state)
{
	struct lab *l = *state;
	struct ask a;
	lab_arp(l, ARP_REPLY, GUEST, GUEST);
	l->mac = OTHER_MAC;
	begin(&a, DHCP_REQUEST);
	a.d.chaddr = OTHER_MAC;
	dhcp_begin(&a.w, &a.d);
	send_from(l, &a, NOBODY, EVERYBODY);
	assert_int_equal(lab_pull(l), 2);
	assert_mac(lab_seen(l, 1).eth.dst, OTHER_MAC);
	lab_echo(l, GUEST, GATEWAY, 1, 1, SPAN_LIT("x"));
	assert_mac(lab_one(l).eth.dst, OTHER_MAC);
}

/* The frame limit of a tunnel may be shorter than any OFFER: dropped and counted, nothing else. */
static void
drops_offers_beyond_the_frame_limit(void **state)
{
	struct lab *l = *state;
	l->conf.max_frame = 286;
	send_plain(l, DHCP_DISCOVER);
	assert_int_equal(lab_pull(l), 0);
	assert_int_equal(l->dropped, 2);
	assert_false(l->more);
	lab_silence(l);
	lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	lab_one(l);
}

static void
ignores_what_is_broken(void **state)
{
	struct lab *l = *state;
	struct ask a;
	begin(&a, DHCP_DISCOVER);
	dhcp_begin(&a.w, &a.d);
	for (size_t n = 0; n < 243; n++)
		lab_udp(l, NOBODY, 68, EVERYBODY, 67, span(a.buf, n));
	a.buf[236] ^= 1; /* the cookie */
	lab_udp(l, NOBODY, 68, EVERYBODY, 67, span(a.buf, 300));
	send_plain(l, DHCP_OFFER);
	send_plain(l, 77);
	lab_silence(l);
	assert_int_equal(l->stats.dhcp_in, 246);
}

/* Another port pair is not DHCP, and goes nowhere. */
static void
looks_at_ports(void **state)
{
	struct lab *l = *state;
	struct ask a;
	begin(&a, DHCP_DISCOVER);
	dhcp_begin(&a.w, &a.d);
	dhcp_end(&a.w);
	lab_udp(l, NOBODY, 67, EVERYBODY, 67, span(a.buf, 300));
	lab_udp(l, NOBODY, 68, EVERYBODY, 68, span(a.buf, 300));
	lab_silence(l);
	assert_int_equal(l->stats.dhcp_in, 0);
	assert_int_equal(l->udp_sends, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(offers_twice),
	        LAB_TEST(acks_a_bare_request),
	        LAB_TEST(acks_what_it_offered),
	        LAB_TEST(naks_a_foreign_address),
	        LAB_TEST(leaves_other_servers_alone),
	        LAB_TEST(informs),
	        LAB_TEST(forgets_what_is_given_back),
	        LAB_TEST(gives_what_is_asked_for),
	        LAB_TEST(keeps_a_default_route_that_is_there),
	        LAB_TEST(leaves_out_what_there_is_not),
	        LAB_TEST(honours_the_size_a_client_takes),
	        LAB_TEST(updates_the_station),
	        LAB_TEST(drops_offers_beyond_the_frame_limit),
	        LAB_TEST(ignores_what_is_broken),
	        LAB_TEST(looks_at_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
