/* slab: equal-sized objects from larger blocks, up to a cap.
 *
 * For      flows, bindings, queue nodes: what a peer can make many of, on one worker.
 * Owner    slab_fini frees all blocks, whatever is still out.
 * Memory   objects come zeroed. Blocks that become wholly free are given back but one.
 * Errors   NULL at the cap or out of memory.
 * Thread   one worker. */
#pragma once

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

struct slab {
	size_t size; /* of one object, rounded up */
	uint32_t per_block, cap, used;
	struct list partial; /* blocks with a free object */
	struct list full;
};

void slab_init(struct slab *s, size_t object_size, uint32_t cap);
void slab_fini(struct slab *s);
void *slab_alloc(struct slab *s);
void slab_free(struct slab *s, void *p); /* NULL is fine */
