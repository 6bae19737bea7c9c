/* sched_ent: a place in the stack's sending order, embedded in whatever sends: a TCP flow, a UDP
 * binding. All of it is private to lib/stack. */
#pragma once

#include "base/list.h"

#include <stdint.h>

struct sched_ops;

struct sched_ent {
	struct list node; /* on no list = nothing to send */
	const struct sched_ops *ops;
	int32_t credit;     /* bytes it may still send before its turn is over */
	uint32_t earned_at; /* low bits of the time at which that last grew */
	bool bulk;          /* which list it is on */
};
