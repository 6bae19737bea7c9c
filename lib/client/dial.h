/* dial: where a tunnel is and who we are, as text, until it is a struct l2client_dial.
 *
 * Order    dial_check after the texts are set; dial_prepare before each connection, outside
 *          callbacks: it looks the name up and fetches a session.
 * Errors   exit codes; what went wrong is in `e`. */
#pragma once

#include "base/exitcode.h"
#include "client/l2client.h"
#include "client/session.h"

struct dial {
	const char *url, *origin, *cookie, *token, *via, *session_url, *ca;
	bool session, insecure;
	uint32_t timeout_ms, max_frame, max_control;
	/* private */
	struct url at;
	char session_cookie[SESSION_COOKIE];
	char token_text[16384];
};

#define DIAL_URL "ws://127.0.0.1:8090/l2"
#define DIAL_TIMEOUT_MS 10000
#define DIAL_MAX_FRAME 2048
#define DIAL_MAX_CONTROL 256

#define DIAL_USUAL                                                              \
	{                                                                       \
		.url = DIAL_URL, .via = "query", .timeout_ms = DIAL_TIMEOUT_MS, \
		.max_frame = DIAL_MAX_FRAME, .max_control = DIAL_MAX_CONTROL,   \
	}

/* Returns 0 or EXIT_USAGE. */
int dial_check(struct dial *d, struct err *e);
/* Fills *out; texts in it are d's. Returns 0 or an exit code. */
int dial_prepare(struct dial *d, struct transport *t, struct wait *wait, bool (*over)(void *),
        void *user, struct l2client_dial *out, struct err *e);
/* "ws://host:port/path", without the query: fit to be shown. */
void dial_shown(const struct dial *d, char *out, size_t cap);
/* The exit code that stands for an end. */
int dial_exit(const struct l2client_end *end);
/* What to do about it; "" when that is obvious. */
const char *dial_hint(const struct l2client_end *end);
/* Few sockets are needed, and libwebsockets takes memory for all it may have. */
void dial_limit_files(void);
