/* inifile: an INI file, value by value, with line numbers; the door of inih.
 *
 * What inih does in silence is told here: a line that is too long is not cut in two, text behind a
 * section's bracket and NUL bytes are errors.
 * Order    `value` for every "key = value" in file order, `wrong` for every broken line. A line
 *          that begins with a blank continues the value above: it comes as one more value with the
 *          same key and `more` set.
 * Memory   spans are borrowed for the call.
 * Errors   0, or the negative errno of opening or reading; broken lines do not stop the reading. */
#pragma once

#include "base/err.h"
#include "base/span.h"

#define INIFILE_LINE 4096 /* longest line, its end included */

struct inifile_value {
	struct span section, key, text;
	uint32_t line;
	bool more;
};

struct inifile_ops {
	void (*value)(void *arg, const struct inifile_value *v);
	void (*wrong)(void *arg, uint32_t line, const char *text);
};

int inifile_read(const char *path, const struct inifile_ops *ops, void *arg, struct err *e);
