/* show: a loaded configuration for people and for programs, on stdout. */
#pragma once

#include "conf/conf.h"

struct jout;

/* "section.key = value  (source)", a line each; with `changed` only what is not at its default. */
void show_values(const struct conf *c, bool changed);
/* {"name":..,"value":..,"source":..} each, into the array that is open. */
void show_values_json(const struct conf *c, struct jout *j);
/* "warning: ..." on stderr; returns how many. */
size_t show_warnings(const struct conf *c);
