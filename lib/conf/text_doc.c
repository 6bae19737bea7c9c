/* The texts that end up in files of docs/ and deploy/: markdown, manual, JSON Schema. */
#include "base/jout.h"
#include "conf/text_int.h"

#include <stdio.h>
#include <stdlib.h>

/* --- markdown --- */

static void
md_cell(const char *s, struct buf *out)
{
	for (; *s; s++) {
		if (*s == '|' || *s == '<' || *s == '*' || *s == '_')
			buf_addc(out, '\\');
		buf_addc(out, *s == '\n' ? ' ' : *s);
	}
}

static void
md_head(const struct opt_section *s, struct buf *out)
{
	buf_addf(out,
	        "\n### [%s]\n\n%c%s.\n\n"
	        "| Option | Default | Takes | Meaning | Environment |\n|---|---|---|---|---|\n",
	        s->name, s->title[0] - ('a' <= s->title[0] && s->title[0] <= 'z' ? 32 : 0),
	        s->title + 1);
}

static void
md_one(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        struct buf *out)
{
	char name[OPT_NAME];
	struct buf b;
	const char *d = text_default(svc, p, o);
	buf_init(&b, 512);
	text_takes(o, &b);
	buf_addf(out, "| `%s` | ", opt_name(p->section, o, name));
	buf_addf(out, *d ? "`%s` | " : "| ", d);
	md_cell(buf_str(&b), out);
	buf_adds(out, " | ");
	md_cell(o->help, out);
	buf_addf(out, "%s%s | ", o->flags & OPT_UNSAFE ? " **Unsafe.**" : "",
	        o->flags & OPT_RELOAD ? "" : " (restart)");
	text_env_names(svc, p, o, "`", ", ", "`", out);
	buf_adds(out, " |\n");
	buf_fini(&b);
}

void
text_markdown(const struct opt_service *svc, struct buf *out)
{
	buf_addf(out, "\n## aero serve %s\n\n%s. Sample file: [conf/%s.ini](../conf/%s.ini).\n",
	        svc->name, svc->title, svc->name, svc->name);
	text_walk(svc, md_head, md_one, out);
	buf_adds(out,
	        "\n### Environment names\n\n"
	        "Names of one option in the order in which they are asked, besides the regular "
	        "`AERO_<SECTION>_<KEY>`.\n\n"
	        "| Name | Option | Read as |\n|---|---|---|\n");
	struct buf b;
	buf_init(&b, TEXT_CAP);
	text_env(svc, &b);
	struct span rest = buf_span(&b), line;
	while (span_split(&rest, '\n', &line)) {
		struct span f[3];
		if (!span_split(&line, '\t', &f[0]) || !span_split(&line, '\t', &f[1]) ||
		        !span_split(&line, '\t', &f[2]))
			continue;
		buf_addf(out, "| `%.*s` | `%.*s` | %.*s |\n", (int)f[0].n, f[0].p, (int)f[1].n,
		        f[1].p, (int)f[2].n, f[2].p);
	}
	buf_fini(&b);
}

/* --- manual --- */

/* A line may not begin with a dot or an apostrophe, a backslash starts an escape, and a hyphen
 * would become a dash. */
void
text_mdoc_escape(const char *s, struct buf *out)
{
	bool start = true;
	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			buf_adds(out, "\\&");
		if (*s == '\\')
			buf_adds(out, "\\e");
		else if (*s == '-')
			buf_adds(out, "\\-");
		else
			buf_addc(out, *s);
		start = *s == '\n';
	}
}

static void
mdoc_head(const struct opt_section *s, struct buf *out)
{
	buf_addf(out, ".Ss [%s] %s\n", s->name, s->title);
}

static void
mdoc_one(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        struct buf *out)
{
	char name[OPT_NAME];
	const char *d = text_default(svc, p, o);
	buf_adds(out, ".Bl -tag -width 4n -compact\n.It Ic ");
	text_mdoc_escape(strchr(opt_name(p->section, o, name), '.') + 1, out);
	buf_addc(out, '\n');
	for (const char *s = o->help; *s;) {
		size_t n = strcspn(s, "\n");
		char *line = span_dup(span(s, n));
		text_mdoc_escape(line, out);
		buf_addc(out, '\n');
		free(line);
		s += n + (s[n] == '\n');
		if (*s)
			buf_adds(out, ".Pp\n");
	}
	buf_adds(out, "Takes ");
	struct buf b;
	buf_init(&b, 512);
	text_takes(o, &b);
	text_mdoc_escape(buf_str(&b), out);
	buf_fini(&b);
	buf_adds(out, "; default ");
	text_mdoc_escape(*d ? d : "none", out);
	buf_addf(out, "; %s.\n.El\n.Pp\n", text_reload(o));
}

void
text_mdoc_options(const struct opt_service *svc, struct buf *out)
{
	text_walk(svc, mdoc_head, mdoc_one, out);
}

static void
mdoc_env_one(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        struct buf *out)
{
	char name[OPT_NAME];
	for (size_t i = 0; i < svc->n_env; i++) {
		if (svc->env[i].off != p->off + o->off)
			continue;
		buf_addf(out, ".It Ev %s\n.Ic ", svc->env[i].name);
		text_mdoc_escape(opt_name(p->section, o, name), out);
		struct buf b;
		buf_init(&b, 512);
		text_quirks(&svc->env[i], o, &b);
		if (b.n) {
			buf_adds(out, " Pq ");
			text_mdoc_escape(buf_str(&b), out);
		}
		buf_addc(out, '\n');
		buf_fini(&b);
	}
}

void
text_mdoc_env(const struct opt_service *svc, struct buf *out)
{
	buf_adds(out, ".Bl -tag -width 4n -compact\n");
	text_walk(svc, NULL, mdoc_env_one, out);
	buf_adds(out, ".El\n");
}

/* --- JSON Schema --- */

static void
schema_number(struct jout *j, const struct opt *o)
{
	jout_key(j, "minimum");
	jout_u64(j, o->zero ? 0 : o->min);
	if (o->max) {
		jout_key(j, "maximum");
		jout_u64(j, o->max);
	}
}

/* Durations and sizes may also be texts with units; their numbers are in the option's own unit. */
static void
schema_type(struct jout *j, const struct opt *o)
{
	jout_key(j, "type");
	if (o->type == OPT_MSEC || o->type == OPT_SIZE || opt_is_number(o->type)) {
		jout_array(j);
		jout_str(j, "integer");
		jout_str(j, "string");
		jout_end(j);
		if (o->type != OPT_MSEC || !o->unit || o->unit == UNIT_MS)
			schema_number(j, o);
	} else if (o->type == OPT_LIST) {
		jout_array(j);
		jout_str(j, "array");
		jout_str(j, "string");
		jout_end(j);
		jout_key(j, "items");
		jout_object(j);
		jout_key(j, "type");
		jout_array(j);
		jout_str(j, "string");
		jout_str(j, "integer");
		jout_end(j);
		jout_end(j);
	} else {
		jout_str(j, o->type == OPT_BOOL ? "boolean" : "string");
	}
	if (o->type == OPT_ENUM) {
		jout_key(j, "enum");
		jout_array(j);
		for (const struct opt_word *w = o->words; w->name; w++)
			jout_str(j, w->name);
		jout_end(j);
	}
}

static void
schema_option(struct jout *j, const struct opt_service *svc, const struct opt_place *p,
        const struct opt *o)
{
	char name[OPT_NAME], key[OPT_NAME + 8];
	const char *d = text_default(svc, p, o);
	bool secret = o->type == OPT_SECRET;
	/* The secret itself has no place in a chart's values. */
	snprintf(key, sizeof key, "%s%s", strchr(opt_name(p->section, o, name), '.') + 1,
	        secret ? "-file" : "");
	jout_key(j, key);
	jout_object(j);
	schema_type(j, o);
	jout_kv_str(j, "description", o->help);
	if (*d && !secret)
		jout_kv_str(j, "default", d);
	jout_end(j);
}

void
text_schema(const struct opt_service *svc, struct buf *out)
{
	struct jout j;
	jout_init(&j, out);
	jout_object(&j);
	jout_kv_str(&j, "$schema", "https://json-schema.org/draft/2020-12/schema");
	jout_key(&j, "title");
	struct buf title;
	buf_init(&title, 128);
	buf_addf(&title, "aero serve %s", svc->name);
	jout_str(&j, buf_str(&title));
	buf_fini(&title);
	jout_kv_str(&j, "type", "object");
	jout_kv_bool(&j, "additionalProperties", false);
	jout_key(&j, "properties");
	jout_object(&j);
	for (size_t i = 0; i < svc->n_places; i++) {
		const struct opt_place *p = &svc->places[i];
		jout_key(&j, p->section->name);
		jout_object(&j);
		jout_kv_str(&j, "type", "object");
		jout_kv_str(&j, "description", p->section->title);
		jout_kv_bool(&j, "additionalProperties", false);
		jout_key(&j, "properties");
		jout_object(&j);
		for (size_t k = 0; k < p->section->n; k++)
			if (!(p->section->opts[k].flags & OPT_HIDDEN))
				schema_option(&j, svc, p, &p->section->opts[k]);
		jout_end(&j);
		jout_end(&j);
	}
	jout_end(&j);
	jout_end(&j);
	buf_addc(out, '\n');
}
