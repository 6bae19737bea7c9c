#include "wire/icmp.h"

#include "base/cursor.h"
#include "base/mem.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

#include <errno.h>

enum {
	NONE = -1,
	ERROR4_MOST = 576,
	ERROR6_MOST = 1280,
};

/* The first row of a kind is what we send; the rest are other ways to say it. */
static const struct row {
	enum icmp_kind kind;
	int16_t type4, code4, type6, code6;
} rows[] = {
        {ICMP_KIND_ECHO, 8, 0, 128, 0},
        {ICMP_KIND_ECHO_REPLY, 0, 0, 129, 0},
        {ICMP_KIND_NET_UNREACHABLE, 3, 0, 1, 0},
        {ICMP_KIND_HOST_UNREACHABLE, 3, 1, 1, 3},
        {ICMP_KIND_PROTO_UNREACHABLE, 3, 2, 4, 1},
        {ICMP_KIND_PORT_UNREACHABLE, 3, 3, 1, 4},
        {ICMP_KIND_TOO_BIG, 3, 4, 2, 0},
        {ICMP_KIND_PROHIBITED, 3, 13, 1, 1},
        {ICMP_KIND_TTL_EXCEEDED, 11, 0, 3, 0},
        {ICMP_KIND_REASSEMBLY_TIMEOUT, 11, 1, 3, 1},
        {ICMP_KIND_BAD_PARAMETER, 12, 0, 4, 0},
        {ICMP_KIND_NET_UNREACHABLE, 3, 6, 1, 2}, /* unknown network; beyond scope of source */
        {ICMP_KIND_NET_UNREACHABLE, 3, 11, NONE, NONE},
        {ICMP_KIND_HOST_UNREACHABLE, 3, 7, NONE, NONE},
        {ICMP_KIND_HOST_UNREACHABLE, 3, 8, NONE, NONE},
        {ICMP_KIND_HOST_UNREACHABLE, 3, 12, NONE, NONE},
        {ICMP_KIND_PROHIBITED, 3, 9, 1, 5}, /* network prohibited; source address policy */
        {ICMP_KIND_PROHIBITED, 3, 10, 1, 6},
        {ICMP_KIND_BAD_PARAMETER, 12, 1, 4, 2},
        {ICMP_KIND_BAD_PARAMETER, 12, 2, NONE, NONE},
};

enum icmp_kind
icmp_kind_of(bool v6, uint8_t type, uint8_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		if (type == (v6 ? r->type6 : r->type4) && code == (v6 ? r->code6 : r->code4))
			return r->kind;
	}
	return ICMP_KIND_OTHER;
}

int
icmp_parse(const struct ippkt *k, struct icmpmsg *out)
{
	const uint8_t *p = k->payload.p;
	bool v6 = k->proto == IPPROTO_ICMPV6;
	if (k->payload.n < ICMP_HEAD || k->proto != icmp_proto(&k->src))
		return -EBADMSG;
	uint16_t sum = checksum_sum(p, k->payload.n);
	if (v6)
		sum = checksum_add(
		        sum, checksum_pseudo(&k->src, &k->dst, IPPROTO_ICMPV6, k->payload.n));
	if (checksum_finish(sum) != 0)
		return -EILSEQ;
	*out = (struct icmpmsg){
	        .kind = icmp_kind_of(v6, p[0], p[1]),
	        .type = p[0],
	        .code = p[1],
	        .id = get16(p + 4),
	        .seq = get16(p + 6),
	        .mtu = v6 ? get32(p + 4) : get16(p + 6),
	        .body = span_skip(k->payload, ICMP_HEAD),
	};
	return 0;
}

static void
put_type(uint8_t *p, const struct icmpmsg *m, bool v6)
{
	p[0] = m->type;
	p[1] = m->code;
	for (size_t i = 0; m->kind != ICMP_KIND_OTHER && i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		if (r->kind != m->kind)
			continue;
		p[0] = (uint8_t)(v6 ? r->type6 : r->type4);
		p[1] = (uint8_t)(v6 ? r->code6 : r->code4);
		return;
	}
}

/* The second word: what it holds depends on the kind; unused parts are zero. */
static uint32_t
rest_of(const struct icmpmsg *m, bool v6)
{
	switch (m->kind) {
	case ICMP_KIND_OTHER:
	case ICMP_KIND_ECHO:
	case ICMP_KIND_ECHO_REPLY: return (uint32_t)m->id << 16 | m->seq;
	case ICMP_KIND_TOO_BIG: return v6 || m->mtu <= 0xffff ? m->mtu : 0xffff;
	default: return 0;
	}
}

void
icmp_put(uint8_t *p, const struct icmpmsg *m, const struct ip *src, const struct ip *dst,
        size_t len, uint16_t sum)
{
	bool v6 = !ip_is4(src);
	put_type(p, m, v6);
	put16(p + 2, 0);
	put32(p + 4, rest_of(m, v6));
	sum = checksum_add(sum, checksum_sum(p, ICMP_HEAD));
	if (v6)
		sum = checksum_add(sum, checksum_pseudo(src, dst, IPPROTO_ICMPV6, ICMP_HEAD + len));
	put16(p + 2, checksum_finish(sum));
}

bool
icmp_is_error(const struct ippkt *k)
{
	if (k->offset || !k->payload.n)
		return false;
	uint8_t type = k->payload.p[0];
	if (k->proto == IPPROTO_ICMPV6)
		return type < 128;
	return k->proto == IPPROTO_ICMP &&
	       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

/* Addresses that stand for no single host: unspecified, loopback, multicast, class E with the
 * limited broadcast. */
static bool
is_one_host(const struct ip *a)
{
	if (ip_is_unspecified(a))
		return false;
	if (!ip_is4(a)) {
		static const struct ip loopback = {{[15] = 1}};
		return a->b[0] != 0xff && !ip_eq(a, &loopback);
	}
	uint32_t v = ip_u32(a);
	return v >> 28 < 14 && v >> 24 != 127 && v >> 24 != 0;
}

bool
icmp_may_answer(const struct ippkt *k)
{
	return !k->offset && !icmp_is_error(k) && is_one_host(&k->src) && is_one_host(&k->dst);
}

struct span
icmp_quote(const struct ippkt *k)
{
	size_t most = ip_is4(&k->src) ? ERROR4_MOST - IPV4_HEAD : ERROR6_MOST - IPV6_HEAD;
	return span_first(k->whole, most - ICMP_HEAD);
}
