/* target: what somebody wants to reach, written "tcp/example.com:443", and the verdict on it.
 *
 * For      `aero policy-check`, and whoever else has to explain the policy: it asks the engine
 *          in the order in which a guest's lookup and connect would.
 * Memory   values; verdicts point into the engine and the configuration.
 * Errors   target_parse: -EINVAL with what is wrong. */
#pragma once

#include "policy/egress.h"

#define TARGET_ADDRS 16

struct target {
	const char *proto; /* "tcp", "udp", "icmp" */
	uint8_t ipproto;
	uint16_t port;
	struct span text; /* of the host, as written */
	struct host host;
};

struct target_addr {
	struct ip ip;
	bool listed; /* by dns.static-a, not by DNS */
	struct egress_verdict verdict;
	struct egress_trace trace;
};

struct target_report {
	struct egress_verdict verdict; /* over all */
	bool named, known;             /* a name was judged; its addresses are known */
	struct egress_verdict name;
	struct egress_trace name_trace;
	struct target_addr addr[TARGET_ADDRS];
	size_t n;
};

/* "tcp/host:port", "udp/host:port", "icmp/host"; IPv6 addresses in brackets where a port follows.
 */
int target_parse(struct span s, struct target *t, struct err *e);
/* `ips`: what the name resolved to; NULL when nobody asked. An address or a name of dns.static-a
 * needs none. A name is allowed when one of its addresses is, for guests are told only of those. */
void target_judge(const struct egress *g, const struct target *t, const struct ip *ips, size_t n,
        struct target_report *out);
