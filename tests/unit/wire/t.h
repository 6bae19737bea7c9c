/* t: what the codec tests share: cmocka, bytes from hex text, vectors from files, random numbers.
 */
#pragma once

#include "base/buf.h"
#include "base/enc.h"
#include "base/mem.h"
#include "wire/jsondoc.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct bytes {
	size_t n;
	uint8_t b[4096];
};

/* Hex digits, spaces between them allowed. */
static inline struct bytes
t_hex(const char *text)
{
	struct bytes out = {0};
	char pair[3] = {0};
	for (size_t got = 0; *text; text++) {
		if (*text == ' ')
			continue;
		pair[got++] = *text;
		if (got == 2) {
			assert_int_equal(hex_decode(span(pair, 2), out.b + out.n++, 1), 1);
			got = 0;
		}
	}
	return out;
}

static inline struct span
t_span(const struct bytes *b)
{
	return span(b->b, b->n);
}

static inline void
t_same(struct span got, struct span want)
{
	assert_int_equal(got.n, want.n);
	if (want.n)
		assert_memory_equal(got.p, want.p, want.n);
}

static inline void
t_text(struct span got, const char *want)
{
	t_same(got, span_str(want));
}

/* The file as a tree; the caller frees it. Tests run from the top of the tree. */
static inline struct jsondoc *
t_vectors(const char *path)
{
	struct buf b;
	char chunk[4096];
	size_t n;
	buf_init(&b, 1 << 20);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		assert_true(buf_add(&b, span(chunk, n)));
	fclose(f);
	struct jsondoc *j = jsondoc_parse(buf_span(&b));
	assert_non_null(j);
	buf_fini(&b);
	return j;
}

static inline const char *
t_str(const struct jsondoc *object, const char *name)
{
	struct span s;
	assert_true(jsondoc_string(jsondoc_get(object, name), &s));
	return (const char *)s.p;
}

static inline int64_t
t_int(const struct jsondoc *object, const char *name)
{
	int64_t v;
	assert_true(jsondoc_int(jsondoc_get(object, name), &v));
	return v;
}

static inline uint32_t
t_rand(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16);
}
