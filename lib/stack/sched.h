/* sched: whose turn it is to send to the guest.
 *
 * For      a download that must not delay a keystroke. Flows that send little are served first, the
 *          rest in turn, each a fair share of what the tunnel takes (deficit round robin).
 * Owner    struct sched is part of the stack; an entry is embedded in whatever has frames to send,
 *          and leaves by sched_remove before that memory goes.
 * Order    sched_ready whenever there may be something to send; then `pull` comes from stack_pull
 *          until it says that there is no more.
 * Pace     an entry earns credit slowly while it sends little. With credit it is fresh and goes
 *          first; a burst that eats it up puts it among the bulk flows.
 * Thread   one worker. */
#pragma once

#include "stack/sched_ent.h"

#include <stddef.h>

struct emit;
struct stack;

#define SCHED_GONE SIZE_MAX

struct sched_ops {
	/* Write frames of about `bytes` in all: stop at the first that reaches it. Returns the
	 * bytes written; *more (false before the call) says whether frames are left that may be
	 * sent now. When e is full, stop and say more; having written nothing although it is not
	 * full counts as having no more. SCHED_GONE: ent was
	 * removed meanwhile, and its memory may be gone. */
	size_t (*pull)(struct stack *st, struct sched_ent *ent, struct emit *e, size_t bytes,
	        uint64_t now, bool *more);
};

struct sched {
	struct list fresh; /* served first, and at most their credit */
	struct list bulk;  /* everybody else, in turn */
	uint32_t n_bulk;
};

void sched_init(struct sched *s);
void sched_ent_init(struct sched_ent *ent, const struct sched_ops *ops);
/* ent has something to send; idempotent. Wakes the transport. */
void sched_ready(struct stack *st, struct sched_ent *ent);
void sched_remove(struct stack *st, struct sched_ent *ent); /* idempotent */
/* True: somebody has more. */
bool sched_pull(struct stack *st, struct emit *e, uint64_t now);

static inline bool
sched_waits(const struct sched_ent *ent)
{
	return !list_empty(&ent->node);
}
