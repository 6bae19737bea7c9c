#include "serve/worker_main.h"

#include "http/server.h"
#include "net/poller.h"
#include "net/supervisor.h"
#include "serve/l2svc.h"
#include "serve/ops.h"

#include <sys/resource.h>
#include <unistd.h>

#define CLIENTS_BESIDES 256 /* connections that are no tunnels */
#define OWN_FDS 64
#define BODY_MAX 65536 /* no endpoint of the tunnel service takes one */

struct proc {
	const struct worker_spec *spec;
	struct worker w;
	struct transport *transport;
	struct server *server;
	struct l2svc l2;
	struct ops ops; /* /healthz and its like */
	struct app *app;
	struct poll_fd chan;
	struct turn_hook hook;
	uint64_t adopted, closed_base;
	bool draining, tunnels_gone, server_gone;
};

static const struct route routes[] = {
        {"/l2", METHOD_GET | METHOD_HEAD, ops_upgrade},
        {"/l2/", METHOD_GET | METHOD_HEAD, ops_upgrade},
        {"/eth", METHOD_GET | METHOD_HEAD, ops_upgrade},
        {"/eth/", METHOD_GET | METHOD_HEAD, ops_upgrade},
        {"/healthz", METHOD_GET | METHOD_HEAD, ops_healthz},
        {"/readyz", METHOD_GET | METHOD_HEAD, ops_readyz},
        {"/version", METHOD_GET | METHOD_HEAD, ops_version},
        {"/metrics", METHOD_GET | METHOD_HEAD, ops_metrics},
        {0},
};

/* --- drain and reload -------------------------------------------------------------------- */

static void
maybe_stop(struct proc *p)
{
	if (p->tunnels_gone && p->server_gone)
		worker_stop(&p->w);
}

static void
on_server_drained(void *user)
{
	struct proc *p = user;
	p->server_gone = true;
	maybe_stop(p);
}

/* The HTTP side drains last: while tunnels end, health checks still learn that we are leaving. */
static void
on_tunnels_drained(void *user)
{
	struct proc *p = user;
	p->tunnels_gone = true;
	server_drain(p->server, on_server_drained, p);
}

static void
drain(struct proc *p)
{
	if (p->draining)
		return;
	p->draining = true;
	p->ops.draining = true;
	l2svc_drain(&p->l2, on_tunnels_drained, p);
}

static void
reload(struct proc *p)
{
	struct err e = {0};
	struct conf *conf;
	struct app *app;
	if (p->spec->load(p->spec->user, &conf, &e) < 0) {
		log_error(&p->w.log, "reload.failed", kv_str("error", e.text));
		return;
	}
	conf_hold(conf, p->app->conf);
	if (app_new(conf, &app, &e) < 0) {
		log_error(&p->w.log, "reload.failed", kv_str("error", e.text));
		return;
	}
	struct app *was = p->app;
	p->app = app;
	p->ops.app = app;
	p->w.log.level = (enum log_level)app->l2->log.level;
	p->w.log.format = (enum log_format)app->l2->log.format;
	l2svc_reload(&p->l2, app);
	if (app->l2->tls.cert[0] && server_reload_tls(p->server, &e) < 0)
		log_error(&p->w.log, "reload.tls_failed", kv_str("error", e.text));
	app_free(was);
}

/* --- what the parent says ---------------------------------------------------------------- */

static void
on_chan(struct poll_fd *f, uint32_t events)
{
	struct proc *p = CONTAINER_OF(f, struct proc, chan);
	(void)events;
	for (;;) {
		int fd = -1;
		switch (supervisor_recv(f->fd, &fd)) {
		case SUP_NONE: return;
		case SUP_SOCKET:
			p->adopted++;
			if (fd >= 0)
				server_adopt(p->server, fd);
			else
				log_warn(&p->w.log, "client.lost",
				        kv_str("why", "no descriptor left"));
			break;
		case SUP_RELOAD: reload(p); break;
		case SUP_GONE:
			poller_del(p->w.poller, f);
			drain(p);
			return;
		case SUP_DRAIN: drain(p); break;
		}
	}
}

static void
on_turn(struct turn_hook *h)
{
	struct proc *p = CONTAINER_OF(h, struct proc, hook);
	uint64_t closed = p->adopted - server_connections(p->server);
	__atomic_store_n(p->spec->closed, p->closed_base + closed, __ATOMIC_RELAXED);
}

/* --- life -------------------------------------------------------------------------------- */

static struct server_settings
server_limits(const struct l2_conf *c)
{
	const struct server_conf *s = &c->server;
	return (struct server_settings){
	        .head_ms = (uint32_t)s->header_timeout,
	        .body_ms = (uint32_t)s->header_timeout,
	        .idle_ms = (uint32_t)s->keepalive_timeout,
	        .head_max = (uint32_t)s->max_head,
	        .target_max = (uint32_t)s->max_url,
	        .headers_max = s->max_headers,
	        .body_max = BODY_MAX,
	        .tls_cert = c->tls.cert[0] ? c->tls.cert : NULL,
	        .tls_key = c->tls.key[0] ? c->tls.key : NULL,
	        .tls_min = c->tls.min_version == TLS_1_3 ? "1.3" : "1.2",
	};
}

static int
open_services(struct proc *p, struct err *e)
{
	struct server_settings c = server_limits(p->app->l2);
	int rc = transport_open(&p->w, NULL, &p->transport, e);
	if (rc < 0)
		return rc;
	p->server = server_new(p->transport, &c, routes, &p->ops, e);
	if (!p->server)
		return e->code ? e->code : -1;
	rc = l2svc_init(&p->l2, &p->w, p->app, p->spec->shard, e);
	if (rc < 0)
		return rc;
	p->ops = (struct ops){.app = p->app, .shard = p->spec->shard, .l2 = &p->l2};
	p->chan = (struct poll_fd){.ready = on_chan, .fd = p->spec->chan};
	rc = poller_add(p->w.poller, &p->chan);
	return rc < 0 ? err_set(e, rc, "cannot poll the parent's channel") : 0;
}

static int
close_services(struct proc *p)
{
	poller_del(p->w.poller, &p->chan);
	worker_unhook(&p->w, &p->hook);
	server_free(p->server);
	l2svc_fini(&p->l2);
	transport_close(p->transport);
	int rc = worker_fini(&p->w);
	app_free(p->app);
	close(p->spec->chan);
	return rc < 0 ? 1 : 0;
}

/* Clients have their share of the descriptors, however many sockets guests ask for. */
static int
guest_fds(const struct l2_conf *c)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur > INT32_MAX)
		return 0;
	uint64_t clients = c->server.max_sockets, tunnels = c->limits.max_connections;
	if (tunnels && clients > 2 * tunnels + CLIENTS_BESIDES)
		clients = 2 * tunnels + CLIENTS_BESIDES; /* refused ones and scrapers come too */
	uint64_t kept = clients + OWN_FDS;
	return (int)(r.rlim_cur - (kept < r.rlim_cur / 2 ? kept : r.rlim_cur / 2));
}

int
worker_main(const struct worker_spec *spec)
{
	struct proc p = {.spec = spec, .app = spec->app};
	struct err e = {0};
	struct log log = *spec->log;
	p.closed_base = __atomic_load_n(spec->closed, __ATOMIC_RELAXED);
	log.kv[0] = kv_u64("worker", (uint64_t)spec->index);
	int rc = worker_init(&p.w, &log);
	if (rc == 0) {
		p.w.guest_fds = guest_fds(p.app->l2);
		rc = open_services(&p, &e);
	}
	if (rc < 0) {
		log_error(&log, "worker.start_failed",
		        kv_str("error", e.text[0] ? e.text : "no loop"));
		return 1;
	}
	p.hook.turn = on_turn;
	worker_hook(&p.w, &p.hook);
	supervisor_say_ready(spec->chan);
	worker_run(&p.w);
	return close_services(&p);
}
