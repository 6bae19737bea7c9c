#include "conf/text.h"

#include "conf/conf.h"
#include "conf/value.h"
#include "wire/jsondoc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef void writer(const struct opt_service *svc, struct buf *out);

static const char *
written(writer *f, struct buf *b)
{
	buf_init(b, TEXT_CAP);
	f(&service_l2, b);
	assert_false(b->bad);
	return buf_str(b);
}

/* Every text tells of every option, in the words of that text. */
static void
complete(void **state)
{
	(void)state;
	static const struct {
		writer *write;
		const char *form; /* %s: section.key or key */
		bool key;
	} texts[] = {
	        {text_help, "  --%s", false},
	        {text_ini, "\n#%s =", true},
	        {text_markdown, "\n| `%s` |", false},
	        {text_words, "--%s", false},
	};
	for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
		struct buf b;
		const char *all = written(texts[t].write, &b);
		for (size_t p = 0; p < service_l2.n_places; p++) {
			const struct opt_section *s = service_l2.places[p].section;
			for (size_t k = 0; k < s->n; k++) {
				char name[OPT_NAME], want[OPT_NAME + 16];
				opt_name(s, &s->opts[k], name);
				const char *at = texts[t].key ? strchr(name, '.') + 1 : name;
				const char *hole = strstr(texts[t].form, "%s");
				snprintf(want, sizeof want, "%.*s%s%s", (int)(hole - texts[t].form),
				        texts[t].form, at, hole + 2);
				if (!strstr(all, want))
					fail_msg("text %zu lacks %s", t, want);
			}
		}
		buf_fini(&b);
	}
}

static void
every_name_is_explained(void **state)
{
	(void)state;
	struct buf env, mdoc, md;
	written(text_env, &env);
	written(text_mdoc_env, &mdoc);
	written(text_markdown, &md);
	for (size_t i = 0; i < service_l2.n_env; i++) {
		const char *name = service_l2.env[i].name;
		struct buf b;
		assert_non_null(strstr(buf_str(&env), name));
		assert_non_null(strstr(buf_str(&mdoc), name));
		assert_non_null(strstr(buf_str(&md), name));
		buf_init(&b, TEXT_CAP);
		assert_true(text_option(&service_l2, name, &b));
		assert_non_null(strstr(buf_str(&b), name));
		buf_fini(&b);
	}
	assert_non_null(
	        strstr(buf_str(&env), "AERO_L2_DNS_MAX_TTL_SECS\tdns.max-ttl\ta bare number is "
	                              "seconds\n"));
	assert_non_null(strstr(buf_str(&env), "AERO_L2_OPEN\torigin.open\tonly 1 is true\n"));
	buf_fini(&env);
	buf_fini(&mdoc);
	buf_fini(&md);
}

/* The sample with its '#' taken off is the built-in configuration. */
static void
sample_loads(void **state)
{
	(void)state;
	struct buf b;
	char path[] = "/tmp/text-XXXXXX";
	written(text_ini, &b);
	FILE *f = fdopen(mkstemp(path), "w");
	assert_non_null(f);
	struct span rest = buf_span(&b), line;
	size_t lines = 0;
	while (span_split(&rest, '\n', &line)) {
		assert_true(line.n <= 100);
		bool option = line.n > 2 && line.p[0] == '#' && line.p[1] != ' ';
		if (option && line.p[line.n - 1] != '=') {
			line = span_skip(line, 1);
			lines++;
		}
		fprintf(f, "%.*s\n", (int)line.n, line.p);
	}
	fclose(f);
	assert_true(lines > 80);
	const char *files[] = {path}, *flags[] = {"auth.mode=none"};
	struct conf_input bare = {.flags = flags, .n_flags = 1};
	struct conf_input with = {.files = files, .n_files = 1, .flags = flags, .n_flags = 1};
	struct conf *x, *y;
	struct err e = {0};
	assert_int_equal(conf_load(&x, &service_l2, &bare, &e), 0);
	if (conf_load(&y, &service_l2, &with, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(conf_diff(x, y, NULL, NULL), 0);
	conf_free(x);
	conf_free(y);
	unlink(path);
	buf_fini(&b);
}

static void
schema_is_json(void **state)
{
	(void)state;
	struct buf b;
	struct span text;
	written(text_schema, &b);
	struct jsondoc *j = jsondoc_parse(buf_span(&b));
	assert_non_null(j);
	const struct jsondoc *tcp =
	        jsondoc_get(jsondoc_get(jsondoc_get(j, "properties"), "tcp"), "properties");
	const struct jsondoc *w = jsondoc_get(jsondoc_get(tcp, "max-window"), "default");
	assert_true(jsondoc_string(w, &text));
	assert_true(span_is(text, "1MiB"));
	const struct jsondoc *auth =
	        jsondoc_get(jsondoc_get(jsondoc_get(j, "properties"), "auth"), "properties");
	assert_null(jsondoc_get(auth, "api-key"));
	assert_non_null(jsondoc_get(auth, "api-key-file"));
	jsondoc_free(j);
	buf_fini(&b);
}

static void
one_option(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, TEXT_CAP);
	assert_true(text_option(&service_l2, "auth.api-key", &b));
	assert_string_equal(buf_str(&b), "auth.api-key (aero serve l2)\n"
	                                 "  The API key that token modes ask for.\n"
	                                 "  takes        a secret\n"
	                                 "  default      (none)\n"
	                                 "  file         [auth] api-key = ...\n"
	                                 "  flag         none, but --auth.api-key-file=PATH\n"
	                                 "  environment  AERO_AUTH_API_KEY\n"
	                                 "               AERO_L2_API_KEY\n"
	                                 "               AERO_L2_TOKEN\n"
	                                 "  reload       a reload applies it\n");
	assert_false(text_option(&service_l2, "auth.api", &b));
	assert_false(text_option(&service_l2, "", &b));
	buf_fini(&b);
}

static void
wrapping(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
	        {"", ""},
	        {"a", "> a\n"},
	        {"aaa bbb ccc", "> aaa bbb\n> ccc\n"},
	        {"aaaaaaaaaaaaaaaaa b", "> aaaaaaaaaaaaaaaaa\n> b\n"},
	        {"a\nb", "> a\n> b\n"},
	        {"aaa  bbb\n", "> aaa bbb\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf b;
		buf_init(&b, 256);
		text_wrap(rows[i].in, "> ", 10, &b);
		assert_string_equal(buf_str(&b), rows[i].out);
		buf_fini(&b);
	}
}

static void
escaping(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 256);
	text_mdoc_escape(".a\n'b\n\\c-d.", &b);
	assert_string_equal(buf_str(&b), "\\&.a\n\\&'b\n\\ec\\-d.");
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(complete),
	        cmocka_unit_test(every_name_is_explained),
	        cmocka_unit_test(sample_loads),
	        cmocka_unit_test(schema_is_json),
	        cmocka_unit_test(one_option),
	        cmocka_unit_test(wrapping),
	        cmocka_unit_test(escaping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
