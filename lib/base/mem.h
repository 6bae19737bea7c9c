/* mem: allocation for fixed, small, set-up things; running out of those ends the process.
 *
 * What a peer can make grow is never taken from here without a cap: see buf.h and slab.h, whose
 * calls report failure instead. */
#pragma once

#include <stddef.h>

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
