/* suggest: the known word nearest to a mistyped one.
 *
 *   struct suggest s = suggest_for(typed); suggest_offer(&s, "listen"); ... if (s.best) ...
 *
 * Nearest is by insertions, deletions, replacements and swaps of neighbours, letter case aside;
 * words too far away are never offered. Candidates are kept by pointer. */
#pragma once

#include "base/span.h"

struct suggest {
	struct span word;
	const char *best; /* NULL: nothing is near */
	size_t distance;
};

struct suggest suggest_for(struct span word);
void suggest_offer(struct suggest *s, const char *candidate);
