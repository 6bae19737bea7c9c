/* keep: memory that lives exactly as long as one configuration.
 *
 * Owner    whoever embeds the struct; keep_fini wipes and frees everything handed out (some of it
 *          is secret).
 * Errors   none; running out of memory ends the process (base/mem.h). */
#pragma once

#include "base/list.h"
#include "base/span.h"

struct keep {
	struct list blocks;
};

void keep_init(struct keep *k);
void keep_fini(struct keep *k);
void *keep_alloc(struct keep *k, size_t n);
/* Grows a block that keep_alloc gave (NULL: a new one); what is added is zero. */
void *keep_grow(struct keep *k, void *p, size_t n);
/* NUL-terminated copy. */
const char *keep_text(struct keep *k, struct span s);
