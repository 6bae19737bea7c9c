/* worker_main: one worker process, from fork to exit.
 *
 * Order    builds loop, transport, services; says "ready"; serves what the parent hands over;
 * drains when told or when the parent is gone. Returns the exit status. */
#pragma once

#include "obs/shard.h"
#include "serve/app.h"

struct worker_spec {
	struct app *app;
	struct shard *shard;
	const struct log *log;
	int index, chan;
	int (*load)(void *user, struct conf **out, struct err *e);
	void *user;
	uint64_t *closed; /* sockets handed over and closed again, for the parent's balance */
};

int worker_main(const struct worker_spec *spec);
