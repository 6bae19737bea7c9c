/* The environment. An option has its own name AERO_<SECTION>_<KEY> and the service's older names
 * in fall-back order; the first that says something wins. Each older name keeps the grammar it has
 * always had (its ENV_ flags), except that a mistyped value is an error where it used to be
 * ignored. A secret may also be given as <NAME>_FILE. */
#include "conf/load.h"
#include "conf/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

static const char *
env_get(const struct load *ld, const char *name)
{
	size_t n = strlen(name);
	for (char *const *e = ld->in->env; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

static struct span
trim_all(struct span s)
{
	while (s.n && isspace(s.p[0]))
		s = span_skip(s, 1);
	while (s.n && isspace(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool
is_zero(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '0')
			return false;
	return s.n > 0;
}

static bool
one_of(struct span s, const char *const *words)
{
	for (; *words; words++)
		if (span_is(s, *words))
			return true;
	return false;
}

/* --- what one name's text means --- */

enum verdict { SAYS_NOTHING, SAYS, STOPS };

struct given {
	struct load *ld;
	struct slot *slot;
	const struct opt_env *row;
	struct span text; /* as it stands, then as value_read shall see it */
};

static void
problem(const struct given *g, const char *why)
{
	bool hide = g->slot->opt->type == OPT_SECRET;
	struct span shown = hide ? SPAN_LIT("(hidden)") : span_first(g->text, 80);
	load_problem(g->ld, -EINVAL, "%s=%.*s: %s (%s)", g->row->name, (int)shown.n,
	        shown.p ? (const char *)shown.p : "", why, g->slot->name);
}

/* Of the three old boolean grammars; what is neither true nor plainly false is an error, for all
 * of them used to take it as false. */
static enum verdict
read_bool(struct given *g)
{
	static const char *const strict[] = {"1", NULL};
	static const char *const seven[] = {"1", "true", "TRUE", "yes", "YES", "on", "ON", NULL};
	static const char *const four[] = {"1", "true", "yes", "on", NULL};
	static const char *const no[] = {
	        "0", "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", NULL};
	uint32_t f = g->row->flags;
	if (one_of(g->text, f & ENV_STRICT1 ? strict : f & ENV_BOOL7 ? seven : four)) {
		g->text = SPAN_LIT("yes");
		return SAYS;
	}
	if (one_of(g->text, no)) {
		g->text = SPAN_LIT("no");
		return SAYS;
	}
	problem(g, f & ENV_STRICT1 ? "only 1 turns this on, 0 leaves it off"
	           : f & ENV_BOOL7
	                   ? "must be 1, true, yes, on, or 0, false, no, off"
	                   : "must be 1, true, yes, on in lower case, or 0, false, no, off");
	return STOPS;
}

static bool
is_level(struct span s)
{
	static const char *const levels[] = {"error", "warn", "info", "debug", "trace", NULL};
	for (const char *const *l = levels; *l; l++)
		if (span_ieq(s, span_str(*l)))
			return true;
	return false;
}

/* "target=level,level": the level meant for us, from the directive that names the longest part of
 * the old program's module path; a bare level is for everybody. */
static enum verdict
read_rust_log(struct given *g)
{
	char us[64];
	struct span rest = g->text, part, best = SPAN_NONE;
	size_t depth = 0;
	snprintf(us, sizeof us, "%s", g->ld->c->svc->legacy);
	for (char *p = us; *p; p++)
		if (*p == '-')
			*p = '_';
	while (span_split(&rest, ',', &part)) {
		part = trim_all(part);
		const uint8_t *eq = part.n ? memchr(part.p, '=', part.n) : NULL;
		struct span target = eq ? span(part.p, (size_t)(eq - part.p)) : SPAN_NONE;
		struct span level = eq ? trim_all(span_skip(part, target.n + 1)) : part;
		target = trim_all(target);
		if (!eq && span_is(part, us))
			target = part, level = SPAN_LIT("debug");
		if (span_ieq(level, SPAN_LIT("off")))
			level = SPAN_LIT("error");
		if (target.n && !(span_starts(target, us) &&
		                        (target.n == strlen(us) || target.p[strlen(us)] == ':')))
			continue;
		if (part.n && !is_level(level))
			load_notice(g->ld, "%s: '%.*s' names no level (error, warn, info, debug)",
			        g->row->name, (int)part.n, part.p);
		else if (part.n && target.n + 1 > depth)
			best = level, depth = target.n + 1;
	}
	g->text = best;
	return best.n ? SAYS : SAYS_NOTHING;
}

/* Bends the text to what value_read takes. */
static enum verdict
translate(struct given *g)
{
	uint32_t f = g->row->flags;
	struct span trimmed = trim_all(g->text);
	if (!trimmed.n && !(f & ENV_EMPTY_SET))
		return f & ENV_EMPTY_STOPS ? STOPS : SAYS_NOTHING;
	if (!(f & ENV_RAW))
		g->text = trimmed;
	if (f & ENV_PRESENT)
		g->text = span_str(g->row->as);
	if (f & ENV_RUST_LOG)
		return read_rust_log(g);
	if (f & (ENV_STRICT1 | ENV_BOOL7 | ENV_BOOL4))
		return read_bool(g);
	if (opt_is_number(g->slot->opt->type) && g->text.n > 1 && g->text.p[0] == '+')
		g->text = span_skip(g->text, 1);
	if (f & ENV_ZERO_UNSET && is_zero(g->text))
		return SAYS_NOTHING;
	return SAYS;
}

/* --- one name, one option --- */

static void
clamp(struct given *g)
{
	const struct opt *o = g->slot->opt;
	struct buf b;
	struct opt plain = *o;
	plain.zero = NULL;
	buf_init(&b, 64);
	uint64_t bound = is_zero(g->text) ? o->min : o->max;
	uint32_t small = (uint32_t)bound;
	value_write(&plain, o->type == OPT_U32 ? (void *)&small : (void *)&bound, &b);
	load_notice(g->ld, "%s=%.*s is out of range, %s is used", g->row->name, (int)g->text.n,
	        g->text.p, buf_str(&b));
	memcpy(g->ld->c->values + g->slot->off,
	        o->type == OPT_U32 ? (void *)&small : (void *)&bound, opt_field_size(o->type));
	buf_fini(&b);
}

static enum verdict
read_given(struct given *g)
{
	struct err e = {0};
	uint32_t f = g->row->flags;
	enum verdict v = translate(g);
	if (v != SAYS)
		return v;
	struct value_in in = {.text = g->text, .unit = g->row->unit, .raw = (f & ENV_RAW) != 0};
	int r = load_value(g->ld, g->slot, &in, false, &e);
	if (r == -ERANGE && f & ENV_CLAMP) {
		clamp(g);
	} else if (r == -EINVAL && f & ENV_JUNK_UNSET) {
		load_notice(g->ld, "%s=%.*s is ignored: %s", g->row->name,
		        (int)(g->text.n < 80 ? g->text.n : 80), g->text.p, e.text);
		return SAYS_NOTHING;
	} else if (r < 0) {
		problem(g, e.text);
		return STOPS;
	}
	return SAYS;
}

/* A list of nothing but commas counts as blank, but for the names where blank is a value. */
static bool
blank_list(const struct given *g)
{
	const struct opt_list *l = (const void *)(g->ld->c->values + g->slot->off);
	return g->slot->opt->type == OPT_LIST && !l->n && !(g->row->flags & ENV_EMPTY_SET);
}

static enum verdict
try_secret_file(struct load *ld, struct slot *s, const char *name, bool plain)
{
	struct err e = {0};
	char twin[OPT_NAME + 8];
	snprintf(twin, sizeof twin, "%s_FILE", name);
	const char *path = env_get(ld, twin);
	struct value_in in = {.text = trim_all(span_str(path))};
	if (!in.text.n)
		return SAYS_NOTHING;
	if (plain) {
		load_problem(
		        ld, -EINVAL, "%s and %s are both set; keep one (%s)", name, twin, s->name);
		return STOPS;
	}
	s->src = (struct conf_src){FROM_ENV, keep_text(&ld->c->keep, span_str(twin)), 0};
	if (load_value(ld, s, &in, true, &e) == 0)
		return SAYS;
	load_problem(ld, -EINVAL, "%s: %s (%s)", twin, e.text, s->name);
	return STOPS;
}

static enum verdict
try_name(struct load *ld, struct slot *s, const struct opt_env *row)
{
	const char *text = env_get(ld, row->name);
	enum verdict v = SAYS_NOTHING;
	if (text) {
		void *field = ld->c->values + s->off;
		struct opt_list was = {0};
		if (s->opt->type == OPT_LIST)
			memcpy(&was, field, sizeof was);
		struct given g = {ld, s, row, span_str(text)};
		v = read_given(&g);
		if (v == SAYS && blank_list(&g)) {
			memcpy(field, &was, sizeof was);
			v = SAYS_NOTHING;
		}
	}
	if (v == SAYS)
		s->src = (struct conf_src){
		        FROM_ENV, keep_text(&ld->c->keep, span_str(row->name)), 0};
	if (s->opt->type == OPT_SECRET && v != STOPS) {
		enum verdict f = try_secret_file(ld, s, row->name, v == SAYS);
		v = f == SAYS_NOTHING ? v : f;
	}
	return v;
}

static void
load_slot(struct load *ld, struct slot *s)
{
	char name[OPT_NAME];
	const struct opt_service *svc = ld->c->svc;
	struct opt_env own = {.name = opt_env_name(s->section, s->opt, name), .off = s->off};
	enum verdict v = try_name(ld, s, &own);
	for (size_t i = 0; v == SAYS_NOTHING && i < svc->n_env; i++)
		if (svc->env[i].off == s->off)
			v = try_name(ld, s, &svc->env[i]);
}

/* --- names that are nobody's --- */

static bool
known(const struct load *ld, struct span name, struct suggest *near)
{
	char text[OPT_NAME];
	const struct conf *c = ld->c;
	struct span stem = name;
	if (name.n > 5 && span_is(span_skip(name, name.n - 5), "_FILE"))
		stem.n -= 5;
	for (size_t i = 0; i < c->svc->n_env; i++) {
		const char *n = c->svc->env[i].name;
		if (span_is(name, n) || span_is(stem, n))
			return true;
		suggest_offer(near, n);
	}
	for (size_t i = 0; i < c->n_slots; i++) {
		opt_env_name(c->slots[i].section, c->slots[i].opt, text);
		if (span_is(name, text) || span_is(stem, text))
			return true;
	}
	return false;
}

/* Other programs share the prefix, so only what looks like a slip of the hand is named. */
static void
look_for_typos(struct load *ld)
{
	for (char *const *e = ld->in->env; e && *e; e++) {
		const char *eq = strchr(*e, '=');
		struct span name = span(*e, eq ? (size_t)(eq - *e) : strlen(*e));
		struct suggest near = suggest_for(name);
		if (span_starts(name, "AERO_") && !known(ld, name, &near) && near.best)
			load_notice(ld, "%.*s is set but is no option's name; did you mean %s?",
			        (int)name.n, name.p, near.best);
	}
}

void
load_env(struct load *ld)
{
	for (size_t i = 0; i < ld->c->n_slots; i++)
		load_slot(ld, &ld->c->slots[i]);
	look_for_typos(ld);
}
