/* policy_print: what policy-check found, as text, TAP or one JSON document, on stdout.
 *
 * Order    begin, then sections, each: section, its entries, section_end; then end.
 * Memory   borrows the configuration from begin to end. */
#pragma once

#include "base/buf.h"
#include "base/jout.h"
#include "conf/conf.h"
#include "policy/audit.h"
#include "policy/target.h"

enum policy_style { POLICY_TEXT, POLICY_TAP, POLICY_JSON, POLICY_QUIET };

struct policy_print {
	enum policy_style style;
	const struct conf *conf;
	struct buf where, json;
	struct jout j;
	size_t test;    /* TAP number */
	size_t entries; /* said in this section */
};

void policy_print_begin(struct policy_print *p, enum policy_style style, const struct conf *c);
void policy_print_end(struct policy_print *p, bool ok);
/* title: for text, NULL = none. key: the JSON array. tests: the TAP plan, 0 = nothing to plan. */
void policy_print_section(struct policy_print *p, const char *title, const char *key, size_t tests);
/* empty: what the text says when the section had no entry. */
void policy_print_section_end(struct policy_print *p, const char *empty);

void policy_print_target(struct policy_print *p, const char *text, const struct target *t,
        const struct target_report *r);
/* A review_say; arg is the policy_print. */
void policy_print_line(void *arg, const void *field, const char *line);
/* Text tells of holes only. */
void policy_print_audit(struct policy_print *p, const struct audit_case *c,
        const struct audit_result *r, bool holds);
