#include "net/ping.h"

#include "net/errqueue.h"
#include "net/poller.h"

#include "base/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ECHO_HEAD 8
#define ECHO4 8
#define ECHO_REPLY4 0
#define ECHO6 128
#define ECHO_REPLY6 129
#define DATAGRAM 65536
/* More than a socket's queue holds; a flood beyond it waits for the next packet to arrive. */
#define MOST_A_TURN 512

struct ping_sock {
	struct poll_fd poll;
	bool open;
	uint8_t ttl; /* as last set; 0 = the host's */
};

struct ping_id {
	struct list node; /* in its set */
	struct ping_set *set;
	struct ping_sock v4, v6;
	uint16_t id; /* the guest's */
};

/* --- set-up ----------------------------------------------------------------------------------- */

static int
protocol_of(int family)
{
	return family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

static void
say_why(char *why, size_t n, int err)
{
	char range[32] = "";
	if (err != EACCES && err != EPERM) {
		snprintf(why, n, "%s", strerror(err));
		return;
	}
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_RDONLY | O_CLOEXEC);
	ssize_t k = fd >= 0 ? read(fd, range, sizeof range - 1) : 0;
	if (fd >= 0)
		close(fd);
	range[k > 0 ? k : 0] = '\0';
	for (char *p = range; *p; p++)
		if (*p == '\t' || *p == '\n')
			*p = *p == '\t' ? ' ' : '\0';
	snprintf(why, n, "net.ipv4.ping_group_range is \"%s\", without group %u", range, getegid());
}

static bool
probe(int family, char *why, size_t n)
{
	why[0] = '\0';
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, protocol_of(family));
	if (fd < 0) {
		say_why(why, n, errno);
		return false;
	}
	close(fd);
	return true;
}

void
ping_probe(struct ping_caps *caps)
{
	caps->v4 = probe(AF_INET, caps->why4, sizeof caps->why4);
	caps->v6 = probe(AF_INET6, caps->why6, sizeof caps->why6);
}

int
ping_net_init(struct ping_net *net, struct worker *w, const struct ping_caps *caps,
        uint32_t max_ids, const struct ping_ops *ops)
{
	*net = (struct ping_net){.w = w, .ops = ops, .v4 = caps->v4, .v6 = caps->v6};
	slab_init(&net->ids, sizeof(struct ping_id), max_ids);
	net->buf = malloc(DATAGRAM);
	return net->buf ? 0 : -ENOMEM;
}

void
ping_net_fini(struct ping_net *net)
{
	slab_fini(&net->ids);
	free(net->buf);
	net->buf = NULL;
}

void
ping_open(struct ping_net *net, struct ping_set *s)
{
	s->net = net;
	list_init(&s->ids);
}

static void
close_sock(struct ping_net *net, struct ping_sock *k)
{
	if (!k->open)
		return;
	poller_del(net->w->poller, &k->poll);
	close(k->poll.fd);
	k->open = false;
}

static void
forget(struct ping_net *net, struct ping_id *p)
{
	if (net->current == p)
		net->current = NULL;
	list_del(&p->node);
	close_sock(net, &p->v4);
	close_sock(net, &p->v6);
	slab_free(&net->ids, p);
}

void
ping_close(struct ping_set *s)
{
	if (!s->net)
		return;
	LIST_FOR_EACH_SAFE (n, &s->ids)
		forget(s->net, LIST_ENTRY(n, struct ping_id, node));
}

static struct ping_id *
find(const struct ping_set *s, uint16_t id)
{
	LIST_FOR_EACH (n, &s->ids) {
		struct ping_id *p = LIST_ENTRY(n, struct ping_id, node);
		if (p->id == id)
			return p;
	}
	return NULL;
}

void
ping_end(struct ping_set *s, uint16_t id)
{
	struct ping_id *p = find(s, id);
	if (p)
		forget(s->net, p);
}

/* --- receiving -------------------------------------------------------------------------------- */

static uint8_t
received_ttl(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		bool ttl = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		           (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT);
		int v = 0;
		if (!ttl || c->cmsg_len < CMSG_LEN(sizeof v))
			continue;
		memcpy(&v, CMSG_DATA(c), sizeof v);
		return (uint8_t)v;
	}
	return 0;
}

/* False: nothing there. */
static bool
read_one(struct ping_id *p, const struct ping_sock *k, uint8_t want)
{
	struct ping_net *net = p->set->net;
	struct sockaddr_storage ss = {0};
	_Alignas(struct cmsghdr) char ctl[64];
	struct iovec iov = {net->buf, DATAGRAM};
	struct msghdr m = {.msg_name = &ss,
	        .msg_namelen = sizeof ss,
	        .msg_iov = &iov,
	        .msg_iovlen = 1,
	        .msg_control = ctl,
	        .msg_controllen = sizeof ctl};
	ssize_t n = recvmsg(k->poll.fd, &m, MSG_DONTWAIT);
	if (n < 0)
		return errno != EAGAIN;
	struct endpoint src;
	if (n >= ECHO_HEAD && net->buf[0] == want &&
	        endpoint_from_sockaddr((struct sockaddr *)&ss, &src))
		net->ops->reply(p->set, &src.ip, p->id, get16(net->buf + 6),
		        span(net->buf + ECHO_HEAD, (size_t)n - ECHO_HEAD), received_ttl(&m));
	return true;
}

/* The quote begins with the echo request as it was sent. */
static void
read_errors(struct ping_id *p, const struct ping_sock *k)
{
	struct ping_net *net = p->set->net;
	struct errqueue_report r;
	uint8_t quote[64];
	int err;
	socklen_t len = sizeof err;
	(void)getsockopt(k->poll.fd, SOL_SOCKET, SO_ERROR, &err, &len);
	while (net->current == p && errqueue_next(k->poll.fd, &r, quote, sizeof quote))
		if (r.quote.n >= ECHO_HEAD)
			net->ops->error(p->set, &r.dst.ip, p->id, get16(quote + 6), &r.from, r.type,
			        r.code, r.mtu);
}

static void
on_events(struct ping_id *p, const struct ping_sock *k, uint32_t events, uint8_t want)
{
	struct ping_net *net = p->set->net;
	net->current = p;
	if (events & EPOLLERR)
		read_errors(p, k);
	for (int i = 0; i < MOST_A_TURN && net->current == p; i++)
		if (!read_one(p, k, want))
			break;
	net->current = NULL;
}

static void
on_v4(struct poll_fd *f, uint32_t events)
{
	struct ping_id *p = CONTAINER_OF(f, struct ping_id, v4.poll);
	on_events(p, &p->v4, events, ECHO_REPLY4);
}

static void
on_v6(struct poll_fd *f, uint32_t events)
{
	struct ping_id *p = CONTAINER_OF(f, struct ping_id, v6.poll);
	on_events(p, &p->v6, events, ECHO_REPLY6);
}

/* --- sending ---------------------------------------------------------------------------------- */

static int
need_sock(struct ping_net *net, struct ping_sock *k, int family)
{
	int on = 1;
	if (k->open)
		return 0;
	int fd = worker_guest_socket(net->w, family, SOCK_DGRAM, protocol_of(family));
	if (fd < 0)
		return fd == -EACCES ? -EPERM : fd;
	if (family == AF_INET)
		(void)setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
	else
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
	(void)errqueue_on(fd, family);
	*k = (struct ping_sock){.poll = {.ready = family == AF_INET ? on_v4 : on_v6, .fd = fd}};
	int r = poller_add(net->w->poller, &k->poll);
	if (r < 0)
		close(fd);
	k->open = r == 0;
	return r;
}

static void
set_ttl(struct ping_sock *k, int family, uint8_t ttl)
{
	int v = ttl ? ttl : -1;
	if (k->ttl == ttl)
		return;
	if (family == AF_INET)
		(void)setsockopt(k->poll.fd, IPPROTO_IP, IP_TTL, &v, sizeof v);
	else
		(void)setsockopt(k->poll.fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &v, sizeof v);
	k->ttl = ttl;
}

/* The kernel puts in the socket's id and the checksum. An error report fails one send that has
 * nothing to do with it, so a failed one is tried again. */
static int
send_echo(const struct ping_sock *k, const struct endpoint *dst, uint16_t seq, struct span payload)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(dst, &ss);
	uint8_t head[ECHO_HEAD] = {ss.ss_family == AF_INET ? ECHO4 : ECHO6};
	put16(head + 6, seq);
	struct iovec iov[2] = {{head, sizeof head}, {(void *)payload.p, payload.n}};
	struct msghdr m = {.msg_name = &ss, .msg_namelen = len, .msg_iov = iov, .msg_iovlen = 2};
	for (int attempt = 0; attempt < 2; attempt++) {
		if (sendmsg(k->poll.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return 0;
	}
	return -errno;
}

static struct ping_id *
find_or_make(struct ping_set *s, uint16_t id)
{
	struct ping_id *p = find(s, id);
	if (p) {
		list_del(&p->node);
	} else {
		p = slab_alloc(&s->net->ids);
		if (!p)
			return NULL;
		p->set = s;
		p->id = id;
	}
	list_push(&s->ids, &p->node);
	return p;
}

int
ping_send(struct ping_set *s, const struct ip *dst, uint16_t id, uint16_t seq, struct span payload,
        uint8_t ttl)
{
	struct ping_net *net = s->net;
	int family = ip_is4(dst) ? AF_INET : AF_INET6;
	if (!(family == AF_INET ? net->v4 : net->v6))
		return -EPERM;
	struct ping_id *p = find_or_make(s, id);
	if (!p)
		return -ENOBUFS;
	struct ping_sock *k = family == AF_INET ? &p->v4 : &p->v6;
	int r = need_sock(net, k, family);
	if (r == 0) {
		set_ttl(k, family, ttl);
		r = send_echo(k, &(struct endpoint){*dst, 0}, seq, payload);
	}
	if (!p->v4.open && !p->v6.open)
		forget(net, p);
	return r;
}
