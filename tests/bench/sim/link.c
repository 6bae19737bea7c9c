/* The tunnel's client end. Frames are really masked, as a browser must: the server's unmasking is
 * part of what is measured. */
#include "tests/bench/sim/sim.h"

#include "base/enc.h"
#include "wire/l2tun.h"
#include "wire/wsframe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const uint8_t mask[4] = {0x5a, 0xc3, 0x96, 0x0f};

static int
dial_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die(path);
	return fd;
}

static int
dial_tcp(int port, int rcvbuf)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	        .sin_port = htons((uint16_t)port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	if (fd < 0)
		die("socket");
	pin_reno(fd);
	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static struct ssl_st *
start_tls(int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *tls = ctx ? SSL_new(ctx) : NULL;
	if (!tls || !SSL_set_fd(tls, fd) || SSL_connect(tls) != 1)
		die("TLS");
	SSL_CTX_free(ctx);
	SSL_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return tls;
}

static void
upgrade(struct link *l, const struct where *to)
{
	char text[2048] = "";
	size_t got = 0;
	int n = snprintf(text, sizeof text,
	        "GET /l2 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: "
	        "websocket\r\n"
	        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	        "Sec-WebSocket-Protocol: " L2TUN_PROTOCOL "%s%s\r\n\r\n",
	        to->token ? ", " L2TUN_TOKEN_PREFIX : "", to->token ? to->token : "");
	if (link_send(l, (uint8_t *)text, (size_t)n) != n)
		die("upgrade");
	memset(text, 0, sizeof text);
	while (!strstr(text, "\r\n\r\n") && got + 1 < sizeof text)
		if (link_recv(l, (uint8_t *)text + got++, 1) != 1)
			die("no answer to the upgrade");
	if (strncmp(text, "HTTP/1.1 101", 12) != 0) {
		fprintf(stderr, "guestsim: %s\n", text);
		exit(1);
	}
}

void
link_open(struct link *l, const struct where *to)
{
	*l = (struct link){.framed = to->path != NULL};
	l->fd = to->path ? dial_unix(to->path) : dial_tcp(to->port, to->rcvbuf);
	if (to->tls)
		l->tls = start_tls(l->fd);
	if (!l->framed)
		upgrade(l, to);
	fcntl(l->fd, F_SETFL, O_NONBLOCK);
}

static ssize_t
tls_result(struct link *l, int n)
{
	int e = n > 0 ? 0 : SSL_get_error(l->tls, n);
	if (n > 0)
		return n;
	errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
	return -1;
}

ssize_t
link_send(struct link *l, const uint8_t *p, size_t n)
{
	if (l->tls)
		return tls_result(l, SSL_write(l->tls, p, (int)n));
	return send(l->fd, p, n, MSG_NOSIGNAL);
}

/* One record a call is too little to compare with a plain socket. */
static ssize_t
tls_recv(struct link *l, uint8_t *p, size_t n)
{
	size_t got = 0;
	ssize_t k = 1;
	while (k > 0 && got < n) {
		k = tls_result(l, SSL_read(l->tls, p + got, (int)(n - got)));
		if (k > 0)
			got += (size_t)k;
	}
	return got ? (ssize_t)got : k;
}

ssize_t
link_recv(struct link *l, uint8_t *p, size_t n)
{
	return l->tls ? tls_recv(l, p, n) : recv(l->fd, p, n, 0);
}

size_t
link_head(const struct link *l, uint8_t *p, size_t n)
{
	if (l->framed) {
		put32(p, (uint32_t)n);
		return 4;
	}
	size_t head = wsframe_put_head(p, WS_BINARY, n + L2TUN_HEAD, mask);
	l2tun_put_head(p + head, L2TUN_FRAME);
	return head + L2TUN_HEAD;
}

void
link_seal(const struct link *l, uint8_t *message, size_t head, size_t n)
{
	if (!l->framed)
		wsframe_mask(message + head - L2TUN_HEAD, n + L2TUN_HEAD, mask, 0);
}

static ssize_t
next_framed(const uint8_t *p, size_t n, struct span *frame)
{
	if (n < 4 || n - 4 < get32(p))
		return 0;
	*frame = span(p + 4, get32(p));
	return (ssize_t)frame->n + 4;
}

ssize_t
link_next(const struct link *l, const uint8_t *p, size_t n, struct span *frame)
{
	*frame = SPAN_NONE;
	if (l->framed)
		return next_framed(p, n, frame);
	if (n < 2)
		return 0;
	size_t head = p[1] < 126 ? 2 : 4, len = p[1];
	if (n < head)
		return 0;
	if (p[1] == 126)
		len = get16(p + 2);
	if (n < head + len)
		return 0;
	if ((p[0] & 15) == WS_CLOSE)
		return -1;
	if (len > L2TUN_HEAD && p[head + 2] == L2TUN_FRAME)
		*frame = span(p + head + L2TUN_HEAD, len - L2TUN_HEAD);
	return (ssize_t)(head + len);
}
