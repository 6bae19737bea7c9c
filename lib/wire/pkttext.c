#include "wire/pkttext.h"

#include "base/buf.h"
#include "base/cursor.h"
#include "wire/arp.h"
#include "wire/dhcp.h"
#include "wire/dnstext.h"
#include "wire/ether.h"
#include "wire/icmp.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#include <errno.h>
#include <stdio.h>

enum { DNS_PORT = 53 };

static void
name(struct pkttext *t, const char *proto)
{
	snprintf(t->proto, sizeof t->proto, "%s", proto);
}

/* The endpoints with ports, once a transport header was read. */
static void
ports(struct pkttext *t, const struct ippkt *k, uint16_t sport, uint16_t dport)
{
	struct endpoint src = {k->src, sport}, dst = {k->dst, dport};
	endpoint_text(&src, t->src);
	endpoint_text(&dst, t->dst);
}

/* --- DNS -------------------------------------------------------------------------------------- */

static void
say_answers(const struct dnsmsg *m, struct buf *b)
{
	struct dnswalk w;
	struct dnsrr rr;
	char type[DNSTEXT_TYPE], data[256];
	dns_walk(&w, m);
	for (unsigned n = 0; dns_next(&w, &rr) > 0;) {
		if (rr.section != DNS_ANSWER)
			continue;
		dnstext_rdata(m->whole, &rr, data, sizeof data);
		buf_addf(b, "%s%s %s", n++ ? ", " : " ", dnstext_type(rr.type, type), data);
	}
}

static bool
say_dns(struct span msg, struct buf *b)
{
	struct dnsmsg m;
	char type[DNSTEXT_TYPE], rcode[DNSTEXT_TYPE], text[DNSNAME_TEXT];
	if (dns_parse(msg, &m) < 0)
		return false;
	bool answer = m.flags & DNS_QR;
	buf_addf(b, "%s %s%s", dnstext_type(m.type, type), dnsname_text(&m.name, text),
	        answer ? ":" : "?");
	if (!answer)
		return true;
	if (m.rcode)
		buf_addf(b, " %s", dnstext_rcode(m.rcode, rcode));
	else if (!m.count[DNS_ANSWER])
		buf_adds(b, " no data");
	if (m.flags & DNS_TC)
		buf_adds(b, " truncated");
	say_answers(&m, b);
	return true;
}

/* --- DHCP ------------------------------------------------------------------------------------- */

static void
say_ip(struct buf *b, const char *what, const struct ip *ip)
{
	char text[ADDR_TEXT];
	if (!ip_is_unspecified(ip))
		buf_addf(b, " %s %s", what, ip_text(ip, text));
}

static bool
say_dhcp(struct span msg, struct buf *b)
{
	struct dhcp m;
	char mac[MAC_TEXT];
	if (dhcp_parse(msg, &m) < 0)
		return false;
	buf_addf(b, "%s %s", dhcp_type_name(m.type), mac_text(&m.chaddr, mac));
	say_ip(b, "for", &m.requested);
	say_ip(b, "has", &m.ciaddr);
	say_ip(b, "gets", &m.yiaddr);
	say_ip(b, "server", &m.server);
	if (m.lease)
		buf_addf(b, " lease %u s", m.lease);
	return true;
}

/* --- transports ------------------------------------------------------------------------------- */

static void
say_udp(struct pkttext *t, const struct ippkt *k, struct buf *b)
{
	struct udpdgram d;
	uint16_t sport, dport;
	name(t, "UDP");
	if (udp_ports(k, &sport, &dport) == 0)
		ports(t, k, sport, dport);
	int r = udp_parse(k, &d);
	if (r < 0) {
		buf_adds(b, r == -EILSEQ ? "bad checksum" : "broken or cut off");
		return;
	}
	bool dns = d.sport == DNS_PORT || d.dport == DNS_PORT;
	bool dhcp = d.sport == DHCP_SERVER_PORT || d.dport == DHCP_SERVER_PORT;
	if (dns && say_dns(d.payload, b))
		name(t, "DNS");
	else if (dhcp && say_dhcp(d.payload, b))
		name(t, "DHCP");
	else
		buf_addf(b, "%zu bytes", d.payload.n);
}

static void
say_flags(uint8_t flags, struct buf *b)
{
	static const struct {
		uint8_t flag;
		const char *text;
	} all[] = {{TCPF_SYN, "SYN"}, {TCPF_FIN, "FIN"}, {TCPF_RST, "RST"}, {TCPF_PSH, "PSH"},
	        {TCPF_ACK, "ACK"}, {TCPF_URG, "URG"}, {TCPF_ECE, "ECE"}, {TCPF_CWR, "CWR"}};
	const char *sep = "";
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (flags & all[i].flag) {
			buf_addf(b, "%s%s", sep, all[i].text);
			sep = " ";
		}
	if (!*sep)
		buf_adds(b, "no flags");
}

static void
say_tcp_options(const struct tcpopts *o, struct buf *b)
{
	if (o->mss)
		buf_addf(b, " mss=%u", o->mss);
	if (o->has_wscale)
		buf_addf(b, " ws=%u", o->wscale);
	if (o->sack_ok)
		buf_adds(b, " sackOK");
	if (o->has_stamps)
		buf_addf(b, " ts=%u/%u", o->stamp, o->echo);
	for (uint8_t i = 0; i < o->nsack; i++)
		buf_addf(b, " sack=%u..%u", o->sack[i].left, o->sack[i].right);
}

static void
say_tcp(struct pkttext *t, const struct ippkt *k, struct buf *b)
{
	struct tcpseg s;
	uint16_t sport, dport;
	name(t, "TCP");
	if (udp_ports(k, &sport, &dport) == 0) /* at the same place in both headers */
		ports(t, k, sport, dport);
	int r = tcp_parse(k, &s);
	if (r < 0) {
		buf_adds(b, r == -EILSEQ ? "bad checksum" : "broken or cut off");
		return;
	}
	say_flags(s.flags, b);
	buf_addf(b, " seq=%u", s.seq);
	if (s.flags & TCPF_ACK)
		buf_addf(b, " ack=%u", s.ack);
	buf_addf(b, " win=%u len=%zu", s.window, s.payload.n);
	say_tcp_options(&s.opt, b);
	bool dns = s.sport == DNS_PORT || s.dport == DNS_PORT;
	if (dns && s.payload.n > 2 && get16(s.payload.p) == s.payload.n - 2) {
		buf_adds(b, " ");
		if (say_dns(span_skip(s.payload, 2), b))
			name(t, "DNS");
	}
}

/* --- ICMP ------------------------------------------------------------------------------------- */

static const char *
kind_text(enum icmp_kind kind)
{
	switch (kind) {
	case ICMP_KIND_ECHO: return "echo request";
	case ICMP_KIND_ECHO_REPLY: return "echo reply";
	case ICMP_KIND_NET_UNREACHABLE: return "network unreachable";
	case ICMP_KIND_HOST_UNREACHABLE: return "host unreachable";
	case ICMP_KIND_PROTO_UNREACHABLE: return "protocol unreachable";
	case ICMP_KIND_PORT_UNREACHABLE: return "port unreachable";
	case ICMP_KIND_TOO_BIG: return "packet too big";
	case ICMP_KIND_PROHIBITED: return "prohibited";
	case ICMP_KIND_TTL_EXCEEDED: return "time exceeded";
	case ICMP_KIND_REASSEMBLY_TIMEOUT: return "reassembly time exceeded";
	case ICMP_KIND_BAD_PARAMETER: return "parameter problem";
	default: return NULL;
	}
}

/* What an error is about: where that packet was going. */
static void
say_quoted(struct span quote, struct buf *b)
{
	struct ippkt k;
	struct endpoint to;
	char text[ADDR_TEXT];
	uint16_t sport;
	if (ippkt_parse_quoted(quote, &k) < 0)
		return;
	to.ip = k.dst;
	const char *proto = k.proto == IPPROTO_TCP ? "tcp" : k.proto == IPPROTO_UDP ? "udp" : NULL;
	if (proto && udp_ports(&k, &sport, &to.port) == 0)
		buf_addf(b, " about %s to %s", proto, endpoint_text(&to, text));
	else
		buf_addf(b, " about protocol %u to %s", k.proto, ip_text(&k.dst, text));
}

static void
say_icmp(struct pkttext *t, const struct ippkt *k, struct buf *b)
{
	struct icmpmsg m;
	name(t, k->proto == IPPROTO_ICMP ? "ICMP" : "ICMPv6");
	int r = icmp_parse(k, &m);
	if (r < 0) {
		buf_adds(b, r == -EILSEQ ? "bad checksum" : "broken or cut off");
		return;
	}
	if (kind_text(m.kind))
		buf_adds(b, kind_text(m.kind));
	else
		buf_addf(b, "type %u code %u", m.type, m.code);
	if (m.kind == ICMP_KIND_ECHO || m.kind == ICMP_KIND_ECHO_REPLY)
		buf_addf(b, " id=%u seq=%u len=%zu", m.id, m.seq, m.body.n);
	if (m.kind == ICMP_KIND_TOO_BIG)
		buf_addf(b, " mtu=%u", m.mtu);
	if (icmp_is_error(k))
		say_quoted(m.body, b);
}

/* --- the layers below ------------------------------------------------------------------------- */

static void
say_ip_packet(struct pkttext *t, struct span packet, struct buf *b)
{
	struct ippkt k;
	int r = ippkt_parse(packet, &k);
	if (r < 0) {
		buf_adds(b, r == -EILSEQ ? "bad header checksum" : "broken or cut off");
		return;
	}
	ip_text(&k.src, t->src);
	ip_text(&k.dst, t->dst);
	if (ippkt_is_fragment(&k)) {
		buf_addf(b, "fragment of protocol %u: id=%u offset=%u len=%zu%s", k.proto, k.id,
		        k.offset, k.payload.n, k.more ? " more" : " last");
		return;
	}
	switch (k.proto) {
	case IPPROTO_TCP: say_tcp(t, &k, b); break;
	case IPPROTO_UDP: say_udp(t, &k, b); break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: say_icmp(t, &k, b); break;
	default: buf_addf(b, "protocol %u, %zu bytes", k.proto, k.payload.n);
	}
	if (k.ttl <= 1)
		buf_addf(b, " ttl=%u", k.ttl);
}

static void
say_arp(struct span payload, struct buf *b)
{
	struct arp a;
	char target[ADDR_TEXT], sender[ADDR_TEXT], mac[MAC_TEXT];
	if (arp_parse(payload, &a) < 0) {
		buf_adds(b, "broken or cut off");
		return;
	}
	ip_text(&a.target, target);
	ip_text(&a.sender, sender);
	mac_text(&a.sender_mac, mac);
	if (a.op == ARP_REQUEST && ip_eq(&a.sender, &a.target))
		buf_addf(b, "%s announces %s", mac, sender);
	else if (a.op == ARP_REQUEST && ip_is_unspecified(&a.sender))
		buf_addf(b, "who has %s? (probe)", target);
	else if (a.op == ARP_REQUEST)
		buf_addf(b, "who has %s? tell %s", target, sender);
	else if (a.op == ARP_REPLY)
		buf_addf(b, "%s is at %s", sender, mac);
	else
		buf_addf(b, "operation %u", a.op);
}

void
pkttext_of(struct span frame, struct pkttext *out)
{
	struct ether e;
	struct buf b;
	*out = (struct pkttext){.proto = "?"};
	if (ether_parse(frame, &e) < 0) {
		snprintf(out->info, sizeof out->info, "%zu bytes are no frame", frame.n);
		return;
	}
	mac_text(&e.src, out->src);
	mac_text(&e.dst, out->dst);
	buf_init(&b, 64 << 10);
	switch (e.type) {
	case ETHER_ARP:
		name(out, "ARP");
		say_arp(e.payload, &b);
		break;
	case ETHER_IPV4:
	case ETHER_IPV6:
		name(out, e.type == ETHER_IPV4 ? "IPv4" : "IPv6");
		say_ip_packet(out, e.payload, &b);
		break;
	default: buf_addf(&b, "type 0x%04x, %zu bytes", e.type, e.payload.n);
	}
	snprintf(out->info, sizeof out->info, "%s", buf_str(&b));
	buf_fini(&b);
}
