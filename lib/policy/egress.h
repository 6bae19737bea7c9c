/* egress: where guests may go. The one engine that every dial, datagram, ping and DNS answer asks.
 *
 * Order    egress_new once. A name: egress_name before it is resolved. An address: egress_addr, for
 *          what a guest addresses and for what a name resolved to.
 * Owner    egress_new / egress_free. Borrows the configuration, which outlives it.
 * Memory   a verdict points into the engine and the configuration: good as long as those.
 * Errors   egress_new names the option and the entry that is wrong.
 * Thread   constant after egress_new; shared by everything.
 *
 * An address passes these rules in order; the first that says allow or deny decides:
 *   filter   special-use ranges as the LAN sees them (documentation ranges pass)
 *   port     the port list of the protocol
 *   forward  the destination is forwarded elsewhere: allow
 *   deny     egress.deny, also what an IPv6 address carries inside
 *   allow    egress.allow: allow
 *   special  special-use ranges
 *   pin      with pin-dns and a domain list: no allowed name resolved to it */
#pragma once

#include "conf/sections.h"
#include "policy/forward.h"
#include "policy/special.h"

enum egress_rule {
	EGRESS_DEFAULT, /* nothing objected */
	EGRESS_NAME_INVALID,
	EGRESS_NAME_BLOCKED,
	EGRESS_NAME_ALLOWED,
	EGRESS_FILTER,
	EGRESS_PORT,
	EGRESS_FORWARD,
	EGRESS_DENY,
	EGRESS_ALLOW,
	EGRESS_SPECIAL,
	EGRESS_PIN,
	EGRESS_RULES,
};

enum egress_outcome { EGRESS_PASSED, EGRESS_ALLOWED, EGRESS_DENIED };

struct egress_verdict {
	bool allow;
	bool counted; /* a denial that belongs in l2_policy_denied_total */
	enum egress_rule rule;
	const struct opt_list *list;   /* the option that decided, NULL: none or a built-in range */
	const char *option;            /* its name: "egress.deny"; "" without */
	uint32_t item;                 /* the entry in it, UINT32_MAX: none in particular */
	const struct special *special; /* the built-in range that decided */
	struct ip judged;              /* the address inside that range or entry */
	const struct forward *forward; /* where to dial instead */
};

/* What an address is. */
enum egress_kind {
	EGRESS_DIAL,   /* a destination */
	EGRESS_ANSWER, /* a name resolved to it */
	EGRESS_NAMED,  /* a destination whose address is not known yet: only its port counts */
	EGRESS_STATIC, /* a name of dns.static-a stands for it: only the filter is asked */
};

/* Which rules to ask. The stack asks the filter first and the rest when it dials. */
enum { EGRESS_ASK_FILTER = 1, EGRESS_ASK_POLICY = 2, EGRESS_ASK_PORT = 4 };

struct egress_query {
	struct endpoint dst;
	uint8_t proto; /* IPPROTO_TCP, _UDP; others have no ports */
	uint8_t ask;   /* EGRESS_ASK_*, 0 = both */
	enum egress_kind kind;
	bool pinned; /* the tunnel's pin table holds the address; see egress_pins */
};

/* Every rule that was looked at, in order. */
struct egress_trace {
	struct {
		enum egress_rule rule;
		enum egress_outcome outcome;
	} step[EGRESS_RULES];
	size_t n;
};

struct egress;

int egress_new(struct egress **out, const struct egress_conf *c, const struct dns_conf *dns,
        struct err *e);
void egress_free(struct egress *g);

/* name: any case, dots at the end ignored. trace may be NULL. */
struct egress_verdict egress_name(
        const struct egress *g, struct span name, struct egress_trace *trace);
struct egress_verdict egress_addr(
        const struct egress *g, const struct egress_query *q, struct egress_trace *trace);
/* Must addresses be pinned to names, so that the caller has to keep a table? */
bool egress_pins(const struct egress *g);
/* A name of dns.static-a, in the wanted family. */
const struct static_name *egress_static(const struct egress *g, struct span name, bool four);

const char *egress_rule_name(enum egress_rule r); /* "special" */
/* Why, in words; returns buf. */
#define EGRESS_WORDS 512
const char *egress_words(const struct egress_verdict *v, char buf[EGRESS_WORDS]);
