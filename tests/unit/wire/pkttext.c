#include "wire/pkttext.h"

#include "base/cursor.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/dhcp.h"
#include "wire/dns.h"
#include "wire/ether.h"
#include "wire/icmp.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct mac a_mac = {{2, 0, 0, 0, 0, 0xa}}, b_mac = {{2, 0, 0, 0, 0, 0xb}};
#define A ip4(0x0a00020f)
#define B ip4(0xc6336402)

static uint8_t frame[4096];

static void
is(size_t n, const char *src, const char *dst, const char *proto, const char *info)
{
	struct pkttext t;
	pkttext_of(span(frame, n), &t);
	assert_string_equal(t.info, info);
	assert_string_equal(t.proto, proto);
	assert_string_equal(t.src, src);
	assert_string_equal(t.dst, dst);
}

static size_t
put_ip(struct ippkt k, struct span l4)
{
	ether_put(frame, &b_mac, &a_mac, ip_is4(&k.src) ? ETHER_IPV4 : ETHER_IPV6);
	k.ttl = k.ttl ? k.ttl : 64;
	size_t head = ETHER_HEAD + ippkt_put(frame + ETHER_HEAD, &k, l4.n);
	memcpy(frame + head, l4.p, l4.n);
	return head + l4.n;
}

static size_t
put_udp(uint16_t sport, uint16_t dport, struct span payload)
{
	uint8_t p[1500];
	struct ippkt k = {.src = A, .dst = B, .proto = IPPROTO_UDP};
	memcpy(p + UDP_HEAD, payload.p, payload.n);
	udp_put(p, sport, dport, &k.src, &k.dst, payload.n, checksum_sum(payload.p, payload.n));
	return put_ip(k, span(p, UDP_HEAD + payload.n));
}

static size_t
put_tcp(const struct tcpseg *s, struct span payload)
{
	uint8_t p[1500];
	struct ippkt k = {.src = A, .dst = B, .proto = IPPROTO_TCP};
	size_t head = tcp_head_len(&s->opt);
	memcpy(p + head, payload.p, payload.n);
	tcp_put(p, s, &k.src, &k.dst, payload.n, checksum_sum(payload.p, payload.n));
	return put_ip(k, span(p, head + payload.n));
}

static void
arp(void **state)
{
	(void)state;
	struct arp a = {ARP_REQUEST, a_mac, {{0}}, A, B};
	ether_put(frame, &MAC_BROADCAST, &a_mac, ETHER_ARP);
	arp_put(frame + ETHER_HEAD, &a);
	is(42, "02:00:00:00:00:0a", "ff:ff:ff:ff:ff:ff", "ARP",
	        "who has 198.51.100.2? tell 10.0.2.15");
	a.sender = ip4(0);
	arp_put(frame + ETHER_HEAD, &a);
	is(42, "02:00:00:00:00:0a", "ff:ff:ff:ff:ff:ff", "ARP", "who has 198.51.100.2? (probe)");
	a.op = ARP_REPLY;
	a.sender = A;
	arp_put(frame + ETHER_HEAD, &a);
	is(60, "02:00:00:00:00:0a", "ff:ff:ff:ff:ff:ff", "ARP",
	        "10.0.2.15 is at 02:00:00:00:00:0a");
	is(20, "02:00:00:00:00:0a", "ff:ff:ff:ff:ff:ff", "ARP", "broken or cut off");
}

static void
dns(void **state)
{
	(void)state;
	uint8_t p[600];
	struct wr w = wr_init(p, sizeof p), r = wr_init(p + 300, 300);
	struct dnsname n;
	struct dnsmsg q;
	struct ip b = B;
	dnsname_parse(SPAN_LIT("example.test"), &n);
	dns_put_query(&w, 7, DNS_RD, &n, DNS_A);
	is(put_udp(4000, 53, span(p, wr_len(&w))), "10.0.2.15:4000", "198.51.100.2:53", "DNS",
	        "A example.test?");
	assert_int_equal(dns_parse(span(p, wr_len(&w)), &q), 0);
	dns_put_reply(&r, &q, DNS_NOERROR);
	dns_put_ip(&r, 60, &b);
	b = A;
	dns_put_ip(&r, 60, &b);
	is(put_udp(53, 4000, span(p + 300, wr_len(&r))), "10.0.2.15:53", "198.51.100.2:4000", "DNS",
	        "A example.test: A 198.51.100.2, A 10.0.2.15");
	r = wr_init(p + 300, 300);
	dns_put_reply(&r, &q, DNS_NXDOMAIN);
	is(put_udp(53, 4000, span(p + 300, wr_len(&r))), "10.0.2.15:53", "198.51.100.2:4000", "DNS",
	        "A example.test: NXDOMAIN");
	is(put_udp(53, 4000, SPAN_LIT("not dns")), "10.0.2.15:53", "198.51.100.2:4000", "UDP",
	        "7 bytes");
}

static void
dhcp(void **state)
{
	(void)state;
	uint8_t p[600];
	struct wr w = wr_init(p, sizeof p);
	struct ip server = ip4(0x0a000202);
	struct dhcp m = {.op = DHCP_FROM_SERVER,
	        .type = DHCP_OFFER,
	        .chaddr = a_mac,
	        .yiaddr = A,
	        .ciaddr = ip4(0),
	        .siaddr = ip4(0),
	        .giaddr = ip4(0)};
	dhcp_begin(&w, &m);
	dhcp_opt_ip(&w, DHCP_OPT_SERVER, &server);
	dhcp_opt_u32(&w, DHCP_OPT_LEASE, 3600);
	dhcp_end(&w);
	is(put_udp(67, 68, span(p, wr_len(&w))), "10.0.2.15:67", "198.51.100.2:68", "DHCP",
	        "OFFER 02:00:00:00:00:0a gets 10.0.2.15 server 10.0.2.2 lease 3600 s");
}

static void
tcp(void **state)
{
	(void)state;
	struct tcpseg s = {.sport = 1, .dport = 2, .seq = 3, .flags = TCPF_SYN, .window = 5};
	s.opt = (struct tcpopts){.mss = 1460, .has_wscale = true, .wscale = 7, .sack_ok = true};
	is(put_tcp(&s, SPAN_LIT("")), "10.0.2.15:1", "198.51.100.2:2", "TCP",
	        "SYN seq=3 win=5 len=0 mss=1460 ws=7 sackOK");
	s.flags = TCPF_ACK | TCPF_PSH | TCPF_FIN;
	s.ack = 9;
	s.opt = (struct tcpopts){.nsack = 1, .sack = {{20, 30}}};
	size_t n = put_tcp(&s, SPAN_LIT("hello"));
	is(n, "10.0.2.15:1", "198.51.100.2:2", "TCP",
	        "FIN PSH ACK seq=3 ack=9 win=5 len=5 sack=20..30");
	frame[n - 1] ^= 1;
	is(n, "10.0.2.15:1", "198.51.100.2:2", "TCP", "bad checksum");
	s.flags = 0;
	s.opt = (struct tcpopts){0};
	is(put_tcp(&s, SPAN_LIT("")), "10.0.2.15:1", "198.51.100.2:2", "TCP",
	        "no flags seq=3 win=5 len=0");
}

static void
icmp(void **state)
{
	(void)state;
	uint8_t p[200];
	struct ippkt k = {.src = A, .dst = B, .proto = IPPROTO_ICMP, .ttl = 1};
	struct icmpmsg m = {.kind = ICMP_KIND_ECHO, .id = 1, .seq = 2};
	icmp_put(p, &m, &k.src, &k.dst, 0, 0);
	is(put_ip(k, span(p, ICMP_HEAD)), "10.0.2.15", "198.51.100.2", "ICMP",
	        "echo request id=1 seq=2 len=0 ttl=1");
	size_t n = put_udp(5, 6, SPAN_LIT("x"));
	memcpy(p + ICMP_HEAD, frame + ETHER_HEAD, n - ETHER_HEAD);
	n -= ETHER_HEAD;
	m = (struct icmpmsg){.kind = ICMP_KIND_TOO_BIG, .mtu = 1280};
	icmp_put(p, &m, &k.src, &k.dst, n, checksum_sum(p + ICMP_HEAD, n));
	k.ttl = 64;
	is(put_ip(k, span(p, ICMP_HEAD + n)), "10.0.2.15", "198.51.100.2", "ICMP",
	        "packet too big mtu=1280 about udp to 198.51.100.2:6");
	m = (struct icmpmsg){.kind = ICMP_KIND_OTHER, .type = 13};
	icmp_put(p, &m, &k.src, &k.dst, 0, 0);
	is(put_ip(k, span(p, ICMP_HEAD)), "10.0.2.15", "198.51.100.2", "ICMP", "type 13 code 0");
}

static void
the_rest(void **state)
{
	(void)state;
	struct ippkt k = {.src = A, .dst = B, .proto = 47};
	is(put_ip(k, SPAN_LIT("gre")), "10.0.2.15", "198.51.100.2", "IPv4", "protocol 47, 3 bytes");
	k.proto = IPPROTO_UDP;
	k.id = 5;
	k.offset = 8;
	is(put_ip(k, SPAN_LIT("piece")), "10.0.2.15", "198.51.100.2", "IPv4",
	        "fragment of protocol 17: id=5 offset=8 len=5 last");
	frame[ETHER_HEAD + 10] ^= 1;
	is(40, "02:00:00:00:00:0a", "02:00:00:00:00:0b", "IPv4", "bad header checksum");
	ether_put(frame, &b_mac, &a_mac, 0x88cc);
	is(30, "02:00:00:00:00:0a", "02:00:00:00:00:0b", "?", "type 0x88cc, 16 bytes");
	is(3, "", "", "?", "3 bytes are no frame");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(arp),
	        cmocka_unit_test(dns),
	        cmocka_unit_test(dhcp),
	        cmocka_unit_test(tcp),
	        cmocka_unit_test(icmp),
	        cmocka_unit_test(the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
