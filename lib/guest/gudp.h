/* gudp: UDP sockets of the guest.
 *
 * Owner    gudp_open / gudp_free; guest_free frees what is left.
 * Pace     up to 256 KiB of datagrams wait for gudp_recv, later ones are dropped and counted.
 * Errors   -ENETUNREACH, -ENOBUFS, -EMSGSIZE; what a router or the far side reports is kept until
 *          asked for, the last one only.
 * Spec     RFC 768. Datagrams beyond the MTU go out in fragments and come in reassembled. */
#pragma once

#include "guest/guest.h"
#include "wire/icmp.h"

struct gudp;

struct gudp_trouble {
	enum icmp_kind kind;
	struct ip from;
	struct endpoint about; /* where the datagram was going */
	uint32_t mtu;
};

struct gudp *gudp_open(struct guest *g, uint16_t port); /* 0: any; NULL: out of memory */
void gudp_free(struct gudp *u);
uint16_t gudp_port(const struct gudp *u);
/* ttl 0: the usual one. */
int gudp_send(
        struct gudp *u, const struct endpoint *to, struct span payload, uint8_t ttl, uint64_t now);
/* Bytes of the next datagram (cut at cap), or -EAGAIN. */
ssize_t gudp_recv(struct gudp *u, struct endpoint *from, void *p, size_t cap);
bool gudp_trouble(struct gudp *u, struct gudp_trouble *out);
