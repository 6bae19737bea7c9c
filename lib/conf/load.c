/* conf_load: defaults, then every file, then the environment, then flags, each over the one
 * before; then the rules between options. A problem does not stop the rest from being looked at,
 * so that one run tells all. */
#include "conf/load.h"

#include "base/mem.h"
#include "conf/inifile.h"
#include "conf/suggest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECRET_FILE_MAX 65536

int
load_problem(struct load *ld, int code, const char *fmt, ...)
{
	struct err e;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e.text, sizeof e.text, fmt, ap);
	va_end(ap);
	if (!ld->bad) {
		ld->bad = code;
		err_set(ld->e, code, "%s", e.text);
	}
	if (ld->in->problem)
		ld->in->problem(ld->in->arg, e.text);
	return code;
}

void
load_notice(struct load *ld, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	struct conf *c = ld->c;
	c->notices = keep_grow(&c->keep, c->notices, (c->n_notices + 1) * sizeof *c->notices);
	c->notices[c->n_notices++] = keep_text(&c->keep, span_str(text));
}

/* --- finding an option --- */

static bool
same_name(struct span a, const char *b)
{
	size_t i = 0;
	for (; i < a.n && b[i]; i++)
		if (a.p[i] != b[i] && !(a.p[i] == '-' && b[i] == '_'))
			return false;
	return i == a.n && !b[i];
}

struct slot *
load_find(struct conf *c, struct span section, struct span key, bool *file)
{
	struct span stem = key;
	*file = false;
	if (key.n > 5 && span_is(span_skip(key, key.n - 4), "file"))
		stem.n -= 5;
	for (size_t i = 0; i < c->n_slots; i++) {
		struct slot *s = &c->slots[i];
		if (!same_name(section, s->section->name))
			continue;
		if (same_name(key, s->opt->field))
			return s;
		if (s->opt->type == OPT_SECRET && stem.n < key.n &&
		        same_name(stem, s->opt->field)) {
			*file = true;
			return s;
		}
	}
	return NULL;
}

static bool
has_section(const struct conf *c, struct span name)
{
	for (size_t i = 0; i < c->svc->n_places; i++)
		if (same_name(name, c->svc->places[i].section->name))
			return true;
	return false;
}

/* "; did you mean tunnel.max-frame-payload?" or nothing. */
static const char *
hint(const struct conf *c, struct span section, struct span key, char *out, size_t cap)
{
	char typed[2 * OPT_NAME];
	snprintf(typed, sizeof typed, "%.*s.%.*s",
	        (int)(section.n < OPT_NAME ? section.n : OPT_NAME), section.p,
	        (int)(key.n < OPT_NAME ? key.n : OPT_NAME - 2), key.p);
	struct suggest s = suggest_for(span_str(typed));
	const char *elsewhere = NULL;
	for (size_t i = 0; i < c->n_slots; i++) {
		suggest_offer(&s, c->slots[i].name);
		if (same_name(key, c->slots[i].opt->field))
			elsewhere = c->slots[i].name;
	}
	const char *best = s.best ? s.best : elsewhere;
	snprintf(out, cap, "%s%s%s", best ? "; did you mean " : "", best ? best : "",
	        best ? "?" : "");
	return out;
}

static void
unknown(struct load *ld, struct span section, struct span key, const char *where)
{
	char text[OPT_NAME + 32];
	if (section.n && !has_section(ld->c, section)) {
		struct suggest s = suggest_for(section);
		for (size_t i = 0; i < ld->c->svc->n_places; i++)
			suggest_offer(&s, ld->c->svc->places[i].section->name);
		if (s.best) {
			load_problem(ld, -EINVAL,
			        "%s: there is no section [%.*s]; did you mean [%s]?", where,
			        (int)section.n, section.p, s.best);
			return;
		}
	}
	load_problem(ld, -EINVAL, "%s: aero serve %s has no option %.*s.%.*s%s", where,
	        ld->c->svc->name, (int)section.n, section.p, (int)key.n, key.p,
	        hint(ld->c, section, key, text, sizeof text));
}

/* --- setting one --- */

/* A secret's file without the line ends and blanks around it, into *out, the caller's. */
static int
read_secret(struct span path, char **out, struct err *e)
{
	char *name = span_dup(path), *text = xcalloc(1, SECRET_FILE_MAX + 1);
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY), r = 0;
	ssize_t n = fd < 0 ? -1 : 0;
	size_t have = 0;
	while (fd >= 0 && have <= SECRET_FILE_MAX &&
	        (n = read(fd, text + have, SECRET_FILE_MAX + 1 - have)) > 0)
		have += (size_t)n;
	if (n < 0)
		r = err_set(e, -errno, "cannot read %s: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
	struct span s = span(text, have);
	while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' '))
		s.n--;
	s = span_trim(s);
	if (r == 0 && have > SECRET_FILE_MAX)
		r = err_set(e, -EINVAL, "%s is longer than %d bytes", name, SECRET_FILE_MAX);
	else if (r == 0 && !s.n)
		r = err_set(e, -EINVAL, "%s is empty", name);
	if (r == 0)
		*out = span_dup(s);
	explicit_bzero(text, have < SECRET_FILE_MAX ? have : SECRET_FILE_MAX);
	free(text);
	free(name);
	return r;
}

int
load_value(struct load *ld, struct slot *s, const struct value_in *in, bool file, struct err *e)
{
	void *field = ld->c->values + s->off;
	struct value_in v = *in;
	char *secret = NULL;
	int r = 0;
	if (s->opt->type == OPT_LIST && s->round != ld->round)
		memset(field, 0, sizeof(struct opt_list));
	if (file) {
		r = read_secret(in->text, &secret, e);
		v.text = span_str(secret);
	}
	if (r == 0)
		r = value_read(s->opt, &v, field, &ld->c->keep, e);
	if (secret)
		explicit_bzero(secret, v.text.n);
	free(secret);
	return r;
}

void
load_set(struct load *ld, struct slot *s, struct span text, bool file, const struct conf_src *src,
        const char *where)
{
	struct err e = {0};
	struct value_in in = {.text = text, .line = src->line};
	bool hide = s->opt->type == OPT_SECRET && !file;
	if (load_value(ld, s, &in, file, &e) < 0) {
		struct span shown = hide ? SPAN_LIT("(hidden)") : span_first(text, 80);
		load_problem(ld, -EINVAL, "%s: %s%s = %.*s: %s", where, s->name,
		        file ? "-file" : "", (int)shown.n, shown.p ? (const char *)shown.p : "",
		        e.text);
	}
	s->src = *src;
	s->round = ld->round;
}

/* --- the sources --- */

static void
load_defaults(struct load *ld)
{
	const struct opt_service *svc = ld->c->svc;
	for (size_t i = 0; i < ld->c->n_slots; i++) {
		struct slot *s = &ld->c->slots[i];
		const char *text = s->opt->dflt;
		for (size_t k = 0; k < svc->n_dflt; k++)
			if (svc->dflt[k].off == s->off)
				text = svc->dflt[k].text;
		if (text)
			load_set(ld, s, span_str(text), false,
			        &(struct conf_src){FROM_DEFAULT, "", 0}, "built-in default");
	}
}

struct file {
	struct load *ld;
	const char *path;
};

static void
on_value(void *arg, const struct inifile_value *v)
{
	struct file *f = arg;
	struct load *ld = f->ld;
	char where[300];
	bool file;
	snprintf(where, sizeof where, "%.255s:%u", f->path, v->line);
	if (!v->section.n) {
		load_problem(ld, -EINVAL, "%s: %.*s stands before any [section]", where,
		        (int)v->key.n, v->key.p);
		return;
	}
	struct slot *s = load_find(ld->c, v->section, v->key, &file);
	if (!s) {
		unknown(ld, v->section, v->key, where);
		return;
	}
	if (s->opt->type != OPT_LIST && s->round == ld->round) {
		load_problem(ld, -EINVAL, "%s: %s is already set on line %u%s", where, s->name,
		        s->src.line,
		        v->more ? " (a line that begins with a blank continues the one above it)"
		                : "");
		return;
	}
	load_set(ld, s, v->text, file, &(struct conf_src){FROM_FILE, f->path, v->line}, where);
}

static void
on_wrong(void *arg, uint32_t line, const char *text)
{
	struct file *f = arg;
	load_problem(f->ld, -EINVAL, "%s:%u: this line %s", f->path, line, text);
}

static void
load_files(struct load *ld)
{
	static const struct inifile_ops ops = {on_value, on_wrong};
	for (size_t i = 0; i < ld->in->n_files; i++) {
		struct err e = {0};
		struct file f = {.ld = ld};
		f.path = keep_text(&ld->c->keep, span_str(ld->in->files[i]));
		ld->round++;
		int r = inifile_read(ld->in->files[i], &ops, &f, &e);
		if (r < 0)
			load_problem(ld, r, "%s", e.text);
	}
}

static void
load_flag(struct load *ld, const char *flag)
{
	const char *eq = strchr(flag, '='), *dot = strchr(flag, '.');
	struct span whole = span_str(flag);
	struct span name = eq ? span(flag, (size_t)(eq - flag)) : whole;
	char where[OPT_NAME + 8];
	bool file;
	snprintf(where, sizeof where, "--%.*s", (int)(name.n < OPT_NAME ? name.n : OPT_NAME),
	        name.p);
	if (!dot || dot > flag + name.n) {
		load_problem(ld, -EINVAL, "%s: options are written --section.key=value", where);
		return;
	}
	struct span section = span(flag, (size_t)(dot - flag));
	struct span key = span_skip(name, section.n + 1);
	struct slot *s = load_find(ld->c, section, key, &file);
	if (!s)
		unknown(ld, section, key, where);
	else if (s->opt->type == OPT_SECRET && !file)
		load_problem(ld, -EINVAL,
		        "%s: secrets have no flag, others could read it; use %s-file or the "
		        "environment",
		        where, s->name);
	else if (!eq)
		load_problem(ld, -EINVAL, "%s needs a value: %s=...", where, where);
	else
		load_set(ld, s, span_skip(whole, name.n + 1), file,
		        &(struct conf_src){FROM_FLAG, keep_text(&ld->c->keep, span_str(where)), 0},
		        where);
}

static void
on_broken(void *arg, const char *text)
{
	load_problem(arg, -EINVAL, "%s", text);
}

/* --- the whole --- */

static struct conf *
conf_new(const struct opt_service *svc)
{
	struct conf *c = xcalloc(1, sizeof *c);
	c->svc = svc;
	keep_init(&c->keep);
	c->values = keep_alloc(&c->keep, svc->size);
	for (size_t i = 0; i < svc->n_places; i++)
		c->n_slots += svc->places[i].section->n;
	c->slots = xcalloc(c->n_slots, sizeof *c->slots);
	struct slot *s = c->slots;
	for (size_t i = 0; i < svc->n_places; i++) {
		const struct opt_section *sec = svc->places[i].section;
		for (size_t k = 0; k < sec->n; k++, s++) {
			*s = (struct slot){.section = sec,
			        .opt = &sec->opts[k],
			        .off = svc->places[i].off + sec->opts[k].off,
			        .src = {.name = ""}};
			opt_name(sec, s->opt, s->name);
		}
	}
	return c;
}

int
conf_load(struct conf **out, const struct opt_service *svc, const struct conf_input *in,
        struct err *e)
{
	struct load ld = {.c = conf_new(svc), .in = in, .e = e, .round = 1};
	load_defaults(&ld);
	load_files(&ld);
	ld.round++;
	load_env(&ld);
	ld.round++;
	for (size_t i = 0; i < in->n_flags; i++)
		load_flag(&ld, in->flags[i]);
	/* Rules between values make sense only when the values do. */
	if (!ld.bad && svc->check)
		svc->check(ld.c, ld.c->values, on_broken, &ld);
	if (ld.bad) {
		conf_free(ld.c);
		return ld.bad;
	}
	*out = ld.c;
	return 0;
}

void
conf_free(struct conf *c)
{
	if (!c)
		return;
	keep_fini(&c->keep);
	free(c->slots);
	free(c);
}
