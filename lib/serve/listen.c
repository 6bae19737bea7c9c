#include "serve/listen.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int
bind_and_listen(int fd, const struct endpoint *at, int backlog, struct endpoint *where)
{
	struct sockaddr_storage sa;
	socklen_t n = endpoint_to_sockaddr(at, &sa);
	int one = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	        bind(fd, (struct sockaddr *)&sa, n) < 0 || listen(fd, backlog) < 0)
		return -errno;
	n = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return -errno;
	endpoint_from_sockaddr((struct sockaddr *)&sa, where);
	return 0;
}

int
listen_open(const struct endpoint *at, int backlog, struct endpoint *where, struct err *e)
{
	char text[ADDR_TEXT];
	int family = ip_is4(&at->ip) ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? -errno : bind_and_listen(fd, at, backlog, where);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		return err_set(
		        e, rc, "cannot listen on %s: %s", endpoint_text(at, text), strerror(-rc));
	}
	return fd;
}
