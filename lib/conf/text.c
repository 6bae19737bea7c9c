#include "conf/text.h"

#include "conf/text_int.h"

/* --- walking --- */

/* `head` before each section, `each` for every option that is not hidden; either may be NULL. */
void
text_walk(const struct opt_service *svc, void (*head)(const struct opt_section *, struct buf *),
        text_visit *each, struct buf *out)
{
	for (size_t i = 0; i < svc->n_places; i++) {
		const struct opt_place *p = &svc->places[i];
		if (head)
			head(p->section, out);
		for (size_t k = 0; each && k < p->section->n; k++)
			if (!(p->section->opts[k].flags & OPT_HIDDEN))
				each(svc, p, &p->section->opts[k], out);
	}
}

const char *
text_default(const struct opt_service *svc, const struct opt_place *p, const struct opt *o)
{
	for (size_t i = 0; i < svc->n_dflt; i++)
		if (svc->dflt[i].off == p->off + o->off)
			return svc->dflt[i].text;
	return o->dflt ? o->dflt : "";
}

void
text_env_names(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        const char *before, const char *between, const char *after, struct buf *out)
{
	char name[OPT_NAME];
	buf_addf(out, "%s%s%s", before, opt_env_name(p->section, o, name), after);
	for (size_t i = 0; i < svc->n_env; i++)
		if (svc->env[i].off == p->off + o->off)
			buf_addf(out, "%s%s%s%s", between, before, svc->env[i].name, after);
}

void
text_wrap(const char *s, const char *indent, size_t width, struct buf *out)
{
	size_t col = 0, left = strlen(indent);
	while (*s) {
		size_t n = strcspn(s, " \n");
		if (col && col + 1 + n > width) {
			buf_addc(out, '\n');
			col = 0;
		}
		if (n) {
			buf_adds(out, col ? " " : indent);
			buf_add(out, span(s, n));
			col = (col ? col + 1 : left) + n;
		}
		s += n;
		if (*s == '\n') {
			buf_addc(out, '\n');
			col = 0;
		}
		s += *s != 0;
	}
	if (col)
		buf_addc(out, '\n');
}

/* --- what an option takes, in a word or a sentence --- */

static const char *
text_placeholder(const struct opt *o)
{
	static const char *const names[] = {
	        [OPT_BOOL] = "yes|no",
	        [OPT_U32] = "N",
	        [OPT_U64] = "N",
	        [OPT_MSEC] = "TIME",
	        [OPT_SIZE] = "SIZE",
	        [OPT_STR] = "TEXT",
	        [OPT_PATH] = "PATH",
	        [OPT_SECRET] = "PATH",
	        [OPT_LIST] = "LIST",
	        [OPT_ENUM] = "WORD",
	        [OPT_ENDPOINT] = "IP:PORT",
	        [OPT_IP] = "IP",
	        [OPT_MAC] = "MAC",
	};
	return names[o->type];
}

const char *
text_reload(const struct opt *o)
{
	return o->flags & OPT_RELOAD ? "a reload applies it" : "needs a restart";
}

/* --- terminal help --- */

static void
help_head(const struct opt_section *s, struct buf *out)
{
	buf_addf(out, "\n[%s] %s\n", s->name, s->title);
}

static void
help_one(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        struct buf *out)
{
	char name[OPT_NAME];
	const char *d = text_default(svc, p, o);
	buf_addf(out, "  --%s%s=%s", opt_name(p->section, o, name),
	        o->type == OPT_SECRET ? "-file" : "", text_placeholder(o));
	buf_addf(out, *d ? "  [%s]\n" : "\n", d);
	text_wrap(o->help, "        ", 90, out);
}

void
text_help(const struct opt_service *svc, struct buf *out)
{
	text_walk(svc, help_head, help_one, out);
}

/* --- sample file --- */

static void
ini_head(const struct opt_section *s, struct buf *out)
{
	buf_addf(out, "\n[%s]\n# %c%s.\n", s->name,
	        s->title[0] - ('a' <= s->title[0] && s->title[0] <= 'z' ? 32 : 0), s->title + 1);
}

static void
ini_one(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        struct buf *out)
{
	char name[OPT_NAME];
	struct buf takes;
	opt_name(p->section, o, name);
	buf_addc(out, '\n');
	text_wrap(o->help, "# ", 88, out);
	buf_init(&takes, 1024);
	buf_adds(&takes, "Takes ");
	value_range(o, &takes);
	buf_addf(&takes, "; %s.", text_reload(o));
	text_wrap(buf_str(&takes), "# ", 88, out);
	buf_fini(&takes);
	const char *key = strchr(name, '.') + 1, *d = text_default(svc, p, o);
	buf_addf(out, "#%s =%s%s\n", key, *d ? " " : "", d);
	if (o->type == OPT_SECRET)
		buf_addf(out, "#%s-file =\n", key);
}

void
text_ini(const struct opt_service *svc, struct buf *out)
{
	buf_addf(out,
	        "# Sample configuration of `aero serve %s`: every option at its default.\n"
	        "# Take the '#' off a line to change it. Check the result with\n"
	        "#   aero config check %s -c FILE\n"
	        "# Lists are comma separated, or one value a line on lines that begin with a "
	        "blank.\n"
	        "# Durations take ms s m h, sizes take KiB MiB GiB. A comment behind a value "
	        "begins with\n"
	        "# a blank and ';'.\n",
	        svc->name, svc->name);
	text_walk(svc, ini_head, ini_one, out);
}

/* --- environment --- */

static const struct {
	uint32_t flag;
	const char *text;
} quirks[] = {
        {ENV_STRICT1, "only 1 is true"},
        {ENV_BOOL7, "true is 1 true TRUE yes YES on ON"},
        {ENV_BOOL4, "true is 1 true yes on"},
        {ENV_ZERO_UNSET, "0 counts as not set"},
        {ENV_JUNK_UNSET, "text that is no number counts as not set, with a warning"},
        {ENV_CLAMP, "out of range becomes the nearest bound, with a warning"},
        {ENV_EMPTY_SET, "empty is a value"},
        {ENV_EMPTY_STOPS, "empty means the default"},
        {ENV_RAW, "blanks at the ends are kept"},
        {ENV_RUST_LOG, "[target=]level,..."},
        {ENV_PRESENT, "any text turns it on"},
};

void
text_quirks(const struct opt_env *e, const struct opt *o, struct buf *out)
{
	const char *sep = "";
	if (o->type == OPT_MSEC) {
		uint32_t unit = e->unit ? e->unit : o->unit;
		buf_addf(out, "a bare number is %s", unit == UNIT_S ? "seconds" : "milliseconds");
		sep = "; ";
	}
	for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++)
		if (e->flags & quirks[i].flag) {
			buf_addf(out, "%s%s", sep, quirks[i].text);
			sep = "; ";
		}
}

static void
env_one(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        struct buf *out)
{
	char name[OPT_NAME];
	opt_name(p->section, o, name);
	for (size_t i = 0; i < svc->n_env; i++) {
		if (svc->env[i].off != p->off + o->off)
			continue;
		buf_addf(out, "%s\t%s\t", svc->env[i].name, name);
		text_quirks(&svc->env[i], o, out);
		buf_addc(out, '\n');
	}
}

void
text_env(const struct opt_service *svc, struct buf *out)
{
	text_walk(svc, NULL, env_one, out);
}

/* --- one option --- */

static bool
is_called(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        const char *name)
{
	char text[OPT_NAME];
	if (strcmp(opt_name(p->section, o, text), name) == 0 ||
	        strcmp(opt_env_name(p->section, o, text), name) == 0)
		return true;
	for (size_t i = 0; i < svc->n_env; i++)
		if (svc->env[i].off == p->off + o->off && strcmp(svc->env[i].name, name) == 0)
			return true;
	return false;
}

static void
option_page(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        struct buf *out)
{
	char name[OPT_NAME];
	const char *d = text_default(svc, p, o);
	buf_addf(out, "%s (aero serve %s)\n", opt_name(p->section, o, name), svc->name);
	text_wrap(o->help, "  ", 90, out);
	buf_adds(out, "  takes        ");
	value_range(o, out);
	buf_addf(out, "\n  default      %s\n  file         [%s] %s = ...\n", *d ? d : "(none)",
	        p->section->name, strchr(name, '.') + 1);
	if (o->type == OPT_SECRET)
		buf_addf(out, "  flag         none, but --%s-file=PATH\n", name);
	else
		buf_addf(out, "  flag         --%s=%s\n", name, text_placeholder(o));
	buf_adds(out, "  environment  ");
	text_env_names(svc, p, o, "", "\n               ", "", out);
	buf_addf(out, "\n  reload       %s\n", text_reload(o));
	if (o->flags & OPT_UNSAFE)
		buf_adds(out, "  unsafe       a warning is given at start when it is on\n");
}

bool
text_option(const struct opt_service *svc, const char *name, struct buf *out)
{
	for (size_t i = 0; i < svc->n_places; i++) {
		const struct opt_place *p = &svc->places[i];
		for (size_t k = 0; k < p->section->n; k++)
			if (is_called(svc, p, &p->section->opts[k], name)) {
				option_page(svc, p, &p->section->opts[k], out);
				return true;
			}
	}
	return false;
}

/* --- completion --- */

static void
words_one(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        struct buf *out)
{
	(void)svc;
	char name[OPT_NAME];
	opt_name(p->section, o, name);
	if (o->type == OPT_SECRET) {
		buf_addf(out, "--%s-file=\n", name);
		return;
	}
	const struct opt_word *w = o->words;
	if (o->type == OPT_BOOL)
		buf_addf(out, "--%s=yes\n--%s=no\n", name, name);
	else if (!w)
		buf_addf(out, "--%s=\n", name);
	for (; w && w->name; w++)
		buf_addf(out, "--%s=%s\n", name, w->name);
}

void
text_words(const struct opt_service *svc, struct buf *out)
{
	text_walk(svc, NULL, words_one, out);
}
