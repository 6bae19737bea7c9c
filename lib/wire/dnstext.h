/* dnstext: names for DNS numbers, and records as a person reads them.
 *
 * For      probes, captures and logs; nothing on the data path needs it.
 * Memory   texts go into the caller's buffer; what does not fit is cut.
 * Spec     RFC 1035 5, RFC 3597 for what has no name. */
#pragma once

#include "wire/dns.h"

#define DNSTEXT_TYPE 16

/* "AAAA", "TYPE65280"; buf holds DNSTEXT_TYPE; returns a text that may or may not be buf. */
const char *dnstext_type(uint16_t type, char *buf);
bool dnstext_parse_type(struct span s, uint16_t *out); /* any case, TYPE123 too */
const char *dnstext_rcode(uint16_t rcode, char *buf);  /* "NXDOMAIN", "RCODE11" */
/* The record's data: "10 mail.example.com". Broken data is shown as RFC 3597 shows unknown data.
 * Returns the text's length as snprintf would. */
size_t dnstext_rdata(struct span msg, const struct dnsrr *rr, char *buf, size_t cap);
