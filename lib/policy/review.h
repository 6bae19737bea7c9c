/* review: an egress policy in words, and what is doubtful about it.
 *
 * Memory   lines are borrowed for the call of `say`.
 * Pace     each line is shorter than REVIEW_LINE; long lists are cut. */
#pragma once

#include "policy/egress.h"

#define REVIEW_LINE 1024

/* One sentence a line; `field` is the option it comes from, for conf_where, NULL: built in. */
typedef void review_say(void *arg, const void *field, const char *line);

void review_words(const struct l2_conf *c, review_say *say, void *arg);
void review_warnings(const struct egress *g, const struct l2_conf *c, review_say *say, void *arg);
