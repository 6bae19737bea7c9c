/* dnscache: answers that are still good, by question.
 *
 * Owner    embedded; dnscache_init / dnscache_fini.
 * Memory   at most max_entries answers and max_bytes bytes; the one unused for longest makes room.
 * Pace     O(1).
 * Errors   an answer that cannot be kept is simply not kept. */
#pragma once

#include "base/hash.h"
#include "base/list.h"
#include "wire/dns.h"

struct dnskey {
	struct dnsname name; /* lower case */
	uint16_t type, class;
	bool dnssec;
};

struct dnscache {
	struct hash table;
	struct list recent;
	struct hash_key key;
	uint32_t max_entries, used;
	size_t max_bytes, bytes;
};

void dnscache_init(struct dnscache *c, uint32_t max_entries, size_t max_bytes);
void dnscache_fini(struct dnscache *c);
uint64_t dnskey_hash(const struct hash_key *key, const struct dnskey *k);
bool dnskey_eq(const struct dnskey *a, const struct dnskey *b);
/* Keep msg for ttl_s seconds from now (milliseconds). */
void dnscache_put(
        struct dnscache *c, const struct dnskey *k, struct span msg, uint32_t ttl_s, uint64_t now);
/* The message as it was put, and its age in seconds, rounded up, so that what is left of a TTL is
 * rounded down; p == NULL if there is none or it is too old. Until next call. */
struct span dnscache_get(struct dnscache *c, const struct dnskey *k, uint64_t now, uint32_t *age_s);
