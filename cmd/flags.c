#include "cmd/flags.h"

#include "cmd/cmd.h"
#include "conf/number.h"

static const struct flag *
find(const struct flag *table, struct span name, bool *no)
{
	for (const struct flag *f = table; f->name; f++) {
		*no = false;
		if (span_is(name, f->name))
			return f;
		*no = f->type == FLAG_BOOL && span_starts(name, "no-");
		if (*no && span_is(span_skip(name, 3), f->name))
			return f;
	}
	return NULL;
}

static int
number(const char *cmd, const struct flag *f, const char *text, uint32_t *out)
{
	uint64_t v;
	uint32_t most = f->max ? f->max : UINT32_MAX;
	struct opt row = {.type = OPT_U64, .min = f->min, .max = most};
	const char *form = "a number";
	if (f->type == FLAG_MS) {
		row.type = OPT_MSEC;
		form = "a duration such as 500ms, 5s or 1m";
	} else if (f->type == FLAG_SIZE) {
		row.type = OPT_SIZE;
		form = "a size such as 65536 or 64KiB";
	}
	if (number_read(&row, span_str(text), 0, &v) < 0) {
		cmd_usage(cmd, "--%s wants %s from %u to %u, not '%s'", f->name, form, f->min, most,
		        text);
		return -1;
	}
	*out = (uint32_t)v;
	return 1;
}

int
flags_take(const char *cmd, const struct flag *table, void *into, int argc, char **argv, int *i)
{
	struct span arg = span_str(argv[*i]), name;
	if (!span_starts(arg, "--") || arg.n == 2)
		return 0;
	struct span value = span_skip(arg, 2);
	span_split(&value, '=', &name);
	bool no;
	const struct flag *f = find(table, name, &no);
	if (!f)
		return 0;
	void *field = (char *)into + f->off;
	if (f->type == FLAG_BOOL) {
		if (value.p) {
			cmd_usage(cmd, "--%s takes no value", f->name);
			return -1;
		}
		*(bool *)field = !no;
		return 1;
	}
	const char *text = value.p ? (const char *)value.p : NULL;
	if (!text && *i + 1 >= argc) {
		cmd_usage(cmd, "--%s needs a value", f->name);
		return -1;
	}
	if (!text)
		text = argv[++*i];
	if (f->type == FLAG_STR) {
		*(const char **)field = text;
		return 1;
	}
	return number(cmd, f, text, field);
}
