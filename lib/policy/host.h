/* host: what the spelling of a host means.
 *
 * For      origins, and dial targets somebody typed: "0x7f.1", "[::ffff:a00:1]" and "127.0.0.1."
 *          are addresses, whatever they look like.
 * Memory   none; results are values.
 * Errors   HOST_BAD: no host at all, or one that must not be guessed about.
 * Spec     WHATWG URL 3.5 (host parsing) for ASCII input; RFC 3492 for xn-- labels. */
#pragma once

#include "base/addr.h"

enum host_kind { HOST_BAD, HOST_NAME, HOST_IP };

#define HOST_NAME_MAX_LEN 253

struct host {
	enum host_kind kind;
	struct ip ip;                     /* HOST_IP */
	char name[HOST_NAME_MAX_LEN + 1]; /* HOST_NAME: lower case, no dot at the end */
};

/* An unbracketed host whose last label is a number is an IPv4 address or nothing: decimal, octal,
 * hex, one to four parts. 1 = it is (*out set), 0 = not a number, -1 = a number but no address. */
int host_number(struct span s, uint32_t *out);
/* The text between brackets; the address may come out as IPv4 when it was v4-mapped. */
bool host_bracketed(struct span s, struct ip *out);
/* RFC 5952 text with v4-mapped and v4-compatible addresses in hex groups, as browsers write them;
 * buf holds ADDR_TEXT. */
const char *host_ip6_text(const uint8_t b[16], char *buf);
/* Every xn-- label of an ASCII name decodes to something that needed it. */
bool host_ace_ok(struct span name);
/* A typed target: trimmed, brackets optional, any spelling of an address, else a DNS name (labels
 * of 1..63 visible ASCII characters, underscore allowed). Full-width digits and dots count as the
 * ASCII they stand for; other non-ASCII names are HOST_BAD: they have an xn-- form. */
struct host host_classify(struct span s);
/* ASCII lower case, dots off the end; false if longer than fits. */
bool host_lower(struct span name, char out[HOST_NAME_MAX_LEN + 1]);
