/* udp: one guest port and the flows it has to the world, as the owner of its socket embeds it.
 *
 * For      address-independent mapping: whatever a guest port talks to, it does so through one
 *          socket; and address-and-port filtering: only who was talked to may talk back
 *          (RFC 4787 4.1, 5).
 * Owner    op udp_alloc gives the memory, zeroed, op udp_free takes it back. All fields are the
 *          stack's; the owner may read `guest` between those two.
 * Thread   one worker. */
#pragma once

#include "base/addr.h"
#include "base/hash.h"
#include "stack/frameq.h"
#include "stack/sched_ent.h"

struct udp_binding {
	struct endpoint guest;
	/* private */
	struct hash_node node; /* by guest */
	struct list flows;
	struct list waiting; /* on the stack's list while queue holds something */
	struct sched_ent sched;
	struct frameq queue;
};
