#include "base/span.h"

#include "base/mem.h"

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

struct span
span_trim(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_skip(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

bool
span_ieq(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool
span_istarts(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.n >= n && span_ieq(span_first(s, n), span(prefix, n));
}

bool
span_starts(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

bool
span_split(struct span *rest, char sep, struct span *item)
{
	if (!rest->p)
		return false;
	const uint8_t *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	if (!at) {
		*item = *rest;
		*rest = SPAN_NONE;
		return true;
	}
	*item = span(rest->p, (size_t)(at - rest->p));
	*rest = span_skip(*rest, item->n + 1);
	return true;
}

bool
span_u64(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (!s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t d = (uint8_t)(s.p[i] - '0');
		if (d > 9 || v > (max - d) / 10 || (v * 10 + d) > max)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

char *
span_dup(struct span s)
{
	char *out = xcalloc(1, s.n + 1);
	if (s.n)
		memcpy(out, s.p, s.n);
	return out;
}
