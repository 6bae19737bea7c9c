/* Three printers for one report. Where a rule was written is asked of the configuration. */
#include "cmd/policy_print.h"

#include "conf/sections.h"

#include <netinet/in.h>
#include <stdio.h>

#define WHERE_CAP 4096
#define JSON_CAP (4u << 20)

/* --- where a rule was written ------------------------------------------------------------ */

struct origin {
	const char *option;
	const void *field;
};

static struct origin
origin_of(const struct policy_print *p, enum egress_rule rule, uint8_t ipproto)
{
	const struct egress_conf *e = &conf_l2(p->conf)->egress;
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
where(struct policy_print *p, const void *field, uint32_t item)
{
	if (!field)
		return "built in";
	return conf_where(p->conf, field, item == UINT32_MAX ? 0 : item, &p->where);
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
text_steps(struct policy_print *p, const struct egress_trace *trace, const struct egress_verdict *v,
        uint8_t ipproto)
{
	for (size_t i = 0; i < trace->n; i++) {
		enum egress_rule rule = trace->step[i].rule;
		struct origin o = origin_of(p, rule, ipproto);
		bool decided = i + 1 == trace->n;
		printf("    %-16s %s", egress_rule_name(rule),
		        outcome_name(trace->step[i].outcome));
		if (o.field)
			printf("  %s (%s)", o.option,
			        where(p, o.field, decided ? v->item : UINT32_MAX));
		printf("\n");
	}
}

static void
text_target(struct policy_print *p, const char *text, const struct target *t,
        const struct target_report *r)
{
	char why[EGRESS_WORDS], ip[ADDR_TEXT];
	printf("%s  %s by %s: %s\n", text, verdict_name(r->verdict.allow),
	        egress_rule_name(r->verdict.rule), egress_words(&r->verdict, why));
	if (r->named) {
		printf("  name %s: %s\n", t->host.name, egress_words(&r->name, why));
		text_steps(p, &r->name_trace, &r->name, t->ipproto);
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
		text_steps(p, &a->trace, &a->verdict, t->ipproto);
	}
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void
json_verdict(struct policy_print *p, const struct egress_verdict *v, uint8_t ipproto)
{
	char why[EGRESS_WORDS];
	struct origin o = origin_of(p, v->rule, ipproto);
	jout_kv_str(&p->j, "verdict", verdict_name(v->allow));
	jout_kv_str(&p->j, "rule", egress_rule_name(v->rule));
	jout_kv_str(&p->j, "why", egress_words(v, why));
	jout_kv_str(&p->j, "option", *o.option ? o.option : NULL);
	jout_kv_str(&p->j, "source", where(p, o.field, v->item));
	jout_kv_bool(&p->j, "counted", v->counted);
}

static void
json_steps(struct policy_print *p, const struct egress_trace *trace, uint8_t ipproto)
{
	jout_key(&p->j, "steps");
	jout_array(&p->j);
	for (size_t i = 0; i < trace->n; i++) {
		struct origin o = origin_of(p, trace->step[i].rule, ipproto);
		jout_object(&p->j);
		jout_kv_str(&p->j, "rule", egress_rule_name(trace->step[i].rule));
		jout_kv_str(&p->j, "outcome", outcome_name(trace->step[i].outcome));
		jout_kv_str(&p->j, "option", *o.option ? o.option : NULL);
		jout_kv_str(&p->j, "source", where(p, o.field, UINT32_MAX));
		jout_end(&p->j);
	}
	jout_end(&p->j);
}

static void
json_target(struct policy_print *p, const char *text, const struct target *t,
        const struct target_report *r)
{
	char ip[ADDR_TEXT];
	jout_object(&p->j);
	jout_kv_str(&p->j, "target", text);
	json_verdict(p, &r->verdict, t->ipproto);
	jout_kv_str(&p->j, "name", r->named ? t->host.name : NULL);
	json_steps(p, &r->name_trace, t->ipproto);
	jout_kv_bool(&p->j, "resolved", r->known);
	jout_key(&p->j, "addresses");
	jout_array(&p->j);
	for (size_t i = 0; i < r->n && r->addr[i].trace.n; i++) {
		jout_object(&p->j);
		jout_kv_str(&p->j, "address", ip_text(&r->addr[i].ip, ip));
		json_verdict(p, &r->addr[i].verdict, t->ipproto);
		json_steps(p, &r->addr[i].trace, t->ipproto);
		jout_end(&p->j);
	}
	jout_end(&p->j);
	jout_end(&p->j);
}

static void
tap_line(struct policy_print *p, bool ok, const char *what, const char *why)
{
	printf("%s %zu - ", ok ? "ok" : "not ok", ++p->test);
	for (; *what; what++) {
		if (*what == '#' || *what == '\\')
			putchar('\\');
		putchar(*what);
	}
	printf(": %s\n", why);
}

void
policy_print_target(struct policy_print *p, const char *text, const struct target *t,
        const struct target_report *r)
{
	char why[EGRESS_WORDS];
	p->entries++;
	switch (p->style) {
	case POLICY_TEXT: text_target(p, text, t, r); break;
	case POLICY_JSON: json_target(p, text, t, r); break;
	case POLICY_TAP: tap_line(p, r->verdict.allow, text, egress_words(&r->verdict, why)); break;
	case POLICY_QUIET: break;
	}
}

/* --- the policy itself ------------------------------------------------------------------------ */

void
policy_print_line(void *arg, const void *field, const char *line)
{
	struct policy_print *p = arg;
	p->entries++;
	if (p->style == POLICY_TEXT) {
		printf("  %s  [%s]\n", line, where(p, field, UINT32_MAX));
	} else if (p->style == POLICY_JSON) {
		jout_object(&p->j);
		jout_kv_str(&p->j, "text", line);
		jout_kv_str(&p->j, "source", where(p, field, UINT32_MAX));
		jout_end(&p->j);
	}
}

void
policy_print_audit(struct policy_print *p, const struct audit_case *c, const struct audit_result *r,
        bool holds)
{
	char why[EGRESS_WORDS], ip[ADDR_TEXT], line[2 * EGRESS_WORDS];
	const char *means = r->host.kind == HOST_IP     ? ip_text(&r->host.ip, ip)
	                    : r->host.kind == HOST_NAME ? c->address
	                                                : NULL;
	snprintf(line, sizeof line, "%s: %s", c->what,
	        r->unusable ? "no host at all" : egress_words(&r->verdict, why));
	if (p->style == POLICY_TAP) {
		tap_line(p, holds, c->text, line);
	} else if (p->style == POLICY_TEXT && !holds) {
		printf("  OPEN  %s (%s)  %s\n", c->text, means ? means : "?", line);
		p->entries++;
	} else if (p->style == POLICY_JSON) {
		jout_object(&p->j);
		jout_kv_str(&p->j, "target", c->text);
		jout_kv_str(&p->j, "what", c->what);
		jout_kv_str(&p->j, "address", means);
		jout_kv_bool(&p->j, "ok", holds);
		jout_kv_str(&p->j, "rule", r->unusable ? NULL : egress_rule_name(r->verdict.rule));
		jout_end(&p->j);
	}
}

/* --- the frame -------------------------------------------------------------------------------- */

void
policy_print_begin(struct policy_print *p, enum policy_style style, const struct conf *c)
{
	*p = (struct policy_print){.style = style, .conf = c};
	buf_init(&p->where, WHERE_CAP);
	buf_init(&p->json, JSON_CAP);
	jout_init(&p->j, &p->json);
	jout_object(&p->j);
	jout_kv_str(&p->j, "schema", "aero.policy-check/1");
	jout_kv_str(&p->j, "service", conf_service(c)->name);
}

void
policy_print_end(struct policy_print *p, bool ok)
{
	jout_kv_bool(&p->j, "ok", ok);
	jout_end(&p->j);
	if (p->style == POLICY_JSON)
		puts(buf_str(&p->json));
	buf_fini(&p->where);
	buf_fini(&p->json);
}

void
policy_print_section(struct policy_print *p, const char *title, const char *key, size_t tests)
{
	p->entries = 0;
	if (p->style == POLICY_TAP && tests)
		printf("TAP version 14\n1..%zu\n", tests);
	if (p->style == POLICY_TEXT && title)
		printf("%s\n", title);
	jout_key(&p->j, key);
	jout_array(&p->j);
}

void
policy_print_section_end(struct policy_print *p, const char *empty)
{
	if (p->style == POLICY_TEXT && !p->entries)
		printf("  %s\n", empty);
	jout_end(&p->j);
}
