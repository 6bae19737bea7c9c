#include "wire/ipv4.h"

#include "base/cursor.h"
#include "wire/checksum.h"

#include <errno.h>

enum {
	FLAG_DONT = 0x4000,
	FLAG_MORE = 0x2000,
	OFFSET_MASK = 0x1fff,
	TOTAL_MOST = 65535,
};

/* Header fields; the caller has seen to it that `head` bytes are there. */
static void
get_fields(const uint8_t *p, struct ippkt *out)
{
	uint16_t frag = get16(p + 6);
	*out = (struct ippkt){
	        .src = ip4(get32(p + 12)),
	        .dst = ip4(get32(p + 16)),
	        .tos = p[1],
	        .ttl = p[8],
	        .proto = p[9],
	        .id = get16(p + 4),
	        .dont_fragment = frag & FLAG_DONT,
	        .more = frag & FLAG_MORE,
	        .offset = (uint16_t)((frag & OFFSET_MASK) * 8),
	};
}

/* Length of the header, or 0 when it is not all there. */
static size_t
head_len(struct span packet)
{
	if (packet.n < IPV4_HEAD || packet.p[0] >> 4 != 4)
		return 0;
	size_t head = (size_t)(packet.p[0] & 15) * 4;
	return head >= IPV4_HEAD && head <= packet.n ? head : 0;
}

int
ipv4_parse(struct span packet, struct ippkt *out)
{
	size_t head = head_len(packet);
	if (!head)
		return -EBADMSG;
	size_t total = get16(packet.p + 2);
	if (total < head || total > packet.n)
		return -EBADMSG;
	if (checksum_finish(checksum_sum(packet.p, head)) != 0)
		return -EILSEQ;
	get_fields(packet.p, out);
	out->whole = span_first(packet, total);
	out->payload = span_skip(out->whole, head);
	/* A fragment before the last fills whole units of eight, and none may end beyond what a
	 * total length can say (RFC 791 3.2). */
	if (out->more && (out->payload.n == 0 || out->payload.n % 8))
		return -EBADMSG;
	if (out->offset && out->offset + out->payload.n > TOTAL_MOST - IPV4_HEAD)
		return -EBADMSG;
	return 0;
}

int
ipv4_parse_quoted(struct span quote, struct ippkt *out)
{
	size_t head = head_len(quote);
	if (!head)
		return -EBADMSG;
	get_fields(quote.p, out);
	/* Some hosts quote the length in their own byte order, so only a plausible one cuts. */
	size_t total = get16(quote.p + 2);
	out->whole = total >= head ? span_first(quote, total) : quote;
	out->payload = span_skip(out->whole, head);
	return 0;
}

size_t
ipv4_put(uint8_t *p, const struct ippkt *k, size_t payload_len)
{
	p[0] = 0x45;
	p[1] = k->tos;
	put16(p + 2, (uint16_t)(IPV4_HEAD + payload_len));
	put16(p + 4, (uint16_t)k->id);
	put16(p + 6, (uint16_t)((k->dont_fragment ? FLAG_DONT : 0) | (k->more ? FLAG_MORE : 0) |
	                        k->offset / 8));
	p[8] = k->ttl;
	p[9] = k->proto;
	put16(p + 10, 0);
	put32(p + 12, ip_u32(&k->src));
	put32(p + 16, ip_u32(&k->dst));
	put16(p + 10, checksum_finish(checksum_sum(p, IPV4_HEAD)));
	return IPV4_HEAD;
}
