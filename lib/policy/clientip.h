/* clientip: whose address a connection counts as.
 *
 * Three rules, by what is set:
 *   nothing    the peer of the socket;
 *   trust      the leftmost address a proxy header names, which a client behind an appending proxy
 *              can invent: fit only for a proxy that replaces the header;
 *   trust and a list of proxies or a number of hops
 *              one header is read from its right end, past known proxies only, so that what a
 *              client wrote itself is never believed.
 * Memory   rules own their ranges.
 * Errors   clientip_init names a bad range; then there is nothing to fini. A lookup cannot fail: in
 *          doubt it is the address nearest to us. */
#pragma once

#include "conf/sections.h"
#include "policy/head.h"

enum clientip_source { CLIENTIP_PEER, CLIENTIP_FORWARDED, CLIENTIP_XFF };

struct clientip_rules {
	bool trust;
	struct cidr *proxies; /* whose word is taken, the peer's among them */
	size_t n_proxies;
	unsigned hops;               /* proxies between the client and us; 0 = go by the list */
	enum clientip_source header; /* that the right-end rule reads */
};

struct clientip {
	struct ip ip;
	enum clientip_source source;
};

int clientip_init(struct clientip_rules *r, const struct client_conf *c, struct err *e);
void clientip_fini(struct clientip_rules *r);
struct clientip clientip_of(const struct clientip_rules *r, const struct head *h);
/* As the log names it: "ConnectInfo", "Forwarded", "XForwardedFor". */
const char *clientip_source_name(enum clientip_source s);
/* "1.2.3.4", "1.2.3.4:5", "::1", "[::1]:5", any of them in quotes; obfuscated names fail. */
bool clientip_parse(struct span s, struct ip *out);
