/* sched_ent: a place in the stack's sending order, embedded in whatever sends: a TCP flow, a UDP
 * binding. All of it is private to lib/stack. */
#pragma once

#include "base/list.h"

#include <stdint.h>

struct sched_ops;

struct sched_ent {
	struct list node; /* on no list of sched's = nothing to send */
	const struct sched_ops *ops;
	int32_t deficit; /* bytes it may still send in this round */
	bool was_sparse; /* sits on the list of new flows */
};
