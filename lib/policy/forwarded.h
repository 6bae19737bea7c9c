/* forwarded: reading the Forwarded header.
 *
 * Memory   spans borrow from the header line; quotes stay on the values they surround.
 * Errors   none: what does not parse is skipped, an open quote runs to the end of the line.
 * Spec     RFC 7239 4. */
#pragma once

#include "base/span.h"

/* Cut the next element (between commas outside quotes) off *line; false when none is left. */
bool forwarded_element(struct span *line, struct span *element);
/* Value of parameter `name` in one element; p == NULL if it is not there. */
struct span forwarded_param(struct span element, const char *name);
/* One pair of surrounding quotes removed. */
struct span forwarded_unquote(struct span s);
