/* errqueue: what the network answered to datagrams of a socket, one report at a time.
 *
 * Order    errqueue_on once for the socket, errqueue_next until it gives false.
 * Memory   `quote` is borrowed from the caller's buffer. */
#pragma once

#include "base/addr.h"

struct errqueue_report {
	struct endpoint dst; /* of the datagram; port 0 for a ping */
	struct ip from;      /* the router or host that complained */
	uint8_t type, code;  /* of its ICMP or ICMPv6 message */
	uint32_t mtu;        /* with fragmentation needed, packet too big */
	struct span quote;   /* the datagram's first bytes, from the transport's payload on */
};

bool errqueue_on(int fd, int family);
/* Reports that did not come from the network are skipped. False: none left. */
bool errqueue_next(int fd, struct errqueue_report *out, void *buf, size_t cap);
