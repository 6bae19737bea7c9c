/* dialflags: the options of every command that opens a tunnel, and what its help says of them. */
#pragma once

#include "client/dial.h"
#include "cmd/flags.h"

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
