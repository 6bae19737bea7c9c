#include "rig.h"

struct server { /* what it last heard */
	struct dhcp m;
	struct ippkt k;
	uint8_t copy[1024];
};

/* The one frame of the last pull, as the server sees it. */
static void
hear(struct rig *r, struct server *s)
{
	struct udpdgram d;
	assert_int_equal(rig_pull(r), 1);
	rig_ip(r, 0, &s->k);
	assert_int_equal(udp_parse(&s->k, &d), 0);
	assert_int_equal(d.sport, DHCP_CLIENT_PORT);
	assert_int_equal(d.dport, DHCP_SERVER_PORT);
	assert_true(d.payload.n >= DHCP_LEAST);
	memcpy(s->copy, d.payload.p, d.payload.n);
	assert_int_equal(dhcp_parse(span(s->copy, d.payload.n), &s->m), 0);
}

static void
answer_as(struct rig *r, const struct server *s, enum dhcp_type type, uint32_t xid)
{
	uint8_t p[600];
	struct wr w = wr_init(p, sizeof p);
	struct ip gw = RIG_GATEWAY, mask = ip4(0xffffff00);
	bool gives = type == DHCP_OFFER || (type == DHCP_ACK && s->m.type != DHCP_INFORM);
	struct dhcp m = {
	        .op = DHCP_FROM_SERVER,
	        .type = (uint8_t)type,
	        .xid = xid,
	        .chaddr = s->m.chaddr,
	        .yiaddr = gives ? RIG_GUEST : ip4(0),
	        .ciaddr = ip4(0),
	        .siaddr = gw,
	        .giaddr = ip4(0),
	};
	dhcp_begin(&w, &m);
	dhcp_opt_ip(&w, DHCP_OPT_SERVER, &gw);
	if (type != DHCP_NAK) {
		dhcp_opt_ip(&w, DHCP_OPT_MASK, &mask);
		dhcp_opt_ip(&w, DHCP_OPT_ROUTER, &gw);
		dhcp_opt_ips(&w, DHCP_OPT_DNS, (struct ip[]){gw, ip4(0x01010101)}, 2);
		dhcp_opt_u32(&w, DHCP_OPT_LEASE, 100);
		dhcp_opt_u32(&w, DHCP_OPT_T1, 50);
		dhcp_opt_u32(&w, DHCP_OPT_T2, 80);
		dhcp_opt_u16(&w, DHCP_OPT_MTU, 1400);
		dhcp_opt(&w, DHCP_OPT_DOMAIN, SPAN_LIT("example.test"));
	}
	dhcp_end(&w);
	rig_give_udp(
	        r, gw, DHCP_SERVER_PORT, ip4(UINT32_MAX), DHCP_CLIENT_PORT, span(p, wr_len(&w)));
}

static void
answer(struct rig *r, const struct server *s, enum dhcp_type type)
{
	answer_as(r, s, type, s->m.xid);
}

static void
lease(struct rig *r, struct server *s)
{
	rig_new(r);
	gdhcp_start(r->g, r->now);
	hear(r, s);
	answer(r, s, DHCP_OFFER);
	hear(r, s);
	answer(r, s, DHCP_ACK);
	assert_int_equal(gdhcp_state(r->g), GDHCP_BOUND);
	guest_resolve(r->g, &guest_net(r->g)->router, r->now);
	rig_pull(r);
	rig_give_arp(r, &guest_net(r->g)->router);
}

static void
leases(void **state)
{
	(void)state;
	struct rig r;
	struct server s;
	struct ip gw = RIG_GATEWAY, guest = RIG_GUEST;
	rig_new(&r);
	gdhcp_start(r.g, r.now);
	hear(&r, &s);
	assert_int_equal(s.m.type, DHCP_DISCOVER);
	assert_true(ip_is_unspecified(&s.k.src));
	assert_int_equal(ip_u32(&s.k.dst), UINT32_MAX);
	assert_true(dhcp_wants(&s.m, DHCP_OPT_MTU));
	answer_as(&r, &s, DHCP_OFFER, s.m.xid + 1); /* somebody else's */
	assert_int_equal(gdhcp_state(r.g), GDHCP_SELECTING);
	answer(&r, &s, DHCP_OFFER);
	answer(&r, &s, DHCP_OFFER); /* the server says everything twice */
	hear(&r, &s);
	assert_int_equal(s.m.type, DHCP_REQUEST);
	assert_true(ip_eq(&s.m.requested, &guest));
	assert_true(ip_eq(&s.m.server, &gw));
	assert_true(ip_is_unspecified(&s.m.ciaddr));
	answer(&r, &s, DHCP_ACK);
	answer(&r, &s, DHCP_ACK);
	assert_int_equal(gdhcp_state(r.g), GDHCP_BOUND);
	const struct gdhcp_lease *l = gdhcp_lease(r.g);
	assert_true(ip_eq(&l->addr, &guest));
	assert_true(ip_eq(&guest_net(r.g)->addr, &guest));
	assert_true(ip_eq(&guest_net(r.g)->router, &gw));
	assert_true(ip_eq(&guest_net(r.g)->dns, &gw));
	assert_int_equal(l->n_dns, 2);
	assert_int_equal(l->prefix_bits, 96 + 24);
	assert_int_equal(l->lease_s, 100);
	assert_int_equal(l->mtu, 1400);
	assert_string_equal(l->domain, "example.test");
	assert_int_equal(gdhcp_count(r.g)->offers, 2);
	assert_int_equal(gdhcp_count(r.g)->acks, 2);
	rig_free(&r);
}

static void
asks_again(void **state)
{
	(void)state;
	struct rig r;
	unsigned n = 0;
	rig_new(&r);
	gdhcp_start(r.g, r.now);
	for (int ms = 0; ms < 16000; ms += 100) {
		n += (unsigned)rig_pull(&r);
		rig_pass(&r, 100);
	}
	assert_int_equal(n, 5); /* at 0, 1, 3, 7, 15 s */
	rig_free(&r);
}

static void
renews_and_rebinds(void **state)
{
	(void)state;
	struct rig r;
	struct server s;
	struct ip gw = RIG_GATEWAY, guest = RIG_GUEST;
	lease(&r, &s);
	rig_pass(&r, 49000);
	assert_int_equal(rig_pull(&r), 0);
	rig_pass(&r, 1500);
	hear(&r, &s);
	assert_int_equal(gdhcp_state(r.g), GDHCP_RENEWING);
	assert_true(ip_eq(&s.k.dst, &gw)); /* unicast */
	assert_true(ip_eq(&s.m.ciaddr, &guest));
	assert_true(ip_is_unspecified(&s.m.server)); /* RFC 2131 4.3.2 */
	answer(&r, &s, DHCP_ACK);
	assert_int_equal(gdhcp_state(r.g), GDHCP_BOUND);
	rig_pass(&r, 50000);
	for (int i = 0; i < 40; i++) { /* nobody answers */
		rig_pull(&r);
		rig_pass(&r, 1000);
	}
	assert_int_equal(gdhcp_state(r.g), GDHCP_REBINDING);
	for (int i = 0; i < 20; i++) {
		rig_pull(&r);
		rig_pass(&r, 1000);
	}
	assert_int_equal(gdhcp_state(r.g), GDHCP_SELECTING); /* the lease is over */
	assert_true(ip_is_unspecified(&guest_net(r.g)->addr));
	rig_free(&r);
}

static void
starts_over_after_nak(void **state)
{
	(void)state;
	struct rig r;
	struct server s;
	struct ip other = ip4(0xc0a80105);
	rig_new(&r);
	gdhcp_reboot(r.g, &other, r.now);
	hear(&r, &s);
	assert_int_equal(s.m.type, DHCP_REQUEST);
	assert_true(ip_eq(&s.m.requested, &other));
	assert_true(ip_is_unspecified(&s.m.server)); /* INIT-REBOOT: no server id */
	answer(&r, &s, DHCP_NAK);
	assert_int_equal(gdhcp_count(r.g)->naks, 1);
	assert_int_equal(gdhcp_state(r.g), GDHCP_SELECTING);
	hear(&r, &s);
	assert_int_equal(s.m.type, DHCP_DISCOVER);
	rig_free(&r);
}

static void
informs_and_releases(void **state)
{
	(void)state;
	struct rig r;
	struct server s;
	struct ip guest = RIG_GUEST, gw = RIG_GATEWAY;
	rig_ready(&r);
	gdhcp_inform(r.g, r.now);
	hear(&r, &s);
	assert_int_equal(s.m.type, DHCP_INFORM);
	assert_true(ip_eq(&s.m.ciaddr, &guest));
	answer(&r, &s, DHCP_ACK);
	assert_int_equal(gdhcp_state(r.g), GDHCP_INFORMED);
	assert_true(ip_eq(&guest_net(r.g)->addr, &guest));
	gdhcp_release(r.g, r.now); /* nothing to give back */
	assert_int_equal(rig_pull(&r), 0);
	rig_free(&r);
	lease(&r, &s);
	gdhcp_release(r.g, r.now);
	hear(&r, &s);
	assert_int_equal(s.m.type, DHCP_RELEASE);
	assert_true(ip_eq(&s.k.dst, &gw));
	assert_true(ip_is_unspecified(&guest_net(r.g)->addr));
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(leases),
	        cmocka_unit_test(asks_again),
	        cmocka_unit_test(renews_and_rebinds),
	        cmocka_unit_test(starts_over_after_nak),
	        cmocka_unit_test(informs_and_releases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
