/* httplist: values of HTTP headers that are lists.
 *
 * For      what stands behind the request parser: handshake checks, credentials, forwarded hosts.
 * Memory   items are borrowed from the value.
 * Errors   none; an iterator is false at the end.
 * Spec     RFC 9110 5.6, RFC 6265 4.2, RFC 7239 4. */
#pragma once

#include "base/span.h"

/* Next item of a comma-separated list, trimmed; empty ones are skipped. Commas inside quotes do
 * not separate. */
bool httplist_next(struct span *rest, struct span *item);
/* token is among the items, in any case. */
bool httplist_has(struct span value, const char *token);
/* Next name=value of a Cookie header, both trimmed; segments without `=` are skipped. */
bool httplist_cookie(struct span *rest, struct span *name, struct span *value);
/* Next name=value of one list item with `;` between (Forwarded, media types): the value without its
 * quotes; escapes inside stay. A segment without `=` is a name with an empty value. */
bool httplist_param(struct span *rest, struct span *name, struct span *value);
