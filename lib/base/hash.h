/* hash: keyed hashing (SipHash-1-3) and an intrusive hash table.
 *
 * For      tables whose keys a peer chooses: the key is secret, so nobody can aim for one chain.
 * Owner    nodes live in the things that are hashed; the table owns only its array of chains.
 * Memory   grows by doubling when fuller than one node a chain; a table with no array yet (all
 *          zero but the key) is valid and empty, so an idle table costs nothing. hash_add reports
 *          failure when the array cannot be allocated the first time.
 * Spec     SipHash: Aumasson and Bernstein, 2012; 1 compression and 3 finalisation rounds. */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0, k1;
};

uint64_t siphash13(const struct hash_key *key, const void *p, size_t n);

struct hash_node {
	struct hash_node *next;
	uint32_t h; /* low half of the hash; callers compare keys only when it is equal */
};

struct hash {
	struct hash_node **chain;
	uint32_t size; /* chains: 0 or a power of two */
	uint32_t used;
};

void hash_init(struct hash *t);
void hash_fini(struct hash *t); /* frees the array; the nodes are their owners' */
bool hash_add(struct hash *t, struct hash_node *n, uint64_t h);
void hash_del(struct hash *t, struct hash_node *n);
/* First node of the chain for h; walk with ->next and compare ->h and then the key. */
struct hash_node *hash_first(const struct hash *t, uint64_t h);

#define HASH_FOR_EACH(it, t, hv)                                          \
	for (struct hash_node *it = hash_first(t, hv); it; it = it->next) \
		if (it->h == (uint32_t)(hv))
