#include "conf/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

struct unit {
	const char *name;
	uint64_t n;
};

/* Largest first: a text may not go back up, and writing starts at the top. */
static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {0}};
static const struct unit sizes[] = {
        {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}, {0}};

static uint64_t
number_get(enum opt_type type, const void *field)
{
	uint32_t small;
	uint64_t v;
	if (type == OPT_U32) {
		memcpy(&small, field, sizeof small);
		return small;
	}
	memcpy(&v, field, sizeof v);
	return v;
}

static void
number_put(enum opt_type type, void *field, uint64_t v)
{
	uint32_t small = (uint32_t)v;
	if (type == OPT_U32)
		memcpy(field, &small, sizeof small);
	else
		memcpy(field, &v, sizeof v);
}

static uint64_t
number_max(const struct opt *o)
{
	return o->max ? o->max : o->type == OPT_U32 ? UINT32_MAX : UINT64_MAX;
}

static size_t
digits(struct span s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

/* Digits that fit no 64 bits are out of range, not out of form. */
static int
count(struct span s, uint64_t times, uint64_t *out)
{
	uint64_t v;
	if (!s.n || digits(s) != s.n)
		return -EINVAL;
	if (!span_u64(s, UINT64_MAX, &v) || v > UINT64_MAX / times)
		return -ERANGE;
	*out = v * times;
	return 0;
}

/* "1m30s": numbers with units that get smaller; or one bare number. */
static int
measure(struct span s, const struct unit *units, uint64_t bare, uint64_t *out)
{
	uint64_t sum = 0;
	if (digits(s) == s.n)
		return count(s, bare, out);
	while (s.n) {
		struct span num = span_first(s, digits(s));
		struct span rest = span_skip(s, num.n);
		size_t len = 0;
		while (len < rest.n && !isdigit(rest.p[len]))
			len++;
		struct span name = span_first(rest, len);
		while (units->name && !span_ieq(name, span_str(units->name)))
			units++;
		uint64_t v;
		int r = units->name ? count(num, units->n, &v) : -EINVAL;
		if (r < 0)
			return r;
		if (v > UINT64_MAX - sum)
			return -ERANGE;
		sum += v;
		units++;
		s = span_skip(rest, len);
	}
	*out = sum;
	return 0;
}

int
number_read(const struct opt *o, struct span s, uint32_t unit, void *field)
{
	uint64_t v = 0, bare = unit ? unit : o->unit ? o->unit : UNIT_MS;
	int r = 0;
	if (o->zero && span_ieq(s, span_str(o->zero)))
		v = 0;
	else if (o->type == OPT_MSEC)
		r = measure(s, durations, bare, &v);
	else if (o->type == OPT_SIZE)
		r = measure(s, sizes, 1, &v);
	else
		r = count(s, 1, &v);
	if (r == 0 && (v < o->min || v > number_max(o)) && !(v == 0 && o->zero))
		r = -ERANGE;
	if (r == 0)
		number_put(o->type, field, v);
	return r;
}

static void
write_measure(uint64_t v, const struct unit *u, bool mixed, struct buf *out)
{
	if (!v)
		buf_addc(out, '0');
	for (; u->n; u++) {
		uint64_t n = v / u->n, rest = v % u->n;
		if (!n || (!mixed && rest))
			continue;
		buf_addf(out, "%" PRIu64 "%s", n, u->n == 1 && !mixed ? "" : u->name);
		v = rest;
	}
}

static void
write_count(const struct opt *o, uint64_t v, struct buf *out)
{
	/* Milliseconds in the middle of a long text read badly: 1500ms, not 1s500ms. */
	if (o->type == OPT_MSEC && v < 60000 && v % 1000)
		buf_addf(out, "%" PRIu64 "ms", v);
	else if (o->type == OPT_MSEC)
		write_measure(v, durations, true, out);
	else if (o->type == OPT_SIZE)
		write_measure(v, sizes, false, out);
	else
		buf_addf(out, "%" PRIu64, v);
}

void
number_write(const struct opt *o, const void *field, struct buf *out)
{
	uint64_t v = number_get(o->type, field);
	if (!v && o->zero)
		buf_adds(out, o->zero);
	else
		write_count(o, v, out);
}

void
number_range(const struct opt *o, struct buf *out)
{
	bool open = number_max(o) == (o->type == OPT_U32 ? UINT32_MAX : UINT64_MAX);
	if (o->zero)
		buf_addf(out, "%s (0) or ", o->zero);
	buf_adds(out, o->type == OPT_MSEC   ? "a duration "
	              : o->type == OPT_SIZE ? "a size "
	                                    : "a whole number ");
	uint64_t min = o->min || !o->zero ? o->min : 1;
	if (open)
		buf_adds(out, "from ");
	write_count(o, min, out);
	if (!open) {
		buf_adds(out, "..");
		write_count(o, number_max(o), out);
	}
}
