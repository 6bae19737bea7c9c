#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void
buf_init(struct buf *b, size_t cap)
{
	*b = (struct buf){.cap = cap};
}

void
buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->bad = false;
}

/* One byte more than asked is kept for buf_str's terminator. */
static bool
grow(struct buf *b, size_t more)
{
	if (b->bad || more > b->cap - b->n) {
		b->bad = true;
		return false;
	}
	if (b->n + more + 1 <= b->room)
		return true;
	size_t want = b->room ? b->room * 2 : 64;
	while (want < b->n + more + 1)
		want *= 2;
	uint8_t *p = realloc(b->p, want);
	if (!p) {
		b->bad = true;
		return false;
	}
	b->p = p;
	b->room = want;
	return true;
}

bool
buf_add(struct buf *b, struct span s)
{
	if (!grow(b, s.n))
		return false;
	if (s.n)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
	return true;
}

bool
buf_addc(struct buf *b, char c)
{
	return buf_add(b, span(&c, 1));
}

bool
buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, span_str(s));
}

bool
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	bool ok = n >= 0 && grow(b, (size_t)n);
	if (ok) {
		vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
	return ok;
}

void
buf_eat(struct buf *b, size_t n)
{
	if (n > b->n)
		n = b->n;
	b->n -= n;
	if (b->n)
		memmove(b->p, b->p + n, b->n);
}

const char *
buf_str(struct buf *b)
{
	if (!b->p)
		return "";
	b->p[b->n] = 0;
	return (const char *)b->p;
}
