/* A frame from the link up to TCP, UDP and ICMP. Wrong checksums are put right and the frame looked
 * at again, since no fuzzer guesses them. */
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ether.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#include "fuzz.h"

/* Make the 16 bits at `at` of s such that s and whatever `more` sums finish as 0. */
static void
fix(struct span s, size_t at, uint16_t more)
{
	uint8_t *p = (uint8_t *)(uintptr_t)s.p;
	put16(p + at, 0);
	put16(p + at, checksum_finish(checksum_add(more, checksum_sum(p, s.n))));
}

static uint16_t
pseudo(const struct ippkt *k, uint8_t proto)
{
	return checksum_pseudo(&k->src, &k->dst, proto, k->payload.n);
}

static void
look_tcp(const struct ippkt *k)
{
	struct tcpseg s, again;
	uint8_t b[TCP_HEAD_MOST + 4096];
	int r = tcp_parse(k, &s);
	if (r == -EILSEQ) {
		fix(k->payload, 16, pseudo(k, IPPROTO_TCP));
		r = tcp_parse(k, &s);
		assert(r == 0);
	}
	if (r < 0 || s.payload.n > 4096)
		return;
	fuzz_inside(s.payload, k->payload);
	size_t head = tcp_put(
	        b, &s, &k->src, &k->dst, s.payload.n, checksum_sum(s.payload.p, s.payload.n));
	assert(head == tcp_head_len(&s.opt) && head <= TCP_HEAD_MOST);
	memcpy(b + head, s.payload.p, s.payload.n);
	struct ippkt copy = *k;
	copy.payload = span(b, head + s.payload.n);
	assert(tcp_parse(&copy, &again) == 0);
	assert(again.seq == s.seq && again.ack == s.ack && again.flags == s.flags);
	assert(again.opt.mss == s.opt.mss && again.opt.wscale == s.opt.wscale);
	assert(again.opt.nsack <= s.opt.nsack && span_eq(again.payload, s.payload));
}

static void
look_udp(const struct ippkt *k)
{
	struct udpdgram u, again;
	uint8_t b[UDP_HEAD + 4096];
	uint16_t sport, dport;
	int r = udp_parse(k, &u);
	if (r == -EILSEQ) {
		struct span dgram = span_first(k->payload, get16(k->payload.p + 4));
		fix(dgram, 6, checksum_pseudo(&k->src, &k->dst, IPPROTO_UDP, dgram.n));
		r = udp_parse(k, &u);
		assert(r == 0 || r == -EILSEQ); /* none at all in IPv6 */
	}
	if (r < 0 || u.payload.n > 4096)
		return;
	fuzz_inside(u.payload, k->payload);
	assert(udp_ports(k, &sport, &dport) == 0 && sport == u.sport && dport == u.dport);
	udp_put(b, u.sport, u.dport, &k->src, &k->dst, u.payload.n,
	        checksum_sum(u.payload.p, u.payload.n));
	memcpy(b + UDP_HEAD, u.payload.p, u.payload.n);
	struct ippkt copy = *k;
	copy.payload = span(b, UDP_HEAD + u.payload.n);
	assert(udp_parse(&copy, &again) == 0 && span_eq(again.payload, u.payload));
}

static void
look_icmp(const struct ippkt *k)
{
	struct icmpmsg m;
	struct ippkt quoted;
	int r = icmp_parse(k, &m);
	if (r == -EILSEQ) {
		fix(k->payload, 2, k->proto == IPPROTO_ICMPV6 ? pseudo(k, IPPROTO_ICMPV6) : 0);
		r = icmp_parse(k, &m);
		assert(r == 0);
	}
	if (r < 0)
		return;
	fuzz_inside(m.body, k->payload);
	if (ippkt_parse_quoted(m.body, &quoted) == 0)
		fuzz_inside(quoted.payload, m.body);
}

static void
look_ip(struct span packet)
{
	struct ippkt k;
	int r = ippkt_parse(packet, &k);
	if (r == -EILSEQ) {
		fix(span_first(packet, (packet.p[0] & 15u) * 4), 10, 0);
		r = ippkt_parse(packet, &k);
		assert(r != -EILSEQ);
	}
	if (r < 0)
		return;
	fuzz_inside(k.whole, packet);
	fuzz_inside(k.payload, k.whole);
	fuzz_inside(icmp_quote(&k), k.whole);
	uint8_t head[IPPKT_HEAD_MOST];
	assert(ippkt_put(head, &k, k.payload.n) == ippkt_head_len(&k));
	icmp_may_answer(&k);
	if (ippkt_is_fragment(&k)) {
		if (!ip_is4(&k.src) && ipv6_upper(&k) == 0)
			fuzz_inside(k.payload, k.whole);
		return;
	}
	switch (k.proto) {
	case IPPROTO_TCP: look_tcp(&k); break;
	case IPPROTO_UDP: look_udp(&k); break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: look_icmp(&k); break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(span(data, size));
	struct ether e;
	struct arp a, again;
	uint8_t b[ARP_LEN];
	if (ether_parse(span(copy, size), &e) == 0) {
		if (e.type == ETHER_ARP && arp_parse(e.payload, &a) == 0) {
			arp_put(b, &a);
			assert(memcmp(b, e.payload.p, ARP_LEN) == 0);
			assert(arp_parse(span(b, ARP_LEN), &again) == 0);
		}
		if (e.type == ETHER_IPV4 || e.type == ETHER_IPV6)
			look_ip(e.payload);
	}
	free(copy);
	return 0;
}
