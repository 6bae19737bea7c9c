#include "base/jout.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/show.h"
#include "conf/text.h"

#include <stdlib.h>

const char help_config[] =
        "Examples\n"
        "  aero config show l2 -c /etc/aero/l2.ini     what is in force, and who said so\n"
        "  aero config check l2 -c new.ini             every problem and every warning\n"
        "  aero config example l2 > l2.ini             a commented sample file\n"
        "  aero config env l2                          the environment names\n"
        "\n"
        "Usage: aero config VERB [SERVICE] [-c FILE]... [--section.key=value]... [--json]\n"
        "\n"
        "Verbs\n"
        "  show      every option, its value and its source; secrets are hidden\n"
        "  check     problems and warnings; exit 3 when nothing would start\n"
        "  example   a sample INI file with every option at its default\n"
        "  env       environment names, their options and how they are read\n"
        "  schema    JSON Schema of the options\n"
        "  markdown  docs/configuration.md, all services\n"
        "\n"
        "Options\n"
        "  -c, --config FILE  read an INI file; may be given again, later files win\n"
        "  --changed          with show: only what is not at its default\n"
        "  --json             one JSON document (schema aero.config/1): ok, service, verb, and\n"
        "                     options[] of name, value (durations in ms, sizes in bytes; a secret\n"
        "                     has \"set\" instead), source; or problems[] and warnings[]\n";

struct config {
	struct args args;
	const char *verb;
	bool json, changed;
	struct jout *j;
	size_t problems;
};

/* --- the verbs that need no values --- */

static int
print_text(const struct config *g, void (*text)(const struct opt_service *, struct buf *))
{
	struct buf b;
	buf_init(&b, TEXT_CAP);
	text(g->args.svc, &b);
	fputs(buf_str(&b), stdout);
	buf_fini(&b);
	return EXIT_OK;
}

static int
verb_example(struct config *g)
{
	return print_text(g, text_ini);
}

static int
verb_env(struct config *g)
{
	return print_text(g, text_env);
}

static int
verb_schema(struct config *g)
{
	return print_text(g, text_schema);
}

static int
verb_markdown(struct config *g)
{
	struct buf b;
	(void)g;
	buf_init(&b, TEXT_CAP);
	text_markdown_head(&b);
	for (const struct opt_service *const *s = services; *s; s++)
		text_markdown(*s, &b);
	fputs(buf_str(&b), stdout);
	buf_fini(&b);
	return EXIT_OK;
}

/* --- those that do --- */

static void
on_problem(void *arg, const char *text)
{
	struct config *g = arg;
	g->problems++;
	if (g->j)
		jout_str(g->j, text);
	else
		fprintf(stderr, "%s\n", text);
}

static void
on_warning(void *arg, const char *text)
{
	struct config *g = arg;
	jout_str(g->j, text);
}

/* The document's head up to and with problems[]; loads on the way. */
static struct conf *
load_json(struct config *g, struct jout *j)
{
	struct conf *c = NULL;
	g->j = j;
	jout_object(j);
	jout_kv_str(j, "schema", "aero.config/1");
	jout_kv_str(j, "service", g->args.svc->name);
	jout_kv_str(j, "verb", g->verb);
	jout_key(j, "problems");
	jout_array(j);
	args_load(&g->args, on_problem, g, &c);
	jout_end(j);
	jout_kv_bool(j, "ok", c != NULL);
	return c;
}

static int
report_json(struct config *g, bool values)
{
	struct buf b;
	struct jout j;
	buf_init(&b, TEXT_CAP);
	jout_init(&j, &b);
	struct conf *c = load_json(g, &j);
	jout_key(&j, values ? "options" : "warnings");
	jout_array(&j);
	if (c && values)
		show_values_json(c, &j);
	else if (c)
		conf_warnings(c, on_warning, g);
	jout_end(&j);
	jout_end(&j);
	puts(buf_str(&b));
	buf_fini(&b);
	int code = c ? EXIT_OK : EXIT_CONFIG;
	conf_free(c);
	return code;
}

static int
load_text(struct config *g, struct conf **c)
{
	if (args_load(&g->args, on_problem, g, c) == 0)
		return EXIT_OK;
	fprintf(stderr, "%zu problem%s: aero serve %s would not start.\n", g->problems,
	        g->problems == 1 ? "" : "s", g->args.svc->name);
	return EXIT_CONFIG;
}

static int
verb_show(struct config *g)
{
	struct conf *c;
	if (g->json)
		return report_json(g, true);
	int code = load_text(g, &c);
	if (code)
		return code;
	show_values(c, g->changed);
	conf_free(c);
	return EXIT_OK;
}

static int
verb_check(struct config *g)
{
	struct conf *c;
	if (g->json)
		return report_json(g, false);
	int code = load_text(g, &c);
	if (code)
		return code;
	size_t n = show_warnings(c);
	printf("aero serve %s: configuration is valid, %zu warning%s\n", g->args.svc->name, n,
	        n == 1 ? "" : "s");
	conf_free(c);
	return EXIT_OK;
}

static const struct {
	const char *name;
	int (*run)(struct config *g);
} verbs[] = {
        {"show", verb_show},
        {"check", verb_check},
        {"example", verb_example},
        {"env", verb_env},
        {"schema", verb_schema},
        {"markdown", verb_markdown},
        {NULL, NULL},
};

/* Without a name it is the only service there is, if there is only one. */
static const struct opt_service *
pick_service(int argc, char **argv, int *i)
{
	if (*i < argc && argv[*i][0] != '-')
		return service_find(argv[(*i)++]);
	return services[1] ? NULL : services[0];
}

static int
parse_options(struct config *g, int argc, char **argv, int i)
{
	while (i < argc) {
		int n = args_take(&g->args, argc, argv, i);
		if (n < 0)
			return cmd_usage("config", "%s needs a file name", argv[i]);
		if (n > 0) {
			i += n;
			continue;
		}
		if (strcmp(argv[i], "--json") == 0)
			g->json = true;
		else if (strcmp(argv[i], "--changed") == 0)
			g->changed = true;
		else
			return cmd_usage("config", "unexpected argument %s", argv[i]);
		i++;
	}
	return EXIT_OK;
}

int
cmd_config(int argc, char **argv)
{
	struct config g = {0};
	size_t v = 0;
	for (int k = 1; k < argc; k++)
		if (cmd_wants_help(argv[k])) {
			fputs(help_config, stdout);
			return EXIT_OK;
		}
	if (argc < 2)
		return cmd_usage("config", "which verb?");
	while (verbs[v].name && strcmp(verbs[v].name, argv[1]) != 0)
		v++;
	if (!verbs[v].name)
		return cmd_usage("config", "there is no verb '%s'", argv[1]);
	int i = 2;
	const struct opt_service *svc = pick_service(argc, argv, &i);
	if (!svc)
		return cmd_usage("config", "%s%s",
		        i > 2 ? "there is no service " : "which service?", i > 2 ? argv[2] : "");
	g.verb = verbs[v].name;
	args_init(&g.args, svc);
	int code = parse_options(&g, argc, argv, i);
	if (code == EXIT_OK)
		code = verbs[v].run(&g);
	args_fini(&g.args);
	return code;
}
