#include "wire/emit.h"

void
emit_init(struct emit *e, uint8_t *base, size_t cap, size_t budget, size_t max_frame)
{
	*e = (struct emit){.base = base, .cap = cap, .max_frame = max_frame};
	e->budget = budget < cap ? budget : cap;
}

static void
finish(struct emit *e, uint8_t *frame, size_t len)
{
	if (e->tap)
		e->tap(e, span(frame, len));
	e->seal(e, frame, len);
	e->frames++;
}

void
emit_end(struct emit *e)
{
	uint8_t *frame = e->open;
	e->open = NULL;
	if (frame)
		finish(e, frame, e->open_len);
}

uint8_t *
emit_frame(struct emit *e, size_t len)
{
	emit_end(e);
	if (len > e->max_frame) {
		e->dropped++;
		return NULL;
	}
	size_t head = e->head_len(e, len);
	if (head + len > emit_left(e)) {
		e->full = true;
		return NULL;
	}
	e->open = e->base + e->n + head;
	e->open_len = len;
	e->n += head + len;
	return e->open;
}

size_t
emit_slots(struct emit *e, size_t len, size_t n, uint8_t **first, size_t *stride)
{
	emit_end(e);
	size_t head = e->head_len(e, len);
	size_t fit = len > e->max_frame ? 0 : emit_left(e) / (head + len);
	if (fit < n)
		e->full = true;
	else
		fit = n;
	e->slot_head = head;
	e->slot_len = len;
	e->slot_n = fit;
	*first = e->base + e->n + head;
	*stride = head + len;
	return fit;
}

/* A short last frame may need a shorter header: then its bytes move to close the gap. */
static void
commit_one(struct emit *e, uint8_t *frame, size_t len)
{
	uint8_t *at = e->base + e->n + e->head_len(e, len);
	if (at != frame)
		memmove(at, frame, len);
	e->n = (size_t)(at - e->base) + len;
	finish(e, at, len);
}

void
emit_commit(struct emit *e, size_t used, size_t last_len)
{
	uint8_t *frame = e->base + e->n + e->slot_head;
	size_t stride = e->slot_head + e->slot_len;
	for (size_t i = 0; i < used && i < e->slot_n; i++)
		commit_one(e, frame + i * stride, i + 1 == used ? last_len : e->slot_len);
}
