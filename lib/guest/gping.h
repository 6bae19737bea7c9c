/* gping: ICMP echo, and what routers say about it.
 *
 * Order    gping_send, then gping_next until it gives nothing; the last GPING_EVENTS are kept.
 * Spec     RFC 792. */
#pragma once

#include "guest/guest.h"
#include "wire/icmp.h"

#define GPING_EVENTS 64

struct gping_event {
	enum icmp_kind kind; /* ECHO_REPLY, or the error */
	struct ip from;
	uint16_t id, seq; /* of the request */
	uint8_t ttl;      /* of the packet that came */
	uint32_t len;     /* echo data that came back */
	bool same;        /* it is what gping_send sent */
	uint64_t at;      /* when it came */
};

/* len bytes of a pattern as data; ttl 0 means the usual one. -ENETUNREACH, -ENOBUFS. */
int gping_send(struct guest *g, const struct ip *dst, uint16_t id, uint16_t seq, size_t len,
        uint8_t ttl, uint64_t now);
bool gping_next(struct guest *g, struct gping_event *out);
