/* One process per server, edge of the measurement: it must never be what is measured, so it does as
 * little as it can and reads and writes in large pieces. */
#include "tests/bench/kit/kit.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 256 << 10, EVENTS = 256, BACKLOG = 4096, UDP_BUFFER = 4 << 20 };

struct server {
	enum upstream_kind kind;
	int listener, epoll;
	volatile struct upstream_count *count;
	uint8_t buf[PIECE];
};

static int
listener(enum upstream_kind kind, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof a;
	bool udp = kind == UPSTREAM_UDP;
	int fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0), room = UDP_BUFFER;
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) < 0)
		die("server");
	if (udp) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	} else {
		pin_reno(fd);
		if (listen(fd, BACKLOG) < 0)
			die("listen");
	}
	getsockname(fd, (struct sockaddr *)&a, &n);
	*port = ntohs(a.sin_port);
	return fd;
}

static void
welcome(struct server *s)
{
	int one = 1, fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);
	struct epoll_event e = {
	        .events = s->kind == UPSTREAM_SOURCE ? EPOLLOUT : EPOLLIN, .data.fd = fd};
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		close(fd);
}

static void
work(struct server *s, int fd)
{
	ssize_t n;
	if (s->kind == UPSTREAM_SOURCE)
		n = send(fd, s->buf, PIECE, MSG_NOSIGNAL);
	else
		n = recv(fd, s->buf, PIECE, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && s->kind == UPSTREAM_SINK)
		s->count->bytes += (uint64_t)n;
	if (n > 0 && (s->kind == UPSTREAM_ECHO || s->kind == UPSTREAM_REQUEST))
		n = send(fd, s->buf, (size_t)n, MSG_NOSIGNAL);
	if (n <= 0 || s->kind == UPSTREAM_REQUEST)
		close(fd);
}

static void
serve_tcp(struct server *s)
{
	struct epoll_event e[EVENTS] = {{.events = EPOLLIN, .data.fd = s->listener}};
	s->epoll = epoll_create1(0);
	epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &e[0]);
	for (;;) {
		int n = epoll_wait(s->epoll, e, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (e[i].data.fd == s->listener)
				welcome(s);
			else
				work(s, e[i].data.fd);
		}
	}
}

static void
serve_udp(struct server *s)
{
	struct sockaddr_in a;
	for (;;) {
		socklen_t len = sizeof a;
		ssize_t n = recvfrom(s->listener, s->buf, PIECE, 0, (struct sockaddr *)&a, &len);
		if (n >= 0)
			sendto(s->listener, s->buf, (size_t)n, 0, (struct sockaddr *)&a, len);
	}
}

struct upstream
upstream_start(enum upstream_kind kind)
{
	static struct server s;
	struct upstream up;
	pid_t parent = getpid();
	s.kind = kind;
	s.listener = listener(kind, &up.port);
	up.count = mmap(
	        NULL, sizeof *up.count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (up.count == MAP_FAILED)
		die("mmap");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		s.count = up.count;
		if (kind == UPSTREAM_UDP)
			serve_udp(&s);
		else
			serve_tcp(&s);
	}
	close(s.listener);
	return up;
}
