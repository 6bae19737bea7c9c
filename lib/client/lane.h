/* lane: frames that wait for their time, first in, first out.
 *
 * Owner    embeds; lane_fini frees what waits.
 * Memory   frames are copied.
 * Pace     at most `most` bytes; a frame beyond that is refused, and counting it is the owner's.
 * Time     microseconds; due times never go back. */
#pragma once

#include "base/list.h"
#include "base/span.h"

struct lane {
	struct list frames;
	size_t bytes, most;
};

void lane_init(struct lane *l, size_t most);
void lane_fini(struct lane *l);
bool lane_add(struct lane *l, struct span frame, uint64_t due);
/* The first frame, if it is due; it stays until lane_drop. p NULL: none is. */
struct span lane_first(const struct lane *l, uint64_t now);
void lane_drop(struct lane *l);
/* When the first one is due; UINT64_MAX: nothing waits. */
uint64_t lane_due(const struct lane *l);
