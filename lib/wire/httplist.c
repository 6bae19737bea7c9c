#include "wire/httplist.h"

/* Cut at the first `sep` outside quotes; false when nothing is left. */
static bool
cut(struct span *rest, uint8_t sep, struct span *item)
{
	bool quoted = false;
	size_t i = 0;
	if (!rest->p)
		return false;
	for (; i < rest->n; i++) {
		uint8_t c = rest->p[i];
		if (quoted && c == '\\' && i + 1 < rest->n)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (c == sep && !quoted)
			break;
	}
	*item = span_trim(span_first(*rest, i));
	*rest = i < rest->n ? span_skip(*rest, i + 1) : SPAN_NONE;
	return true;
}

bool
httplist_next(struct span *rest, struct span *item)
{
	while (cut(rest, ',', item))
		if (item->n)
			return true;
	return false;
}

bool
httplist_has(struct span value, const char *token)
{
	struct span item;
	while (httplist_next(&value, &item))
		if (span_ieq(item, span_str(token)))
			return true;
	return false;
}

static bool
halve(struct span item, struct span *name, struct span *value)
{
	const uint8_t *eq = item.n ? memchr(item.p, '=', item.n) : NULL;
	*name = eq ? span_trim(span(item.p, (size_t)(eq - item.p))) : item;
	*value = eq ? span_trim(span_skip(item, (size_t)(eq - item.p) + 1)) : span(item.p, 0);
	return eq;
}

bool
httplist_cookie(struct span *rest, struct span *name, struct span *value)
{
	struct span item;
	while (span_split(rest, ';', &item))
		if (halve(span_trim(item), name, value))
			return true;
	return false;
}

bool
httplist_param(struct span *rest, struct span *name, struct span *value)
{
	struct span item;
	do {
		if (!cut(rest, ';', &item))
			return false;
	} while (!item.n);
	halve(item, name, value);
	if (value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"')
		*value = span(value->p + 1, value->n - 2);
	return true;
}
