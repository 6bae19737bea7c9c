#include "client/lane.h"

#include <stdlib.h>

struct waiting {
	struct list node;
	uint64_t due;
	size_t n;
	uint8_t b[];
};

static struct waiting *
first(const struct lane *l)
{
	return list_empty(&l->frames) ? NULL : LIST_ENTRY(l->frames.next, struct waiting, node);
}

void
lane_init(struct lane *l, size_t most)
{
	list_init(&l->frames);
	l->bytes = 0;
	l->most = most;
}

void
lane_fini(struct lane *l)
{
	while (!list_empty(&l->frames))
		lane_drop(l);
}

bool
lane_add(struct lane *l, struct span frame, uint64_t due)
{
	struct waiting *f = NULL;
	if (l->bytes + frame.n <= l->most)
		f = malloc(sizeof *f + frame.n);
	if (!f)
		return false;
	f->due = due;
	f->n = frame.n;
	if (f->n)
		memcpy(f->b, frame.p, f->n);
	l->bytes += f->n;
	list_add(&l->frames, &f->node);
	return true;
}

struct span
lane_first(const struct lane *l, uint64_t now)
{
	const struct waiting *f = first(l);
	return f && f->due <= now ? span(f->b, f->n) : SPAN_NONE;
}

void
lane_drop(struct lane *l)
{
	struct waiting *f = first(l);
	l->bytes -= f->n;
	list_del(&f->node);
	free(f);
}

uint64_t
lane_due(const struct lane *l)
{
	const struct waiting *f = first(l);
	return f ? f->due : UINT64_MAX;
}
