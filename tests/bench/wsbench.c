/* wsbench: what a WebSocket message costs the server, in CPU nanoseconds of its process.
 *
 *   wsbench [seconds]
 *
 * For each size and direction (flood: client to server, bulk: server to client, echo: both) these
 * servers are measured in turn: `bare` (a blocking socket and the codec: the floor), `http` (this
 * transport, plain) and `tls`. The client is a raw socket with frames made beforehand. Congestion
 * control is reno on both ends: others cost more and would hide what is measured. One JSON object
 * a line; compare within one run only, this is a loopback. */
#include "http/server.h"
#include "wire/wsframe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH (256u << 10)
#define HEAD_MOST 1024

enum mode { MODE_FLOOD, MODE_BULK, MODE_ECHO };
static const char *const mode_names[] = {"flood", "bulk", "echo"};

struct job {
	enum mode mode;
	size_t size;
	uint32_t unsent_max;
	const char *cert, *key; /* of a TLS server, else NULL */
};

struct side { /* a server's connection */
	struct ws ws;
	const struct job *job;
	size_t owed; /* bytes of echo not pulled yet */
};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
set_reno(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* --- frames --------------------------------------------------------------------------- */

static uint8_t payload[1 << 17];

static size_t
put_frame(uint8_t *p, size_t size)
{
	size_t h = wsframe_put_head(p, WS_BINARY, size, NULL);
	memcpy(p + h, payload, size);
	return h + size;
}

/* Whole masked frames, about a batch of them. */
static uint8_t *
client_frames(size_t size, size_t *n, size_t *count)
{
	static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
	uint8_t *p = malloc(BATCH + size + WSFRAME_HEAD_MOST);
	*n = *count = 0;
	while (*n < BATCH) {
		size_t h = wsframe_put_head(p + *n, WS_BINARY, size, mask);
		memset(p + *n + h, 'c', size);
		wsframe_mask(p + *n + h, size, mask, 0);
		*n += h + size;
		++*count;
	}
	return p;
}

/* --- servers -------------------------------------------------------------------------- */

static void
on_message(struct ws *ws, struct span s, bool text)
{
	struct side *e = CONTAINER_OF(ws, struct side, ws);
	(void)text;
	if (e->job->mode != MODE_ECHO)
		return;
	e->owed += s.n;
	ws_want(ws);
	if (e->owed > 4 << 20)
		ws_pause(ws);
}

static bool
on_pull(struct ws *ws, struct ws_out *out)
{
	struct side *e = CONTAINER_OF(ws, struct side, ws);
	size_t size = e->job->size;
	bool bulk = e->job->mode == MODE_BULK;
	while (out->n < out->budget && (bulk || e->owed >= size)) {
		out->n += put_frame(out->p + out->n, size);
		e->owed -= bulk ? 0 : size;
	}
	if (e->owed < 2 << 20)
		ws_resume(ws);
	return bulk || e->owed >= size;
}

static void
on_closed(struct ws *ws, uint16_t code, struct span reason)
{
	(void)ws;
	(void)code;
	(void)reason;
}

static const struct ws_ops ops = {.message = on_message, .pull = on_pull, .closed = on_closed};

static void
on_request(struct req *r, void *user)
{
	struct side *e = user;
	req_upgrade(r, &e->ws, &ops, NULL, 1 << 20, e->job->unsent_max);
	if (e->job->mode == MODE_BULK)
		ws_want(&e->ws);
}

static void
serve_http(int fd, const struct job *job)
{
	static const struct route routes[] = {{"/", METHOD_GET, on_request}, {0}};
	struct server_settings settings = {
	        .head_ms = 5000,
	        .idle_ms = 5000,
	        .head_max = 8192,
	        .target_max = 1024,
	        .headers_max = 50,
	        .tls_cert = job->cert,
	        .tls_key = job->key,
	};
	struct side e = {.job = job};
	struct transport *t = NULL;
	struct worker w;
	struct log log;
	struct err err;
	log_root(&log, STDERR_FILENO, LOG_WARN, LOG_TEXT);
	if (worker_init(&w, &log) < 0 || transport_open(&w, NULL, &t, &err) < 0)
		die("worker");
	struct server *s = server_new(t, &settings, routes, &e, &err);
	if (!s || server_adopt(s, fd) < 0)
		die("server");
	worker_run(&w);
}

static bool
send_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

struct bare {
	struct wsparse parse;
	size_t owed;
};

static void
bare_message(struct wsparse *p, enum ws_op op, struct span s)
{
	(void)op;
	CONTAINER_OF(p, struct bare, parse)->owed += s.n;
}

static void
bare_batch_end(struct wsparse *p)
{
	(void)p;
}

static const struct wsparse_ops bare_ops = {.message = bare_message, .batch_end = bare_batch_end};

static size_t
fill(uint8_t *out, size_t size, size_t *owed)
{
	size_t n = 0;
	while (n < BATCH && *owed >= size) {
		n += put_frame(out + n, size);
		*owed -= size;
	}
	return n;
}

static void
serve_bare(int fd, const struct job *job)
{
	static uint8_t in[BATCH], out[2 * BATCH];
	static const uint8_t answer[] = "HTTP/1.1 101 x\r\n\r\n";
	struct bare b = {0};
	wsparse_init(&b.parse, &bare_ops, false, 1 << 20);
	if (recv(fd, in, HEAD_MOST, 0) <= 0 || !send_all(fd, answer, sizeof answer - 1))
		die("bare");
	for (;;) {
		ssize_t n = job->mode == MODE_BULK ? 0 : recv(fd, in, sizeof in, 0);
		if (n < 0 || (n == 0 && job->mode != MODE_BULK))
			return;
		if (n)
			wsparse_feed(&b.parse, in, (size_t)n);
		if (job->mode == MODE_BULK)
			b.owed = BATCH;
		while (job->mode != MODE_FLOOD && b.owed >= job->size)
			if (!send_all(fd, out, fill(out, job->size, &b.owed)))
				return;
	}
}

/* --- the client ----------------------------------------------------------------------- */

struct peer {
	int fd;
	SSL_CTX *cx;
	SSL *ssl;
};

static ssize_t
peer_write(struct peer *p, const void *b, size_t n)
{
	return p->ssl ? SSL_write(p->ssl, b, (int)n) : send(p->fd, b, n, MSG_NOSIGNAL);
}

/* Without a copy where that can be. */
static ssize_t
peer_read(struct peer *p, void *b, size_t n)
{
	return p->ssl ? SSL_read(p->ssl, b, (int)n) : recv(p->fd, b, n, MSG_TRUNC);
}

static void
peer_open(struct peer *p, int fd, bool tls)
{
	char head[HEAD_MOST];
	static const char ask[] = "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
	                          "Sec-WebSocket-Version: 13\r\n"
	                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	*p = (struct peer){.fd = fd};
	if (tls) {
		p->cx = SSL_CTX_new(TLS_client_method());
		p->ssl = SSL_new(p->cx);
		SSL_set_fd(p->ssl, fd);
		if (SSL_connect(p->ssl) != 1)
			die("TLS");
	}
	if (peer_write(p, ask, sizeof ask - 1) <= 0)
		die("ask");
	ssize_t n = p->ssl ? SSL_read(p->ssl, head, sizeof head) : recv(fd, head, sizeof head, 0);
	if (n < 12 || memcmp(head, "HTTP/1.1 101", 12))
		die("upgrade");
}

static double
seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Push frames until then; how many. */
static double
push(struct peer *p, const struct job *job, double until)
{
	size_t n, count;
	double sent = 0;
	uint8_t *frames = client_frames(job->size, &n, &count);
	while (seconds(CLOCK_MONOTONIC) < until) {
		for (size_t at = 0; at < n;) {
			ssize_t k = peer_write(p, frames + at, n - at);
			if (k <= 0)
				die("push");
			at += (size_t)k;
		}
		sent += (double)count;
	}
	free(frames);
	return sent;
}

static double
drain(struct peer *p, const struct job *job, double until)
{
	static uint8_t b[1 << 20];
	double bytes = 0;
	while (seconds(CLOCK_MONOTONIC) < until) {
		ssize_t k = peer_read(p, b, sizeof b);
		if (k <= 0)
			die("drain");
		bytes += (double)k;
	}
	return bytes / (double)(job->size + wsframe_head_len(job->size, false));
}

/* In echo mode a child reads what comes back. */
static double
run_client(struct peer *p, const struct job *job, double until)
{
	if (job->mode == MODE_BULK)
		return drain(p, job, until);
	if (job->mode == MODE_FLOOD)
		return push(p, job, until);
	pid_t reader = fork();
	if (reader == 0) {
		uint8_t b[1 << 16];
		while (peer_read(p, b, sizeof b) > 0)
			continue;
		_exit(0);
	}
	double n = push(p, job, until);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	return n;
}

/* --- one measurement ------------------------------------------------------------------ */

static void
connect_pair(int *server, int *client)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	set_reno(l);
	*client = socket(AF_INET, SOCK_STREAM, 0);
	set_reno(*client);
	if (bind(l, (struct sockaddr *)&at, len) < 0 || listen(l, 1) < 0 ||
	        getsockname(l, (struct sockaddr *)&at, &len) < 0 ||
	        connect(*client, (struct sockaddr *)&at, len) < 0)
		die("connect");
	*server = accept(l, NULL, NULL);
	set_reno(*server);
	close(l);
}

static double
measure(const struct job *job, void (*serve)(int, const struct job *), double secs)
{
	int server, client;
	connect_pair(&server, &client);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(client);
		serve(server, job);
		_exit(0);
	}
	close(server);
	struct peer p;
	clockid_t cpu;
	peer_open(&p, client, job->cert != NULL);
	clock_getcpuclockid(pid, &cpu);
	run_client(&p, job, seconds(CLOCK_MONOTONIC) + secs / 4);
	double before = seconds(cpu);
	double n = run_client(&p, job, seconds(CLOCK_MONOTONIC) + secs);
	double ns = (seconds(cpu) - before) * 1e9 / n;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	SSL_free(p.ssl);
	SSL_CTX_free(p.cx);
	close(client);
	return ns;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double
median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, by_value);
	return v[n / 2];
}

int
main(int argc, char **argv)
{
	enum { ROUNDS = 5 };
	static const size_t sizes[] = {64, 1500, 16384};
	double secs = argc > 1 ? atof(argv[1]) : 0.5;
	char dir[] = "/tmp/aero-wsbench-XXXXXX", cert[64], key[64], cmd[400];
	if (!mkdtemp(dir))
		die("mkdtemp");
	snprintf(cert, sizeof cert, "%s/crt", dir);
	snprintf(key, sizeof key, "%s/key", dir);
	snprintf(cmd, sizeof cmd,
	        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
	        "-subj /CN=bench -out %s -keyout %s 2>/dev/null",
	        cert, key);
	if (system(cmd))
		die("openssl");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (enum mode m = MODE_FLOOD; m <= MODE_ECHO; m++) {
			struct job job = {.mode = m, .size = sizes[i], .unsent_max = 1 << 20};
			struct job near = job, tls = job;
			double bare[ROUNDS], http[ROUNDS], low[ROUNDS], crypt[ROUNDS];
			near.unsent_max = 128 << 10;
			tls.cert = cert;
			tls.key = key;
			for (int r = 0; r < ROUNDS; r++) {
				bare[r] = measure(&job, serve_bare, secs);
				http[r] = measure(&job, serve_http, secs);
				low[r] = measure(&near, serve_http, secs);
				crypt[r] = m == MODE_ECHO ? 0 : measure(&tls, serve_http, secs);
			}
			double b = median(bare, ROUNDS), h = median(http, ROUNDS);
			printf("{\"size\":%zu,\"mode\":\"%s\",\"bare_ns\":%.0f,\"http_ns\":%.0f,"
			       "\"ratio\":%.2f,\"http_128k_ns\":%.0f,\"tls_ns\":%.0f}\n",
			        sizes[i], mode_names[m], b, h, h / b, median(low, ROUNDS),
			        median(crypt, ROUNDS));
			fflush(stdout);
		}
	unlink(cert);
	unlink(key);
	rmdir(dir);
	return 0;
}
