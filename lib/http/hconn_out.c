/* Sending. Before anything is pulled the kernel is asked how much of what it has the network has
 * not taken yet (SIOCOUTQNSD); unsent_max is the most. TCP_NOTSENT_LOWAT is the same number, and
 * the socket turns writable when half of it is gone: so no room means a wait for POLLOUT, and
 * POLLOUT means room. A plain socket is written to here, not by lws_write: libwebsockets would keep
 * what the kernel leaves over and not read until that is gone, and two peers that both do so and
 * both send a lot would wait for each other. What is left over waits in the queue. TLS goes through
 * lws_write, with care to ask for no more than will be taken. */
#include "http/hconn.h"

#include <errno.h>
#include <libwebsockets.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define WRITE_LEAST 1024u /* less room than this is none */
#define RECORD_SLACK (20u << 10)

uint32_t
hconn_queued(const struct hconn *c)
{
	return c->out_n - c->out_at;
}

void
hconn_dirty(struct hconn *c)
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
	hconn_dirty(c);
	return true;
}

void
hconn_want(struct hconn *c)
{
	c->wants = true;
	hconn_dirty(c);
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
bool
hconn_send_records(struct hconn *c)
{
	struct span s = tlsc_pending(c->tlsc);
	ssize_t n = s.n ? send_now(c, s) : 0;
	if (n < 0)
		hconn_drop(c);
	else
		tlsc_sent(c->tlsc, (size_t)n);
	return n == (ssize_t)s.n;
}

bool
hconn_records_wait(const struct hconn *c)
{
	return c->tlsc && tlsc_pending(c->tlsc).n;
}

static bool
has_more(const struct hconn *c)
{
	return hconn_queued(c) || hconn_records_wait(c) ||
	       (c->wants && !c->finishing && c->ops->pull);
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
		hconn_send_records(c);
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
	hconn_send_records(c);
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
	else if ((size_t)n == o->n && !hconn_records_wait(c) &&
	         (o->n < o->budget || o->budget == HCONN_BATCH))
		hconn_dirty(c);
	else
		lws_callback_on_writable(c->wsi);
}

void
hconn_flush(struct hconn *c)
{
	if (c->dropped || !c->connected || c->half_closed || lws_partial_buffered(c->wsi))
		return;
	if (c->tlsc && !hconn_send_records(c)) {
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
	hconn_dirty(c);
}

void
hconn_finish(struct hconn *c, uint32_t flush_ms, uint32_t linger_ms)
{
	if (c->finishing || c->dropped)
		return;
	c->finishing = true;
	c->linger_ms = linger_ms;
	hconn_pause(c, HCONN_PAUSE_OWNER | HCONN_PAUSE_BEHIND, false);
	hconn_timer(c, on_linger, flush_ms);
	hconn_dirty(c);
}
