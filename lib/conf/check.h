/* check: the rules between options of a service, which no single row can state.
 *
 * Order    called by conf_load once every value is in; never by anybody else.
 * Errors   check_*: every broken rule is reported to `say`; returns how many. A check may settle
 *          a value that was left to choose (auth.mode).
 * warn_*   says what is legal and yet worth a second look. */
#pragma once

#include "conf/conf.h"

int check_l2(const struct conf *c, void *values, conf_say *say, void *arg);
void warn_l2(const struct conf *c, const void *values, conf_say *say, void *arg);
