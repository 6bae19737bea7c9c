/* Sending. Before anything is pulled the kernel is asked how much of what it has the network has
 * not taken yet (SIOCOUTQNSD); unsent_max is the most. TCP_NOTSENT_LOWAT is the same number, and
 * the socket turns writable when half of it is gone: so no room means a wait for POLLOUT, and
 * POLLOUT means room. A plain socket is written to here, not by lws_write: libwebsockets would keep
 * what the kernel leaves over and not read until that is gone, and two peers that both do so and
 * both send a lot would wait for each other. What is left over waits in the queue. TLS goes through
 * lws_write, with care to ask for no more than will be taken.
 *
 * Closing has three steps, each implying the ones before: finishing (queue goes out, input is
 * forgotten), half_closed (TLS close_notify and FIN are out, the peer's are awaited), dropped (on
 * the dying list, or libwebsockets is told by its callback's return). A connection that is closed
 * with unread input would send RST, and the peer could lose our last words. */
#include "http/hconn.h"

#include <errno.h>
#include <libwebsockets.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNSENT_DEFAULT (256u << 10)
#define WRITE_LEAST 1024u /* less room than this is none */
#define RECORD_SLACK (20u << 10)

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

/* --- out -------------------------------------------------------------------------------------- */

uint32_t
hconn_queued(const struct hconn *c)
{
	return c->out_n - c->out_at;
}

static void
mark_dirty(struct hconn *c)
{
	if (!c->dropped && list_empty(&c->todo))
		list_add(&c->t->dirty, &c->todo);
}

/* What was taken off the front goes away once it is more than what is left. */
static bool
out_grow(struct hconn *c, size_t more)
{
	if (c->out_at > c->out_n / 2) {
		c->out_n -= c->out_at;
		memmove(c->out, c->out + c->out_at, c->out_n);
		c->out_at = 0;
	}
	size_t want = c->out_n + more, room = c->out_room ? c->out_room : 256;
	while (room < want)
		room *= 2;
	if (want > INT32_MAX)
		return false;
	if (room == c->out_room)
		return true;
	uint8_t *p = realloc(c->out, room);
	if (!p)
		return false;
	c->out = p;
	c->out_room = (uint32_t)room;
	return true;
}

static bool
append(struct hconn *c, struct span s)
{
	if (!out_grow(c, s.n))
		return false;
	if (s.n)
		memcpy(c->out + c->out_n, s.p, s.n);
	c->out_n += (uint32_t)s.n;
	c->replaceable = 0;
	return true;
}

bool
hconn_send(struct hconn *c, struct span s)
{
	if (c->finishing)
		return true;
	if (!append(c, s)) {
		hconn_drop(c);
		return false;
	}
	mark_dirty(c);
	return true;
}

void
hconn_want(struct hconn *c)
{
	c->wants = true;
	mark_dirty(c);
}

/* TLS: what the kernel does not take of a record, libwebsockets keeps, and it does not read
 * meanwhile. So some room is left for a last frame beyond the budget and for the headers that the
 * kernel counts. */
static size_t
room_for_records(const struct hconn *c, size_t n)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof mem;
	size_t slack = c->unsent_max / 4 < RECORD_SLACK ? c->unsent_max / 4 : RECORD_SLACK;
	n = n > slack ? n - slack : 0;
	if (getsockopt(hconn_fd(c), SOL_SOCKET, SO_MEMINFO, mem, &len) < 0)
		return n;
	uint32_t all = mem[SK_MEMINFO_SNDBUF], used = mem[SK_MEMINFO_WMEM_QUEUED];
	size_t left = all > used ? (all - used) / 4 * 3 : 0;
	return n < left ? n : left;
}

/* What the kernel should be given now; 0 = wait until it says it is writable. */
static size_t
room(const struct hconn *c)
{
	int unsent;
	size_t n = c->unsent_max, least = n / 8 < WRITE_LEAST ? n / 8 : WRITE_LEAST;
	if (ioctl(hconn_fd(c), SIOCOUTQNSD, &unsent) == 0)
		n = n > (size_t)unsent ? n - (size_t)unsent : 0;
	if (c->tls)
		n = room_for_records(c, n);
	return n < least ? 0 : n;
}

/* Bytes written to a plain socket; < 0 when the connection is lost. */
static ssize_t
send_now(const struct hconn *c, struct span s)
{
	ssize_t n = send(hconn_fd(c), s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

/* Records of our own that wait; false when some still do, or the connection is lost. */
static bool
send_records(struct hconn *c)
{
	struct span s = tlsc_pending(c->tlsc);
	ssize_t n = s.n ? send_now(c, s) : 0;
	if (n < 0)
		hconn_drop(c);
	else
		tlsc_sent(c->tlsc, (size_t)n);
	return n == (ssize_t)s.n;
}

static bool
records_wait(const struct hconn *c)
{
	return c->tlsc && tlsc_pending(c->tlsc).n;
}

static bool
has_more(const struct hconn *c)
{
	return hconn_queued(c) || records_wait(c) || (c->wants && !c->finishing && c->ops->pull);
}

static void
on_linger(struct timer *t, uint64_t now)
{
	(void)now;
	hconn_drop(CONTAINER_OF(t, struct hconn, timer));
}

static void
half_close(struct hconn *c)
{
	c->half_closed = true;
	SSL *ssl = c->tls ? lws_get_ssl(c->wsi) : NULL;
	if (ssl && SSL_is_init_finished(ssl))
		SSL_shutdown(ssl);
	if (c->tlsc) {
		tlsc_bye(c->tlsc);
		send_records(c);
	}
	shutdown(hconn_fd(c), SHUT_WR);
	hconn_timer(c, on_linger, c->linger_ms);
}

static void
all_sent(struct hconn *c)
{
	if (c->finishing)
		half_close(c);
	else if (c->ops->sent)
		c->ops->sent(c);
}

/* Bytes taken; what is kept by TLS of either kind counts. */
static ssize_t
write_some(struct hconn *c, const struct ws_out *o)
{
	if (c->tls)
		return lws_write(c->wsi, o->p, o->n, LWS_WRITE_RAW);
	if (!c->tlsc)
		return send_now(c, span(o->p, o->n));
	int r = tlsc_write(c->tlsc, span(o->p, o->n));
	if (r < 0)
		return r;
	send_records(c);
	return (ssize_t)o->n;
}

/* Behind the queue's first `after` bytes, in front of what was queued while it was pulled (an ERROR
 * and a Close, say). */
static bool
put_back(struct hconn *c, size_t after, struct span rest)
{
	size_t later = hconn_queued(c) - after;
	if (!append(c, rest))
		return false;
	uint8_t *at = c->out + c->out_at + after;
	memmove(at + rest.n, at, later);
	memcpy(at, rest.p, rest.n);
	return true;
}

/* The queue's first `queued` bytes are in o, the rest of o was pulled: what was not written stays
 * in the queue. */
static bool
account(struct hconn *c, const struct ws_out *o, size_t queued, size_t written)
{
	size_t from_queue = written < queued ? written : queued;
	c->out_at += (uint32_t)from_queue;
	if (c->out_at == c->out_n) {
		free(c->out);
		c->out = NULL;
		c->out_at = c->out_n = c->out_room = 0;
	}
	size_t done = written < queued ? queued : written;
	return done == o->n || put_back(c, queued - from_queue, span(o->p + done, o->n - done));
}

static void
write_out(struct hconn *c, struct ws_out *o, size_t queued)
{
	ssize_t n = o->n ? write_some(c, o) : 0;
	if (n < 0 || !account(c, o, queued, (size_t)n)) {
		hconn_drop(c);
		return;
	}
	if (lws_partial_buffered(c->wsi)) {
		hconn_pause(c, HCONN_PAUSE_OUT, true); /* it would spin on input it does not read */
		return;
	}
	if (!has_more(c))
		all_sent(c);
	else if ((size_t)n == o->n && !records_wait(c) &&
	         (o->n < o->budget || o->budget == HCONN_BATCH))
		mark_dirty(c);
	else
		lws_callback_on_writable(c->wsi);
}

void
hconn_flush(struct hconn *c)
{
	if (c->dropped || !c->connected || c->half_closed || lws_partial_buffered(c->wsi))
		return;
	if (c->tlsc && !send_records(c)) {
		if (!c->dropped)
			lws_callback_on_writable(c->wsi);
		return;
	}
	if (!c->up)
		return;
	size_t budget = room(c), queued = hconn_queued(c);
	struct ws_out o = {
	        .p = c->t->arena + LWS_PRE,
	        .cap = TRANSPORT_OUT,
	        .budget = budget < HCONN_BATCH ? budget : HCONN_BATCH,
	        .masked = c->client,
	};
	if (!budget) {
		lws_callback_on_writable(c->wsi);
		return;
	}
	o.n = queued = queued < o.budget ? queued : o.budget;
	if (queued)
		memcpy(o.p, c->out + c->out_at, queued);
	if (c->wants && !c->finishing && o.n < o.budget && c->ops->pull) {
		struct ws_out rest = {o.p + queued, o.cap - queued, o.budget - queued, 0, o.masked};
		c->wants = false;
		bool more = c->ops->pull(c, &rest);
		c->wants = c->wants || (more && rest.n);
		o.n += rest.n;
	}
	if (!c->dropped)
		write_out(c, &o, queued);
}

void
hconn_on_writable(struct hconn *c)
{
	if (lws_partial_buffered(c->wsi))
		return;
	hconn_pause(c, HCONN_PAUSE_OUT, false);
	mark_dirty(c);
}

/* --- in --------------------------------------------------------------------------------------- */

static void
get_up(struct hconn *c)
{
	c->up = true;
	mark_dirty(c);
	if (!c->finishing && c->ops->open)
		c->ops->open(c);
}

static void
tls_failed(struct hconn *c)
{
	if (!c->why)
		c->why = xstrdup(tlsc_why(c->tlsc));
	send_records(c); /* the alert */
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
		mark_dirty(c);
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
	if (records_wait(c))
		mark_dirty(c);
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
hconn_finish(struct hconn *c, uint32_t flush_ms, uint32_t linger_ms)
{
	if (c->finishing || c->dropped)
		return;
	c->finishing = true;
	c->linger_ms = linger_ms;
	hconn_pause(c, HCONN_PAUSE_OWNER | HCONN_PAUSE_BEHIND, false);
	hconn_timer(c, on_linger, flush_ms);
	mark_dirty(c);
}

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
