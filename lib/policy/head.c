#include "policy/head.h"

struct span
head_next(const struct head *h, const char *name, size_t *at)
{
	while (*at < h->n) {
		const struct head_field *f = &h->field[(*at)++];
		if (!span_ieq(f->name, span_str(name)))
			continue;
		return f->value.p ? f->value : SPAN_LIT("");
	}
	return SPAN_NONE;
}

struct span
head_first(const struct head *h, const char *name)
{
	size_t at = 0;
	return head_next(h, name, &at);
}

size_t
head_count(const struct head *h, const char *name)
{
	size_t at = 0, n = 0;
	while (head_next(h, name, &at).p)
		n++;
	return n;
}

bool
head_lists(const struct head *h, const char *name, const char *item)
{
	size_t at = 0;
	struct span line, one;
	while ((line = head_next(h, name, &at)).p)
		while (span_split(&line, ',', &one))
			if (span_is(span_trim(one), item))
				return true;
	return false;
}

struct span
head_query(const struct head *h, const char *key)
{
	struct span rest = h->query, item;
	while (span_split(&rest, '&', &item)) {
		struct span value = item, name;
		span_split(&value, '=', &name);
		if (span_is(name, key))
			return value.p ? value : SPAN_LIT("");
	}
	return SPAN_NONE;
}
