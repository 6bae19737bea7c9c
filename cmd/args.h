/* args: the part of a command line that makes up a configuration.
 *
 * For      every command that loads one: serve, config, policy-check, doctor.
 * Order    args_init, then args_take at every argument (or serve_parse for all of them), then
 *          args_load; args_input may be used for further loads until args_fini.
 * Memory   argv is borrowed until args_fini. */
#pragma once

#include "conf/conf.h"

struct args {
	const struct opt_service *svc;
	const char **files, **flags;
	size_t n_files, n_flags;
};

void args_init(struct args *a, const struct opt_service *svc);
void args_fini(struct args *a);
/* -c FILE, --config=FILE, --section.key=value. Returns how many arguments it took, 0 when argv[i]
 * is nothing of the sort, -1 when it lacks its value. */
int args_take(struct args *a, int argc, char **argv, int i);
struct conf_input args_input(const struct args *a);
/* conf_load, and then everything else that can be known to be wrong before a service starts.
 * Every problem is told. Returns 0 or a negative errno. */
int args_load(const struct args *a, conf_say *problem, void *arg, struct conf **out);

/* The arguments of `aero serve SERVICE` that are no options of the service, as help has them. */
extern const char help_serve_options[];

/* `aero serve SERVICE ...`, or argv[0] is the name of the program a service replaces. */
struct serve_args {
	struct args conf;
	bool legacy;       /* called by the old name: its messages and exit codes */
	bool check;        /* --check: look at the configuration, say what it is, exit */
	bool ready_stdout; /* --ready-stdout: say so on stdout once listening */
	bool dev;          /* --dev: a developer's machine */
	char *bind;        /* --bind as a flag of ours */
};

/* Returns -1 to go on; else the command is done (help, usage error) and this is its exit code.
 * serve_args_fini in any case. */
int serve_args_parse(struct serve_args *s, int argc, char **argv);
void serve_args_fini(struct serve_args *s);
/* Loads, and says on stderr what is wrong. Returns 0 or the exit code. */
int serve_args_load(const struct serve_args *s, struct conf **out);
