/* addr: IP addresses of both families, endpoints, CIDR ranges.
 *
 * An address is always 16 bytes; IPv4 lives in ::ffff:0:0/96 (RFC 4291 2.5.5.2), so every table
 * and comparison serves both families. Where a peer writes the v4-mapped form itself it therefore
 * becomes the IPv4 address it means.
 * Errors   parsers return false and leave *out alone. They take the whole text or nothing. */
#pragma once

#include "base/span.h"

#include <sys/socket.h>

struct ip {
	uint8_t b[16];
};

struct endpoint {
	struct ip ip;
	uint16_t port; /* host order */
};

struct cidr {
	struct ip ip;
	uint8_t bits; /* of 128; an IPv4 /24 is 96 + 24 */
};

#define ADDR_TEXT 64 /* enough for any text written below, "[...]:port" included */

struct ip ip4(uint32_t host_order);
bool ip_is4(const struct ip *a);
uint32_t ip_u32(const struct ip *a); /* of an IPv4 address, host order */
bool ip_eq(const struct ip *a, const struct ip *b);
bool ip_is_unspecified(const struct ip *a);
/* Dotted decimal with four parts and no leading zeros, or RFC 4291 text; no zone, no brackets. */
bool ip_parse(struct span s, struct ip *out);
/* Canonical text (RFC 5952); returns buf, which holds ADDR_TEXT. */
const char *ip_text(const struct ip *a, char *buf);

/* "1.2.3.4:80", "[v6]:80". */
bool endpoint_parse(struct span s, struct endpoint *out);
const char *endpoint_text(const struct endpoint *e, char *buf);
bool endpoint_eq(const struct endpoint *a, const struct endpoint *b);

/* "10.0.0.0/8", "2001:db8::/32", or a bare address. Bits beyond the prefix must be zero. */
bool cidr_parse(struct span s, struct cidr *out);
bool cidr_has(const struct cidr *c, const struct ip *a);
const char *cidr_text(const struct cidr *c, char *buf);

/* Family AF_INET for IPv4 addresses, else AF_INET6; returns the length. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);
bool endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *out);
