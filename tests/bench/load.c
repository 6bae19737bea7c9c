/* load: load from a guest with a kernel: ordinary sockets in the guest's network namespace, behind
 * whatever TAP device is there. The servers it talks to stay in the namespace it was started in.
 * One measurement a run, one JSON object on stdout. */
#include "tests/bench/kit/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
        "load MODE --netns PATH --host A.B.C.D [option]...\n"
        "  --pid PID --aux PID  whose CPU time counts: the server; a helper of its\n"
        "  --seconds S, --flows N, --size BYTES, --pps N, --stale N, --hosts N: as guestsim has "
        "them\n"
        "MODE: down up rr crr udp pace pingpong synflood\n";

enum {
	PIECE = 256 << 10,
	EVENTS = 256,
	WARM_US = 300000,
	PATIENCE_US = 200000,
	PROBES = 20,
	NOWHERE = 0xcb007100u, /* 203.0.113.0/24, RFC 5737 */
};

struct load {
	int pid, aux, flows, size, pps, stale, hosts;
	double seconds;
	const char *netns;
	struct in_addr host;
	struct upstream server, source;
	int epoll;
	uint64_t at, cpu, aux_cpu, bytes, transactions, lost;
	struct lat lat;
	uint8_t buf[PIECE];
};

struct stamp {
	uint64_t at, stale;
};

/* --- what is measured ----------------------------------------------------------------- */

static void
measure_start(struct load *l)
{
	l->cpu = cpu_of(l->pid);
	l->aux_cpu = cpu_of(l->aux);
	l->bytes = l->transactions = l->lost = 0;
	l->lat.n = 0;
	l->at = now_us();
}

static bool
measuring(const struct load *l)
{
	return (double)(now_us() - l->at) < l->seconds * 1e6;
}

static void
report(struct load *l, const char *mode)
{
	double secs = (double)(now_us() - l->at) / 1e6;
	double cpu = (double)(cpu_of(l->pid) - l->cpu) / 1e9;
	struct usage u = usage_of(l->pid);
	out_open(mode);
	out_num("flows", l->flows);
	out_num("seconds", secs);
	out_num("cpu_s", cpu);
	if (l->aux)
		out_num("aux_cpu_s", (double)(cpu_of(l->aux) - l->aux_cpu) / 1e9);
	out_num("bytes", (double)l->bytes);
	out_num("gbit_s", (double)l->bytes * 8 / secs / 1e9);
	out_num("cpu_s_gb", cpu * 1e9 / (double)l->bytes);
	if (l->transactions) {
		out_num("transactions", (double)l->transactions);
		out_num("trans_s", (double)l->transactions / secs);
		out_num("cpu_us_trans", cpu * 1e6 / (double)l->transactions);
		out_num("lost", (double)l->lost);
	}
	out_lat(&l->lat);
	out_num("pss_kb", (double)u.pss_kb);
	out_num("rss_kb", (double)u.rss_kb);
	out_num("fds", (double)u.fds);
}

/* --- sockets -------------------------------------------------------------------------- */

static int
dial(const struct load *l, int type, uint16_t port)
{
	struct sockaddr_in a = {
	        .sin_family = AF_INET, .sin_addr = l->host, .sin_port = htons(port)};
	int fd = socket(AF_INET, type, 0), one = 1;
	if (fd < 0)
		die("socket");
	if (type == SOCK_STREAM) {
		pin_reno(fd);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void
watch(const struct load *l, int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)tag << 32 | (unsigned)fd};
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll");
}

static int
wait_some(const struct load *l, struct epoll_event *e)
{
	return epoll_wait(l->epoll, e, EVENTS, 10);
}

/* --- bulk ----------------------------------------------------------------------------- */

static void
read_some(struct load *l)
{
	struct epoll_event e[EVENTS];
	int n = wait_some(l, e);
	for (int i = 0; i < n; i++) {
		ssize_t got = recv((int)e[i].data.u64, l->buf, PIECE, 0);
		if (got > 0)
			l->bytes += (uint64_t)got;
	}
}

static void
mode_down(struct load *l)
{
	for (int i = 0; i < l->flows; i++)
		watch(l, dial(l, SOCK_STREAM, l->server.port), EPOLLIN, 0);
	for (uint64_t until = now_us() + WARM_US; now_us() < until;)
		read_some(l);
	measure_start(l);
	while (measuring(l))
		read_some(l);
	report(l, "down");
}

static void
write_some(struct load *l)
{
	struct epoll_event e[EVENTS];
	int n = wait_some(l, e);
	for (int i = 0; i < n; i++)
		if (send((int)e[i].data.u64, l->buf, PIECE, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			die("send");
}

static void
mode_up(struct load *l)
{
	for (int i = 0; i < l->flows; i++)
		watch(l, dial(l, SOCK_STREAM, l->server.port), EPOLLOUT, 0);
	for (uint64_t until = now_us() + WARM_US; now_us() < until;)
		write_some(l);
	measure_start(l);
	uint64_t before = l->server.count->bytes;
	while (measuring(l))
		write_some(l);
	l->bytes = l->server.count->bytes - before;
	report(l, "up");
}

/* --- small ---------------------------------------------------------------------------- */

struct turn {
	int fd, left;
	uint64_t at;
};

static void
ask(struct load *l, struct turn *t)
{
	t->at = now_us();
	t->left = l->size;
	if (send(t->fd, l->buf, (size_t)l->size, MSG_NOSIGNAL) != l->size)
		die("send");
}

static void
exchange(struct load *l, struct turn *turns)
{
	struct epoll_event e[EVENTS];
	int n = wait_some(l, e);
	for (int i = 0; i < n; i++) {
		struct turn *t = &turns[e[i].data.u64 >> 32];
		ssize_t got = recv(t->fd, l->buf, PIECE, 0);
		if (got <= 0)
			die("the server is gone");
		t->left -= (int)got;
		if (t->left > 0)
			continue;
		l->transactions++;
		lat_add(&l->lat, now_us() - t->at);
		ask(l, t);
	}
}

static void
mode_rr(struct load *l)
{
	struct turn *turns = calloc((size_t)l->flows, sizeof *turns);
	for (int i = 0; turns && i < l->flows; i++) {
		turns[i].fd = dial(l, SOCK_STREAM, l->server.port);
		watch(l, turns[i].fd, EPOLLIN, (uint32_t)i);
	}
	for (int i = 0; turns && i < l->flows; i++)
		ask(l, &turns[i]);
	for (uint64_t until = now_us() + WARM_US / 3; now_us() < until;)
		exchange(l, turns);
	measure_start(l);
	while (measuring(l))
		exchange(l, turns);
	report(l, "rr");
}

static int
begin_connect(const struct load *l, struct in_addr to, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = to, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)l;
	if (fd < 0)
		die("socket");
	pin_reno(fd);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS)
		die("connect");
	return fd;
}

static void
begin_crr(struct load *l, struct turn *t, uint32_t tag, uint16_t port)
{
	t->at = now_us();
	t->left = 0;
	t->fd = begin_connect(l, l->host, port);
	watch(l, t->fd, EPOLLOUT, tag);
}

static void
step_crr(struct load *l, struct turn *t, uint32_t tag, uint16_t port)
{
	struct epoll_event e = {
	        .events = EPOLLIN, .data.u64 = (uint64_t)tag << 32 | (unsigned)t->fd};
	if (!t->left) { /* it is up */
		t->left = l->size;
		if (send(t->fd, l->buf, (size_t)l->size, MSG_NOSIGNAL) != l->size)
			t->left = -1;
		else if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, t->fd, &e) == 0)
			return;
	}
	ssize_t got = t->left < 0 ? -1 : recv(t->fd, l->buf, PIECE, 0);
	if (got > 0) { /* then the end */
		l->transactions++;
		lat_add(&l->lat, now_us() - t->at);
		return;
	}
	l->lost += got < 0;
	close(t->fd);
	begin_crr(l, t, tag, port);
}

static void
mode_crr(struct load *l)
{
	struct turn *turns = calloc((size_t)l->flows, sizeof *turns);
	struct epoll_event e[EVENTS];
	for (int i = 0; turns && i < l->flows; i++)
		begin_crr(l, &turns[i], (uint32_t)i, l->server.port);
	measure_start(l);
	while (turns && measuring(l)) {
		int n = wait_some(l, e);
		for (int i = 0; i < n; i++) {
			uint32_t tag = (uint32_t)(e[i].data.u64 >> 32);
			step_crr(l, &turns[tag], tag, l->server.port);
		}
	}
	report(l, "crr");
}

/* --- datagrams ------------------------------------------------------------------------ */

static void
send_stamped(struct load *l, int fd, size_t n, bool stale)
{
	struct stamp stamp = {now_us(), stale};
	memcpy(l->buf, &stamp, sizeof stamp);
	send(fd, l->buf, n, MSG_NOSIGNAL);
}

static void
take_echoes(struct load *l, int fd)
{
	struct stamp stamp;
	while (recv(fd, l->buf, PIECE, MSG_DONTWAIT) >= (ssize_t)sizeof stamp) {
		memcpy(&stamp, l->buf, sizeof stamp);
		if (stamp.at < l->at)
			continue;
		l->transactions++;
		lat_add(&l->lat, now_us() - stamp.at);
	}
}

static void
wait_for_echo(int fd, uint64_t us)
{
	struct pollfd p = {fd, POLLIN, 0};
	struct timespec ts = {0, (long)us * 1000};
	ppoll(&p, 1, &ts, NULL);
}

static void
mode_udp(struct load *l)
{
	uint64_t out = 0, seen = 0, moved = now_us();
	int fd = dial(l, SOCK_DGRAM, l->server.port);
	measure_start(l);
	while (measuring(l)) {
		for (; out - l->transactions - l->lost < (uint64_t)l->flows; out++)
			send_stamped(l, fd, (size_t)l->size, false);
		wait_for_echo(fd, 1000);
		take_echoes(l, fd);
		if (l->transactions != seen) {
			seen = l->transactions;
			moved = now_us();
		} else if (now_us() - moved > PATIENCE_US) {
			l->lost = out - l->transactions;
		}
	}
	report(l, "udp");
}

static void
mode_pace(struct load *l)
{
	int fd = dial(l, SOCK_DGRAM, l->server.port);
	uint64_t out = 0;
	for (int i = 0; i < l->stale; i++) {
		int one = dial(l, SOCK_DGRAM, l->server.port);
		send_stamped(l, one, 64, true);
		close(one);
		if (i % 32 == 31)
			usleep(1000);
	}
	usleep(PATIENCE_US);
	measure_start(l);
	while (measuring(l)) {
		uint64_t due = (now_us() - l->at) * (uint64_t)l->pps / 1000000;
		for (; out < due; out++)
			send_stamped(l, fd, (size_t)l->size, false);
		wait_for_echo(fd, 500);
		take_echoes(l, fd);
	}
	usleep(PATIENCE_US);
	take_echoes(l, fd);
	l->lost = out > l->transactions ? out - l->transactions : 0;
	report(l, "pace");
	out_num("offered", (double)out);
}

/* --- beside others -------------------------------------------------------------------- */

static void
mode_pingpong(struct load *l)
{
	struct turn t = {.fd = dial(l, SOCK_STREAM, l->server.port)};
	struct epoll_event e[EVENTS];
	bool begun = false;
	uint64_t begin = now_us() + 5 * WARM_US;
	for (int i = 0; i < l->flows; i++)
		watch(l, dial(l, SOCK_STREAM, l->source.port), EPOLLIN, 0);
	watch(l, t.fd, EPOLLIN, 1);
	l->size = 1;
	ask(l, &t);
	while (!begun || measuring(l)) {
		int n = wait_some(l, e);
		if (!begun && now_us() > begin) {
			begun = true;
			measure_start(l);
		}
		for (int i = 0; i < n; i++) {
			ssize_t got = recv((int)e[i].data.u64, l->buf, PIECE, 0);
			if (e[i].data.u64 >> 32 == 0) {
				l->bytes += got > 0 ? (uint64_t)got : 0;
				continue;
			}
			l->transactions++;
			lat_add(&l->lat, now_us() - t.at);
			ask(l, &t);
		}
	}
	report(l, "pingpong");
}

static void
mode_synflood(struct load *l)
{
	struct usage before = usage_of(l->pid);
	int up = 0;
	measure_start(l);
	for (int i = 0; i < l->flows; i++) {
		struct in_addr to = {htonl(NOWHERE + (uint32_t)(i % l->hosts) + 1)};
		begin_connect(l, to, (uint16_t)(1 + i / l->hosts));
		if (i % 64 == 63)
			usleep(1000);
	}
	usleep(250000);
	for (int i = 0; i < PROBES; i++) {
		uint64_t at = now_us();
		struct pollfd p = {begin_connect(l, l->host, l->server.port), POLLOUT, 0};
		int error = 1;
		socklen_t len = sizeof error;
		if (poll(&p, 1, 3000) == 1)
			getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len);
		up += !error;
		lat_add(&l->lat, now_us() - at);
		close(p.fd);
	}
	l->transactions = (uint64_t)l->flows;
	report(l, "synflood");
	struct usage u = usage_of(l->pid);
	out_num("connected", up);
	out_num("probes", PROBES);
	out_num("more_fds", (double)(u.fds - before.fds));
	out_num("more_pss_kb", (double)(u.pss_kb - before.pss_kb));
}

static const struct {
	const char *name;
	void (*run)(struct load *l);
	enum upstream_kind server;
} modes[] = {
        {"down", mode_down, UPSTREAM_SOURCE},
        {"up", mode_up, UPSTREAM_SINK},
        {"rr", mode_rr, UPSTREAM_ECHO},
        {"crr", mode_crr, UPSTREAM_REQUEST},
        {"udp", mode_udp, UPSTREAM_UDP},
        {"pace", mode_pace, UPSTREAM_UDP},
        {"pingpong", mode_pingpong, UPSTREAM_ECHO},
        {"synflood", mode_synflood, UPSTREAM_ECHO},
};

static _Noreturn void
bad_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static void
read_args(struct load *l, int argc, char **argv)
{
	static const struct option longs[] = {{"netns", 1, 0, 'N'}, {"host", 1, 0, 'h'},
	        {"pid", 1, 0, 'P'}, {"aux", 1, 0, 'A'}, {"seconds", 1, 0, 's'},
	        {"flows", 1, 0, 'f'}, {"size", 1, 0, 'n'}, {"pps", 1, 0, 'x'}, {"stale", 1, 0, 'S'},
	        {"hosts", 1, 0, 'H'}, {0, 0, 0, 0}};
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 'N': l->netns = optarg; break;
		case 'h': l->host.s_addr = inet_addr(optarg); break;
		case 'P': l->pid = atoi(optarg); break;
		case 'A': l->aux = atoi(optarg); break;
		case 's': l->seconds = atof(optarg); break;
		case 'f': l->flows = atoi(optarg); break;
		case 'n': l->size = atoi(optarg); break;
		case 'x': l->pps = atoi(optarg); break;
		case 'H': l->hosts = atoi(optarg); break;
		case 'S': l->stale = atoi(optarg); break;
		default: bad_usage();
		}
	}
	if (!l->netns || !l->host.s_addr || l->flows < 1 || l->hosts < 1 || l->hosts > 254 ||
	        l->size < 1 || l->size > 65000)
		bad_usage();
}

/* Sockets made from now on are the guest's. */
static void
enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(netns);
	close(fd);
}

int
main(int argc, char **argv)
{
	static struct load l = {.flows = 1, .size = 1, .seconds = 1, .pps = 20000, .hosts = 1};
	if (argc < 2)
		bad_usage();
	read_args(&l, argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		l.server = upstream_start(modes[i].server);
		l.source = upstream_start(UPSTREAM_SOURCE);
		enter(l.netns);
		l.epoll = epoll_create1(0);
		modes[i].run(&l);
		out_close();
		return 0;
	}
	bad_usage();
}
