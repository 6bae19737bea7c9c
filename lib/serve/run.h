/* run: a service from its configuration to its exit status: the parent, its workers, reload, drain.
 *
 * Owner    the caller's stack.
 * Order    run_service returns when everything has ended.
 * Errors   0 orderly, 1 it could not start (said on the log), see struct err for what happened
 *          before any process was made. */
#pragma once

#include "conf/conf.h"

struct run_spec {
	struct conf *conf; /* taken */
	/* The same sources read again, for a reload; -errno and a sentence when they are bad. */
	int (*load)(void *user, struct conf **out, struct err *e);
	void *user;
	/* The address in use, once every worker serves; before the log line says so. */
	void (*ready)(void *user, const struct endpoint *at, bool tls);
};

int run_service(const struct run_spec *spec, struct err *e);
