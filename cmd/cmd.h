/* cmd: the commands of `aero` and what they share.
 *
 * A command is a row of cmd/cmds.def and a file with
 *
 *   const char help_probe[] = "...";              shown by `aero probe --help`, examples first
 *   int cmd_probe(int argc, char **argv);         argv[0] is its name; returns an exit code
 *
 * Help texts are also where the manual and the completion find a command's words: a line that
 * begins with two blanks and a word or an option, two blanks and an explanation is one of them.
 * Data goes to stdout, talk to stderr. */
#pragma once

#include "base/exitcode.h"
#include "base/span.h"

#include <stdio.h>

struct cmd {
	const char *name;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

#define CMD(id, name, summary)         \
	extern const char help_##id[]; \
	int cmd_##id(int argc, char **argv);
#include "cmd/cmds.def"
#undef CMD

extern const struct cmd cmds[];               /* ends with a row without a name */
const struct cmd *cmd_find(const char *name); /* NULL when there is none */

/* "aero NAME: <text>" and where to read on, on stderr. Returns EXIT_USAGE. */
int cmd_usage(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* -h or --help. */
bool cmd_wants_help(const char *arg);
