#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

static inline void
sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
}

static uint64_t
load_tail(const uint8_t *p, size_t n)
{
	uint64_t m = 0;
	for (size_t i = 0; i < n; i++)
		m |= (uint64_t)p[i] << (8 * i);
	return m;
}

uint64_t
siphash13(const struct hash_key *key, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t v[4] = {key->k0 ^ 0x736f6d6570736575ull, key->k1 ^ 0x646f72616e646f6dull,
	        key->k0 ^ 0x6c7967656e657261ull, key->k1 ^ 0x7465646279746573ull};
	size_t left = n;
	for (; left >= 8; left -= 8, p += 8)
		sip_word(v, load_tail(p, 8));
	sip_word(v, load_tail(p, left) | (uint64_t)n << 56);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void
hash_init(struct hash *t)
{
	*t = (struct hash){0};
}

void
hash_fini(struct hash *t)
{
	free(t->chain);
	hash_init(t);
}

static void
put(struct hash *t, struct hash_node *n)
{
	struct hash_node **c = &t->chain[n->h & (t->size - 1)];
	n->next = *c;
	*c = n;
}

/* A failed growth is no error: longer chains still work. */
static void
resize(struct hash *t)
{
	struct hash next = {.size = t->size ? t->size * 2 : 8, .used = t->used};
	next.chain = calloc(next.size, sizeof(struct hash_node *));
	if (!next.chain)
		return;
	for (uint32_t i = 0; i < t->size; i++)
		for (struct hash_node *n = t->chain[i], *after; n; n = after) {
			after = n->next;
			put(&next, n);
		}
	free(t->chain);
	*t = next;
}

bool
hash_add(struct hash *t, struct hash_node *n, uint64_t h)
{
	if (t->used >= t->size)
		resize(t);
	if (!t->size)
		return false;
	n->h = (uint32_t)h;
	put(t, n);
	t->used++;
	return true;
}

void
hash_del(struct hash *t, struct hash_node *n)
{
	if (!t->size)
		return;
	for (struct hash_node **c = &t->chain[n->h & (t->size - 1)]; *c; c = &(*c)->next)
		if (*c == n) {
			*c = n->next;
			t->used--;
			return;
		}
}

struct hash_node *
hash_first(const struct hash *t, uint64_t h)
{
	return t->size ? t->chain[(uint32_t)h & (t->size - 1)] : NULL;
}
