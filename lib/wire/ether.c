#include "wire/ether.h"

#include "base/cursor.h"

#include <errno.h>

int
ether_parse(struct span frame, struct ether *out)
{
	if (frame.n < ETHER_HEAD)
		return -EBADMSG;
	memcpy(out->dst.b, frame.p, 6);
	memcpy(out->src.b, frame.p + 6, 6);
	out->type = get16(frame.p + 12);
	out->payload = span_skip(frame, ETHER_HEAD);
	return 0;
}

void
ether_put(uint8_t *p, const struct mac *dst, const struct mac *src, uint16_t type)
{
	memcpy(p, dst->b, 6);
	memcpy(p + 6, src->b, 6);
	put16(p + 12, type);
}
