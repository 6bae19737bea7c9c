/* A connection holds nothing while both sides keep up: what the guest has not acknowledged is
 * peeked at in the kernel's receive buffer, and what is written goes straight to its send buffer.
 *
 * Promises. conn_room says what the kernel's send buffer is known to take plus `overflow`. That
 * keeps the far side's window open until the kernel really refuses bytes, and only a refusal makes
 * it tell us when there is space again (an edge-triggered EPOLLOUT comes for nothing else). So room
 * is 0 only while the overflow holds bytes, and then `writable` is certain to come.
 *
 * Reading. SO_PEEK_OFF moves forward with each peek and back with each discard, so a transfer
 * without losses never has to set it. Where it does not exist, bytes are read and kept. */
#include "net/conn_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static void on_ready(struct poll_fd *p, uint32_t events);

/* --- set-up ----------------------------------------------------------------------------------- */

void
conn_set_int(const struct conn *c, int level, int name, int value)
{
	(void)setsockopt(c->poll.fd, level, name, &value, sizeof value);
}

static void on_connect_timer(struct timer *t, uint64_t now);
static void on_linger_timer(struct timer *t, uint64_t now);
static void on_again(struct later *l);

void
conn_net_init(struct conn_net *net, struct worker *w, const struct conn_conf *conf,
        const struct conn_ops *ops)
{
	*net = (struct conn_net){.w = w, .ops = ops, .conf = *conf};
	if (!net->conf.linger_max)
		net->conf.linger_max = 1;
	if (net->conf.room_max < conf->overflow)
		net->conf.room_max = conf->overflow; /* what waits for a connect counts too */
	chain_slab_init(&net->pieces, conf->pool);
	list_init(&net->connecting);
	list_init(&net->lingering);
	list_init(&net->again);
	timer_init(&net->connect_timer, on_connect_timer);
	timer_init(&net->linger_timer, on_linger_timer);
	later_init(&net->later, on_again);
}

void
conn_release_held(struct conn *c)
{
	if (!c->held)
		return;
	chain_fini(&c->held->out, &c->net->pieces);
	chain_fini(&c->held->in, &c->net->pieces);
	free(c->held);
	c->held = NULL;
}

static void
drop(struct conn *c)
{
	list_del(&c->node);
	poller_del(c->net->w->poller, &c->poll);
	close(c->poll.fd);
	c->poll.fd = -1;
	conn_release_held(c);
}

void
conn_net_fini(struct conn_net *net)
{
	for (struct list *n; (n = list_pop(&net->lingering));) {
		struct conn *c = LIST_ENTRY(n, struct conn, node);
		drop(c);
		free(c);
	}
	wheel_del(&net->w->wheel, &net->connect_timer);
	wheel_del(&net->w->wheel, &net->linger_timer);
	later_cancel(&net->later);
	slab_fini(&net->pieces);
}

/* --- waiting lists: patience is the same for all, so the first in is the first out ------- */

static void
queue(struct conn *c, struct list *l, struct timer *t, uint32_t ms)
{
	uint64_t at = worker_now(c->net->w) + ms;
	c->mark = (uint32_t)at;
	list_add(l, &c->node);
	if (!timer_armed(t))
		wheel_add(&c->net->w->wheel, t, at);
}

/* The first of the list if it is due; otherwise the timer is set for it. */
static struct conn *
due(struct conn_net *net, struct list *l, struct timer *t, uint64_t now)
{
	if (list_empty(l))
		return NULL;
	struct conn *c = LIST_ENTRY(l->next, struct conn, node);
	int32_t left = (int32_t)(c->mark - (uint32_t)now);
	if (left <= 0)
		return c;
	wheel_add(&net->w->wheel, t, now + (uint32_t)left);
	return NULL;
}

void
conn_dead(struct conn *c)
{
	c->flags |= DEAD;
	list_del(&c->node);
	poller_del(c->net->w->poller, &c->poll);
}

static void
fail(struct conn *c, int err)
{
	conn_dead(c);
	c->net->ops->failed(c, err);
}

static void
on_connect_timer(struct timer *t, uint64_t now)
{
	struct conn_net *net = CONTAINER_OF(t, struct conn_net, connect_timer);
	for (struct conn *c; (c = due(net, &net->connecting, t, now));)
		fail(c, ETIMEDOUT);
}

static void
end_lingering(struct conn *c)
{
	c->net->n_lingering--;
	drop(c);
	free(c);
}

static void
on_linger_timer(struct timer *t, uint64_t now)
{
	struct conn_net *net = CONTAINER_OF(t, struct conn_net, linger_timer);
	for (struct conn *c; (c = due(net, &net->lingering, t, now));)
		end_lingering(c);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void
set_options(const struct conn *c, bool v4, uint8_t tos)
{
	conn_set_int(c, IPPROTO_TCP, TCP_NODELAY, 1);
	conn_set_int(c, SOL_SOCKET, SO_OOBINLINE, 1); /* otherwise peeking loses count */
	if (tos && v4)
		conn_set_int(c, IPPROTO_IP, IP_TOS, tos);
	else if (tos)
		conn_set_int(c, IPPROTO_IPV6, IPV6_TCLASS, tos);
	if (c->net->conf.recv_max)
		conn_set_int(c, IPPROTO_TCP, TCP_WINDOW_CLAMP, (int)c->net->conf.recv_max);
}

int
conn_open(struct conn_net *net, struct conn *c, const struct endpoint *dst, uint8_t tos)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(dst, &ss);
	bool v4 = ss.ss_family == AF_INET;
	bool peek = v4 ? net->conf.caps.peek4 : net->conf.caps.peek6;
	int fd = worker_guest_socket(net->w, ss.ss_family, SOCK_STREAM, IPPROTO_TCP);
	if (fd < 0)
		return fd;
	*c = (struct conn){.poll = {.ready = on_ready, .fd = fd},
	        .net = net,
	        .peek_off = PEEK_OFF_UNSET,
	        .flags = (uint16_t)(CONNECTING | (peek ? PEEKING : 0))};
	list_init(&c->node);
	set_options(c, v4, tos);
	int r = connect(fd, (struct sockaddr *)&ss, len);
	if (r < 0)
		r = errno == EINPROGRESS ? 0 : -errno;
	if (r == 0)
		r = poller_add(net->w->poller, &c->poll);
	if (r < 0) {
		close(fd);
		c->poll.fd = -1;
		return r;
	}
	queue(c, &net->connecting, &net->connect_timer, net->conf.connect_ms);
	return 0;
}

static void
on_again(struct later *l)
{
	struct conn_net *net = CONTAINER_OF(l, struct conn_net, later);
	struct list now;
	list_init(&now);
	for (struct list *n; (n = list_pop(&net->again));)
		list_add(&now, n);
	for (struct list *n; (n = list_pop(&now));) {
		struct conn *c = LIST_ENTRY(n, struct conn, node);
		net->ops->readable(c);
	}
}

/* --- events ----------------------------------------------------------------------------------- */

static int
take_error(const struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof err;
	if (getsockopt(c->poll.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return errno;
	return err;
}

static void
connected(struct conn *c)
{
	list_del(&c->node);
	c->flags &= (uint16_t)~CONNECTING;
	c->mark = c->free = 0;
	c->net->ops->opened(c);
}

static void
writable(struct conn *c)
{
	int r = conn_drain(c);
	if (r < 0) {
		fail(c, -r);
		return;
	}
	uint32_t left = conn_waiting(c);
	if (!(c->flags & LITTLE) || left > conn_overflow_limit(c->net) / 2)
		return;
	c->flags &= (uint16_t)~LITTLE;
	c->net->ops->writable(c);
}

/* Closing over unread bytes would be a reset, and lose what is still being sent. */
static void
forget_unread(const struct conn *c)
{
	(void)recv(c->poll.fd, NULL, 1u << 30, MSG_TRUNC | MSG_DONTWAIT);
}

static void
on_lingering(struct conn *c, uint32_t events)
{
	bool over = (events & EPOLLERR) && take_error(c);
	if (!over && (conn_drain(c) < 0 || !conn_waiting(c)))
		over = true;
	if (!over)
		return;
	forget_unread(c);
	end_lingering(c);
}

static void
on_connecting(struct conn *c, uint32_t events)
{
	int err = events & (EPOLLERR | EPOLLHUP) ? take_error(c) : 0;
	if (err)
		fail(c, err);
	else if (events & EPOLLOUT)
		connected(c);
}

/* The owner may free the connection in any callback, so each step asks whether it is still there.
 */
static void
on_ready(struct poll_fd *p, uint32_t events)
{
	struct conn *c = CONTAINER_OF(p, struct conn, poll);
	struct conn_net *net = c->net;
	if (c->flags & LINGERING) {
		on_lingering(c, events);
		return;
	}
	net->current = c;
	if (c->flags & CONNECTING) {
		on_connecting(c, events);
		if (net->current != c || (c->flags & (CONNECTING | DEAD)))
			return;
	} else if (events & EPOLLERR) {
		int err = take_error(c);
		if (err) {
			fail(c, err);
			return;
		}
	}
	if ((events & EPOLLOUT) && (conn_waiting(c) || (c->flags & (LITTLE | SHUTDOWN))))
		writable(c);
	if (net->current != c || (c->flags & DEAD) || !(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)))
		return;
	c->flags |= UNREAD;
	net->ops->readable(c);
}

/* --- ending ----------------------------------------------------------------------------------- */

/* The owner's memory goes, the bytes do not: they move to a connection of our own. */
static bool
linger(struct conn *c)
{
	struct conn *own = malloc(sizeof *own);
	if (!own)
		return false;
	list_del(&c->node);
	poller_del(c->net->w->poller, &c->poll);
	*own = *c;
	list_init(&own->node);
	own->poll.on = false;
	own->flags |= LINGERING | SHUTDOWN;
	chain_fini(&own->held->in, &c->net->pieces);
	if (poller_add(c->net->w->poller, &own->poll) < 0) {
		free(own);
		return false;
	}
	if (c->net->n_lingering++ >= c->net->conf.linger_max)
		end_lingering(LIST_ENTRY(c->net->lingering.next, struct conn, node));
	queue(own, &c->net->lingering, &c->net->linger_timer, c->net->conf.linger_ms);
	c->held = NULL;
	c->poll.fd = -1;
	return true;
}

void
conn_free(struct conn *c, bool abort)
{
	if (!c->net || c->poll.fd < 0)
		return;
	if (c->net->current == c)
		c->net->current = NULL;
	bool alive = !(c->flags & (CONNECTING | DEAD));
	if (alive && !abort && conn_waiting(c) && linger(c))
		return;
	if (abort) {
		struct linger now = {1, 0};
		(void)setsockopt(c->poll.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	} else if (alive && (c->flags & UNREAD)) {
		forget_unread(c);
	}
	drop(c);
}
