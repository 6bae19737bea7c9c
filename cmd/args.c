#include "cmd/args.h"

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "conf/text.h"
#include "policy/door.h"
#include "policy/egress.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

void
args_init(struct args *a, const struct opt_service *svc)
{
	*a = (struct args){.svc = svc};
}

void
args_fini(struct args *a)
{
	free(a->files);
	free(a->flags);
	*a = (struct args){0};
}

static void
push(const char ***list, size_t *n, const char *s)
{
	*list = xrealloc(*list, (*n + 1) * sizeof **list);
	(*list)[(*n)++] = s;
}

/* "--section.key..." as opposed to "--json". */
static bool
is_option(const char *arg)
{
	size_t n = strcspn(arg, "=");
	return strncmp(arg, "--", 2) == 0 && memchr(arg, '.', n);
}

int
args_take(struct args *a, int argc, char **argv, int i)
{
	static const char *const names[] = {"-c", "--config"};
	const char *arg = argv[i];
	if (is_option(arg)) {
		push(&a->flags, &a->n_flags, arg + 2);
		return 1;
	}
	for (size_t k = 0; k < ARRAY_LEN(names); k++) {
		size_t n = strlen(names[k]);
		if (strncmp(arg, names[k], n) != 0)
			continue;
		const char *rest = arg + n;
		bool apart = !*rest;
		if (apart && i + 1 >= argc)
			return -1;
		if (!apart && k == 1 && *rest++ != '=')
			continue;
		push(&a->files, &a->n_files, apart ? argv[i + 1] : rest);
		return apart ? 2 : 1;
	}
	return 0;
}

struct conf_input
args_input(const struct args *a)
{
	return (struct conf_input){.files = a->files,
	        .n_files = a->n_files,
	        .env = environ,
	        .flags = a->flags,
	        .n_flags = a->n_flags};
}

/* What options alone cannot know: whether the policy that they spell can be built. */
static int
check_policy(const struct l2_conf *c, conf_say *problem, void *arg)
{
	struct err e = {0};
	struct door door;
	struct egress *egress;
	int bad = 0;
	if (door_init(&door, c, &e) == 0)
		door_fini(&door);
	else
		problem(arg, e.text), bad++;
	if (egress_new(&egress, &c->egress, &c->dns, &e) == 0)
		egress_free(egress);
	else
		problem(arg, e.text), bad++;
	return bad;
}

int
args_load(const struct args *a, conf_say *problem, void *arg, struct conf **out)
{
	struct conf_input in = args_input(a);
	struct conf *c;
	in.problem = problem;
	in.arg = arg;
	int r = conf_load(&c, a->svc, &in, NULL);
	if (r < 0)
		return r;
	if (a->svc == &service_l2 && check_policy(conf_l2(c), problem, arg)) {
		conf_free(c);
		return -EINVAL;
	}
	*out = c;
	return 0;
}

/* --- serve --- */

static const struct opt_service *
legacy_service(const char *name)
{
	for (const struct opt_service *const *s = services; *s; s++)
		if (strcmp((*s)->legacy, name) == 0)
			return *s;
	return NULL;
}

/* The old programs had their own words for it. */
static int
misused(const struct serve_args *s, const char *a, const char *b)
{
	if (!s->legacy)
		return cmd_usage("serve", "%s %s", a, b);
	fprintf(stderr, "error: %s %s\nRun with --help for usage.\n", a, b);
	return EXIT_USAGE;
}

const char help_serve_options[] =
        "  -c, --config FILE  read an INI file; may be given again, later files win\n"
        "  --check            print what differs from the defaults and every warning, and exit\n"
        "  --bind IP:PORT     the same as --server.listen=IP:PORT\n"
        "  --ready-stdout     print a line on stdout once it listens\n"
        "  --dev              for a developer's machine: loopback only, any page, a token made "
        "for\n"
        "                     this run; prints what to paste into a client\n"
        "  -h, --help         this text\n";

static int
service_help(const struct serve_args *s)
{
	const struct opt_service *svc = s->conf.svc;
	struct buf b;
	buf_init(&b, TEXT_CAP);
	buf_addf(&b,
	        "Examples\n"
	        "  aero serve %s -c conf/%s.ini\n"
	        "  aero serve %s --server.listen=127.0.0.1:0 --log.level=debug\n"
	        "  aero serve %s -c conf/%s.ini --check\n\n"
	        "Usage: %s%s [-c FILE]... [--section.key=value]...\n\n",
	        svc->name, svc->name, svc->name, svc->name, svc->name,
	        s->legacy ? svc->legacy : "aero serve ", s->legacy ? "" : svc->name);
	text_wrap(svc->title, "", 90, &b);
	buf_addf(&b,
	        "\n%s\n"
	        "Every option is also an INI key and an environment name; secrets have no flag of\n"
	        "their own. 'aero help section.key' tells all about one option.\n",
	        help_serve_options);
	text_help(svc, &b);
	fputs(buf_str(&b), stdout);
	buf_fini(&b);
	return EXIT_OK;
}

static bool
bind_to(struct serve_args *s, const char *addr)
{
	struct endpoint e;
	if (!endpoint_parse(span_str(addr), &e))
		return false;
	/* Kept until the arguments are done with: it is a flag like those in argv. */
	struct buf b;
	buf_init(&b, 128);
	buf_addf(&b, "server.listen=%s", addr);
	free(s->bind);
	s->bind = strdup(buf_str(&b));
	buf_fini(&b);
	return s->bind;
}

/* Returns how many arguments it was, 0 for none of its own, -1 after a usage error. */
static int
take_bind(struct serve_args *s, int argc, char **argv, int i)
{
	bool apart = strcmp(argv[i], "--bind") == 0;
	if (!apart && strncmp(argv[i], "--bind=", 7) != 0)
		return 0;
	const char *addr = apart ? (i + 1 < argc ? argv[i + 1] : "") : argv[i] + 7;
	if (!*addr)
		misused(s, "--bind", "needs IP:PORT");
	else if (!bind_to(s, addr))
		misused(s, addr, "is not an address to bind to: IP:PORT or [v6]:PORT, numeric");
	else
		return apart ? 2 : 1;
	return -1;
}

static int
take_one(struct serve_args *s, int argc, char **argv, int i)
{
	int n = args_take(&s->conf, argc, argv, i);
	if (n < 0)
		misused(s, argv[i], "needs a file name");
	if (n)
		return n;
	n = take_bind(s, argc, argv, i);
	if (n)
		return n;
	if (strcmp(argv[i], "--ready-stdout") == 0)
		s->ready_stdout = true;
	else if (strcmp(argv[i], "--check") == 0)
		s->check = true;
	else if (strcmp(argv[i], "--dev") == 0)
		s->dev = true;
	else
		return misused(s, argv[i][0] == '-' ? "unknown option" : "unexpected argument",
		               argv[i]),
		       -1;
	return 1;
}

static int
find_service(struct serve_args *s, int argc, char **argv)
{
	const struct opt_service *svc = legacy_service(argv[0]);
	s->legacy = svc;
	if (!svc && argc > 1) /* `all` is every service there is: so far that is the tunnel */
		svc = service_find(strcmp(argv[1], "all") == 0 ? "l2" : argv[1]);
	args_init(&s->conf, svc);
	if (svc)
		return -1;
	if (argc < 2)
		return cmd_usage("serve", "which service?");
	return cmd_usage("serve", "there is no service '%s'", argv[1]);
}

int
serve_args_parse(struct serve_args *s, int argc, char **argv)
{
	*s = (struct serve_args){0};
	int code = find_service(s, argc, argv);
	if (code >= 0)
		return code;
	int first = s->legacy ? 1 : 2;
	for (int i = first; i < argc; i++)
		if (cmd_wants_help(argv[i]))
			return service_help(s);
	for (int i = first; i < argc;) {
		int n = take_one(s, argc, argv, i);
		if (n < 0)
			return EXIT_USAGE;
		i += n;
	}
	if (s->bind)
		push(&s->conf.flags, &s->conf.n_flags, s->bind);
	return -1;
}

void
serve_args_fini(struct serve_args *s)
{
	args_fini(&s->conf);
	free(s->bind);
}

static void
print_problem(void *arg, const char *text)
{
	const struct serve_args *s = arg;
	fprintf(stderr, "%s%s\n", s->legacy ? "invalid config: " : "aero serve: ", text);
}

int
serve_args_load(const struct serve_args *s, struct conf **out)
{
	if (args_load(&s->conf, print_problem, (void *)s, out) == 0)
		return 0;
	return s->legacy ? EXIT_FAILED : EXIT_CONFIG;
}
