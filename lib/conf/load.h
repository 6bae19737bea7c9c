/* load: what the files that fill a configuration share; not for anybody outside this folder.
 *
 * A slot is one option of the service with its place in the values. Every source finds its slot
 * and hands text to it, remembers who said so and reports what is wrong. */
#pragma once

#include "conf/conf.h"
#include "conf/value.h"

struct slot {
	const struct opt_section *section;
	const struct opt *opt;
	size_t off; /* in the service's struct */
	struct conf_src src;
	uint32_t round; /* that set it last: a new one for every file, and for the flags */
	char name[OPT_NAME];
};

struct conf {
	const struct opt_service *svc;
	uint8_t *values;
	struct slot *slots;
	size_t n_slots;
	struct keep keep;
	const char **notices;
	size_t n_notices;
};

struct load {
	struct conf *c;
	const struct conf_input *in;
	struct err *e;
	int bad; /* the first problem's code, 0 while there is none */
	uint32_t round;
};

/* Counts a problem and tells whoever listens. Returns code. */
int load_problem(struct load *ld, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/* Something bent to fit or likely mistyped: kept with the configuration. */
void load_notice(struct load *ld, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* By "tunnel", "max-frame-payload" (dashes or underscores); NULL when there is none. *file is set
 * when the key is the `-file` twin of a secret. */
struct slot *load_find(struct conf *c, struct span section, struct span key, bool *file);
/* Reads a text into the slot's field; with `file` the text is the path of a secret's file. */
int load_value(
        struct load *ld, struct slot *s, const struct value_in *in, bool file, struct err *e);
/* Ditto, notes the source, and reports a failure with `where` in front. */
void load_set(struct load *ld, struct slot *s, struct span text, bool file,
        const struct conf_src *src, const char *where);

void load_env(struct load *ld); /* conf/env.c */
