/* names: a list of DNS names and patterns, matched at label boundaries.
 *
 * For      domain lists (an entry covers itself and everything below it) and host patterns (an
 *          entry is itself alone); "*.example.com" covers what is below, in both.
 * Owner    names_load / names_fini; constant in between.
 * Pace     a match costs the length of the name, whatever the length of the list.
 * Errors   names_load names the option and the entry that is no name; names_fini is still due.
 * Entries that are nothing but dots are left out. */
#pragma once

#include "conf/opt.h"

enum names_style { NAMES_DOMAINS, NAMES_HOSTS };

#define NAMES_NO_MATCH UINT32_MAX

struct names_entry;

struct names {
	struct names_entry *v;
	uint32_t n, room;
	uint32_t *index; /* open addressing, 0 = free, else entry + 1 */
	uint32_t size;
	enum names_style style;
};

/* The place of an entry in the list comes back from names_match. `option` is for messages. */
int names_load(struct names *t, enum names_style style, const struct opt_list *l,
        const char *option, struct err *e);
void names_fini(struct names *t);
/* The item of an entry that covers `name` (lower case, no dot at the end), or NAMES_NO_MATCH. */
uint32_t names_match(const struct names *t, struct span name);
