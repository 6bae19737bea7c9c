/* policy-check: what the egress policy says about a target, and who said so.
 *
 * One report structure, written by one of three printers: text, TAP, JSON. The verdicts come from
 * lib/policy, the very functions that `aero serve` asks. */
#include "cmd/args.h"
#include "cmd/cmd.h"

#include "base/buf.h"
#include "base/jout.h"
#include "base/mem.h"
#include "policy/audit.h"
#include "policy/review.h"
#include "policy/target.h"

#include <netdb.h>
#include <netinet/in.h>
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

#define WHERE_CAP 4096
#define JSON_CAP (4u << 20)

enum style { TEXT, TAP, JSON, QUIET };

struct check {
	struct args args;
	enum style style;
	bool resolve;
	struct ip given[TARGET_ADDRS];
	size_t n_given;
	const char **text; /* of each target */
	struct target *targets;
	size_t n_targets;

	struct conf *conf;
	const struct l2_conf *l2;
	struct egress *egress;
	struct buf where, json;
	struct jout j;
	size_t test;  /* TAP number */
	size_t lines; /* said under the heading */
	bool denied, unresolved, hole;
};

/* --- where a rule was written ------------------------------------------------------------------
 */

struct origin {
	const char *option;
	const void *field;
};

static struct origin
origin_of(const struct check *g, enum egress_rule rule, uint8_t ipproto)
{
	const struct egress_conf *e = &g->l2->egress;
	bool tcp = ipproto == IPPROTO_TCP;
	switch (rule) {
	case EGRESS_NAME_BLOCKED:
		return (struct origin){"egress.blocked-domains", &e->blocked_domains};
	case EGRESS_NAME_ALLOWED:
		return (struct origin){"egress.allowed-domains", &e->allowed_domains};
	case EGRESS_FILTER:
	case EGRESS_SPECIAL: return (struct origin){"egress.allow-private", &e->allow_private};
	case EGRESS_PORT:
		return tcp ? (struct origin){"egress.tcp-ports", &e->tcp_ports}
		           : (struct origin){"egress.udp-ports", &e->udp_ports};
	case EGRESS_FORWARD:
		return tcp ? (struct origin){"egress.tcp-forward", &e->tcp_forward}
		           : (struct origin){"egress.udp-forward", &e->udp_forward};
	case EGRESS_DENY: return (struct origin){"egress.deny", &e->deny};
	case EGRESS_ALLOW: return (struct origin){"egress.allow", &e->allow};
	case EGRESS_PIN: return (struct origin){"egress.pin-dns", &e->pin_dns};
	default: return (struct origin){"", NULL};
	}
}

/* Good until the next call. */
static const char *
where(struct check *g, const void *field, uint32_t item)
{
	if (!field)
		return "built in";
	return conf_where(g->conf, field, item == UINT32_MAX ? 0 : item, &g->where);
}

static const char *
outcome_name(enum egress_outcome o)
{
	static const char *const name[] = {"passed", "allowed", "denied"};
	return name[o];
}

static const char *
verdict_name(bool allow)
{
	return allow ? "allowed" : "denied";
}

/* --- text ------------------------------------------------------------------------------------- */

static void
text_steps(struct check *g, const struct egress_trace *trace, const struct egress_verdict *v,
        uint8_t ipproto)
{
	for (size_t i = 0; i < trace->n; i++) {
		enum egress_rule rule = trace->step[i].rule;
		struct origin o = origin_of(g, rule, ipproto);
		bool decided = i + 1 == trace->n;
		printf("    %-16s %s", egress_rule_name(rule),
		        outcome_name(trace->step[i].outcome));
		if (o.field)
			printf("  %s (%s)", o.option,
			        where(g, o.field, decided ? v->item : UINT32_MAX));
		printf("\n");
	}
}

static void
text_target(
        struct check *g, const char *text, const struct target *t, const struct target_report *r)
{
	char why[EGRESS_WORDS], ip[ADDR_TEXT];
	printf("%s  %s by %s: %s\n", text, verdict_name(r->verdict.allow),
	        egress_rule_name(r->verdict.rule), egress_words(&r->verdict, why));
	if (r->named) {
		printf("  name %s: %s\n", t->host.name, egress_words(&r->name, why));
		text_steps(g, &r->name_trace, &r->name, t->ipproto);
		if (r->name.allow && !r->known)
			printf("  its addresses were not looked at: --resolve, or --address IP\n");
		else if (r->name.allow && !r->n)
			printf("  it did not resolve\n");
	}
	for (size_t i = 0; i < r->n && r->addr[i].trace.n; i++) {
		const struct target_addr *a = &r->addr[i];
		printf("  address %s%s: %s, %s\n", ip_text(&a->ip, ip),
		        a->listed ? " (dns.static-a)" : "", verdict_name(a->verdict.allow),
		        egress_words(&a->verdict, why));
		text_steps(g, &a->trace, &a->verdict, t->ipproto);
	}
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void
json_verdict(struct check *g, const struct egress_verdict *v, uint8_t ipproto)
{
	char why[EGRESS_WORDS];
	struct origin o = origin_of(g, v->rule, ipproto);
	jout_kv_str(&g->j, "verdict", verdict_name(v->allow));
	jout_kv_str(&g->j, "rule", egress_rule_name(v->rule));
	jout_kv_str(&g->j, "why", egress_words(v, why));
	jout_kv_str(&g->j, "option", *o.option ? o.option : NULL);
	jout_kv_str(&g->j, "source", where(g, o.field, v->item));
	jout_kv_bool(&g->j, "counted", v->counted);
}

static void
json_steps(struct check *g, const struct egress_trace *trace, uint8_t ipproto)
{
	jout_key(&g->j, "steps");
	jout_array(&g->j);
	for (size_t i = 0; i < trace->n; i++) {
		struct origin o = origin_of(g, trace->step[i].rule, ipproto);
		jout_object(&g->j);
		jout_kv_str(&g->j, "rule", egress_rule_name(trace->step[i].rule));
		jout_kv_str(&g->j, "outcome", outcome_name(trace->step[i].outcome));
		jout_kv_str(&g->j, "option", *o.option ? o.option : NULL);
		jout_kv_str(&g->j, "source", where(g, o.field, UINT32_MAX));
		jout_end(&g->j);
	}
	jout_end(&g->j);
}

static void
json_target(
        struct check *g, const char *text, const struct target *t, const struct target_report *r)
{
	char ip[ADDR_TEXT];
	jout_object(&g->j);
	jout_kv_str(&g->j, "target", text);
	json_verdict(g, &r->verdict, t->ipproto);
	jout_kv_str(&g->j, "name", r->named ? t->host.name : NULL);
	json_steps(g, &r->name_trace, t->ipproto);
	jout_kv_bool(&g->j, "resolved", r->known);
	jout_key(&g->j, "addresses");
	jout_array(&g->j);
	for (size_t i = 0; i < r->n && r->addr[i].trace.n; i++) {
		jout_object(&g->j);
		jout_kv_str(&g->j, "address", ip_text(&r->addr[i].ip, ip));
		json_verdict(g, &r->addr[i].verdict, t->ipproto);
		json_steps(g, &r->addr[i].trace, t->ipproto);
		jout_end(&g->j);
	}
	jout_end(&g->j);
	jout_end(&g->j);
}

/* --- targets ---------------------------------------------------------------------------------- */

static void
tap_line(struct check *g, bool ok, const char *what, const char *why)
{
	printf("%s %zu - ", ok ? "ok" : "not ok", ++g->test);
	for (; *what; what++) {
		if (*what == '#' || *what == '\\')
			putchar('\\');
		putchar(*what);
	}
	printf(": %s\n", why);
}

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
	char why[EGRESS_WORDS];
	switch (g->style) {
	case TEXT: text_target(g, text, t, &r); break;
	case JSON: json_target(g, text, t, &r); break;
	case TAP: tap_line(g, r.verdict.allow, text, egress_words(&r.verdict, why)); break;
	case QUIET: break;
	}
}

static int
check_targets(struct check *g)
{
	if (g->style == TAP)
		printf("TAP version 14\n1..%zu\n", g->n_targets);
	if (g->style == JSON) {
		jout_key(&g->j, "targets");
		jout_array(&g->j);
	}
	for (size_t i = 0; i < g->n_targets; i++)
		check_target(g, g->text[i], &g->targets[i]);
	if (g->style == JSON)
		jout_end(&g->j);
	if (g->denied)
		return EXIT_DENIED;
	return g->unresolved ? EXIT_CONNECT : EXIT_OK;
}

/* --- the policy itself ------------------------------------------------------------------------ */

static void
on_line(void *arg, const void *field, const char *line)
{
	struct check *g = arg;
	g->lines++;
	if (g->style == TEXT) {
		printf("  %s  [%s]\n", line, where(g, field, UINT32_MAX));
	} else if (g->style == JSON) {
		jout_object(&g->j);
		jout_kv_str(&g->j, "text", line);
		jout_kv_str(&g->j, "source", where(g, field, UINT32_MAX));
		jout_end(&g->j);
	}
}

static void
heading(struct check *g, const char *text, const char *key)
{
	g->lines = 0;
	if (g->style == TEXT)
		printf("%s\n", text);
	if (g->style == JSON) {
		jout_key(&g->j, key);
		jout_array(&g->j);
	}
}

static void
heading_end(struct check *g)
{
	if (g->style == JSON)
		jout_end(&g->j);
}

static void
audit_one(struct check *g, const struct audit_case *c)
{
	char why[EGRESS_WORDS], ip[ADDR_TEXT], line[2 * EGRESS_WORDS];
	struct audit_result r = audit_try(g->egress, c);
	bool holds = r.unusable || !r.verdict.allow;
	const char *means = r.host.kind == HOST_IP     ? ip_text(&r.host.ip, ip)
	                    : r.host.kind == HOST_NAME ? c->address
	                                               : NULL;
	snprintf(line, sizeof line, "%s: %s", c->what,
	        r.unusable ? "no host at all" : egress_words(&r.verdict, why));
	g->hole |= !holds;
	if (g->style == TAP) {
		tap_line(g, holds, c->text, line);
	} else if (g->style == TEXT && !holds) {
		printf("  OPEN  %s (%s)  %s\n", c->text, means, line);
	} else if (g->style == JSON) {
		jout_object(&g->j);
		jout_kv_str(&g->j, "target", c->text);
		jout_kv_str(&g->j, "what", c->what);
		jout_kv_str(&g->j, "address", means);
		jout_kv_bool(&g->j, "ok", holds);
		jout_kv_str(&g->j, "rule", r.unusable ? NULL : egress_rule_name(r.verdict.rule));
		jout_end(&g->j);
	}
}

static void
audit(struct check *g)
{
	size_t n = 0;
	while (audit_at(n))
		n++;
	if (g->style == TAP)
		printf("TAP version 14\n1..%zu\n", n);
	heading(g, "Self-audit", "audit");
	for (size_t i = 0; i < n; i++)
		audit_one(g, audit_at(i));
	heading_end(g);
	if (g->style == TEXT && !g->hole)
		printf("  none of %zu spellings of forbidden addresses gets through\n", n);
}

static int
check_policy(struct check *g)
{
	heading(g, "Policy", "policy");
	review_words(g->l2, on_line, g);
	heading_end(g);
	heading(g, "Warnings", "warnings");
	review_warnings(g->egress, g->l2, on_line, g);
	if (g->style == TEXT && !g->lines)
		printf("  none\n");
	heading_end(g);
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
	jout_init(&g->j, &g->json);
	jout_object(&g->j);
	jout_kv_str(&g->j, "schema", "aero.policy-check/1");
	jout_kv_str(&g->j, "service", g->args.svc->name);
	code = g->n_targets ? check_targets(g) : check_policy(g);
	jout_kv_bool(&g->j, "ok", code == EXIT_OK);
	jout_end(&g->j);
	if (g->style == JSON)
		puts(buf_str(&g->json));
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
		enum style style;
	} styles[] = {{"--json", JSON}, {"--tap", TAP}, {"--quiet", QUIET}};
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
	buf_init(&g.where, WHERE_CAP);
	buf_init(&g.json, JSON_CAP);
	int code = parse(&g, argc, argv);
	if (!code)
		code = run(&g);
	egress_free(g.egress);
	conf_free(g.conf);
	buf_fini(&g.where);
	buf_fini(&g.json);
	args_fini(&g.args);
	free(g.targets);
	free(g.text);
	return code;
}
