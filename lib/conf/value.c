/* A type is a row of `types`: how to read, write and compare it. Numbers of all four kinds share
 * one reader and differ in how digits and units become a count. */
#include "conf/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <ctype.h>

#define LIST_MAX 65536

struct in {
	const struct opt *o;
	const struct value_in *in;
	struct keep *keep;
	struct err *e;
};

struct unit {
	const char *name;
	uint64_t n;
};

/* Largest first: a text may not go back up, and writing starts at the top. */
static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {0}};
static const struct unit sizes[] = {
        {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}, {0}};

static const struct opt_word booleans[] = {{"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0},
        {"on", 1}, {"off", 0}, {"1", 1}, {"0", 0}, {NULL, 0}};

static int
wrong(const struct in *p, int code)
{
	struct buf b;
	buf_init(&b, 400);
	value_range(p->o, &b);
	err_set(p->e, code, "must be %s", buf_str(&b));
	buf_fini(&b);
	return code;
}

/* --- numbers --- */

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

static int
read_number(const struct in *p, void *field)
{
	const struct opt *o = p->o;
	struct span s = p->in->text;
	uint64_t v = 0, unit = p->in->unit ? p->in->unit : o->unit ? o->unit : UNIT_MS;
	int r = 0;
	if (o->zero && span_ieq(s, span_str(o->zero)))
		v = 0;
	else if (o->type == OPT_MSEC)
		r = measure(s, durations, unit, &v);
	else if (o->type == OPT_SIZE)
		r = measure(s, sizes, 1, &v);
	else
		r = count(s, 1, &v);
	if (r == 0 && (v < o->min || v > number_max(o)) && !(v == 0 && o->zero))
		r = -ERANGE;
	if (r < 0)
		return wrong(p, r);
	number_put(o->type, field, v);
	return 0;
}

static void
write_measure(uint64_t v, const struct unit *u, bool mixed, struct buf *out)
{
	if (!v)
		buf_addc(out, '0');
	for (; u->name && v; u++) {
		if (v < u->n || (!mixed && v % u->n))
			continue;
		buf_addf(out, "%" PRIu64 "%s", v / u->n, u->n == 1 && !mixed ? "" : u->name);
		v %= u->n;
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

static void
write_number(const struct opt *o, const void *field, struct buf *out)
{
	uint64_t v = number_get(o->type, field);
	if (!v && o->zero)
		buf_adds(out, o->zero);
	else
		write_count(o, v, out);
}

static void
range_number(const struct opt *o, struct buf *out)
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

/* --- words --- */

static int
read_word(const struct in *p, const struct opt_word *words, int *out)
{
	for (const struct opt_word *w = words; w->name; w++)
		if (span_ieq(p->in->text, span_str(w->name))) {
			*out = w->value;
			return 0;
		}
	return wrong(p, -EINVAL);
}

static int
read_bool(const struct in *p, void *field)
{
	int v;
	int r = read_word(p, booleans, &v);
	if (r == 0)
		*(bool *)field = v;
	return r;
}

static void
write_bool(const struct opt *o, const void *field, struct buf *out)
{
	(void)o;
	buf_adds(out, *(const bool *)field ? "yes" : "no");
}

static int
read_enum(const struct in *p, void *field)
{
	return read_word(p, p->o->words, field);
}

static void
write_enum(const struct opt *o, const void *field, struct buf *out)
{
	for (const struct opt_word *w = o->words; w->name; w++)
		if (w->value == *(const int *)field) {
			buf_adds(out, w->name);
			return;
		}
}

static void
range_enum(const struct opt *o, struct buf *out)
{
	buf_adds(out, "one of ");
	for (const struct opt_word *w = o->words; w->name; w++) {
		bool alias = false;
		for (const struct opt_word *x = o->words; x < w; x++)
			alias |= x->value == w->value;
		if (!alias)
			buf_addf(out, "%s%s", w == o->words ? "" : ", ", w->name);
	}
}

/* --- texts --- */

static bool
printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static int
read_text(const struct in *p, void *field)
{
	struct span s = p->in->text;
	if (!printable(s))
		return err_set(p->e, -EINVAL, "must not contain control characters");
	int r = s.n && p->o->item ? p->o->item(s, p->e) : 0;
	if (r == 0)
		*(const char **)field = keep_text(p->keep, s);
	return r;
}

static void
write_text(const struct opt *o, const void *field, struct buf *out)
{
	const char *s = *(const char *const *)field;
	buf_adds(out, o->type == OPT_SECRET && *s ? "(hidden)" : s);
}

static bool
equal_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
}

static void
copy_text(void *to, const void *from, struct keep *keep)
{
	*(const char **)to = keep_text(keep, span_str(*(const char *const *)from));
}

/* --- lists --- */

/* Room for one more: arrays double, so their size follows from n alone. */
static void
list_push_item(struct opt_list *l, const char *item, uint32_t line, struct keep *keep)
{
	const char **v = (const char **)l->v;
	uint32_t *lines = (uint32_t *)l->line;
	if ((l->n & (l->n - 1)) == 0) {
		size_t room = l->n ? l->n * 2 : 1;
		v = keep_grow(keep, v, room * sizeof *v);
		lines = keep_grow(keep, lines, room * sizeof *lines);
	}
	v[l->n] = item;
	lines[l->n++] = line;
	l->v = v;
	l->line = lines;
}

static int
check_item(const struct in *p, struct span item)
{
	if (!printable(item))
		return err_set(p->e, -EINVAL, "must not contain control characters");
	if (!p->o->item || p->o->item(item, p->e) == 0)
		return 0;
	return err_wrap(p->e, -EINVAL, "'%.*s'", (int)(item.n < 80 ? item.n : 80), item.p);
}

static bool
next_item(struct span *rest, struct span *line, struct span *item)
{
	for (;;) {
		while (line->p && span_split(line, ',', item)) {
			*item = span_trim(*item);
			if (item->n)
				return true;
		}
		if (!span_split(rest, '\n', line))
			return false;
	}
}

static int
read_list(const struct in *p, void *field)
{
	struct opt_list *l = field;
	struct span rest = p->in->text, line = SPAN_NONE, item;
	uint32_t n = l->n;
	while (next_item(&rest, &line, &item)) {
		int r = check_item(p, item);
		if (r < 0)
			return r;
		if (++n > LIST_MAX)
			return err_set(p->e, -EINVAL, "must not have more than %d items", LIST_MAX);
	}
	rest = p->in->text;
	line = SPAN_NONE;
	while (next_item(&rest, &line, &item))
		list_push_item(l, keep_text(p->keep, item), p->in->line, p->keep);
	l->set = true;
	return 0;
}

static void
write_list(const struct opt *o, const void *field, struct buf *out)
{
	(void)o;
	const struct opt_list *l = field;
	for (uint32_t i = 0; i < l->n; i++)
		buf_addf(out, "%s%s", i ? "," : "", l->v[i]);
}

static bool
equal_list(const void *a, const void *b)
{
	const struct opt_list *x = a, *y = b;
	if (x->n != y->n || x->set != y->set)
		return false;
	for (uint32_t i = 0; i < x->n; i++)
		if (strcmp(x->v[i], y->v[i]) != 0)
			return false;
	return true;
}

static void
copy_list(void *to, const void *from, struct keep *keep)
{
	const struct opt_list *x = from;
	struct opt_list l = {.set = x->set};
	for (uint32_t i = 0; i < x->n; i++)
		list_push_item(&l, keep_text(keep, span_str(x->v[i])), x->line[i], keep);
	memcpy(to, &l, sizeof l);
}

/* --- addresses --- */

static int
read_endpoint(const struct in *p, void *field)
{
	return endpoint_parse(p->in->text, field) ? 0 : wrong(p, -EINVAL);
}

static void
write_endpoint(const struct opt *o, const void *field, struct buf *out)
{
	(void)o;
	char text[ADDR_TEXT];
	buf_adds(out, endpoint_text(field, text));
}

static int
read_ip(const struct in *p, void *field)
{
	return ip_parse(p->in->text, field) ? 0 : wrong(p, -EINVAL);
}

static void
write_ip(const struct opt *o, const void *field, struct buf *out)
{
	(void)o;
	char text[ADDR_TEXT];
	buf_adds(out, ip_text(field, text));
}

static int
nibble(uint8_t c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 87
	                                            : -1;
}

static int
read_mac(const struct in *p, void *field)
{
	struct opt_mac m;
	struct span s = p->in->text;
	if (s.n != 17)
		return wrong(p, -EINVAL);
	for (size_t i = 0; i < 6; i++) {
		int hi = nibble(s.p[i * 3]), lo = nibble(s.p[i * 3 + 1]);
		if (hi < 0 || lo < 0 || (i < 5 && s.p[i * 3 + 2] != ':' && s.p[i * 3 + 2] != '-'))
			return wrong(p, -EINVAL);
		m.b[i] = (uint8_t)(hi << 4 | lo);
	}
	if (m.b[0] & 1) /* a group address cannot be anybody's own */
		return wrong(p, -EINVAL);
	memcpy(field, &m, sizeof m);
	return 0;
}

static void
write_mac(const struct opt *o, const void *field, struct buf *out)
{
	(void)o;
	const struct opt_mac *m = field;
	for (int i = 0; i < 6; i++)
		buf_addf(out, "%s%02x", i ? ":" : "", m->b[i]);
}

/* --- the table --- */

static const struct type {
	const char *name;
	size_t size;
	int (*read)(const struct in *p, void *field);
	void (*write)(const struct opt *o, const void *field, struct buf *out);
	bool (*equal)(const void *a, const void *b);              /* NULL: memcmp */
	void (*copy)(void *to, const void *from, struct keep *k); /* NULL: memcpy */
	const char *range;                                        /* NULL: worked out */
} types[] = {
        [OPT_BOOL] = {"yes/no", sizeof(bool), read_bool, write_bool, NULL, NULL, "yes or no"},
        [OPT_U32] = {"number", 4, read_number, write_number, NULL, NULL, NULL},
        [OPT_U64] = {"number", 8, read_number, write_number, NULL, NULL, NULL},
        [OPT_MSEC] = {"duration", 8, read_number, write_number, NULL, NULL, NULL},
        [OPT_SIZE] = {"size", 8, read_number, write_number, NULL, NULL, NULL},
        [OPT_STR] = {"text", sizeof(char *), read_text, write_text, equal_text, copy_text, "text"},
        [OPT_PATH] = {"path", sizeof(char *), read_text, write_text, equal_text, copy_text,
                "a path"},
        [OPT_SECRET] = {"secret", sizeof(char *), read_text, write_text, equal_text, copy_text,
                "a secret"},
        [OPT_LIST] = {"list", sizeof(struct opt_list), read_list, write_list, equal_list, copy_list,
                "a list"},
        [OPT_ENUM] = {"word", sizeof(int), read_enum, write_enum, NULL, NULL, NULL},
        [OPT_ENDPOINT] = {"address:port", sizeof(struct endpoint), read_endpoint, write_endpoint,
                NULL, NULL, "a numeric address and port, IP:PORT or [v6]:PORT"},
        [OPT_IP] = {"address", sizeof(struct ip), read_ip, write_ip, NULL, NULL, "an IP address"},
        [OPT_MAC] = {"MAC address", 6, read_mac, write_mac, NULL, NULL,
                "an Ethernet address of one station like 02:00:00:00:00:01"},
};

int
value_read(const struct opt *o, const struct value_in *in, void *field, struct keep *keep,
        struct err *e)
{
	struct in p = {o, in, keep, e};
	return types[o->type].read(&p, field);
}

void
value_write(const struct opt *o, const void *field, struct buf *out)
{
	types[o->type].write(o, field, out);
}

void
value_range(const struct opt *o, struct buf *out)
{
	if (types[o->type].range && o->type == OPT_LIST && o->form)
		buf_addf(out, "a list of %s", o->form);
	else if (types[o->type].range)
		buf_adds(out, types[o->type].range);
	else if (o->type == OPT_ENUM)
		range_enum(o, out);
	else
		range_number(o, out);
}

/* Endpoints have padding, so they are compared field by field. */
bool
value_equal(const struct opt *o, const void *a, const void *b)
{
	const struct type *t = &types[o->type];
	if (o->type == OPT_ENDPOINT)
		return endpoint_eq(a, b);
	return t->equal ? t->equal(a, b) : memcmp(a, b, t->size) == 0;
}

void
value_copy(const struct opt *o, void *to, const void *from, struct keep *keep)
{
	const struct type *t = &types[o->type];
	if (t->copy)
		t->copy(to, from, keep);
	else
		memcpy(to, from, t->size);
}

size_t
opt_field_size(enum opt_type type)
{
	return types[type].size;
}

const char *
opt_type_name(enum opt_type type)
{
	return types[type].name;
}

bool
opt_is_number(enum opt_type type)
{
	return types[type].read == read_number;
}

const char *
opt_name(const struct opt_section *s, const struct opt *o, char *out)
{
	snprintf(out, OPT_NAME, "%s.%s", s->name, o->field);
	for (char *p = out; *p; p++)
		if (*p == '_')
			*p = '-';
	return out;
}

const char *
opt_env_name(const struct opt_section *s, const struct opt *o, char *out)
{
	snprintf(out, OPT_NAME, "AERO_%s_%s", s->name, o->field);
	for (char *p = out; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return out;
}
