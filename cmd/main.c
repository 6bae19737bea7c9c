/* Finds the command and runs it. The name the program was called by may stand for a service: then
 * everything is an argument of `serve`. */
#include "cmd/cmd.h"

#include "conf/sections.h"
#include "conf/suggest.h"

#include <stdarg.h>
#include <stdlib.h>

const struct cmd cmds[] = {
#define CMD(id, name, summary) {name, summary, help_##id, cmd_##id},
#include "cmd/cmds.def"
#undef CMD
        {NULL, NULL, NULL, NULL},
};

const struct cmd *
cmd_find(const char *name)
{
	for (const struct cmd *c = cmds; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

bool
cmd_wants_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

int
cmd_usage(const char *name, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "aero %s: ", name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nRun 'aero %s --help' for usage.\n", name);
	return EXIT_USAGE;
}

static int
unknown(const char *name)
{
	struct suggest s = suggest_for(span_str(name));
	for (const struct cmd *c = cmds; c->name; c++)
		suggest_offer(&s, c->name);
	fprintf(stderr, "aero: there is no command '%s'", name);
	fprintf(stderr, s.best ? "; did you mean '%s'?\n" : ".\n", s.best);
	fprintf(stderr, "Run 'aero help' for the list.\n");
	return EXIT_USAGE;
}

/* What was written must have arrived: a full disk is not a success. */
static int
flushed(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	perror("aero: stdout");
	return code == EXIT_OK ? EXIT_LOCAL : code;
}

static int
run(const struct cmd *c, int argc, char **argv)
{
	/* A service's help depends on which one it is: that is for the command to say. */
	if (argc == 2 && cmd_wants_help(argv[1])) {
		fputs(c->help, stdout);
		return EXIT_OK;
	}
	return c->run(argc, argv);
}

/* The last part of the path, when it is the name of a program that a service replaces. */
static bool
is_service(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	*name = slash ? slash + 1 : path;
	for (const struct opt_service *const *s = services; *s; s++)
		if (*(*s)->legacy && strcmp((*s)->legacy, *name) == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	const char *name = "aero";
	if (argc > 0 && is_service(argv[0], &name)) {
		const struct cmd *serve = cmd_find("serve");
		argv[0] = (char *)name;
		return serve ? flushed(serve->run(argc, argv)) : unknown("serve");
	}
	if (argc < 2) {
		fputs(help_help, stderr);
		return EXIT_USAGE;
	}
	const char *first = argv[1];
	if (cmd_wants_help(first))
		first = argv[1] = (char *)"help";
	else if (strcmp(first, "--version") == 0)
		first = argv[1] = (char *)"version";
	const struct cmd *c = cmd_find(first);
	return c ? flushed(run(c, argc - 1, argv + 1)) : unknown(first);
}
