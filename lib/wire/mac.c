#include "wire/mac.h"

#include "base/enc.h"

#include <stdio.h>

bool
mac_is_broadcast(const struct mac *m)
{
	return mac_eq(m, &MAC_BROADCAST);
}

const char *
mac_text(const struct mac *m, char *buf)
{
	const uint8_t *b = m->b;
	snprintf(
	        buf, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return buf;
}

bool
mac_parse(struct span s, struct mac *out)
{
	struct mac m;
	if (s.n != MAC_TEXT - 1 || (s.p[2] != ':' && s.p[2] != '-'))
		return false;
	for (size_t i = 0; i < 6; i++) {
		if (i && s.p[3 * i - 1] != s.p[2])
			return false;
		if (hex_decode(span(s.p + 3 * i, 2), m.b + i, 1) != 1)
			return false;
	}
	*out = m;
	return true;
}
