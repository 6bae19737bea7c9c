#include "wire/udp.h"

#include "base/cursor.h"
#include "wire/checksum.h"

#include <errno.h>

static bool
checksum_good(const struct ippkt *k, struct span dgram)
{
	if (get16(dgram.p + 6) == 0)
		return ip_is4(&k->src);
	uint16_t sum = checksum_sum(dgram.p, dgram.n);
	sum = checksum_add(sum, checksum_pseudo(&k->src, &k->dst, IPPROTO_UDP, dgram.n));
	return checksum_finish(sum) == 0;
}

int
udp_parse(const struct ippkt *k, struct udpdgram *out)
{
	const uint8_t *p = k->payload.p;
	if (k->payload.n < UDP_HEAD)
		return -EBADMSG;
	size_t len = get16(p + 4);
	if (len < UDP_HEAD || len > k->payload.n)
		return -EBADMSG;
	struct span dgram = span_first(k->payload, len);
	if (!checksum_good(k, dgram))
		return -EILSEQ;
	out->sport = get16(p);
	out->dport = get16(p + 2);
	out->payload = span_skip(dgram, UDP_HEAD);
	return 0;
}

int
udp_ports(const struct ippkt *k, uint16_t *sport, uint16_t *dport)
{
	if (k->payload.n < 4)
		return -EBADMSG;
	*sport = get16(k->payload.p);
	*dport = get16(k->payload.p + 2);
	return 0;
}

void
udp_put(uint8_t *p, uint16_t sport, uint16_t dport, const struct ip *src, const struct ip *dst,
        size_t len, uint16_t sum)
{
	put16(p, sport);
	put16(p + 2, dport);
	put16(p + 4, (uint16_t)(UDP_HEAD + len));
	put16(p + 6, 0);
	sum = checksum_add(sum, checksum_sum(p, UDP_HEAD));
	sum = checksum_add(sum, checksum_pseudo(src, dst, IPPROTO_UDP, UDP_HEAD + len));
	uint16_t field = checksum_finish(sum);
	put16(p + 6, field ? field : 0xffff); /* 0 would mean none (RFC 768) */
}
