#include "conf/keep.h"

#include <stdlib.h>

struct block {
	struct list link;
	size_t n;
	max_align_t data[];
};

void
keep_init(struct keep *k)
{
	list_init(&k->blocks);
}

static void
drop(struct block *b)
{
	explicit_bzero(b->data, b->n);
	free(b);
}

void
keep_fini(struct keep *k)
{
	struct list *l;
	while ((l = list_pop(&k->blocks)))
		drop(LIST_ENTRY(l, struct block, link));
}

void *
keep_alloc(struct keep *k, size_t n)
{
	struct block *b = xcalloc(1, sizeof *b + n);
	b->n = n;
	list_add(&k->blocks, &b->link);
	return b->data;
}

void *
keep_grow(struct keep *k, void *p, size_t n)
{
	void *out = keep_alloc(k, n);
	if (!p)
		return out;
	struct block *was = CONTAINER_OF(p, struct block, data);
	memcpy(out, p, was->n < n ? was->n : n);
	list_del(&was->link);
	drop(was);
	return out;
}

const char *
keep_text(struct keep *k, struct span s)
{
	char *out = keep_alloc(k, s.n + 1);
	if (s.n)
		memcpy(out, s.p, s.n);
	return out;
}
