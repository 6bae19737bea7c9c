/* Sends go out one by one: sendmmsg saves 4 to 5 % of a send's cost, which does not pay for a copy
 * of each payload and for errors that come too late to be answered. Receiving is batched, into an
 * arena of the worker's with room for 64 datagrams of any size; only pages that were written to
 * count, and small datagrams write to one.
 *
 * An ICMP error also fails the next call on the socket, once, whatever that was for. Such a call is
 * made again: its own errors fail it twice. The report itself waits in the error queue, and the
 * event that announces it is certain. */
#include "net/dgram.h"

#include "net/errqueue.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define BATCH 64
#define SLOT (65536 + 1088) /* off the powers of two, so that slots do not share cache sets */
#define QUOTE 128

struct dgram_rx {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in6 from[BATCH];
	uint8_t *data;
};

static void on_again(struct later *l);

int
dgram_net_init(
        struct dgram_net *net, struct worker *w, enum dgram_df df, const struct dgram_ops *ops)
{
	*net = (struct dgram_net){.w = w, .ops = ops, .df = df};
	list_init(&net->again);
	later_init(&net->later, on_again);
	struct dgram_rx *rx = calloc(1, sizeof *rx);
	if (!rx)
		return -ENOMEM;
	rx->data = mmap(NULL, (size_t)BATCH * SLOT, PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rx->data == MAP_FAILED) {
		free(rx);
		return -ENOMEM;
	}
	for (int i = 0; i < BATCH; i++) {
		rx->iov[i] = (struct iovec){rx->data + (size_t)i * SLOT, SLOT};
		rx->msg[i].msg_hdr = (struct msghdr){
		        .msg_name = &rx->from[i], .msg_iov = &rx->iov[i], .msg_iovlen = 1};
	}
	net->rx = rx;
	return 0;
}

void
dgram_net_fini(struct dgram_net *net)
{
	later_cancel(&net->later);
	if (!net->rx)
		return;
	munmap(net->rx->data, (size_t)BATCH * SLOT);
	free(net->rx);
	net->rx = NULL;
}

void
dgram_open(struct dgram_net *net, struct dgram *d)
{
	*d = (struct dgram){.net = net};
	list_init(&d->node);
}

static void
close_sock(struct dgram *d, struct dgram_sock *s)
{
	if (!s->open)
		return;
	poller_del(d->net->w->poller, &s->poll);
	close(s->poll.fd);
	s->open = false;
}

void
dgram_close(struct dgram *d)
{
	if (!d->net)
		return;
	if (d->net->current == d)
		d->net->current = NULL;
	list_del(&d->node);
	close_sock(d, &d->v4);
	close_sock(d, &d->v6);
}

/* --- receiving -------------------------------------------------------------------------------- */

static void
deliver(struct dgram *d, int n)
{
	struct dgram_net *net = d->net;
	struct dgram_rx *rx = net->rx;
	for (int i = 0; i < n && net->current == d; i++) {
		struct endpoint src;
		if (endpoint_from_sockaddr((struct sockaddr *)&rx->from[i], &src))
			net->ops->input(d, &src, span(rx->iov[i].iov_base, rx->msg[i].msg_len));
	}
}

static void
read_batch(struct dgram *d, struct dgram_sock *s)
{
	struct dgram_rx *rx = d->net->rx;
	for (int i = 0; i < BATCH; i++)
		rx->msg[i].msg_hdr.msg_namelen = sizeof rx->from[i];
	int n = recvmmsg(s->poll.fd, rx->msg, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN)
		n = recvmmsg(s->poll.fd, rx->msg, BATCH, MSG_DONTWAIT, NULL);
	s->more = n == BATCH;
	if (s->more) {
		list_del(&d->node);
		list_add(&d->net->again, &d->node);
		worker_later(d->net->w, &d->net->later);
	}
	deliver(d, n);
}

static void
read_errors(struct dgram *d, const struct dgram_sock *s)
{
	struct dgram_net *net = d->net;
	struct errqueue_report r;
	uint8_t quote[QUOTE];
	int err;
	socklen_t len = sizeof err;
	(void)getsockopt(s->poll.fd, SOL_SOCKET, SO_ERROR, &err, &len);
	while (net->current == d && errqueue_next(s->poll.fd, &r, quote, sizeof quote))
		net->ops->error(d, &r.dst, &r.from, r.type, r.code, r.mtu);
}

static void
on_events(struct dgram *d, struct dgram_sock *s, uint32_t events)
{
	struct dgram_net *net = d->net;
	net->current = d;
	if (events & EPOLLERR)
		read_errors(d, s);
	if (net->current == d && (events & EPOLLIN) && !s->more)
		read_batch(d, s);
	net->current = NULL;
}

static void
on_v4(struct poll_fd *p, uint32_t events)
{
	struct dgram *d = CONTAINER_OF(p, struct dgram, v4.poll);
	on_events(d, &d->v4, events);
}

static void
on_v6(struct poll_fd *p, uint32_t events)
{
	struct dgram *d = CONTAINER_OF(p, struct dgram, v6.poll);
	on_events(d, &d->v6, events);
}

static void
on_again(struct later *l)
{
	struct dgram_net *net = CONTAINER_OF(l, struct dgram_net, later);
	struct list now;
	list_init(&now);
	for (struct list *n; (n = list_pop(&net->again));)
		list_add(&now, n);
	for (struct list *n; (n = list_pop(&now));) {
		struct dgram *d = LIST_ENTRY(n, struct dgram, node);
		net->current = d;
		if (d->v4.more)
			read_batch(d, &d->v4);
		if (net->current == d && d->v6.more)
			read_batch(d, &d->v6);
	}
	net->current = NULL;
}

/* --- sending ---------------------------------------------------------------------------------- */

static void
set_options(const struct dgram_net *net, int fd, int family)
{
	int on = 1, dont4 = IP_PMTUDISC_DONT, dont6 = IPV6_PMTUDISC_DONT;
	bool never = net->df == DGRAM_DF_NEVER;
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (never && family == AF_INET)
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont4, sizeof dont4);
	if (never && family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &dont6, sizeof dont6);
	(void)errqueue_on(fd, family);
}

static int
need_sock(struct dgram *d, struct dgram_sock *s, int family)
{
	if (s->open)
		return 0;
	int fd = worker_guest_socket(d->net->w, family, SOCK_DGRAM, 0);
	if (fd < 0)
		return fd;
	set_options(d->net, fd, family);
	*s = (struct dgram_sock){.poll = {.ready = family == AF_INET ? on_v4 : on_v6, .fd = fd}};
	int r = poller_add(d->net->w->poller, &s->poll);
	if (r < 0)
		close(fd);
	s->open = r == 0;
	return r;
}

static size_t
put_int(char *ctl, size_t at, int level, int type, int value)
{
	struct cmsghdr c = {
	        .cmsg_len = CMSG_LEN(sizeof value), .cmsg_level = level, .cmsg_type = type};
	memcpy(ctl + at, &c, sizeof c);
	memcpy(ctl + at + CMSG_LEN(0), &value, sizeof value);
	return at + CMSG_SPACE(sizeof value);
}

static size_t
put_control(char *ctl, int family, uint8_t ttl, uint8_t tos)
{
	bool v4 = family == AF_INET;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	size_t n = 0;
	if (ttl)
		n = put_int(ctl, n, level, v4 ? IP_TTL : IPV6_HOPLIMIT, ttl);
	if (tos)
		n = put_int(ctl, n, level, v4 ? IP_TOS : IPV6_TCLASS, tos);
	return n;
}

int
dgram_send(
        struct dgram *d, const struct endpoint *dst, struct span payload, uint8_t ttl, uint8_t tos)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(dst, &ss);
	struct dgram_sock *s = ss.ss_family == AF_INET ? &d->v4 : &d->v6;
	int r = need_sock(d, s, ss.ss_family);
	if (r < 0)
		return r;
	_Alignas(struct cmsghdr) char ctl[2 * CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {(void *)payload.p, payload.n};
	struct msghdr m = {.msg_name = &ss, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1};
	m.msg_controllen = put_control(ctl, ss.ss_family, ttl, tos);
	m.msg_control = m.msg_controllen ? ctl : NULL;
	for (int attempt = 0; attempt < 2; attempt++) {
		if (sendmsg(s->poll.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return 0;
	}
	return -errno;
}
