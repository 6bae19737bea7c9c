#include "wire/utf8.h"

/* What a lead byte asks for: how many more, and between which bounds the first of them lies
 * (RFC 3629 4). */
static bool
lead(struct utf8 *u, uint8_t c)
{
	u->low = 0x80;
	u->high = 0xbf;
	if (c >= 0xc2 && c <= 0xdf) {
		u->left = 1;
	} else if ((c & 0xf0) == 0xe0) {
		u->left = 2;
		if (c == 0xe0)
			u->low = 0xa0;
		if (c == 0xed)
			u->high = 0x9f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		u->left = 3;
		if (c == 0xf0)
			u->low = 0x90;
		if (c == 0xf4)
			u->high = 0x8f;
	} else {
		return false;
	}
	return true;
}

static size_t
skip_ascii(struct span s, size_t i)
{
	uint64_t w;
	for (; s.n - i >= 8; i += 8) {
		memcpy(&w, s.p + i, 8);
		if (w & 0x8080808080808080)
			break;
	}
	while (i < s.n && s.p[i] < 0x80)
		i++;
	return i;
}

bool
utf8_feed(struct utf8 *u, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (u->left) {
			if (s.p[i] < u->low || s.p[i] > u->high)
				return false;
			u->left--;
			u->low = 0x80;
			u->high = 0xbf;
			continue;
		}
		i = skip_ascii(s, i);
		if (i < s.n && !lead(u, s.p[i]))
			return false;
	}
	return true;
}

bool
utf8_valid(struct span s)
{
	struct utf8 u = UTF8_START;
	return utf8_feed(&u, s) && utf8_complete(&u);
}

struct span
utf8_cut(struct span s, size_t most)
{
	if (s.n <= most)
		return s;
	while (most && (s.p[most] & 0xc0) == 0x80)
		most--;
	return span_first(s, most);
}
