/* Closing has three steps, each implying the ones before: finishing (queue goes out, input is
 * forgotten), half_closed (TLS close_notify and FIN are out, the peer's are awaited), dropped (on
 * the dying list, or libwebsockets is told by its callback's return). A connection that is closed
 * with unread input would send RST, and the peer could lose our last words. */
#include "http/hconn.h"

#include <errno.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNSENT_DEFAULT (256u << 10)

static void
no_event(struct hconn *c)
{
	(void)c;
}

static void
no_data(struct hconn *c, uint8_t *p, size_t n)
{
	(void)c;
	(void)p;
	(void)n;
}

static const struct hconn_ops no_ops = {.data = no_data, .closed = no_event};

struct hconn *
hconn_new(struct transport *t)
{
	struct hconn *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->ops = &no_ops;
	c->gone = no_event;
	c->t = t;
	c->unsent_max = UNSENT_DEFAULT;
	list_init(&c->node);
	list_init(&c->todo);
	timer_init(&c->timer, NULL);
	return c;
}

static void
destroy(struct hconn *c)
{
	list_del(&c->todo);
	wheel_del(&c->t->w->wheel, &c->timer);
	tlsc_free(c->tlsc);
	free(c->out);
	free(c->why);
	free(c);
}

static void
set_socket(const struct hconn *c, int fd)
{
	int on = 1, lowat = (int)c->unsent_max;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
}

void
hconn_set_unsent(struct hconn *c, uint32_t unsent_max)
{
	c->unsent_max = unsent_max;
	if (c->connected && c->wsi)
		set_socket(c, hconn_fd(c));
}

int
hconn_accept(struct hconn *c, struct lws_vhost *vh, int fd, bool tls)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	if (fd >= c->t->fd_end) { /* libwebsockets would log five lines about it */
		close(fd);
		destroy(c);
		return -EMFILE;
	}
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		endpoint_from_sockaddr((struct sockaddr *)&ss, &c->peer);
	set_socket(c, fd);
	c->tls = tls;
	c->connected = c->up = true;
	lws_adopt_desc_t info = {
	        .vh = vh,
	        .type = tls ? LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL : LWS_ADOPT_SOCKET,
	        .fd.sockfd = fd,
	        .vh_prot_name = HCONN_PROTOCOL,
	        .opaque = c,
	};
	struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&info);
	if (wsi)
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	c->wsi = wsi;
	if (wsi)
		return 0;
	destroy(c); /* libwebsockets has closed fd */
	return -ECONNABORTED;
}

int
hconn_dial(struct hconn *c, const struct hconn_dial *d)
{
	char text[ADDR_TEXT];
	struct lws_client_connect_info info = {
	        .context = c->t->cx,
	        .vhost = transport_client_vhost(c->t),
	        .address = ip_text(&d->to.ip, text),
	        .port = d->to.port,
	        .host = text,
	        .path = "/",
	        .method = "RAW",
	        .local_protocol_name = HCONN_PROTOCOL,
	        .opaque_user_data = c,
	        .pwsi = &c->wsi,
	};
	const struct tlsc_ctx *tls = d->tls_name ? transport_tlsc(c->t) : NULL;
	c->client = true;
	c->peer = d->to;
	if (tls)
		c->tlsc = tlsc_new(tls, d->tls_name, d->insecure);
	if (!info.vhost || (d->tls_name && !c->tlsc)) {
		destroy(c);
		return -ENOMEM;
	}
	if (!lws_client_connect_via_info(&info)) {
		c->wsi = NULL;
		hconn_drop(c); /* why, if known, came by hconn_on_failed */
	}
	return 0;
}

int
hconn_fd(const struct hconn *c)
{
	return c->wsi ? lws_get_socket_fd(c->wsi) : -1;
}

/* --- time ------------------------------------------------------------------------------------- */

void
hconn_timer(struct hconn *c, void (*fire)(struct timer *, uint64_t), uint32_t ms)
{
	c->timer.fire = fire;
	wheel_add(&c->t->w->wheel, &c->timer, worker_now(c->t->w) + ms);
}

void
hconn_no_timer(struct hconn *c)
{
	wheel_del(&c->t->w->wheel, &c->timer);
}

/* --- in --------------------------------------------------------------------------------------- */

static void
get_up(struct hconn *c)
{
	c->up = true;
	hconn_dirty(c);
	if (!c->finishing && c->ops->open)
		c->ops->open(c);
}

static void
tls_failed(struct hconn *c)
{
	if (!c->why)
		c->why = xstrdup(tlsc_why(c->tlsc));
	hconn_send_records(c); /* the alert */
	hconn_drop(c);
}

static void
shake_hands(struct hconn *c)
{
	int r = tlsc_handshake(c->tlsc);
	if (r < 0)
		tls_failed(c);
	else if (r)
		get_up(c);
	else
		hconn_dirty(c);
}

void
hconn_on_connected(struct hconn *c)
{
	c->connected = true;
	lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
	set_socket(c, hconn_fd(c));
	if (c->tlsc)
		shake_hands(c);
	else
		get_up(c);
}

/* The output buffer is idle while input is taken: it holds the plain text. */
static void
take_records(struct hconn *c, struct span in)
{
	ssize_t n;
	tlsc_feed(c->tlsc, in);
	if (!c->up)
		shake_hands(c);
	if (!c->up)
		return;
	while (!c->dropped && (n = tlsc_read(c->tlsc, c->t->arena, TRANSPORT_OUT)) != 0) {
		if (n < 0)
			tls_failed(c);
		else if (!c->finishing)
			c->ops->data(c, c->t->arena, (size_t)n);
	}
	if (hconn_records_wait(c))
		hconn_dirty(c);
}

void
hconn_on_data(struct hconn *c, uint8_t *p, size_t n)
{
	if (c->tlsc) {
		take_records(c, span(p, n));
		return;
	}
	if (c->tls && c->wsi)
		lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0); /* its handshake timer */
	if (!c->finishing)
		c->ops->data(c, p, n);
}

/* Bytes that OpenSSL holds give no POLLIN; a writable event makes libwebsockets look at them. */
void
hconn_pause(struct hconn *c, enum hconn_pause why, bool pause)
{
	uint8_t paused = (uint8_t)(pause ? c->paused | why : c->paused & ~why);
	bool change = !paused != !c->paused;
	c->paused = paused;
	if (!change || !c->connected || c->dropped)
		return;
	lws_rx_flow_control(c->wsi, !paused);
	if (!paused && c->tls)
		lws_callback_on_writable(c->wsi);
}

/* --- the end ---------------------------------------------------------------------------------- */

void
hconn_drop(struct hconn *c)
{
	if (c->dropped)
		return;
	c->finishing = c->dropped = true;
	list_del(&c->todo);
	list_add(&c->t->dying, &c->todo);
	worker_later(c->t->w, &c->t->reap);
}

static void
finish_off(struct hconn *c)
{
	c->wsi = NULL;
	c->connected = false;
	c->finishing = c->dropped = true;
	list_del(&c->todo);
	hconn_no_timer(c);
	c->ops->closed(c);
	c->gone(c);
	destroy(c);
}

/* Outside any callback of libwebsockets, so it may free the socket at once. It must not call back
 * any more: it does not in every state, so we never let it. */
void
hconn_reap(struct hconn *c)
{
	struct lws *wsi = c->wsi;
	if (wsi) {
		lws_set_opaque_user_data(wsi, NULL);
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	}
	finish_off(c);
}

void
hconn_on_failed(struct hconn *c, struct span why)
{
	/* libwebsockets says this for a refused connection too, and no more */
	if (span_is(why, "closed before established"))
		why = SPAN_LIT("the connection was refused, or ended before it was established");
	if (!c->why && why.n)
		c->why = span_dup(why);
	c->wsi = NULL;
	hconn_drop(c);
}

void
hconn_on_closed(struct hconn *c)
{
	if (c->wsi) /* else hconn_accept is failing, and says so itself */
		finish_off(c);
}
