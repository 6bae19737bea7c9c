/* gdns: one question to the LAN's resolver.
 *
 * Owner    gdns_ask / gdns_free.
 * Pace     over UDP asked again after 1, 2, 4 ... seconds; a truncated answer is asked for again
 *          over TCP, as any resolver library does.
 * Errors   gdns_error: 0 while it lasts or when it is answered; errno numbers of the connection,
 *          EBADMSG for an answer that is none. Patience is the caller's.
 * Spec     RFC 1035 4.2, RFC 7766. */
#pragma once

#include "guest/guest.h"
#include "wire/dns.h"

struct gdns;

struct gdns_question {
	struct ip server; /* unspecified: the one the guest was told of */
	struct dnsname name;
	uint16_t type;
	bool tcp;
	uint16_t edns; /* UDP size to offer in an OPT record; 0: no OPT */
};

struct gdns *gdns_ask(struct guest *g, const struct gdns_question *q, uint64_t now);
void gdns_free(struct gdns *d, uint64_t now);
/* Call after ops.event. True: the answer is there; it stays until gdns_free. */
bool gdns_answer(struct gdns *d, struct dnsmsg *out, uint64_t now);
int gdns_error(const struct gdns *d);
bool gdns_over_tcp(const struct gdns *d); /* at the end */
