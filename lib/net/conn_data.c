#include "net/conn_int.h"

#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define WRITE_IOV 32
#define SKB_COST 1280 /* what the kernel charges for a small write beyond its bytes */
#define WIDEN_FROM (64u << 10)
#define WIDEN_MOST (16u << 20)
#define ASK_AGAIN 16384 /* so many bytes later, what the kernel said is old */

/* --- writing ---------------------------------------------------------------------------------- */

static struct conn_held *
held(struct conn *c)
{
	if (!c->held)
		c->held = calloc(1, sizeof *c->held);
	return c->held;
}

uint32_t
conn_waiting(const struct conn *c)
{
	return c->held ? c->held->out.n : 0;
}

static ssize_t
send_some(const struct conn *c, const struct iovec *iov, int n, int flags)
{
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
	ssize_t k;
	do
		k = sendmsg(c->poll.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL | flags);
	while (k < 0 && errno == EINTR);
	if (k >= 0)
		return k;
	return errno == EAGAIN ? 0 : -errno;
}

/* The next stretch of the overflow: up to an urgent byte, or that byte alone. */
static ssize_t
send_front(struct conn *c)
{
	struct iovec iov[WRITE_IOV];
	struct conn_held *h = c->held;
	size_t n = h->out.n;
	int flags = 0;
	if (h->urgent == 1) {
		n = 1;
		flags = MSG_OOB;
	} else if (h->urgent) {
		n = h->urgent - 1;
	}
	ssize_t k = send_some(c, iov, chain_front(&h->out, iov, WRITE_IOV, n), flags);
	if (k <= 0)
		return k;
	chain_eat(&h->out, &c->net->pieces, (size_t)k);
	h->urgent = h->urgent > (uint32_t)k ? h->urgent - (uint32_t)k : 0;
	return k;
}

static void
finish_shutdown(struct conn *c)
{
	if ((c->flags & (SHUTDOWN | SHUT | CONNECTING | DEAD)) != SHUTDOWN || conn_waiting(c))
		return;
	shutdown(c->poll.fd, SHUT_WR);
	c->flags |= SHUT;
}

/* Until it is empty or the kernel is full. */
int
conn_drain(struct conn *c)
{
	ssize_t k = 1;
	while (k > 0 && conn_waiting(c))
		k = send_front(c);
	if (k < 0)
		return (int)k;
	if (c->held && !c->held->out.n && !c->held->in.n)
		conn_release_held(c);
	finish_shutdown(c);
	return 0;
}

/* When pieces run short each connection is promised less, so that what was promised can be kept. */
static uint32_t
fair(const struct conn_net *net, uint32_t limit)
{
	bool tight = net->pieces.used > net->pieces.cap - net->pieces.cap / 4;
	return tight && limit > 2 * CHAIN_PIECE ? 2 * CHAIN_PIECE : limit;
}

uint32_t
conn_overflow_limit(const struct conn_net *net)
{
	return fair(net, net->conf.overflow);
}

static void
ask_kernel(struct conn *c)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof info;
	if (getsockopt(c->poll.fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return;
	uint32_t all = info[SK_MEMINFO_SNDBUF], used = info[SK_MEMINFO_WMEM_QUEUED];
	c->free = all > used ? all - used : 0;
	c->mark = c->free > ASK_AGAIN ? c->free - ASK_AGAIN / 2 : c->free / 2;
}

uint32_t
conn_room(struct conn *c)
{
	const struct conn_net *net = c->net;
	if (c->flags & (DEAD | SHUTDOWN))
		return 0;
	uint32_t limit = conn_overflow_limit(net), used = conn_waiting(c), room;
	if (used || (c->flags & CONNECTING)) {
		room = limit > used ? limit - used : 0;
		c->flags |= LITTLE;
	} else {
		if (c->free <= c->mark)
			ask_kernel(c);
		room = c->free + limit;
	}
	return room < net->conf.room_max ? room : net->conf.room_max;
}

static size_t
iov_bytes(const struct iovec *iov, int n)
{
	size_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* All but an urgent last byte, then that. */
static ssize_t
send_now(struct conn *c, const struct iovec *iov, int n, size_t total, bool urgent)
{
	if (!urgent)
		return send_some(c, iov, n, 0);
	struct iovec last = iov[n - 1];
	struct iovec oob = {(uint8_t *)last.iov_base + last.iov_len - 1, 1};
	last.iov_len--;
	ssize_t k = 0, part = 0;
	if (n > 1)
		k = send_some(c, iov, n - 1, 0);
	if (k >= 0 && (size_t)k == total - 1 - last.iov_len && last.iov_len)
		part = send_some(c, &last, 1, 0);
	if (k < 0 || part < 0)
		return k < 0 ? k : part;
	k += part;
	if ((size_t)k < total - 1)
		return k;
	part = send_some(c, &oob, 1, MSG_OOB);
	return part < 0 ? part : k + part;
}

static int
keep(struct conn *c, const struct iovec *iov, int n, size_t done, size_t total, bool urgent)
{
	struct conn_held *h = held(c);
	if (!h || conn_waiting(c) + (total - done) > c->net->conf.room_max ||
	        !chain_add(&h->out, &c->net->pieces, iov, n, done, total - done))
		return -ENOBUFS;
	if (urgent)
		h->urgent = h->out.n;
	c->flags |= LITTLE;
	return 0;
}

static int
write_all(struct conn *c, const struct iovec *iov, int n, size_t total, bool urgent)
{
	ssize_t done = 0;
	if (!conn_waiting(c) && !(c->flags & CONNECTING))
		done = send_now(c, iov, n, total, urgent);
	if (done < 0)
		return (int)done;
	uint32_t spent = (uint32_t)done + SKB_COST;
	c->free = c->free > spent ? c->free - spent : 0;
	return (size_t)done == total ? 0 : keep(c, iov, n, (size_t)done, total, urgent);
}

int
conn_write(struct conn *c, const struct iovec *iov, int n, bool urgent)
{
	if (c->flags & (DEAD | SHUTDOWN))
		return -EPIPE;
	while (n && !iov[n - 1].iov_len)
		n--;
	assert(n <= CONN_IOV_MAX);
	size_t total = iov_bytes(iov, n);
	int r = total ? write_all(c, iov, n, total, urgent) : 0;
	if (r < 0)
		conn_dead(c);
	return r;
}

void
conn_shutdown(struct conn *c)
{
	c->flags |= SHUTDOWN;
	finish_shutdown(c);
}

void
conn_keepalive(struct conn *c, uint32_t idle_s)
{
	conn_set_int(c, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle_s);
	conn_set_int(c, SOL_SOCKET, SO_KEEPALIVE, 1);
}

/* --- reading ---------------------------------------------------------------------------------- */

static ssize_t
recv_some(const struct conn *c, const struct iovec *iov, int n, int flags)
{
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
	ssize_t k;
	do
		k = recvmsg(c->poll.fd, &m, MSG_DONTWAIT | flags);
	while (k < 0 && errno == EINTR);
	return k < 0 ? -errno : k;
}

/* The kernel makes its receive buffer larger as the reader takes bytes out quickly. Ours only
 * peeks, and lets go a round trip of the guest later, so the buffer would stay small and be full of
 * bytes on their way to the guest. A low-water mark raises it without locking its size (tcp_rmem
 * bounds it), and is itself set back at once. */
static bool
widen(struct conn *c, uint32_t unacked)
{
	int size = 0, low = (int)(unacked * 2), one = 1;
	socklen_t n = sizeof size;
	uint32_t most = c->net->conf.recv_max ? c->net->conf.recv_max : WIDEN_MOST;
	if (unacked < WIDEN_FROM || unacked > most / 4)
		return false;
	if (getsockopt(c->poll.fd, SOL_SOCKET, SO_RCVBUF, &size, &n) < 0 || size >= low * 2)
		return false;
	if (setsockopt(c->poll.fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low) < 0)
		return false;
	setsockopt(c->poll.fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
	return true;
}

static ssize_t
peek_kernel(struct conn *c, uint32_t off, const struct iovec *iov, int n)
{
	int value = (int)off;
	if (c->peek_off != off &&
	        setsockopt(c->poll.fd, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value) < 0)
		return -errno;
	c->peek_off = off;
	ssize_t k = recv_some(c, iov, n, MSG_PEEK);
	if (k == -EAGAIN && widen(c, off))
		k = recv_some(c, iov, n, MSG_PEEK);
	if (k > 0)
		c->peek_off += (uint32_t)k;
	else if (k == 0 && off == 0)
		c->flags &= (uint16_t)~UNREAD;
	return k;
}

/* n bytes of the caller's iov from `skip` on; how many pieces that is. */
static int
cut(const struct iovec *iov, int n_iov, size_t skip, size_t n, struct iovec *out, int max)
{
	int k = 0;
	for (int i = 0; i < n_iov && k < max && n; i++) {
		size_t len = iov[i].iov_len;
		if (skip >= len) {
			skip -= len;
			continue;
		}
		len = len - skip < n ? len - skip : n;
		out[k++] = (struct iovec){(uint8_t *)iov[i].iov_base + skip, len};
		n -= len;
		skip = 0;
	}
	return k;
}

/* Straight into the caller's buffers, and a copy of that kept for the next time. */
static ssize_t
read_ahead(struct conn *c, const struct iovec *iov, int n, size_t skip)
{
	struct iovec part[WRITE_IOV];
	uint32_t have = c->held ? c->held->in.n : 0, most = fair(c->net, c->net->conf.read_ahead);
	if (c->flags & ENDED)
		return 0;
	if (have >= most) {
		c->flags |= HELD_BACK;
		return -EAGAIN;
	}
	int k = cut(iov, n, skip, most - have, part, WRITE_IOV);
	if (!held(c))
		return -ENOMEM;
	ssize_t got = recv_some(c, part, k, 0);
	if (got == 0)
		c->flags |= ENDED;
	if (got > 0 && !chain_add(&c->held->in, &c->net->pieces, part, k, 0, (size_t)got))
		return -ENOBUFS;
	return got;
}

static ssize_t
peek_held(struct conn *c, uint32_t off, const struct iovec *iov, int n)
{
	uint32_t have = c->held ? c->held->in.n : 0;
	if (off > have)
		return -EINVAL;
	size_t old = have ? chain_copy(&c->held->in, off, iov, n) : 0;
	if (old == iov_bytes(iov, n))
		return (ssize_t)old;
	ssize_t fresh = read_ahead(c, iov, n, old);
	if (fresh < 0 && (fresh != -EAGAIN || !old))
		return fresh;
	return (ssize_t)old + (fresh > 0 ? fresh : 0);
}

ssize_t
conn_peek(struct conn *c, uint32_t off, const struct iovec *iov, int n)
{
	if (c->flags & DEAD)
		return -EPIPE;
	if (c->flags & CONNECTING)
		return -EAGAIN;
	ssize_t k = c->flags & PEEKING ? peek_kernel(c, off, iov, n) : peek_held(c, off, iov, n);
	if (k < 0 && k != -EAGAIN)
		conn_dead(c);
	return k;
}

static void
discard_kernel(struct conn *c, uint32_t n)
{
	if (c->peek_off != PEEK_OFF_UNSET)
		c->peek_off = c->peek_off > n ? c->peek_off - n : 0;
	while (n) {
		ssize_t k = recv(c->poll.fd, NULL, n, MSG_TRUNC | MSG_DONTWAIT);
		if (k <= 0)
			return; /* the connection broke: the next peek will say so */
		n -= (uint32_t)k;
	}
}

void
conn_discard(struct conn *c, uint32_t n)
{
	if (c->flags & PEEKING) {
		discard_kernel(c, n);
		return;
	}
	if (!c->held)
		return;
	chain_eat(&c->held->in, &c->net->pieces, n);
	if (c->flags & HELD_BACK) {
		c->flags &= (uint16_t)~HELD_BACK;
		list_add(&c->net->again, &c->node);
		worker_later(c->net->w, &c->net->later);
	}
	if (!c->held->in.n && !c->held->out.n)
		conn_release_held(c);
}
