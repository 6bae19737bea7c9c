#include "net/dnscache.h"

#include "base/crypto.h"

#include <stdlib.h>

#define SHARE 16 /* no answer may take more than this part of the bytes */

struct entry {
	struct hash_node node;
	struct list use; /* in recent, the latest first */
	struct dnskey key;
	uint64_t stored, expires;
	size_t n;
	uint8_t msg[];
};

void
dnscache_init(struct dnscache *c, uint32_t max_entries, size_t max_bytes)
{
	*c = (struct dnscache){.max_entries = max_entries, .max_bytes = max_bytes};
	hash_init(&c->table);
	list_init(&c->recent);
	random_bytes(&c->key, sizeof c->key);
}

static void
drop(struct dnscache *c, struct entry *e)
{
	hash_del(&c->table, &e->node);
	list_del(&e->use);
	c->used--;
	c->bytes -= sizeof *e + e->n;
	free(e);
}

void
dnscache_fini(struct dnscache *c)
{
	while (!list_empty(&c->recent))
		drop(c, LIST_ENTRY(c->recent.next, struct entry, use));
	hash_fini(&c->table);
}

uint64_t
dnskey_hash(const struct hash_key *key, const struct dnskey *k)
{
	uint8_t flat[DNSNAME_MOST + 5];
	memcpy(flat, k->name.b, k->name.n);
	put16(flat + k->name.n, k->type);
	put16(flat + k->name.n + 2, k->class);
	flat[k->name.n + 4] = k->dnssec;
	return siphash13(key, flat, k->name.n + 5u);
}

bool
dnskey_eq(const struct dnskey *a, const struct dnskey *b)
{
	return a->type == b->type && a->class == b->class && a->dnssec == b->dnssec &&
	       a->name.n == b->name.n && memcmp(a->name.b, b->name.b, a->name.n) == 0;
}

static struct entry *
find(struct dnscache *c, const struct dnskey *k, uint64_t h)
{
	HASH_FOR_EACH (n, &c->table, h) {
		struct entry *e = CONTAINER_OF(n, struct entry, node);
		if (dnskey_eq(&e->key, k))
			return e;
	}
	return NULL;
}

void
dnscache_put(
        struct dnscache *c, const struct dnskey *k, struct span msg, uint32_t ttl_s, uint64_t now)
{
	uint64_t h = dnskey_hash(&c->key, k);
	struct entry *was = find(c, k, h);
	size_t need = sizeof(struct entry) + msg.n;
	if (was)
		drop(c, was);
	if (!ttl_s || !c->max_entries || need > c->max_bytes / SHARE)
		return;
	while (c->used >= c->max_entries || c->bytes + need > c->max_bytes)
		drop(c, LIST_ENTRY(c->recent.prev, struct entry, use));
	struct entry *e = malloc(need);
	if (!e)
		return;
	*e = (struct entry){.key = *k, .stored = now, .expires = now + ttl_s * 1000ull, .n = msg.n};
	memcpy(e->msg, msg.p, msg.n);
	if (!hash_add(&c->table, &e->node, h)) {
		free(e);
		return;
	}
	list_push(&c->recent, &e->use);
	c->used++;
	c->bytes += need;
}

struct span
dnscache_get(struct dnscache *c, const struct dnskey *k, uint64_t now, uint32_t *age_s)
{
	struct entry *e = find(c, k, dnskey_hash(&c->key, k));
	if (e && e->expires <= now) {
		drop(c, e);
		e = NULL;
	}
	if (!e)
		return SPAN_NONE;
	list_del(&e->use);
	list_push(&c->recent, &e->use);
	*age_s = (uint32_t)((now - e->stored + 999) / 1000);
	return span(e->msg, e->n);
}
