/* ranges: which parts of a sequence space are there; disjoint and sorted, at most RANGES_MOST.
 *
 * For      what a peer has acknowledged selectively, what has arrived out of order.
 * Numbers  compare modulo 2^32; all of them together span less than 2^31. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MOST 32

struct range {
	uint32_t left, right;
};

struct ranges {
	struct range v[RANGES_MOST];
	uint32_t n;
};

/* Joined with what it touches; false when that would need one range too many. */
bool ranges_add(struct ranges *r, uint32_t left, uint32_t right);
/* Everything before `at` is forgotten. */
void ranges_cut(struct ranges *r, uint32_t at);
uint32_t ranges_bytes(const struct ranges *r);
/* The end of the range that holds `at`, or `at` itself. */
uint32_t ranges_end_of(const struct ranges *r, uint32_t at);
/* The first gap at or after `from` with a range behind it. */
bool ranges_gap(const struct ranges *r, uint32_t from, struct range *gap);
