#include "base/mem.h"

#include "base/exitcode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *
need(void *p)
{
	if (!p) {
		fputs("aero: out of memory\n", stderr);
		_exit(EXIT_LOCAL);
	}
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	return need(calloc(n ? n : 1, size ? size : 1));
}

void *
xrealloc(void *p, size_t size)
{
	return need(realloc(p, size ? size : 1));
}

char *
xstrdup(const char *s)
{
	return need(strdup(s));
}
