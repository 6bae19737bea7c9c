/* mac: 48-bit Ethernet addresses. */
#pragma once

#include "base/span.h"

struct mac {
	uint8_t b[6];
};

#define MAC_BROADCAST ((struct mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})
#define MAC_TEXT 18

static inline bool
mac_eq(const struct mac *a, const struct mac *b)
{
	return memcmp(a->b, b->b, 6) == 0;
}

/* The group bit: broadcast is a multicast too. */
static inline bool
mac_is_multicast(const struct mac *m)
{
	return m->b[0] & 1;
}

bool mac_is_broadcast(const struct mac *m);
/* "02:00:00:00:00:01"; buf holds MAC_TEXT; returns buf. */
const char *mac_text(const struct mac *m, char *buf);
/* Six pairs of hex digits with `:` or `-` between, or false and *out as it was. */
bool mac_parse(struct span s, struct mac *out);
