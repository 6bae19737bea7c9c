/* ops: the endpoints for operators: /healthz, /readyz, /version, /metrics; and the route of the
 * tunnel itself, since all routes share one user pointer.
 *
 * Spec     docs/operations.md */
#pragma once

#include "http/server.h"
#include "obs/shard.h"
#include "serve/app.h"

struct l2svc;

struct ops {
	const struct app *app;
	struct shard *shard;
	struct l2svc *l2;
	bool draining;
};

void ops_healthz(struct req *r, void *user);
void ops_readyz(struct req *r, void *user);
void ops_version(struct req *r, void *user);
void ops_metrics(struct req *r, void *user);
void ops_upgrade(struct req *r, void *user);
