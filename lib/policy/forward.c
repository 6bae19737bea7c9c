#include "policy/forward.h"

#include "base/mem.h"
#include "conf/item.h"

#include <errno.h>
#include <stdlib.h>

/* Both tables are short and written once: sorted arrays, an insertion a row. */

static int
compare_from(const struct endpoint *a, const struct endpoint *b)
{
	int c = memcmp(a->ip.b, b->ip.b, sizeof a->ip.b);
	return c ? c : (a->port > b->port) - (a->port < b->port);
}

/* First row not before `key`. */
static uint32_t
forward_at(const struct forwards *t, const struct endpoint *key)
{
	uint32_t lo = 0, hi = t->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (compare_from(&t->v[mid].from, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void
forward_fini(struct forwards *t)
{
	free(t->v);
	*t = (struct forwards){0};
}

static int
bad_row(struct span row, const char *form, struct err *e)
{
	return err_set(e, -EINVAL, "\"%.*s\" is not %s", (int)span_first(row, 200).n,
	        (const char *)row.p, form);
}

static int
add_forward(struct forwards *t, struct span row, uint32_t item, struct err *e)
{
	struct forward f = {.item = item};
	struct span host;
	if (!item_read_forward(span_trim(row), &f.from, &host, &f.port))
		return bad_row(row, "ip:port=host:port", e);
	f.to = host_classify(host);
	if (f.to.kind == HOST_BAD)
		return bad_row(row, "a forward to a host there can be", e);
	uint32_t at = forward_at(t, &f.from);
	if (at == t->n || !endpoint_eq(&t->v[at].from, &f.from)) {
		t->v = xrealloc(t->v, (t->n + 1u) * sizeof *t->v);
		memmove(t->v + at + 1, t->v + at, (t->n - at) * sizeof *t->v);
		t->n++;
	}
	t->v[at] = f;
	return 0;
}

int
forward_load(struct forwards *t, const struct opt_list *l, const char *option, struct err *e)
{
	*t = (struct forwards){0};
	for (uint32_t i = 0; i < l->n; i++) {
		int rc = add_forward(t, span_str(l->v[i]), i, e);
		if (rc)
			return err_wrap(e, rc, "%s", option);
	}
	return 0;
}

const struct forward *
forward_find(const struct forwards *t, const struct endpoint *from)
{
	uint32_t at = forward_at(t, from);
	return at < t->n && endpoint_eq(&t->v[at].from, from) ? &t->v[at] : NULL;
}

static int
compare_name(const struct static_name *a, const char *name, bool four)
{
	int c = strcmp(a->name, name);
	return c ? c : (int)four - (int)ip_is4(&a->ip);
}

static uint32_t
static_at(const struct static_names *t, const char *name, bool four)
{
	uint32_t lo = 0, hi = t->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (compare_name(&t->v[mid], name, four) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool
static_is(const struct static_names *t, uint32_t at, const char *name, bool four)
{
	return at < t->n && compare_name(&t->v[at], name, four) == 0;
}

void
static_fini(struct static_names *t)
{
	free(t->v);
	*t = (struct static_names){0};
}

static int
add_static(struct static_names *t, struct span row, uint32_t item, struct err *e)
{
	struct static_name s = {.item = item};
	struct span name;
	if (!item_read_static_a(span_trim(row), &name, &s.ip) || !host_lower(name, s.name))
		return bad_row(row, "name=ip", e);
	bool four = ip_is4(&s.ip);
	uint32_t at = static_at(t, s.name, four);
	if (!static_is(t, at, s.name, four)) {
		t->v = xrealloc(t->v, (t->n + 1u) * sizeof *t->v);
		memmove(t->v + at + 1, t->v + at, (t->n - at) * sizeof *t->v);
		t->n++;
	}
	t->v[at] = s;
	return 0;
}

int
static_load(struct static_names *t, const struct opt_list *l, const char *option, struct err *e)
{
	*t = (struct static_names){0};
	for (uint32_t i = 0; i < l->n; i++) {
		int rc = add_static(t, span_str(l->v[i]), i, e);
		if (rc)
			return err_wrap(e, rc, "%s", option);
	}
	return 0;
}

const struct static_name *
static_find(const struct static_names *t, struct span name, bool four)
{
	char text[HOST_NAME_MAX_LEN + 1];
	if (!t->n || !host_lower(name, text) || strlen(text) != name.n)
		return NULL;
	uint32_t at = static_at(t, text, four);
	return static_is(t, at, text, four) ? &t->v[at] : NULL;
}
