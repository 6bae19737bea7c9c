/* exitcode: what the exit status of a command means; the same for all of them. */
#pragma once

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* a check failed */
	EXIT_USAGE = 2,
	EXIT_CONFIG = 3,
	EXIT_CONNECT = 4,  /* cannot connect or resolve */
	EXIT_AUTH = 5,     /* authentication refused */
	EXIT_DENIED = 6,   /* denied by policy */
	EXIT_PROTOCOL = 7, /* the peer broke the protocol */
	EXIT_LOCAL = 8,    /* local resource or permission */
	EXIT_TIMEOUT = 124,
	EXIT_INTERRUPTED = 130,
};
