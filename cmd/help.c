#include "cmd/cmd.h"

#include "base/buf.h"
#include "conf/sections.h"
#include "conf/text.h"

const char help_help[] =
        "Examples\n"
        "  aero help                          the commands and the services\n"
        "  aero help config                   a command\n"
        "  aero help serve l2                 a service and all of its options\n"
        "  aero help tcp.max-window           an option: file, flag, environment, default\n"
        "  aero help AERO_L2_OPEN             the option behind an environment name\n"
        "\n"
        "Usage: aero COMMAND [ARGUMENT]...\n"
        "       aero help [TOPIC]\n"
        "\n"
        "Every command answers --help. Exit codes: 0 ok, 1 a check failed, 2 usage, 3 bad\n"
        "configuration, 4 cannot connect or resolve, 5 authentication refused, 6 denied by "
        "policy,\n"
        "7 the peer broke the protocol, 8 local resource or permission, 124 timed out, 130\n"
        "interrupted.\n";

static int
overview(void)
{
	fputs(help_help, stdout);
	fputs("\nCommands\n", stdout);
	for (const struct cmd *c = cmds; c->name; c++)
		printf("  %-14s %s\n", c->name, c->summary);
	fputs("\nServices (aero serve NAME)\n", stdout);
	for (const struct opt_service *const *s = services; *s; s++)
		printf("  %-14s %s\n", (*s)->name, (*s)->title);
	return EXIT_OK;
}

/* The option is in every service that has it; they may differ in default and names. */
static bool
option(const char *name)
{
	struct buf b;
	bool found = false;
	buf_init(&b, TEXT_CAP);
	for (const struct opt_service *const *s = services; *s; s++)
		found |= text_option(*s, name, &b);
	fputs(buf_str(&b), stdout);
	buf_fini(&b);
	return found;
}

int
cmd_help(int argc, char **argv)
{
	if (argc < 2)
		return overview();
	const struct cmd *c = cmd_find(argv[1]);
	if (c && argc > 2) {
		char *again[] = {argv[1], argv[2], (char *)"--help", NULL};
		return c->run(3, again);
	}
	if (c) {
		fputs(c->help, stdout);
		return EXIT_OK;
	}
	const char *name = argv[1];
	if (option(strncmp(name, "--", 2) == 0 ? name + 2 : name))
		return EXIT_OK;
	return cmd_usage("help", "there is nothing called '%s'", name);
}
