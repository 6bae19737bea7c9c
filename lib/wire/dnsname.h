/* dnsname: domain names in wire form, uncompressed, and as text.
 *
 * Errors   -EBADMSG for a name that is none: a label over 63 or a name over 255 bytes, a reserved
 *          label type, a pointer that does not point back behind the header.
 * Spec     RFC 1035 2.3.4, 3.1, 4.1.4, 5.1; RFC 4343 for case. */
#pragma once

#include "base/addr.h"
#include "base/span.h"

#define DNSNAME_MOST 255
#define DNSNAME_TEXT 1016 /* room for any name as text: four characters a byte at the worst */

struct dnsname {
	uint8_t n; /* with the root label: the root itself has 1 */
	uint8_t b[DNSNAME_MOST];
};

static inline struct span
dnsname_span(const struct dnsname *d)
{
	return span(d->b, d->n);
}

/* The name at offset `at` of a message; *end is the offset behind it. Pointers are followed only
 * backwards, each further than the last, and only to names that end before the one that points:
 * no message can make this loop, and what lies behind a name never changes it. */
int dnsname_at(struct span msg, size_t at, struct dnsname *out, size_t *end);

/* Labels joined by dots, no dot at the end; the root is ".". Dots and backslashes in labels get a
 * backslash, bytes outside 0x21..0x7e three digits. buf holds DNSNAME_TEXT; returns buf. */
const char *dnsname_text(const struct dnsname *d, char *buf);
/* The other way; a dot at the end is fine, an empty label or text is not. */
int dnsname_parse(struct span text, struct dnsname *out);

bool dnsname_eq(const struct dnsname *a, const struct dnsname *b); /* ignoring ASCII case */
void dnsname_lower(struct dnsname *d);
/* d is parent or lies below it. */
bool dnsname_under(const struct dnsname *d, const struct dnsname *parent);
/* Iterate labels: starts with *at = 0; false at the root. */
bool dnsname_label(const struct dnsname *d, size_t *at, struct span *label);

/* in-addr.arpa and ip6.arpa (RFC 1035 3.5, RFC 3596 2.5). */
void dnsname_of_ip(const struct ip *a, struct dnsname *out);
bool dnsname_to_ip(const struct dnsname *d, struct ip *out); /* only names of one whole address */
