/* uplink: what lies behind one guest's gateway: the host's sockets, names and rules.
 *
 * For      implementing the stack's ops: it is the hinge between lib/stack (which knows no socket)
 *          and lib/net (which knows no guest), and the only place where the egress policy is asked.
 * Owner    embedded in the tunnel. uplink_open / uplink_close; after uplink_close nothing comes
 *          back, sockets that still drain belong to lib/net.
 * Order    the stack (up->stack) is fed and pulled by the tunnel; `wake` says that a pull would
 * give frames. Pace     upstream bytes stay in their sockets until the guest acknowledged them.
 * Errors   uplink_open: -ENOMEM. Nothing that happens to one flow ends the tunnel. */
#pragma once

#include "base/log.h"
#include "net/ping.h"
#include "policy/pin.h"
#include "stack/stack.h"

struct l2svc;

struct uplink {
	struct l2svc *svc;
	struct stack *stack;
	const struct log *log;
	void (*wake)(struct uplink *up);
	struct pins pins;    /* addresses that names resolved to, for egress.pin-dns */
	struct list lookups; /* DNS queries and forward names under way */
	struct ping_set pings;
	uint32_t n_lookups;
	uint64_t denied, dns_queries;
};

int uplink_open(struct uplink *up, struct l2svc *svc, const struct log *log,
        void (*wake)(struct uplink *up));
void uplink_close(struct uplink *up);

extern const struct stack_ops uplink_ops;
