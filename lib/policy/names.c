#include "policy/names.h"

#include "base/mem.h"
#include "policy/host.h"

#include <errno.h>
#include <stdlib.h>

/* Names are hashed from their end, so that one walk from the last label to the first meets the hash
 * of every suffix at its boundary. */

enum { COVERS_SELF = 1, COVERS_BELOW = 2 };

struct names_entry {
	char *text;
	uint32_t len, hash, item;
	unsigned covers;
};

#define HASH_START 2166136261u /* FNV-1a */

static uint32_t
hash_step(uint32_t h, uint8_t c)
{
	return (h ^ c) * 16777619u;
}

static uint32_t
hash_slot(uint32_t h, uint32_t size)
{
	return (h ^ h >> 15) & (size - 1);
}

void
names_fini(struct names *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		free(t->v[i].text);
	free(t->v);
	free(t->index);
	*t = (struct names){.style = t->style};
}

static void
index_put(struct names *t, uint32_t i)
{
	uint32_t at = hash_slot(t->v[i].hash, t->size);
	while (t->index[at])
		at = (at + 1) & (t->size - 1);
	t->index[at] = i + 1;
}

static void
grow(struct names *t)
{
	if (t->n < t->room)
		return;
	t->room = t->room ? t->room * 2 : 8;
	t->v = xrealloc(t->v, t->room * sizeof *t->v);
	free(t->index);
	t->size = t->room * 2;
	t->index = xcalloc(t->size, sizeof *t->index);
	for (uint32_t i = 0; i < t->n; i++)
		index_put(t, i);
}

static int
check_entry(struct span whole, struct span s, struct err *e)
{
	struct span rest = s, label;
	const char *why = s.n > HOST_NAME_MAX_LEN ? "is longer than a name can be" : NULL;
	for (size_t i = 0; i < s.n && !why; i++) {
		if (s.p[i] >= 0x80)
			why = "is not ASCII: write its xn-- form";
		else if (s.p[i] <= ' ' || strchr("*/:@[]\\,;\"'?#%\x7f", s.p[i]))
			why = "is not a domain name";
	}
	while (!why && span_split(&rest, '.', &label))
		if (!label.n || label.n > 63)
			why = "has an empty or over-long label";
	if (!why)
		return 0;
	return err_set(e, -EINVAL, "\"%.*s\" %s", (int)span_first(whole, 200).n,
	        (const char *)whole.p, why);
}

static struct span
strip_dots(struct span s)
{
	while (s.n && s.p[0] == '.')
		s = span_skip(s, 1);
	while (s.n && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

static int
add_entry(struct names *t, struct span entry, uint32_t item, struct err *e)
{
	char text[HOST_NAME_MAX_LEN + 1];
	struct span s = span_trim(entry);
	bool below = span_starts(s, "*.");
	unsigned covers = below ? COVERS_BELOW : COVERS_SELF;
	s = strip_dots(below ? span_skip(s, 2) : s);
	if (!s.n && !below)
		return 0;
	int rc = check_entry(entry, s, e);
	if (rc)
		return rc;
	if (t->style == NAMES_DOMAINS && !below)
		covers |= COVERS_BELOW;
	host_lower(s, text);
	uint32_t h = HASH_START;
	for (size_t i = s.n; i-- > 0;)
		h = hash_step(h, (uint8_t)text[i]);
	grow(t);
	t->v[t->n] = (struct names_entry){xstrdup(text), (uint32_t)s.n, h, item, covers};
	index_put(t, t->n++);
	return 0;
}

int
names_load(struct names *t, enum names_style style, const struct opt_list *l, const char *option,
        struct err *e)
{
	*t = (struct names){.style = style};
	for (uint32_t i = 0; i < l->n; i++) {
		int rc = add_entry(t, span_str(l->v[i]), i, e);
		if (rc)
			return err_wrap(e, rc, "%s", option);
	}
	return 0;
}

static uint32_t
find(const struct names *t, uint32_t h, struct span suffix, unsigned covers)
{
	for (uint32_t at = hash_slot(h, t->size); t->index[at]; at = (at + 1) & (t->size - 1)) {
		const struct names_entry *v = &t->v[t->index[at] - 1];
		if (v->hash == h && (v->covers & covers) && span_eq(suffix, span(v->text, v->len)))
			return v->item;
	}
	return NAMES_NO_MATCH;
}

uint32_t
names_match(const struct names *t, struct span name)
{
	uint32_t h = HASH_START, item = NAMES_NO_MATCH;
	if (!t->n)
		return NAMES_NO_MATCH;
	for (size_t i = name.n; i-- > 0 && item == NAMES_NO_MATCH;) {
		h = hash_step(h, name.p[i]);
		if (i == 0)
			item = find(t, h, name, COVERS_SELF);
		else if (name.p[i - 1] == '.')
			item = find(t, h, span_skip(name, i), COVERS_BELOW);
	}
	return item;
}
