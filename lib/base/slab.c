#include "base/slab.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 16384u

/* Blocks are aligned to their own size, so an object finds its block by masking. */
struct block {
	struct list node;
	void *free; /* chain through the first word of each free object */
	uint32_t used, fresh;
	max_align_t data[];
};

void
slab_init(struct slab *s, size_t size, uint32_t cap)
{
	size = (size + 15) & ~(size_t)15;
	*s = (struct slab){.size = size, .cap = cap};
	s->per_block = (uint32_t)((BLOCK_BYTES - sizeof(struct block)) / size);
	if (!s->per_block)
		abort();
	list_init(&s->partial);
	list_init(&s->full);
}

static void
free_blocks(struct list *l)
{
	for (struct list *n; (n = list_pop(l));)
		free(LIST_ENTRY(n, struct block, node));
}

void
slab_fini(struct slab *s)
{
	free_blocks(&s->partial);
	free_blocks(&s->full);
	s->used = 0;
}

static struct block *
new_block(struct slab *s)
{
	struct block *b = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	if (!b)
		return NULL;
	b->free = NULL;
	b->used = b->fresh = 0;
	list_push(&s->partial, &b->node);
	return b;
}

static void *
take(struct slab *s, struct block *b)
{
	void *p = b->free;
	if (p)
		memcpy(&b->free, p, sizeof b->free);
	else
		p = (char *)b->data + s->size * b->fresh++;
	return p;
}

void *
slab_alloc(struct slab *s)
{
	if (s->used >= s->cap)
		return NULL;
	struct block *b = list_empty(&s->partial) ? new_block(s)
	                                          : LIST_ENTRY(s->partial.next, struct block, node);
	if (!b)
		return NULL;
	void *p = take(s, b);
	s->used++;
	if (++b->used == s->per_block) {
		list_del(&b->node);
		list_push(&s->full, &b->node);
	}
	return memset(p, 0, s->size);
}

void
slab_free(struct slab *s, void *p)
{
	if (!p)
		return;
	struct block *b = (struct block *)((uintptr_t)p & ~(uintptr_t)(BLOCK_BYTES - 1));
	memcpy(p, &b->free, sizeof b->free);
	b->free = p;
	s->used--;
	list_del(&b->node);
	b->used--;
	if (!b->used && !list_empty(&s->partial))
		free(b);
	else
		list_push(&s->partial, &b->node);
}
