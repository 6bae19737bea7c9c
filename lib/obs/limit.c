/* Slots hang in chains by index. What counts is `by`: how many each process holds. Totals, chains
 * and the free list can all be made again from it, which is what happens when a process died with
 * the lock in its hand. A slot is named before it is counted, in that order, so there is no moment
 * at which a death loses more than the one operation it interrupted. */
#include "obs/limit.h"

#include "base/crypto.h"
#include "base/hash.h"

#include <assert.h>
#include <errno.h>

struct limit_slot {
	uint64_t hash[2];
	uint32_t next; /* 1 + index, 0 = end */
	uint32_t total;
	uint32_t kind;
	uint32_t by[]; /* one for each worker, one for the parent */
};

struct limit_table {
	struct hash_key key[2];
	uint32_t slots, chains, workers;
	uint32_t fresh;   /* slots never used: their pages stay untouched until they are needed */
	uint32_t free;    /* 1 + index */
	uint32_t chain[]; /* 1 + index; behind them the slots */
};

struct limit_id {
	uint64_t hash[2];
	uint32_t kind;
};

static size_t
slot_size(uint32_t workers)
{
	return (sizeof(struct limit_slot) + (workers + 1) * sizeof(uint32_t) + 7) & ~(size_t)7;
}

static uint32_t
chains_for(uint32_t slots)
{
	uint32_t n = 16;
	while (n < slots)
		n *= 2;
	return n;
}

static size_t
head_size(uint32_t chains)
{
	return (sizeof(struct limit_table) + chains * sizeof(uint32_t) + 7) & ~(size_t)7;
}

size_t
limit_table_size(uint32_t slots, uint32_t workers)
{
	return head_size(chains_for(slots)) + slots * slot_size(workers);
}

void
limit_table_init(struct limit_table *t, uint32_t slots, uint32_t workers)
{
	t->slots = t->fresh = slots;
	t->workers = workers;
	t->chains = chains_for(slots);
	t->free = 0;
	random_bytes(t->key, sizeof t->key);
}

static struct limit_slot *
slot_at(struct limit_table *t, uint32_t index1)
{
	uint8_t *first = (uint8_t *)t + head_size(t->chains);
	return (struct limit_slot *)(first + (index1 - 1) * slot_size(t->workers));
}

static uint32_t *
chain_of(struct limit_table *t, const uint64_t hash[2], uint32_t kind)
{
	return &t->chain[(hash[0] + kind) & (t->chains - 1)];
}

static void
link_slot(struct limit_table *t, uint32_t index1)
{
	struct limit_slot *sl = slot_at(t, index1);
	uint32_t *head = chain_of(t, sl->hash, sl->kind);
	sl->next = *head;
	*head = index1;
}

static void
unlink_slot(struct limit_table *t, uint32_t index1)
{
	struct limit_slot *sl = slot_at(t, index1);
	uint32_t *at = chain_of(t, sl->hash, sl->kind);
	while (*at != index1)
		at = &slot_at(t, *at)->next;
	*at = sl->next;
	sl->next = t->free;
	t->free = index1;
}

static struct limit_id
id_of(const struct limit_table *t, enum limit_kind kind, struct span key)
{
	return (struct limit_id){
	        {siphash13(&t->key[0], key.p, key.n), siphash13(&t->key[1], key.p, key.n)}, kind};
}

static uint32_t
find(struct limit_table *t, const struct limit_id *id)
{
	for (uint32_t i = *chain_of(t, id->hash, id->kind); i; i = slot_at(t, i)->next) {
		const struct limit_slot *sl = slot_at(t, i);
		if (sl->hash[0] == id->hash[0] && sl->hash[1] == id->hash[1] &&
		        sl->kind == id->kind)
			return i;
	}
	return 0;
}

static uint32_t
take_slot(struct limit_table *t, const struct limit_id *id)
{
	uint32_t i = t->free;
	if (i)
		t->free = slot_at(t, i)->next;
	else if (t->fresh)
		i = t->slots - --t->fresh;
	else
		return 0;
	struct limit_slot *sl = slot_at(t, i);
	sl->hash[0] = id->hash[0];
	sl->hash[1] = id->hash[1];
	sl->kind = id->kind;
	sl->total = 0;
	link_slot(t, i);
	return i;
}

static uint32_t *
mine(struct shard *s, struct limit_slot *sl)
{
	return &sl->by[s->mine - s->block->row];
}

static int
acquire(struct shard *s, const struct limit_id *id, uint32_t max, struct limit_hold *h,
        uint32_t *active)
{
	struct limit_table *t = s->limits;
	uint32_t i = find(t, id);
	*active = i ? slot_at(t, i)->total : 0;
	if (max && *active >= max)
		return -EDQUOT;
	if (!i)
		i = take_slot(t, id);
	if (!i)
		return max ? -ENOSPC : 0;
	struct limit_slot *sl = slot_at(t, i);
	uint32_t *n = mine(s, sl);
	sl->total++;
	__atomic_store_n(n, *n + 1, __ATOMIC_RELEASE);
	h->slot = i;
	return 0;
}

int
limit_acquire(struct shard *s, enum limit_kind kind, struct span key, uint32_t max,
        struct limit_hold *h, uint32_t *active)
{
	struct limit_id id = id_of(s->limits, kind, key);
	uint32_t before;
	h->slot = 0;
	shard_lock(s);
	int r = acquire(s, &id, max, h, &before);
	shard_unlock(s);
	if (r == -ENOSPC)
		metric_add(s, M_LIMIT_TABLE_FULL, 1);
	if (active)
		*active = before;
	return r;
}

void
limit_release(struct shard *s, struct limit_hold *h)
{
	if (!h->slot)
		return;
	shard_lock(s);
	struct limit_slot *sl = slot_at(s->limits, h->slot);
	uint32_t *n = mine(s, sl);
	assert(*n);
	__atomic_store_n(n, *n - 1, __ATOMIC_RELEASE);
	if (--sl->total == 0)
		unlink_slot(s->limits, h->slot);
	shard_unlock(s);
	h->slot = 0;
}

uint32_t
limit_active(struct shard *s, enum limit_kind kind, struct span key)
{
	struct limit_id id = id_of(s->limits, kind, key);
	shard_lock(s);
	uint32_t i = find(s->limits, &id);
	uint32_t n = i ? slot_at(s->limits, i)->total : 0;
	shard_unlock(s);
	return n;
}

void
limit_repair(struct limit_table *t)
{
	memset(t->chain, 0, t->chains * sizeof t->chain[0]);
	t->free = 0;
	for (uint32_t i = 1; i <= t->slots - t->fresh; i++) {
		struct limit_slot *sl = slot_at(t, i);
		sl->total = 0;
		for (uint32_t w = 0; w <= t->workers; w++)
			sl->total += sl->by[w];
		if (sl->total) {
			link_slot(t, i);
		} else {
			sl->next = t->free;
			t->free = i;
		}
	}
}

void
limit_forget(struct shard *s, uint32_t worker)
{
	struct limit_table *t = s->limits;
	for (uint32_t i = 1; i <= t->slots - t->fresh; i++)
		slot_at(t, i)->by[worker] = 0;
	limit_repair(t);
}
