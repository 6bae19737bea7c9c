/* transport: libwebsockets on a worker's loop; what servers and clients of a process stand on.
 *
 * Owner    one per worker: transport_open after worker_init; transport_close outside the loop, when
 *          servers and client sockets are gone, before worker_fini.
 * Memory   16 bytes for each descriptor that RLIMIT_NOFILE allows, at once, and no connection above
 *          that number: set the limit before. One output buffer of TRANSPORT_OUT for all
 *          connections.
 * Errors   set-up only, with a sentence.
 * Thread   the worker's. One process may have several workers only one after another. */
#pragma once

#include "base/err.h"
#include "net/worker.h"

#define TRANSPORT_OUT (1u << 20)

struct transport;

struct transport_conf {
	const char
	        *ca_file; /* whom wss:// dialling trusts (PEM); NULL = the system's authorities */
};

/* conf may be NULL. */
int transport_open(
        struct worker *w, const struct transport_conf *conf, struct transport **out, struct err *e);
void transport_close(struct transport *t);
