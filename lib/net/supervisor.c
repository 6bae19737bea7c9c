/* The parent sleeps in poll() on: a signalfd, the listening sockets (unless it must not accept),
 * and nothing else but the channels' write side when all of them were full. Load is what it handed
 * out minus what the worker says it has closed, so two accepts in a row never go to one worker just
 * because the first is still on its way. */
#include "net/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ACCEPT_BATCH 64
#define RESTART_MIN_MS 100
#define RESTART_MAX_MS 5000
#define STABLE_MS 10000 /* alive this long: the next death is a first one again */
#define ACCEPT_PAUSE_MS 100

struct child {
	pid_t pid; /* 0 = not running */
	int chan;
	bool ready;
	uint64_t sent, closed_before; /* closed_before: load.closed when this process began */
	uint64_t started, restart_at;
	uint32_t backoff_ms;
};

struct run {
	struct supervisor *s;
	struct child child[SUPERVISOR_MAX_WORKERS];
	int sigfd, spare_fd;
	sigset_t old_mask;
	bool all_ready, draining, failed, killed;
	uint64_t kill_at, accept_at;
};

static uint64_t
now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t
load_of(const struct run *r, int i)
{
	const struct child *c = &r->child[i];
	uint64_t closed =
	        __atomic_load_n(&r->s->load[i].closed, __ATOMIC_RELAXED) - c->closed_before;
	return c->sent > closed ? c->sent - closed : 0;
}

static uint64_t
load_total(const struct run *r)
{
	uint64_t sum = 0;
	for (int i = 0; i < r->s->workers; i++)
		sum += load_of(r, i);
	return sum;
}

/* --- children --------------------------------------------------------------------------------- */

/* Ctrl-C and service managers signal the whole group, but who drains is the parent's decision. */
static void
ignore_signals(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGTERM, &ignore, NULL);
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
}

static void
child_main(struct run *r, int index, int chan)
{
	ignore_signals();
	sigprocmask(SIG_SETMASK, &r->old_mask, NULL);
	close(r->sigfd);
	close(r->spare_fd);
	for (int i = 0; i < r->s->workers; i++)
		if (r->child[i].pid)
			close(r->child[i].chan);
	for (int i = 0; i < r->s->n_listen; i++)
		close(r->s->listen_fd[i]);
	exit(r->s->child(r->s, index, chan));
}

static int
spawn(struct run *r, int index)
{
	struct child *c = &r->child[index];
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	c->closed_before = __atomic_load_n(&r->s->load[index].closed, __ATOMIC_RELAXED);
	pid_t pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return -errno;
	}
	if (pid == 0) {
		close(pair[0]);
		child_main(r, index, pair[1]);
	}
	close(pair[1]);
	c->pid = pid;
	c->chan = pair[0];
	c->ready = false;
	c->sent = 0;
	c->started = now_ms();
	c->restart_at = 0;
	return 0;
}

static void
tell(struct run *r, char what)
{
	for (int i = 0; i < r->s->workers; i++)
		if (r->child[i].pid && send(r->child[i].chan, &what, 1, MSG_NOSIGNAL) < 0)
			log_warn(r->s->log, "worker.unreachable", kv_u64("worker", (uint64_t)i),
			        kv_str("error", strerror(errno)));
}

static void
start_drain(struct run *r)
{
	if (r->draining)
		return;
	r->draining = true;
	r->kill_at = now_ms() + r->s->grace_ms;
	tell(r, SUP_DRAIN);
}

static void
plan_restart(struct child *c)
{
	uint64_t now = now_ms();
	bool stable = now - c->started >= STABLE_MS;
	c->backoff_ms = stable || !c->backoff_ms ? RESTART_MIN_MS : c->backoff_ms * 2;
	if (c->backoff_ms > RESTART_MAX_MS)
		c->backoff_ms = RESTART_MAX_MS;
	c->restart_at = now + c->backoff_ms;
}

static void
buried(struct run *r, int index, int status)
{
	struct child *c = &r->child[index];
	pid_t pid = c->pid;
	close(c->chan);
	c->pid = 0;
	c->sent = 0;
	if (r->s->lost)
		r->s->lost(r->s, index, pid, status);
	if (!r->draining || (WIFSIGNALED(status) && !r->killed))
		log_error(r->s->log, "worker.died", kv_u64("worker", (uint64_t)index),
		        kv_i64("pid", pid),
		        kv_i64("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		        kv_i64("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
	if (r->draining)
		return;
	if (r->all_ready) {
		plan_restart(c);
	} else {
		r->failed = true;
		start_drain(r);
	}
}

static void
reap(struct run *r)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		for (int i = 0; i < r->s->workers; i++)
			if (r->child[i].pid == pid)
				buried(r, i, status);
}

static void
restart_due(struct run *r, uint64_t now)
{
	for (int i = 0; i < r->s->workers; i++) {
		struct child *c = &r->child[i];
		if (c->pid || !c->restart_at || now < c->restart_at || r->draining)
			continue;
		if (spawn(r, i) < 0)
			plan_restart(c);
		else
			log_warn(r->s->log, "worker.restarted", kv_u64("worker", (uint64_t)i),
			        kv_i64("pid", c->pid));
	}
}

static bool
any_alive(const struct run *r)
{
	for (int i = 0; i < r->s->workers; i++)
		if (r->child[i].pid)
			return true;
	return false;
}

static void
kill_rest(struct run *r)
{
	r->killed = true;
	for (int i = 0; i < r->s->workers; i++)
		if (r->child[i].pid)
			kill(r->child[i].pid, SIGKILL);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static int
send_fd(int chan, int fd)
{
	char what = SUP_SOCKET;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl = {0};
	struct iovec iov = {&what, 1};
	struct msghdr m = {.msg_iov = &iov,
	        .msg_iovlen = 1,
	        .msg_control = ctl.space,
	        .msg_controllen = sizeof ctl.space};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(chan, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The least loaded worker that is ready and was not tried yet; -1 = none. */
static int
pick(const struct run *r, uint64_t tried)
{
	int best = -1;
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < r->s->workers; i++) {
		if (!r->child[i].pid || !r->child[i].ready || (tried >> i & 1))
			continue;
		uint64_t load = load_of(r, i);
		if (load < least) {
			least = load;
			best = i;
		}
	}
	return best;
}

static bool
hand_out(struct run *r, int fd)
{
	uint64_t tried = 0;
	for (int i; (i = pick(r, tried)) >= 0; tried |= 1ull << i)
		if (send_fd(r->child[i].chan, fd) == 0) {
			r->child[i].sent++;
			return true;
		}
	return false;
}

/* Out of descriptors: give up the spare one to accept and drop a client, so that the backlog moves
 * and the client learns of it, instead of spinning on a readable listener. */
static void
shed_one(struct run *r, int listen_fd)
{
	close(r->spare_fd);
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	r->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
accept_some(struct run *r, int listen_fd)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		if (load_total(r) >= r->s->max_sockets) {
			r->accept_at = now_ms() + ACCEPT_PAUSE_MS;
			return;
		}
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			log_error(r->s->log, "accept.failed", kv_str("error", strerror(errno)));
			shed_one(r, listen_fd);
			r->accept_at = now_ms() + ACCEPT_PAUSE_MS;
			return;
		}
		if (fd < 0)
			return;
		bool ok = hand_out(r, fd);
		close(fd);
		if (!ok) {
			r->accept_at = now_ms() + ACCEPT_PAUSE_MS;
			return;
		}
	}
}

/* --- the loop --------------------------------------------------------------------------------- */

static void
on_signal(struct run *r)
{
	struct signalfd_siginfo si;
	while (read(r->sigfd, &si, sizeof si) == sizeof si) {
		switch (si.ssi_signo) {
		case SIGCHLD: reap(r); break;
		case SIGHUP:
			if (!r->draining && (!r->s->reload || r->s->reload(r->s) == 0))
				tell(r, SUP_RELOAD);
			break;
		default:
			log_info(r->s->log, "shutdown signal received",
			        kv_u64("signal", si.ssi_signo));
			start_drain(r);
		}
	}
}

static void
on_chan(struct run *r, int index)
{
	char what;
	struct child *c = &r->child[index];
	if (recv(c->chan, &what, 1, 0) != 1 || what != 'R' || c->ready)
		return;
	c->ready = true;
	for (int i = 0; i < r->s->workers; i++)
		if (!r->child[i].ready)
			return;
	if (!r->all_ready && r->s->ready)
		r->s->ready(r->s);
	r->all_ready = true;
}

/* Milliseconds to sleep, -1 = for ever. */
static int
patience(const struct run *r, uint64_t now)
{
	uint64_t at = r->draining ? r->kill_at : UINT64_MAX;
	if (r->accept_at > now && r->accept_at < at)
		at = r->accept_at;
	for (int i = 0; i < r->s->workers && !r->draining; i++)
		if (!r->child[i].pid && r->child[i].restart_at && r->child[i].restart_at < at)
			at = r->child[i].restart_at;
	if (at == UINT64_MAX)
		return -1;
	return at > now ? (int)(at - now) : 0;
}

static void
turn(struct run *r)
{
	struct pollfd p[1 + SUPERVISOR_MAX_LISTEN + SUPERVISOR_MAX_WORKERS];
	uint64_t now = now_ms();
	int n = 0;
	p[n++] = (struct pollfd){r->sigfd, POLLIN, 0};
	bool accepting = r->all_ready && r->accept_at <= now;
	for (int i = 0; i < r->s->n_listen; i++)
		p[n++] = (struct pollfd){accepting ? r->s->listen_fd[i] : -1, POLLIN, 0};
	for (int i = 0; i < r->s->workers; i++)
		p[n++] = (struct pollfd){r->child[i].pid ? r->child[i].chan : -1, POLLIN, 0};
	if (poll(p, (nfds_t)n, patience(r, now)) < 0)
		return;
	for (int i = 0; i < r->s->workers; i++)
		if (p[1 + r->s->n_listen + i].revents & POLLIN)
			on_chan(r, i);
	for (int i = 0; i < r->s->n_listen; i++)
		if (p[1 + i].revents)
			accept_some(r, r->s->listen_fd[i]);
	if (p[0].revents)
		on_signal(r);
	else
		reap(r);
	now = now_ms();
	restart_due(r, now);
	if (r->draining && now >= r->kill_at)
		kill_rest(r);
}

int
supervisor_run(struct supervisor *s)
{
	struct run r = {.s = s};
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, &r.old_mask);
	r.sigfd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	r.spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int rc = r.sigfd < 0 ? -errno : 0;
	for (int i = 0; i < s->workers && rc == 0; i++)
		rc = spawn(&r, i);
	if (rc < 0)
		start_drain(&r);
	while (any_alive(&r) || (!r.draining && rc == 0))
		turn(&r);
	close(r.sigfd);
	close(r.spare_fd);
	/* They stay blocked: one that came twice must not turn an orderly end into a death. */
	return rc < 0 ? rc : r.failed ? 1 : 0;
}

/* --- the child's side ------------------------------------------------------------------------- */

enum sup_msg
supervisor_recv(int chan, int *fd)
{
	char what = 0;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = {&what, 1};
	struct msghdr m = {.msg_iov = &iov,
	        .msg_iovlen = 1,
	        .msg_control = ctl.space,
	        .msg_controllen = sizeof ctl.space};
	ssize_t n = recvmsg(chan, &m, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? SUP_NONE : SUP_GONE;
	if (n == 0)
		return SUP_GONE;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (what != SUP_SOCKET)
		return (enum sup_msg)what;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof *fd);
	return SUP_SOCKET; /* without descriptors left, the kernel drops what it cannot install */
}

void
supervisor_say_ready(int chan)
{
	char what = 'R';
	if (send(chan, &what, 1, MSG_NOSIGNAL) < 0)
		exit(1);
}
