#include "base/reason.h"

static const struct reason_row rows[] = {
#define REASON(name, ws, l2, text) {#name, ws, l2, text},
#include "base/reason.def"
#undef REASON
};

const struct reason_row *
reason_row(enum reason r)
{
	return &rows[r];
}
