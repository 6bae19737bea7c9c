/* pin: the addresses one tunnel has learnt from names that the policy allows.
 *
 * For      egress.pin-dns: a literal address that no allowed name resolved to is refused.
 * Owner    embedded in the tunnel; pin_init / pin_fini. An unused table holds no memory.
 * Memory   at most `cap` entries of about 80 bytes; the one unused for longest makes room.
 * Pace     O(1).
 * Errors   pin_add: false when out of memory; then connecting will be refused. */
#pragma once

#include "base/addr.h"
#include "base/hash.h"
#include "base/list.h"

struct pins {
	struct hash table;
	struct list recent; /* most recently used first */
	const struct hash_key *key;
	uint32_t used, cap;
	uint64_t grace_ms;
};

/* grace_ms: how long an address stays good after its record expired, for guests that keep answers
 * longer than they should. `key` is borrowed. */
void pin_init(struct pins *t, const struct hash_key *key, uint32_t cap, uint64_t grace_ms);
void pin_fini(struct pins *t);
/* An answer that named `ip` went to the guest. Never shortens what is there. */
bool pin_add(struct pins *t, const struct ip *ip, uint64_t ttl_ms, uint64_t now);
bool pin_has(struct pins *t, const struct ip *ip, uint64_t now);
