/* ping: echo requests to the world, through the unprivileged ICMP sockets of the kernel.
 *
 * For      guests' pings and traceroutes: each id a guest uses gets a socket, whose own id goes out
 *          on the wire; replies and routers' complaints come back to the guest's.
 * Owner    struct ping_set is embedded in the tunnel; struct ping_net is what a worker shares.
 * Order    ping_open -> (ping_send | reply | error)* -> ping_close. ping_end forgets one id.
 *          Both are legal inside any callback; nothing comes after.
 * Memory   payloads are borrowed for the call. max_ids bounds the sockets of the worker.
 * Errors   ping_send: -EPERM no such sockets here for that family, -ENOBUFS too many ids; else
 *          negative errno. 0: sent, or lost like any packet.
 * Thread   one worker.
 * Depends  base, net/poller. Knows no policy. */
#pragma once

#include "base/addr.h"
#include "base/slab.h"
#include "net/worker.h"

struct ping_set;

/* Whether this process may ping, found out once; why not, in words, or "". */
struct ping_caps {
	bool v4, v6;
	char why4[96], why6[96];
};
void ping_probe(struct ping_caps *caps);

struct ping_ops {
	void (*reply)(struct ping_set *s, const struct ip *src, uint16_t id, uint16_t seq,
	        struct span payload, uint8_t ttl);
	/* type and code are those of ICMP or ICMPv6, by the family of dst. */
	void (*error)(struct ping_set *s, const struct ip *dst, uint16_t id, uint16_t seq,
	        const struct ip *from, uint8_t type, uint8_t code, uint32_t mtu);
};

struct ping_net {
	struct worker *w;
	const struct ping_ops *ops;
	bool v4, v6;
	/* private */
	struct slab ids;
	struct ping_id *current; /* in a callback; NULL once it was ended there */
	uint8_t *buf;
};

struct ping_set {
	/* private */
	struct ping_net *net;
	struct list ids; /* used last comes first */
};

int ping_net_init(struct ping_net *net, struct worker *w, const struct ping_caps *caps,
        uint32_t max_ids, const struct ping_ops *ops);
void ping_net_fini(struct ping_net *net);

void ping_open(struct ping_net *net, struct ping_set *s);
void ping_close(struct ping_set *s); /* idempotent */
/* ttl 0: the host's own. */
int ping_send(struct ping_set *s, const struct ip *dst, uint16_t id, uint16_t seq,
        struct span payload, uint8_t ttl);
void ping_end(struct ping_set *s, uint16_t id);
