/* A type is a row of `types`: how to read, write and compare it. Numbers are in
 * conf/number.c. */
#include "conf/value.h"

#include "conf/number.h"

#include <errno.h>
#include <stdio.h>
#include <ctype.h>

#define LIST_MAX 65536

struct in {
	const struct opt *o;
	const struct value_in *in;
	struct keep *keep;
	struct err *e;
};

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

static int
read_number(const struct in *p, void *field)
{
	int r = number_read(p->o, p->in->text, p->in->unit, field);
	return r < 0 ? wrong(p, r) : 0;
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
	if (!p->in->raw && !printable(s))
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
        [OPT_U32] = {"number", 4, read_number, number_write, NULL, NULL, NULL},
        [OPT_U64] = {"number", 8, read_number, number_write, NULL, NULL, NULL},
        [OPT_MSEC] = {"duration", 8, read_number, number_write, NULL, NULL, NULL},
        [OPT_SIZE] = {"size", 8, read_number, number_write, NULL, NULL, NULL},
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
		number_range(o, out);
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
