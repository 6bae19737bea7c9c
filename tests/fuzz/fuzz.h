/* fuzz: what every target shares. A target is one file that defines LLVMFuzzerTestOneInput; `make
 * fuzz` links it with libFuzzer, `make fuzz-replay` with replay/main.c. */
#pragma once

#include "base/cursor.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* part lies inside whole. */
static inline void
fuzz_inside(struct span part, struct span whole)
{
	assert(part.n == 0 || (part.p >= whole.p && part.n <= whole.n &&
	                              (size_t)(part.p - whole.p) <= whole.n - part.n));
}

/* A copy that may be changed, in memory of exactly its size; to be freed. */
static inline uint8_t *
fuzz_copy(struct span s)
{
	uint8_t *p = malloc(s.n ? s.n : 1);
	assert(p);
	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}
