/* reason: why anything ends; the vocabulary that logs, metrics and wires share.
 *
 * Rows in base/reason.def. Errors: none. Thread: none; constant tables. */
#pragma once

#include <stdint.h>

enum reason {
#define REASON(name, ws, l2, text) R_##name,
#include "base/reason.def"
#undef REASON
	REASON_COUNT,
};

struct reason_row {
	const char *name;
	uint16_t ws_code; /* 0 = nothing to send: the peer is gone or has said goodbye itself */
	uint16_t l2_error;
	const char *text;
};

const struct reason_row *reason_row(enum reason r);
