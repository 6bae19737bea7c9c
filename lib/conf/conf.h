/* conf: a loaded configuration: what every option is, and who said so.
 *
 * Sources, weakest first: default, INI files in the order given, environment, flags.
 * Owner    conf_load makes it, conf_free frees it and every value in it. Constant in between, so
 *          it may be shared by everything a process does; a reload loads another one.
 * Memory   everything in conf_input is borrowed for the call.
 * Errors   conf_load: -EINVAL for anything wrong with a value, -ENOENT and the like for a file.
 *          `e` holds the first problem; in->problem hears of every one. Nothing is loaded then.
 * Thread   none.
 * Spec     docs/configuration.md */
#pragma once

#include "conf/sections.h"

struct buf;

enum conf_from { FROM_DEFAULT, FROM_FILE, FROM_ENV, FROM_FLAG };

struct conf_src {
	enum conf_from from;
	const char *name; /* file path, environment name, flag; "" for a default */
	uint32_t line;    /* of the file */
};

struct conf_input {
	const char *const *files;
	size_t n_files;
	char *const *env;         /* as environ; NULL: not asked */
	const char *const *flags; /* "section.key=value", without the dashes */
	size_t n_flags;
	conf_say *problem; /* NULL: only the first is told, in the error */
	void *arg;
};

int conf_load(struct conf **out, const struct opt_service *svc, const struct conf_input *in,
        struct err *e);
void conf_free(struct conf *c);

const struct opt_service *conf_service(const struct conf *c);
/* The values; each asserts that `c` is of that service. */
const struct l2_conf *conf_l2(const struct conf *c);

/* Where the value of an option was written: `field` points into the values. */
struct conf_src conf_source(const struct conf *c, const void *field);
/* Ditto as text, of one item where a file has one a line: "l2.ini:12", "AERO_L2_OPEN",
 * "--origin.open", "default". Returns the text in b, which is cleared first. */
const char *conf_where(const struct conf *c, const void *field, uint32_t item, struct buf *b);

/* Everything worth a warning: values that were bent to fit, names that look mistyped, and what the
 * service's own rules find unsafe. */
void conf_warnings(const struct conf *c, conf_say *say, void *arg);

/* Every option in the order of the samples. `field` is its value, for conf/value.h. */
struct conf_item {
	const struct opt_section *section;
	const struct opt *opt;
	const void *field;
	struct conf_src src;
	const char *name; /* "section.key" */
};
void conf_each(
        const struct conf *c, void (*each)(void *arg, const struct conf_item *it), void *arg);

/* One option that differs between two loads of the same service. */
struct conf_change {
	const char *name; /* "section.key" */
	bool live;        /* may be applied without a restart */
};
/* Returns how many there are. `each` may be NULL. */
size_t conf_diff(const struct conf *was, const struct conf *now,
        void (*each)(void *arg, const struct conf_change *ch), void *arg);
/* After a reload: options that need a restart get back the value they had in `was`, so that `now`
 * may be used at once. Keeps what it needs by copy. */
void conf_hold(struct conf *now, const struct conf *was);
