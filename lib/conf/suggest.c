#include "conf/suggest.h"

#include <ctype.h>

#define WORD_MAX 96

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* Optimal string alignment distance; three rows are enough. */
static size_t
distance(struct span a, struct span b)
{
	size_t row[3][WORD_MAX + 1];
	size_t *before = row[0], *above = row[1], *here = row[2];
	for (size_t j = 0; j <= b.n; j++)
		above[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		here[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			int x = tolower(a.p[i - 1]), y = tolower(b.p[j - 1]);
			here[j] = min3(above[j] + 1, here[j - 1] + 1, above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower(b.p[j - 2]) &&
			        tolower(a.p[i - 2]) == y && before[j - 2] + 1 < here[j])
				here[j] = before[j - 2] + 1;
		}
		size_t *t = before;
		before = above;
		above = here;
		here = t;
	}
	return above[b.n];
}

struct suggest
suggest_for(struct span word)
{
	/* Three slips in a long word are a typing error, in a short one another word. */
	size_t far = word.n < 4 ? 1 : word.n < 9 ? 2 : 3;
	return (struct suggest){.word = word, .distance = far + 1};
}

void
suggest_offer(struct suggest *s, const char *candidate)
{
	struct span c = span_str(candidate);
	if (s->word.n > WORD_MAX || c.n > WORD_MAX)
		return;
	size_t d = distance(s->word, c);
	if (d < s->distance) {
		s->distance = d;
		s->best = candidate;
	}
}
