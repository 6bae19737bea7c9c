/* dial: the options that say where a tunnel is and who we are, for every command that opens one.
 *
 * Order    DIAL_FLAGS in the command's own table; dial_check after parsing; dial_prepare before
 *          each connection, outside callbacks: it looks the name up and fetches a session.
 * Errors   exit codes; what went wrong is in `e`. */
#pragma once

#include "client/l2client.h"
#include "client/session.h"
#include "cmd/flags.h"

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

/* Rows for a table whose struct has a `struct dial dial`. */
#define DIAL_FLAGS(type)                                                             \
	{"url", FLAG_STR, offsetof(type, dial.url), 0, 0},                           \
	        {"origin", FLAG_STR, offsetof(type, dial.origin), 0, 0},             \
	        {"cookie", FLAG_STR, offsetof(type, dial.cookie), 0, 0},             \
	        {"token", FLAG_STR, offsetof(type, dial.token), 0, 0},               \
	        {"token-via", FLAG_STR, offsetof(type, dial.via), 0, 0},             \
	        {"session", FLAG_BOOL, offsetof(type, dial.session), 0, 0},          \
	        {"session-url", FLAG_STR, offsetof(type, dial.session_url), 0, 0},   \
	        {"insecure", FLAG_BOOL, offsetof(type, dial.insecure), 0, 0},        \
	        {"ca", FLAG_STR, offsetof(type, dial.ca), 0, 0},                     \
	        {"timeout", FLAG_MS, offsetof(type, dial.timeout_ms), 1, 3600000},   \
	        {"max-frame", FLAG_SIZE, offsetof(type, dial.max_frame), 60, 65535}, \
	{                                                                            \
		"max-control", FLAG_SIZE, offsetof(type, dial.max_control), 1, 65535 \
	}

#define DIAL_HELP                                                                        \
	"  --url URL            ws:// or wss:// (" DIAL_URL "); /l2 is appended where\n" \
	"                       the path names no tunnel\n"                              \
	"  --origin ORIGIN      the Origin to show (that of the URL); '' for none\n"     \
	"  --cookie VALUE       the cookie aero_session, or a whole Cookie header\n"     \
	"  --token TOKEN        API key or JWT; @FILE reads it from a file\n"            \
	"  --token-via HOW      query, subprotocol or header\n"                          \
	"  --session            get a session cookie first: POST /session\n"             \
	"  --session-url URL    where to get it (the URL's own host)\n"                  \
	"  --insecure           accept any certificate\n"                                \
	"  --ca FILE            trust these authorities (PEM) and no others\n"           \
	"  --timeout TIME       patience for a connection, and for each answer (10s)\n"  \
	"  --max-frame SIZE     longest Ethernet frame either side sends (2048)\n"       \
	"  --max-control SIZE   longest PING, PONG or ERROR payload (256)\n"

/* Returns 0 or EXIT_USAGE, said on stderr. */
int dial_check(struct dial *d, const char *cmd);
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
