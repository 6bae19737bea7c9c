#include "net/conn.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
expect_peek(int fd, int off, const char *want, size_t n)
{
	char got[8];
	if (off >= 0 && setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off) < 0)
		return false;
	return recv(fd, got, n, MSG_PEEK) == (ssize_t)n && memcmp(got, want, n) == 0;
}

/* Kernels accept the option on sockets long before they honour it, so try it out. */
static bool
peeks_right(int a, int b)
{
	return send(a, "abcdef", 6, MSG_NOSIGNAL) == 6 && expect_peek(b, 2, "cd", 2) &&
	       expect_peek(b, -1, "ef", 2) && recv(b, NULL, 3, MSG_TRUNC) == 3 &&
	       expect_peek(b, 1, "ef", 2) && expect_peek(b, 0, "def", 3);
}

static bool
probe_peek(const struct ip *loopback)
{
	struct sockaddr_storage ss;
	struct endpoint ep = {*loopback, 0};
	socklen_t len = endpoint_to_sockaddr(&ep, &ss);
	int type = SOCK_STREAM | SOCK_CLOEXEC, a = -1, b = -1;
	struct timeval patience = {1, 0};
	int l = socket(ss.ss_family, type, 0);
	bool ok = l >= 0 && bind(l, (struct sockaddr *)&ss, len) == 0 && listen(l, 1) == 0 &&
	          getsockname(l, (struct sockaddr *)&ss, &len) == 0 &&
	          (a = socket(ss.ss_family, type, 0)) >= 0 &&
	          connect(a, (struct sockaddr *)&ss, len) == 0 &&
	          (b = accept4(l, NULL, NULL, SOCK_CLOEXEC)) >= 0 &&
	          setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
	          peeks_right(a, b);
	for (int i = 0; i < 3; i++)
		if ((int[]){l, a, b}[i] >= 0)
			close((int[]){l, a, b}[i]);
	return ok;
}

void
conn_probe(struct conn_caps *caps)
{
	struct ip lo4 = ip4(INADDR_LOOPBACK), lo6 = {.b = {[15] = 1}};
	caps->peek4 = probe_peek(&lo4);
	caps->peek6 = probe_peek(&lo6);
}
