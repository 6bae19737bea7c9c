/* listen: the sockets that a service accepts on.
 *
 * Owner    the caller closes the descriptor.
 * Errors   negative errno and a sentence that names the address. */
#pragma once

#include "base/addr.h"
#include "base/err.h"

/* Non-blocking, close-on-exec, SO_REUSEADDR. *where gets the address in use (for port 0). */
int listen_open(const struct endpoint *at, int backlog, struct endpoint *where, struct err *e);
