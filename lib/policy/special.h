/* special: addresses that are not ordinary public unicast, in both families.
 *
 * Two points of view: the stack's filter, which lets documentation ranges through because tests use
 * them as names for forwarded targets, and the proxy's policy, which does not.
 * An IPv6 address that carries an IPv4 one (NAT64, 6to4, SIIT, v4-compatible, ISATAP) is judged by
 * what it carries; v4-mapped addresses are IPv4 already (base/addr.h). Teredo is denied outright.
 * Spec     IANA IPv4 and IPv6 special-purpose address registries (RFC 6890): whatever is not
 *          globally reachable; all that is not global unicast (2000::/3); and one address that a
 *          cloud has put on every machine. */
#pragma once

#include "base/addr.h"

enum { SPECIAL_STACK = 1, SPECIAL_PROXY = 2 };

struct special {
	struct cidr range;
	unsigned view;    /* who denies it */
	const char *name; /* "private use" */
	const char *spec; /* "RFC 1918" */
};

#define SPECIAL_EMBEDDED_MAX 5

/* IPv4 addresses inside an IPv6 one. */
struct special_embedded {
	const char *how; /* "NAT64"; NULL: none */
	bool stands_for; /* the outer address means nothing of its own */
	uint8_t n;
	struct ip ip[SPECIAL_EMBEDDED_MAX];
};

/* The range that makes `ip` special for `view`, or NULL. *judged becomes the address that lies in
 * it: ip itself or what it carries. */
const struct special *special_find(const struct ip *ip, unsigned view, struct ip *judged);
struct special_embedded special_embedded(const struct ip *ip);
/* For lists and tests: the i-th range, NULL behind the last. */
const struct special *special_at(size_t i);
