/* value: the text of one option's value, read and written.
 *
 * Every source (defaults, files, environment, flags) goes through value_read, so they agree.
 * Memory   texts are copied into `keep`; the text that is read is borrowed.
 * Errors   value_read: -EINVAL for text of the wrong form, -ERANGE for a number outside the row's
 *          bounds; `e` says what would be right. The field is left as it was. */
#pragma once

#include "base/buf.h"
#include "conf/keep.h"
#include "conf/opt.h"

struct value_in {
	struct span text;
	uint32_t unit; /* of a bare MSEC number; 0: the row's */
	uint32_t line; /* LIST: remembered with each item */
	bool raw;      /* STR, PATH: control characters too */
};

/* A LIST is appended to and becomes `set`; every other type is replaced. */
int value_read(const struct opt *o, const struct value_in *in, void *field, struct keep *keep,
        struct err *e);
/* A form that value_read takes back; a SECRET that is set is written "(hidden)". */
void value_write(const struct opt *o, const void *field, struct buf *out);
/* "1..64KiB", "0 (off) or 64..65535", "yes or no", "one of error, warn, info, debug". */
void value_range(const struct opt *o, struct buf *out);
bool value_equal(const struct opt *o, const void *a, const void *b);
/* Copy with texts of its own. */
void value_copy(const struct opt *o, void *to, const void *from, struct keep *keep);

size_t opt_field_size(enum opt_type type);
const char *opt_type_name(enum opt_type type); /* for people: "duration", "size" */
bool opt_is_number(enum opt_type type);

#define OPT_NAME 96
/* "tunnel.max-frame-payload"; out holds OPT_NAME, both return it. */
const char *opt_name(const struct opt_section *s, const struct opt *o, char *out);
/* "AERO_TUNNEL_MAX_FRAME_PAYLOAD". */
const char *opt_env_name(const struct opt_section *s, const struct opt *o, char *out);
