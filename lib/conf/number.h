/* number: whole numbers, durations and sizes as options have them.
 *
 * Part of conf/value; the field is uint32_t for U32 and uint64_t for U64, MSEC and SIZE.
 * Errors   number_read: -EINVAL for text of the wrong form, -ERANGE outside the row's bounds; the
 *          field is left as it was. */
#pragma once

#include "base/buf.h"
#include "conf/opt.h"

/* unit: of a bare MSEC number, 0 for the row's own. */
int number_read(const struct opt *o, struct span s, uint32_t unit, void *field);
void number_write(const struct opt *o, const void *field, struct buf *out);
void number_range(const struct opt *o, struct buf *out);
