#include "wire/arp.h"

#include "base/cursor.h"
#include "wire/ether.h"

#include <errno.h>

enum {
	HARDWARE_ETHERNET = 1,
};

static struct ip
get_ip4(const uint8_t *p)
{
	return ip4(get32(p));
}

int
arp_parse(struct span payload, struct arp *out)
{
	const uint8_t *p = payload.p;
	if (payload.n < ARP_LEN || get16(p) != HARDWARE_ETHERNET || get16(p + 2) != ETHER_IPV4)
		return -EBADMSG;
	if (p[4] != 6 || p[5] != 4)
		return -EBADMSG;
	out->op = get16(p + 6);
	memcpy(out->sender_mac.b, p + 8, 6);
	out->sender = get_ip4(p + 14);
	memcpy(out->target_mac.b, p + 18, 6);
	out->target = get_ip4(p + 24);
	return 0;
}

void
arp_put(uint8_t *p, const struct arp *a)
{
	put16(p, HARDWARE_ETHERNET);
	put16(p + 2, ETHER_IPV4);
	p[4] = 6;
	p[5] = 4;
	put16(p + 6, a->op);
	memcpy(p + 8, a->sender_mac.b, 6);
	put32(p + 14, ip_u32(&a->sender));
	memcpy(p + 18, a->target_mac.b, 6);
	put32(p + 24, ip_u32(&a->target));
}
