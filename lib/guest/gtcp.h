/* gtcp: TCP connections that the guest opens.
 *
 * Owner    gtcp_open; gtcp_close gives it back: what was written still goes out, then it ends by
 *          itself. With bytes unread, or with gtcp_abort, it ends with RST at once.
 * Order    gtcp_open -> (info.up) -> gtcp_write, gtcp_read at will -> gtcp_shutdown? -> gtcp_close.
 *          What happens is seen in gtcp_info, after ops.event.
 * Pace     gtcp_write takes what fits the send buffer, gtcp_read gives what has come in order; the
 *          window offered is what the receive buffer has room for.
 * Errors   info.err, errno numbers: ECONNREFUSED, ECONNRESET, ETIMEDOUT, and EHOSTUNREACH,
 *          ENETUNREACH, EACCES (prohibited) when a router said so.
 * Spec     RFC 9293, 7323 (scaling, no timestamps), 2018, 6298, 5681, 6675 (the gist), 5961. */
#pragma once

#include "guest/guest.h"
#include "wire/icmp.h"

struct gtcp;

struct gtcp_opts {
	uint16_t sport;          /* 0: any */
	uint32_t sndbuf, rcvbuf; /* 0: 256 KiB; at most 16 MiB */
	bool plain;              /* no window scaling, no SACK */
};

struct gtcp_info {
	bool up;   /* the handshake is done */
	bool eof;  /* the other side has finished, and all it sent has been read */
	bool sent; /* everything written, and FIN after gtcp_shutdown, is acknowledged */
	bool over; /* ended, by both sides or with err */
	int err;
	enum icmp_kind icmp; /* what a router said, OTHER: nothing; and which router */
	struct ip icmp_from;
	uint32_t unread, unacked; /* bytes; unacked: written and not acknowledged */
	uint32_t room;            /* for gtcp_write */
	uint32_t rtt_ms;          /* smoothed; 0 = not measured */
	uint64_t in, out;         /* bytes received in order; written and acknowledged */
	uint64_t retransmits, timeouts, duplicates, out_of_order;
	uint16_t mss; /* of the other side */
	bool sack;
	uint8_t wscale; /* of the other side */
};

struct gtcp *gtcp_open(struct guest *g, const struct endpoint *to, const struct gtcp_opts *opts,
        uint64_t now); /* opts may be NULL; NULL = out of memory */
size_t gtcp_write(struct gtcp *t, struct span s);
size_t gtcp_read(struct gtcp *t, void *p, size_t cap);
void gtcp_shutdown(struct gtcp *t); /* FIN after everything written */
void gtcp_close(struct gtcp *t, uint64_t now);
void gtcp_abort(struct gtcp *t, uint64_t now);
void gtcp_info(const struct gtcp *t, struct gtcp_info *out);
const struct endpoint *gtcp_local(const struct gtcp *t);
