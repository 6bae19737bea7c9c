#include "policy/forwarded.h"

/* span_split that does not see separators inside quoted strings (RFC 9110 5.6.4). */
static bool
split_quoted(struct span *rest, char sep, struct span *item)
{
	bool quoted = false;
	size_t i = 0;
	if (!rest->p)
		return false;
	for (; i < rest->n && (quoted || rest->p[i] != sep); i++) {
		if (rest->p[i] == '"')
			quoted = !quoted;
		else if (quoted && rest->p[i] == '\\')
			i++;
	}
	if (i >= rest->n) {
		*item = *rest;
		*rest = SPAN_NONE;
		return true;
	}
	*item = span_first(*rest, i);
	*rest = span_skip(*rest, i + 1);
	return true;
}

bool
forwarded_element(struct span *line, struct span *element)
{
	return split_quoted(line, ',', element);
}

struct span
forwarded_param(struct span element, const char *name)
{
	struct span pair, key;
	while (split_quoted(&element, ';', &pair)) {
		struct span value = pair;
		span_split(&value, '=', &key);
		if (value.p && span_ieq(span_trim(key), span_str(name)))
			return span_trim(value);
	}
	return SPAN_NONE;
}

struct span
forwarded_unquote(struct span s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return span(s.p + 1, s.n - 2);
	return s;
}
