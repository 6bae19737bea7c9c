#include "guest/ranges.h"

#include <string.h>

static bool
before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static void
remove_at(struct ranges *r, uint32_t i, uint32_t n)
{
	memmove(&r->v[i], &r->v[i + n], (r->n - i - n) * sizeof r->v[0]);
	r->n -= n;
}

bool
ranges_add(struct ranges *r, uint32_t left, uint32_t right)
{
	uint32_t i = 0, touching = 0;
	while (i < r->n && before(r->v[i].right, left))
		i++;
	while (i + touching < r->n && !before(right, r->v[i + touching].left))
		touching++;
	if (!touching) {
		if (r->n == RANGES_MOST)
			return false;
		memmove(&r->v[i + 1], &r->v[i], (r->n - i) * sizeof r->v[0]);
		r->v[i] = (struct range){left, right};
		r->n++;
		return true;
	}
	if (before(r->v[i].left, left))
		left = r->v[i].left;
	if (before(right, r->v[i + touching - 1].right))
		right = r->v[i + touching - 1].right;
	remove_at(r, i, touching - 1);
	r->v[i] = (struct range){left, right};
	return true;
}

void
ranges_cut(struct ranges *r, uint32_t at)
{
	uint32_t gone = 0;
	while (gone < r->n && !before(at, r->v[gone].right))
		gone++;
	remove_at(r, 0, gone);
	if (r->n && before(r->v[0].left, at))
		r->v[0].left = at;
}

uint32_t
ranges_bytes(const struct ranges *r)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->n; i++)
		n += r->v[i].right - r->v[i].left;
	return n;
}

uint32_t
ranges_end_of(const struct ranges *r, uint32_t at)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (!before(at, r->v[i].left) && before(at, r->v[i].right))
			return r->v[i].right;
	return at;
}

bool
ranges_gap(const struct ranges *r, uint32_t from, struct range *gap)
{
	for (uint32_t i = 0; i < r->n; i++) {
		if (before(from, r->v[i].left)) {
			*gap = (struct range){from, r->v[i].left};
			return true;
		}
		if (before(from, r->v[i].right))
			from = r->v[i].right;
	}
	return false;
}
