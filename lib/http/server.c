/* A virtual host of libwebsockets carries one certificate. Reading the files again makes a new
 * place for new connections; the old one goes with its last connection. */
#include "http/server.h"

#include "http/http1.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct place *
first_place(const struct server *s)
{
	return LIST_ENTRY(s->places.next, struct place, node);
}

static int
place_new(struct server *s, struct err *e)
{
	const struct server_settings *conf = &s->conf;
	struct tls_files tls = {conf->tls_cert, conf->tls_key, conf->tls_min};
	struct lws_vhost *vhost = transport_vhost(s->t, tls.cert ? &tls : NULL, e);
	if (!vhost)
		return -EINVAL;
	struct place *p = xcalloc(1, sizeof *p);
	p->server = s;
	p->vhost = vhost;
	list_push(&s->places, &p->node);
	return 0;
}

static void
place_free(struct place *p)
{
	list_del(&p->node);
	transport_vhost_free(p->vhost);
	free(p);
}

/* From the loop, where no connection of a place is in the middle of anything. */
static void
on_tidy(struct later *l)
{
	struct server *s = CONTAINER_OF(l, struct server, tidy);
	LIST_FOR_EACH_SAFE (n, &s->places) {
		struct place *p = LIST_ENTRY(n, struct place, node);
		if (p != first_place(s) && !p->n_conns)
			place_free(p);
	}
	if (!s->draining || s->n_conns || !s->drained)
		return;
	void (*drained)(void *) = s->drained;
	s->drained = NULL;
	drained(s->drained_user);
}

struct server *
server_new(struct transport *t, const struct server_settings *conf, const struct route *routes,
        void *user, struct err *e)
{
	struct server *s = xcalloc(1, sizeof *s);
	s->t = t;
	s->conf = *conf;
	s->conf.tls_cert = conf->tls_cert ? xstrdup(conf->tls_cert) : NULL;
	s->conf.tls_key = conf->tls_key ? xstrdup(conf->tls_key) : NULL;
	s->conf.tls_min = conf->tls_min ? xstrdup(conf->tls_min) : NULL;
	s->limits = (struct head_limits){conf->head_max, conf->target_max, conf->headers_max};
	s->routes = routes;
	s->user = user;
	list_init(&s->conns);
	list_init(&s->upgraded);
	list_init(&s->places);
	later_init(&s->tidy, on_tidy);
	if (place_new(s, e) == 0)
		return s;
	server_free(s);
	return NULL;
}

static void
on_gone(struct hconn *c)
{
	struct place *p = c->keeper;
	struct server *s = p->server;
	http1_forget_upgrade(s, c);
	list_del(&c->node);
	s->n_conns--;
	p->n_conns--;
	if (s->draining || p != first_place(s))
		worker_later(s->t->w, &s->tidy);
}

int
server_adopt(struct server *s, int fd)
{
	struct place *p = first_place(s);
	struct hconn *c = hconn_new(s->t);
	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->keeper = p;
	int r = hconn_accept(c, p->vhost, fd, s->conf.tls_cert != NULL);
	if (r < 0)
		return r;
	c->gone = on_gone;
	list_add(&s->conns, &c->node);
	s->n_conns++;
	p->n_conns++;
	http1_start(c, s);
	return 0;
}

uint32_t
server_connections(const struct server *s)
{
	return s->n_conns;
}

int
server_reload_tls(struct server *s, struct err *e)
{
	if (!s->conf.tls_cert)
		return 0;
	int r = place_new(s, e);
	if (r == 0)
		worker_later(s->t->w, &s->tidy);
	return r;
}

void
server_drain(struct server *s, void (*drained)(void *user), void *user)
{
	s->draining = true;
	s->drained = drained;
	s->drained_user = user;
	LIST_FOR_EACH (n, &s->conns)
		http1_drain(LIST_ENTRY(n, struct hconn, node));
	worker_later(s->t->w, &s->tidy);
}

void
server_free(struct server *s)
{
	s->drained = NULL;
	LIST_FOR_EACH (n, &s->conns)
		hconn_drop(LIST_ENTRY(n, struct hconn, node));
	transport_reap(s->t);
	later_cancel(&s->tidy);
	LIST_FOR_EACH_SAFE (n, &s->places)
		place_free(LIST_ENTRY(n, struct place, node));
	free((char *)s->conf.tls_cert);
	free((char *)s->conf.tls_key);
	free((char *)s->conf.tls_min);
	free(s);
}
