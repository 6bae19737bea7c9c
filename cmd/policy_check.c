/* policy-check: what the egress policy says about a target, and who said so.
 *
 * The verdicts come from lib/policy, the very functions that `aero serve` asks; cmd/policy_print
 * writes them down. */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/policy_print.h"
#include "policy/review.h"

#include "base/mem.h"

#include <netdb.h>
#include <stdlib.h>

const char help_policy_check[] =
        "Examples\n"
        "  aero policy-check -c /etc/aero/l2.ini           the policy in words, and a self-audit\n"
        "  aero policy-check tcp/example.com:443 --resolve would a guest get there?\n"
        "  aero policy-check tcp/example.com:443 udp/10.0.0.1:53 --json | jq .targets\n"
        "  aero policy-check tcp/example.com:80 --address 203.0.113.7\n"
        "\n"
        "Usage: aero policy-check [-c FILE]... [--section.key=value]... [option]... [TARGET]...\n"
        "\n"
        "A target is tcp/host:port, udp/host:port or icmp/host. For each: the verdict, every rule\n"
        "that was asked, in order, and where the one that decided was written. Without a target:\n"
        "the policy in words, what is doubtful about it, and the verdicts on a built-in list of\n"
        "addresses that must not be reachable, in all their spellings.\n"
        "\n"
        "Exit status: 0 all allowed (or the audit holds), 1 the audit found a hole, 4 a name did\n"
        "not resolve, 6 something is denied.\n"
        "\n"
        "Options\n"
        "  -c, --config FILE    read an INI file; may be given again, later files win\n"
        "  --service NAME       whose policy (l2)\n"
        "  --resolve            look names up, with this machine's resolver\n"
        "  --address IP         what names resolve to; may be given again\n"
        "  --json               one JSON document (schema aero.policy-check/1): ok, service, and\n"
        "                       targets[] of target, verdict, rule, why, option, source, steps[],\n"
        "                       addresses[]; or policy[], warnings[] and audit[]\n"
        "  --tap                TAP version 14, a line per target or audited spelling\n"
        "  --quiet              no report, only the exit status\n";

struct check {
	struct args args;
	enum policy_style style;
	bool resolve;
	struct ip given[TARGET_ADDRS];
	size_t n_given;
	const char **text; /* of each target */
	struct target *targets;
	size_t n_targets;

	struct conf *conf;
	const struct l2_conf *l2;
	struct egress *egress;
	struct policy_print print;
	bool denied, unresolved, hole;
};

/* --- targets ---------------------------------------------------------------------------------- */

/* Returns how many addresses there are; 0 when the name does not resolve. */
static size_t
look_up(const char *name, struct ip out[TARGET_ADDRS])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	struct endpoint e;
	size_t n = 0;
	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return 0;
	for (struct addrinfo *a = list; a && n < TARGET_ADDRS; a = a->ai_next)
		if (endpoint_from_sockaddr(a->ai_addr, &e))
			out[n++] = e.ip;
	freeaddrinfo(list);
	return n;
}

static void
check_target(struct check *g, const char *text, const struct target *t)
{
	struct target_report r;
	struct ip found[TARGET_ADDRS];
	const struct ip *ips = g->n_given ? g->given : NULL;
	size_t n = g->n_given;
	target_judge(g->egress, t, ips, n, &r);
	if (g->resolve && r.named && r.name.allow && !r.known) {
		n = look_up(t->host.name, found);
		target_judge(g->egress, t, found, n, &r);
		g->unresolved |= n == 0;
	}
	g->denied |= !r.verdict.allow;
	policy_print_target(&g->print, text, t, &r);
}

static int
check_targets(struct check *g)
{
	policy_print_section(&g->print, NULL, "targets", g->n_targets);
	for (size_t i = 0; i < g->n_targets; i++)
		check_target(g, g->text[i], &g->targets[i]);
	policy_print_section_end(&g->print, "");
	if (g->denied)
		return EXIT_DENIED;
	return g->unresolved ? EXIT_CONNECT : EXIT_OK;
}

/* --- the policy itself ------------------------------------------------------------------------ */

static void
audit(struct check *g)
{
	char none[128];
	size_t n = 0;
	while (audit_at(n))
		n++;
	snprintf(none, sizeof none, "none of %zu spellings of forbidden addresses gets through", n);
	policy_print_section(&g->print, "Self-audit", "audit", n);
	for (size_t i = 0; i < n; i++) {
		struct audit_result r = audit_try(g->egress, audit_at(i));
		bool holds = r.unusable || !r.verdict.allow;
		g->hole |= !holds;
		policy_print_audit(&g->print, audit_at(i), &r, holds);
	}
	policy_print_section_end(&g->print, none);
}

static int
check_policy(struct check *g)
{
	policy_print_section(&g->print, "Policy", "policy", 0);
	review_words(g->l2, policy_print_line, &g->print);
	policy_print_section_end(&g->print, "none");
	policy_print_section(&g->print, "Warnings", "warnings", 0);
	review_warnings(g->egress, g->l2, policy_print_line, &g->print);
	policy_print_section_end(&g->print, "none");
	audit(g);
	return g->hole ? EXIT_FAILED : EXIT_OK;
}

/* --- set-up ----------------------------------------------------------------------------------- */

static void
on_problem(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s\n", text);
}

/* Who may come in is not the question here, so secrets that only the service has may be missing:
 * then the configuration is read once more without authentication. */
static int
load(struct check *g)
{
	struct conf_input in = args_input(&g->args);
	struct err e = {0};
	if (conf_load(&g->conf, g->args.svc, &in, NULL)) {
		const char **flags = xcalloc(in.n_flags + 1, sizeof *flags);
		if (in.n_flags)
			memcpy(flags, in.flags, in.n_flags * sizeof *flags);
		flags[in.n_flags++] = "auth.mode=none";
		in.flags = flags;
		in.problem = on_problem;
		int rc = conf_load(&g->conf, g->args.svc, &in, NULL);
		free(flags);
		if (rc)
			return EXIT_CONFIG;
	}
	g->l2 = conf_l2(g->conf);
	if (egress_new(&g->egress, &g->l2->egress, &g->l2->dns, &e)) {
		on_problem(NULL, e.text);
		return EXIT_CONFIG;
	}
	return EXIT_OK;
}

static int
run(struct check *g)
{
	int code = load(g);
	if (code)
		return code;
	policy_print_begin(&g->print, g->style, g->conf);
	code = g->n_targets ? check_targets(g) : check_policy(g);
	policy_print_end(&g->print, code == EXIT_OK);
	return code;
}

static int
add_address(struct check *g, const char *text)
{
	if (g->n_given == TARGET_ADDRS || !ip_parse(span_str(text), &g->given[g->n_given]))
		return cmd_usage("policy-check", "--address: \"%s\" is not an IP address", text);
	g->n_given++;
	return EXIT_OK;
}

static int
add_target(struct check *g, const char *text)
{
	struct err e = {0};
	if (target_parse(span_str(text), &g->targets[g->n_targets], &e))
		return cmd_usage("policy-check", "%s", e.text);
	g->text[g->n_targets++] = text;
	return EXIT_OK;
}

static int
set_service(struct check *g, const char *name)
{
	g->args.svc = service_find(name);
	return g->args.svc ? EXIT_OK : cmd_usage("policy-check", "there is no service %s", name);
}

/* "--name=value" or "--name value": the value, or NULL when arg is something else. */
static const char *
option_value(int argc, char **argv, int *i, const char *name)
{
	size_t n = strlen(name);
	const char *arg = argv[*i];
	if (strncmp(arg, name, n) != 0)
		return NULL;
	if (arg[n] == '=')
		return arg + n + 1;
	return !arg[n] && *i + 1 < argc ? argv[++*i] : NULL;
}

static int
parse_one(struct check *g, int argc, char **argv, int *i)
{
	static const struct {
		const char *name;
		enum policy_style style;
	} styles[] = {{"--json", POLICY_JSON}, {"--tap", POLICY_TAP}, {"--quiet", POLICY_QUIET}};
	const char *arg = argv[*i], *value;
	for (size_t k = 0; k < ARRAY_LEN(styles); k++)
		if (strcmp(arg, styles[k].name) == 0) {
			g->style = styles[k].style;
			return EXIT_OK;
		}
	if (strcmp(arg, "--resolve") == 0) {
		g->resolve = true;
		return EXIT_OK;
	}
	if ((value = option_value(argc, argv, i, "--address")))
		return add_address(g, value);
	if ((value = option_value(argc, argv, i, "--service")))
		return set_service(g, value);
	if (arg[0] == '-')
		return cmd_usage("policy-check", "unexpected argument %s", arg);
	return add_target(g, arg);
}

static int
parse(struct check *g, int argc, char **argv)
{
	for (int i = 1; i < argc;) {
		int n = args_take(&g->args, argc, argv, i);
		if (n < 0)
			return cmd_usage("policy-check", "%s needs a file name", argv[i]);
		i += n;
		if (n)
			continue;
		int code = parse_one(g, argc, argv, &i);
		if (code)
			return code;
		i++;
	}
	return EXIT_OK;
}

int
cmd_policy_check(int argc, char **argv)
{
	struct check g = {
	        .text = xcalloc((size_t)argc + 1, sizeof *g.text),
	        .targets = xcalloc((size_t)argc + 1, sizeof *g.targets),
	};
	args_init(&g.args, &service_l2);
	int code = parse(&g, argc, argv);
	if (!code)
		code = run(&g);
	egress_free(g.egress);
	conf_free(g.conf);
	args_fini(&g.args);
	free(g.targets);
	free(g.text);
	return code;
}
