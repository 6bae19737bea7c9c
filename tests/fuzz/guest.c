/* A guest between its user and a gateway that is out to break it. The input is a program: frames,
 * raw or put together so that checksums hold and sequence numbers are near the truth, calls of the
 * user, time, pulls. Every frame that comes out must be one that a stack could parse. */
#include "guest/gdhcp.h"
#include "guest/gdns.h"
#include "guest/gping.h"
#include "guest/gtcp.h"
#include "guest/gudp.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/dhcp.h"
#include "wire/ether.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#include "fuzz.h"

enum { FLOWS = 3 };

struct lab {
	struct wheel wheel;
	struct guest *g;
	uint64_t now;
	struct rd in;
	struct gtcp *tcp[FLOWS];
	struct gudp *udp;
	struct gdns *dns;
	struct tcpseg last; /* what the guest sent, by TCP */
	uint32_t seq;       /* what the far side would send next */
	uint32_t xid;       /* of the guest's DHCP */
	uint16_t dns_port, dns_id;
};

static const struct mac guest_mac = {{2, 0, 0, 0, 0, 9}}, gateway_mac = {{2, 0, 0, 0, 0, 1}};
#define GUEST ip4(0x0a00020f)
#define GATEWAY ip4(0x0a000202)
#define WORLD ip4(0x08080808)

static void
mark(struct guest *g)
{
	(void)g;
}

static const struct guest_ops ops = {mark, mark};

/* --- out -------------------------------------------------------------------------------------- */

static void
see_udp(struct lab *l, const struct ippkt *k)
{
	struct udpdgram d;
	struct dhcp m;
	assert(udp_parse(k, &d) == 0);
	if (d.dport == DHCP_SERVER_PORT && dhcp_parse(d.payload, &m) == 0)
		l->xid = m.xid;
	if (d.dport == 53 && d.payload.n >= DNS_HEAD) {
		l->dns_port = d.sport;
		l->dns_id = get16(d.payload.p);
	}
}

static size_t
head_len(const struct emit *e, size_t len)
{
	(void)e, (void)len;
	return 4;
}

static void
seal(struct emit *e, uint8_t *frame, size_t len)
{
	struct lab *l = e->user;
	struct ether eth;
	struct arp a;
	struct ippkt k;
	struct icmpmsg m;
	assert(len <= 1514 && ether_parse(span(frame, len), &eth) == 0);
	assert(mac_eq(&eth.src, &guest_mac));
	if (eth.type == ETHER_ARP) {
		assert(arp_parse(eth.payload, &a) == 0);
		return;
	}
	assert(eth.type == ETHER_IPV4 && ippkt_parse(eth.payload, &k) == 0);
	if (ippkt_is_fragment(&k))
		return;
	switch (k.proto) {
	case IPPROTO_UDP: see_udp(l, &k); break;
	case IPPROTO_TCP: assert(tcp_parse(&k, &l->last) == 0); break;
	case IPPROTO_ICMP: assert(icmp_parse(&k, &m) == 0); break;
	default: assert(!"a protocol of ours");
	}
}

static void
pull(struct lab *l)
{
	struct emit e;
	size_t budget = rd_u8(&l->in) * 64u;
	uint8_t *out = malloc(budget + 1);
	emit_init(&e, out, budget, budget, 1514);
	e.head_len = head_len;
	e.seal = seal;
	e.user = l;
	guest_pull(l->g, &e, l->now);
	emit_end(&e);
	free(out);
}

/* --- in --------------------------------------------------------------------------------------- */

static struct span
some_bytes(struct lab *l)
{
	size_t n = rd_u8(&l->in);
	if (n >= 0xf0)
		n = (n - 0xf0) * 128;
	return rd_bytes(&l->in, n < rd_left(&l->in) ? n : rd_left(&l->in));
}

static void
give(struct lab *l, uint16_t type, struct span packet)
{
	uint8_t *f = malloc(ETHER_HEAD + packet.n + 1);
	ether_put(f, &guest_mac, &gateway_mac, type);
	if (packet.n)
		memcpy(f + ETHER_HEAD, packet.p, packet.n);
	uint8_t *copy = fuzz_copy(span(f, ETHER_HEAD + packet.n));
	guest_frame(l->g, span(copy, ETHER_HEAD + packet.n), l->now);
	free(copy);
	free(f);
}

static void
give_ip(struct lab *l, struct ippkt k, struct span l4)
{
	uint8_t p[IPPKT_HEAD_MOST + 4096];
	assert(l4.n <= 4096);
	k.ttl = 64;
	size_t head = ippkt_put(p, &k, l4.n);
	if (l4.n)
		memcpy(p + head, l4.p, l4.n);
	give(l, ETHER_IPV4, span(p, head + l4.n));
}

static void
raw_frame(struct lab *l)
{
	uint8_t b = rd_u8(&l->in);
	struct span s = some_bytes(l);
	give(l, b & 1 ? ETHER_IPV4 : b & 2 ? ETHER_ARP : ETHER_IPV6, s);
}

static void
arp_frame(struct lab *l)
{
	uint8_t p[ARP_LEN], b = rd_u8(&l->in);
	struct arp a = {.op = b & 3, .sender_mac = gateway_mac, .sender = GATEWAY, .target = GUEST};
	if (b & 4)
		a.sender = WORLD;
	arp_put(p, &a);
	give(l, ETHER_ARP, span(p, sizeof p));
}

static void
fragment(struct lab *l)
{
	uint8_t b = rd_u8(&l->in);
	struct ippkt k = {.src = GATEWAY, .dst = GUEST, .proto = b & 1 ? 17 : 1};
	k.id = b >> 1 & 3;
	k.more = b & 8;
	k.offset = (uint16_t)(rd_u8(&l->in) * 256 & ~7);
	give_ip(l, k, some_bytes(l));
}

static void
udp_frame(struct lab *l, uint16_t sport, uint16_t dport, struct span s)
{
	uint8_t p[UDP_HEAD + 4096];
	struct ippkt k = {.src = GATEWAY, .dst = GUEST, .proto = IPPROTO_UDP};
	udp_put(p, sport, dport, &k.src, &k.dst, s.n, checksum_sum(s.p, s.n));
	if (s.n)
		memcpy(p + UDP_HEAD, s.p, s.n);
	give_ip(l, k, span(p, UDP_HEAD + s.n));
}

static void
any_udp(struct lab *l)
{
	udp_frame(l, 9, gudp_port(l->udp), some_bytes(l));
}

static void
dns_frame(struct lab *l)
{
	uint8_t p[4096];
	struct span s = some_bytes(l);
	if (s.n)
		memcpy(p, s.p, s.n);
	if (s.n >= 2)
		put16(p, l->dns_id);
	udp_frame(l, 53, l->dns_port, span(p, s.n));
}

static void
dhcp_frame(struct lab *l)
{
	uint8_t p[600];
	struct wr w = wr_init(p, sizeof p);
	uint8_t b = rd_u8(&l->in);
	struct ip gw = GATEWAY;
	struct dhcp m = {
	        .op = DHCP_FROM_SERVER,
	        .type = b & 7,
	        .xid = l->xid,
	        .chaddr = guest_mac,
	        .yiaddr = b & 8 ? ip4(0) : GUEST,
	        .ciaddr = ip4(0),
	        .siaddr = gw,
	        .giaddr = ip4(0),
	};
	dhcp_begin(&w, &m);
	dhcp_opt_ip(&w, DHCP_OPT_SERVER, &gw);
	dhcp_opt_u32(&w, DHCP_OPT_LEASE, rd_u8(&l->in));
	dhcp_opt(&w, rd_u8(&l->in), some_bytes(l));
	dhcp_end(&w);
	udp_frame(l, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, span(p, wr_len(&w)));
}

/* An error about the last TCP segment, or about anything. */
static void
icmp_frame(struct lab *l)
{
	uint8_t p[ICMP_HEAD + 4096], q[IPPKT_HEAD_MOST + 8] = {0};
	struct ippkt k = {.src = GATEWAY, .dst = GUEST, .proto = IPPROTO_ICMP};
	struct ippkt about = {.src = GUEST, .dst = WORLD, .proto = IPPROTO_TCP, .ttl = 1};
	uint8_t b = rd_u8(&l->in);
	struct icmpmsg m = {.kind = (enum icmp_kind)(b % (ICMP_KIND_BAD_PARAMETER + 1))};
	m.mtu = rd_u8(&l->in) * 8u;
	size_t head = ippkt_put(q, &about, 8);
	put16(q + head, l->last.sport);
	put16(q + head + 2, l->last.dport);
	struct span s = b & 0x80 ? span(q, head + 8) : some_bytes(l);
	icmp_put(p, &m, &k.src, &k.dst, s.n, checksum_sum(s.p, s.n));
	if (s.n)
		memcpy(p + ICMP_HEAD, s.p, s.n);
	give_ip(l, k, span(p, ICMP_HEAD + s.n));
}

/* Mostly what an honest server would answer to the last segment. */
static void
tcp_frame(struct lab *l)
{
	uint8_t p[TCP_HEAD_MOST + 4096], b = rd_u8(&l->in);
	struct ippkt k = {.src = WORLD, .dst = GUEST, .proto = IPPROTO_TCP};
	struct tcpseg s = {
	        .sport = l->last.dport,
	        .dport = l->last.sport,
	        .seq = l->seq,
	        .ack = l->last.seq + tcp_seg_len(&l->last),
	        .flags = rd_u8(&l->in),
	        .window = (uint16_t)(rd_u8(&l->in) << 7),
	};
	if (b & 1)
		s.seq += (uint32_t)(int8_t)rd_u8(&l->in) * 16;
	if (b & 2)
		s.ack += (uint32_t)(int8_t)rd_u8(&l->in) * 64;
	if (b & 4) {
		s.opt.mss = (uint16_t)(rd_u8(&l->in) * 8);
		s.opt.sack_ok = b & 8;
		s.opt.has_wscale = b & 16;
		s.opt.wscale = b >> 4;
		s.opt.nsack = b & 32 ? 2 : 0;
		for (unsigned i = 0; i < s.opt.nsack; i++) {
			s.opt.sack[i].left = s.ack + (uint32_t)(int8_t)rd_u8(&l->in) * 100;
			s.opt.sack[i].right = s.opt.sack[i].left + rd_u8(&l->in) * 100u;
		}
	}
	struct span d = some_bytes(l);
	size_t head = tcp_put(p, &s, &k.src, &k.dst, d.n, checksum_sum(d.p, d.n));
	if (d.n)
		memcpy(p + head, d.p, d.n);
	s.payload = d;
	if (s.seq == l->seq)
		l->seq += tcp_seg_len(&s);
	give_ip(l, k, span(p, head + d.n));
}

/* --- the user --------------------------------------------------------------------------------- */

static void
use_tcp(struct lab *l)
{
	uint8_t b = rd_u8(&l->in), buf[2048];
	struct gtcp **t = &l->tcp[b % FLOWS];
	struct gtcp_opts o = {.rcvbuf = b & 0x40 ? 3000 : 0, .plain = b & 0x80};
	struct endpoint to = {WORLD, (uint16_t)(80 + b % FLOWS)};
	struct gtcp_info i;
	if (!*t) {
		*t = gtcp_open(l->g, &to, &o, l->now);
		l->seq = 0xfffffff0;
		return;
	}
	gtcp_info(*t, &i);
	assert(!i.eof || !i.unread);
	switch (b >> 2 & 7) {
	case 0: gtcp_close(*t, l->now), *t = NULL; break;
	case 1: gtcp_abort(*t, l->now), *t = NULL; break;
	case 2: gtcp_shutdown(*t); break;
	case 3:
	case 4: gtcp_read(*t, buf, rd_u8(&l->in) * 8u); break;
	default: memset(buf, b, sizeof buf), gtcp_write(*t, span(buf, rd_u8(&l->in) * 8u));
	}
}

static void
use_udp(struct lab *l)
{
	struct endpoint to = {WORLD, 9}, from;
	struct gudp_trouble trouble;
	uint8_t buf[256];
	gudp_send(l->udp, &to, some_bytes(l), rd_u8(&l->in), l->now);
	gudp_recv(l->udp, &from, buf, sizeof buf);
	gudp_trouble(l->udp, &trouble);
}

static void
use_dhcp(struct lab *l)
{
	struct ip other = WORLD;
	switch (rd_u8(&l->in) % 5) {
	case 0: gdhcp_start(l->g, l->now); break;
	case 1: gdhcp_renew(l->g, l->now); break;
	case 2: gdhcp_inform(l->g, l->now); break;
	case 3: gdhcp_release(l->g, l->now); break;
	default: gdhcp_reboot(l->g, &other, l->now);
	}
}

static void
use_dns(struct lab *l)
{
	struct gdns_question q = {.type = rd_u8(&l->in), .server = GATEWAY};
	struct dnsmsg m;
	if (l->dns && !gdns_answer(l->dns, &m, l->now) && !gdns_error(l->dns) && q.type)
		return;
	gdns_free(l->dns, l->now);
	q.tcp = q.type & 1;
	dnsname_parse(SPAN_LIT("a.test"), &q.name);
	l->dns = gdns_ask(l->g, &q, l->now);
}

static void
use_ping(struct lab *l)
{
	struct gping_event ev;
	struct ip to = WORLD;
	gping_send(l->g, &to, 1, 1, rd_u8(&l->in) * 32u, 3, l->now);
	gping_next(l->g, &ev);
}

static void
configure(struct lab *l)
{
	struct guest_net net = {GUEST, (uint8_t)(96 + rd_u8(&l->in) % 33), GATEWAY, GATEWAY};
	guest_configure(l->g, &net);
}

static void
pass_time(struct lab *l)
{
	uint8_t b = rd_u8(&l->in);
	l->now += b < 200 ? b : (uint64_t)1 << (b - 200) % 20;
	wheel_advance(&l->wheel, l->now);
}

static void (*const acts[])(struct lab *) = {raw_frame, arp_frame, fragment, any_udp, dns_frame,
        dhcp_frame, icmp_frame, tcp_frame, tcp_frame, tcp_frame, use_tcp, use_tcp, use_udp,
        use_dhcp, use_dns, use_ping, configure, pass_time, pull, pull};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab l = {.now = 1000, .in = rd_init(span(data, size))};
	wheel_init(&l.wheel, l.now);
	struct guest_conf conf = {guest_mac, 1500, &l.wheel, &ops, NULL};
	struct guest_net net = {GUEST, 120, GATEWAY, GATEWAY};
	l.g = guest_new(&conf);
	guest_configure(l.g, &net);
	l.udp = gudp_open(l.g, 5000);
	while (rd_left(&l.in) && !l.in.bad)
		acts[rd_u8(&l.in) % ARRAY_LEN(acts)](&l);
	gdns_free(l.dns, l.now);
	guest_free(l.g);
	wheel_advance(&l.wheel, l.now + 100000000); /* no timer may be left behind */
	return 0;
}
