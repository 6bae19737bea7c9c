#include "policy/cookie.h"

#include "base/enc.h"

static bool
find(const struct head *h, const char *name, struct span *value)
{
	size_t at = 0;
	struct span line, segment, key;
	while ((line = head_next(h, "cookie", &at)).p)
		while (span_split(&line, ';', &segment)) {
			struct span rest = segment;
			span_split(&rest, '=', &key);
			if (!rest.p || !span_is(span_trim(key), name))
				continue;
			*value = span_trim(rest);
			return true;
		}
	return false;
}

struct cookie
cookie_get(const struct head *h, const char *name, void *room, size_t cap)
{
	struct cookie c = {0};
	c.seen = find(h, name, &c.value);
	if (c.value.n && memchr(c.value.p, '%', c.value.n)) {
		ssize_t n = percent_decode(c.value, room, cap);
		if (n >= 0)
			c.value = span(room, (size_t)n);
	}
	return c;
}
