/* The parent makes what must exist once (the listening socket, the shared block) and hands the rest
 * to net/supervisor. Rules are compiled before the fork, so a bad one stops the start and workers
 * share the pages. */
#include "serve/run.h"

#include "base/mem.h"
#include "net/supervisor.h"
#include "obs/limit.h"
#include "serve/listen.h"
#include "serve/worker_main.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIMIT_SLOTS 65536
#define SPARE_FDS 64

struct parent {
	struct supervisor sup;
	const struct run_spec *spec;
	struct app *app;
	struct shard shard;
	struct log log;
	struct endpoint at;
	char *version,
	        *revision; /* of the start: a reload frees the configuration they came from */
};

static int
open_log(struct log *l, const struct log_conf *c)
{
	log_root(l, STDERR_FILENO, (enum log_level)c->level, (enum log_format)c->format);
	l->colour =
	        c->colour == COLOUR_ALWAYS || (c->colour == COLOUR_AUTO && isatty(STDERR_FILENO));
	return 0;
}

/* libwebsockets keeps a table as long as the descriptor limit, so the limit is what is needed: the
 * sockets of all clients and some for each of their guests' flows, but no more than allowed. */
static void
raise_fd_limit(const struct l2_conf *c, uint32_t workers)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	uint64_t tunnels = c->limits.max_connections ? c->limits.max_connections : 16384;
	uint64_t want = (tunnels * 64 + c->server.max_sockets) / workers + SPARE_FDS;
	if (want < 16384)
		want = 16384;
	r.rlim_cur = want < r.rlim_max ? want : r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static uint32_t
worker_count(const struct l2_conf *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t n = c->server.workers ? c->server.workers : cores > 0 ? (uint32_t)cores : 1;
	return n < SUPERVISOR_MAX_WORKERS ? n : SUPERVISOR_MAX_WORKERS;
}

/* --- callbacks of the supervisor --------------------------------------------------------- */

static int
on_child(struct supervisor *s, int index, int chan)
{
	struct parent *p = CONTAINER_OF(s, struct parent, sup);
	struct worker_spec w = {
	        .app = p->app,
	        .shard = &p->shard,
	        .log = &p->log,
	        .index = index,
	        .chan = chan,
	        .load = p->spec->load,
	        .user = p->spec->user,
	        .closed = &s->load[index].closed,
	};
	shard_attach(&p->shard, (uint32_t)index);
	return worker_main(&w);
}

static void
on_ready(struct supervisor *s)
{
	struct parent *p = CONTAINER_OF(s, struct parent, sup);
	const struct l2_conf *c = p->app->l2;
	log_info(&p->log, "listening", kv_ep("at", &p->at), kv_bool("tls", c->tls.cert[0] != 0),
	        kv_u64("workers", (uint64_t)s->workers));
	if (p->spec->ready)
		p->spec->ready(p->spec->user, &p->at, c->tls.cert[0] != 0);
}

struct diff {
	const struct log *log;
	uint32_t live, restart;
};

static void
on_change(void *arg, const struct conf_change *ch)
{
	struct diff *d = arg;
	if (ch->live)
		d->live++;
	else
		d->restart++;
	log_info(d->log, ch->live ? "reload.changed" : "reload.needs_restart",
	        kv_str("option", ch->name));
}

/* The parent tries the new configuration first: a bad one changes nothing anywhere. */
static int
on_reload(struct supervisor *s)
{
	struct parent *p = CONTAINER_OF(s, struct parent, sup);
	struct err e = {0};
	struct conf *conf;
	struct app *app;
	struct diff d = {.log = &p->log};
	if (p->spec->load(p->spec->user, &conf, &e) < 0) {
		log_error(&p->log, "reload.failed", kv_str("error", e.text));
		return -1;
	}
	conf_diff(p->app->conf, conf, on_change, &d);
	conf_hold(conf, p->app->conf);
	if (app_new(conf, &app, &e) < 0) {
		log_error(&p->log, "reload.failed", kv_str("error", e.text));
		return -1;
	}
	app_free(p->app);
	p->app = app;
	open_log(&p->log, &app->l2->log);
	log_info(&p->log, "reload.done", kv_u64("changed", d.live),
	        kv_u64("need_restart", d.restart));
	return 0;
}

static void
on_lost(struct supervisor *s, int index, pid_t pid, int status)
{
	struct parent *p = CONTAINER_OF(s, struct parent, sup);
	(void)pid;
	(void)status;
	shard_reset_worker(&p->shard, (uint32_t)index);
}

/* --- start ------------------------------------------------------------------------------- */

static int
open_shard(struct parent *p, struct err *e)
{
	const struct version_conf *v = &p->app->l2->version;
	p->version = xstrdup(v->version);
	p->revision = xstrdup(v->git_sha);
	struct shard_conf c = {
	        .workers = (uint32_t)p->sup.workers,
	        .limit_slots = LIMIT_SLOTS,
	        .extra = sizeof(struct supervisor_load) * (size_t)p->sup.workers,
	        .version = p->version,
	        .revision = p->revision,
	};
	int rc = shard_new(&p->shard, &c);
	if (rc < 0)
		return err_set(e, rc, "cannot make the shared memory block: %s", strerror(-rc));
	p->sup.load = shard_extra(&p->shard);
	return 0;
}

static int
serve(struct parent *p, struct err *e)
{
	const struct server_conf *c = &p->app->l2->server;
	int fd = listen_open(&c->listen, (int)c->backlog, &p->at, e);
	if (fd < 0)
		return fd;
	p->sup.listen_fd[0] = fd;
	p->sup.n_listen = 1;
	int rc = supervisor_run(&p->sup);
	close(fd);
	return rc < 0 ? err_set(e, rc, "cannot start workers: %s", strerror(-rc)) : rc;
}

int
run_service(const struct run_spec *spec, struct err *e)
{
	struct parent p = {.spec = spec};
	int rc = app_new(spec->conf, &p.app, e);
	if (rc < 0)
		return rc;
	const struct l2_conf *c = p.app->l2;
	open_log(&p.log, &c->log);
	signal(SIGPIPE, SIG_IGN); /* a reader of the log that goes away ends nothing */
	p.sup = (struct supervisor){
	        .log = &p.log,
	        .workers = (int)worker_count(c),
	        .grace_ms = (uint32_t)c->server.shutdown_grace,
	        .max_sockets = c->server.max_sockets,
	        .child = on_child,
	        .ready = on_ready,
	        .reload = on_reload,
	        .lost = on_lost,
	};
	raise_fd_limit(c, (uint32_t)p.sup.workers);
	rc = open_shard(&p, e);
	if (rc == 0) {
		rc = serve(&p, e);
		shard_free(&p.shard);
	}
	app_free(p.app);
	free(p.version);
	free(p.revision);
	return rc;
}
