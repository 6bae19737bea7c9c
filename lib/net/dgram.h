/* dgram: one guest port's window to the world: an unconnected UDP socket for each family.
 *
 * For      endpoint-independent mapping (RFC 4787): whatever the destination, the same local port.
 * Owner    embeds struct dgram, zeroed; dgram_open, dgram_close before it goes away. struct
 *          dgram_net is what all of a worker share.
 * Order    dgram_open -> (dgram_send | input | error)* -> dgram_close. Sockets come into being with
 *          the first datagram of their family. dgram_close is idempotent and legal inside any
 *          callback; nothing comes after it.
 * Memory   payloads are borrowed for the call, both ways.
 * Pace     64 datagrams of one socket a turn, then the others have theirs.
 * Errors   dgram_send: 0 sent, or lost like any datagram (full buffers); else negative errno, and
 *          nothing but this datagram is affected. What routers and hosts answer to what was sent
 *          comes as `error`. Broadcasts are refused with -EACCES, always.
 * Thread   one worker.
 * Depends  base, net/poller. Knows no policy. */
#pragma once

#include "base/addr.h"
#include "net/poller.h"
#include "net/worker.h"

struct dgram;

struct dgram_ops {
	void (*input)(struct dgram *d, const struct endpoint *src, struct span payload);
	/* An ICMP or ICMPv6 error, by the family of dst, came from `from`. mtu: of the next hop, if
	 * that was the trouble, else 0. */
	void (*error)(struct dgram *d, const struct endpoint *dst, const struct ip *from,
	        uint8_t type, uint8_t code, uint32_t mtu);
};

enum dgram_df {
	DGRAM_DF_KERNEL, /* its choice: DF, and fragments for paths known to be narrow */
	DGRAM_DF_NEVER,
};

struct dgram_net {
	struct worker *w;
	const struct dgram_ops *ops;
	enum dgram_df df;
	/* private */
	struct dgram_rx *rx;
	struct list again;
	struct later later;
	struct dgram *current; /* in a callback; NULL once it was closed there */
};

struct dgram_sock {
	struct poll_fd poll;
	bool open, more; /* more: not read until empty */
};

struct dgram {
	/* private */
	struct dgram_net *net;
	struct list node;
	struct dgram_sock v4, v6;
};

int dgram_net_init(
        struct dgram_net *net, struct worker *w, enum dgram_df df, const struct dgram_ops *ops);
void dgram_net_fini(struct dgram_net *net);

void dgram_open(struct dgram_net *net, struct dgram *d);
void dgram_close(struct dgram *d);
/* ttl 0: the host's own. tos: both ECN bits included. */
int dgram_send(
        struct dgram *d, const struct endpoint *dst, struct span payload, uint8_t ttl, uint8_t tos);
