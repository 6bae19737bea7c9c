/* limit: how many of something there are, over all processes: tunnels in all, of one client
 * address, of one session.
 *
 * Owner    the table is part of the shard; a limit_hold is embedded in what is counted.
 * Order    limit_acquire -> limit_release, in the same process. What a process held when it died is
 *          given back by shard_reset_worker.
 * Memory   a fixed number of slots, one for each different (kind, key) that is in use. Keys are
 *          kept as keyed 128-bit hashes, never in clear.
 * Pace     a lock for some hundred nanoseconds.
 * Errors   -EDQUOT at the maximum; -ENOSPC no slot free, which refuses too: a full table must not
 *          turn limits off. */
#pragma once

#include "obs/shard.h"

enum limit_kind { LIMIT_TUNNELS, LIMIT_IP, LIMIT_SID };

struct limit_hold {
	uint32_t slot; /* 0 = holds nothing */
};

/* One more, unless there are `max` already; max 0 counts without limiting, and never fails.
 * *active, if asked for, is how many there were before. */
int limit_acquire(struct shard *s, enum limit_kind kind, struct span key, uint32_t max,
        struct limit_hold *h, uint32_t *active);
void limit_release(struct shard *s, struct limit_hold *h); /* idempotent */
uint32_t limit_active(struct shard *s, enum limit_kind kind, struct span key);

/* For shard.c: the table's place in the block, and what it does when processes die. */
size_t limit_table_size(uint32_t slots, uint32_t workers);
void limit_table_init(struct limit_table *t, uint32_t slots, uint32_t workers);
void limit_forget(struct shard *s, uint32_t worker); /* locked by the caller */
void limit_repair(struct limit_table *t);
