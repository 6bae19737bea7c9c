#include "http/request.h"

#include "base/span.h"

static bool
is_word(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

/* Whole lines, each of them with a name. */
static bool
are_fields(const char *s)
{
	while (*s) {
		const char *end = strstr(s, "\r\n"), *colon = strchr(s, ':');
		if (!end || !colon || colon > end || colon == s)
			return false;
		for (const char *p = s; p < end; p++)
			if ((uint8_t)*p < ' ' && *p != '\t')
				return false;
		s = end + 2;
	}
	return true;
}

bool
request_text_ok(const char *host, const char *target, const char *headers)
{
	return is_word(host) && is_word(target) && target[0] == '/' &&
	       (!headers || are_fields(headers));
}

char *
request_host_name(const char *host)
{
	struct span s = span_str(host), name = s;
	if (s.n && s.p[0] == '[') {
		s = span_skip(s, 1);
		span_split(&s, ']', &name);
	} else {
		span_split(&s, ':', &name);
	}
	return span_dup(name);
}
