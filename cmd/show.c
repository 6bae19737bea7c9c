#include "cmd/show.h"

#include "base/jout.h"
#include "conf/value.h"

#include <stdio.h>

#define VALUE_CAP 65536

struct show {
	const struct conf *c;
	bool changed;
	struct jout *j;
	size_t warnings;
};

static void
print_one(void *arg, const struct conf_item *it)
{
	const struct show *s = arg;
	struct buf value, where;
	if (s->changed && it->src.from == FROM_DEFAULT)
		return;
	buf_init(&value, VALUE_CAP);
	buf_init(&where, 4096);
	value_write(it->opt, it->field, &value);
	conf_where(s->c, it->field, 0, &where);
	printf("%s =%s%s  (%s)\n", it->name, value.n ? " " : "", buf_str(&value), buf_str(&where));
	buf_fini(&where);
	buf_fini(&value);
}

void
show_values(const struct conf *c, bool changed)
{
	conf_each(c, print_one, &(struct show){.c = c, .changed = changed});
}

static void
json_list(struct jout *j, const struct opt_list *l)
{
	jout_array(j);
	for (uint32_t i = 0; i < l->n; i++)
		jout_str(j, l->v[i]);
	jout_end(j);
}

/* Numbers as numbers (milliseconds, bytes), lists as arrays (null: not set), the rest as text. A
 * secret is only ever true or false: set or not. */
static void
json_value(struct jout *j, const struct conf_item *it)
{
	enum opt_type type = it->opt->type;
	const struct opt_list *l = it->field;
	if (type == OPT_SECRET) {
		jout_bool(j, **(const char *const *)it->field);
	} else if (type == OPT_BOOL) {
		jout_bool(j, *(const bool *)it->field);
	} else if (type == OPT_U32) {
		jout_u64(j, *(const uint32_t *)it->field);
	} else if (opt_is_number(type)) {
		jout_u64(j, *(const uint64_t *)it->field);
	} else if (type == OPT_LIST && !l->set) {
		jout_null(j);
	} else if (type == OPT_LIST) {
		json_list(j, l);
	} else {
		struct buf b;
		buf_init(&b, VALUE_CAP);
		value_write(it->opt, it->field, &b);
		jout_str(j, buf_str(&b));
		buf_fini(&b);
	}
}

static void
json_one(void *arg, const struct conf_item *it)
{
	const struct show *s = arg;
	struct buf where;
	buf_init(&where, 4096);
	jout_object(s->j);
	jout_kv_str(s->j, "name", it->name);
	jout_key(s->j, it->opt->type == OPT_SECRET ? "set" : "value");
	json_value(s->j, it);
	jout_kv_str(s->j, "source", conf_where(s->c, it->field, 0, &where));
	jout_end(s->j);
	buf_fini(&where);
}

void
show_values_json(const struct conf *c, struct jout *j)
{
	conf_each(c, json_one, &(struct show){.c = c, .j = j});
}

static void
print_warning(void *arg, const char *text)
{
	struct show *s = arg;
	s->warnings++;
	fprintf(stderr, "warning: %s\n", text);
}

size_t
show_warnings(const struct conf *c)
{
	struct show s = {.c = c};
	conf_warnings(c, print_warning, &s);
	return s.warnings;
}
