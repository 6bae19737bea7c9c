#include "net/poller.h"

#include "net/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
	struct poll_fd p;
	struct worker *w;
	struct end *kill; /* removed by the first of a batch */
	int peer, in, out, *budget;
};

static void
on_ready(struct poll_fd *p, uint32_t events)
{
	struct end *e = CONTAINER_OF(p, struct end, p);
	e->in += !!(events & EPOLLIN);
	e->out += !!(events & EPOLLOUT);
	if (e->kill)
		poller_del(e->w->poller, &e->kill->p);
	if (--*e->budget == 0)
		worker_stop(e->w);
}

static void
start(struct worker *w)
{
	struct log log;
	log_root(&log, STDERR_FILENO, LOG_ERROR, LOG_TEXT);
	assert_int_equal(worker_init(w, &log), 0);
}

static void
end_open(struct end *e, struct worker *w, int *budget)
{
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	*e = (struct end){
	        .p = {.ready = on_ready, .fd = sv[0]}, .w = w, .peer = sv[1], .budget = budget};
	assert_int_equal(poller_add(w->poller, &e->p), 0);
}

static void
end_close(struct end *e)
{
	poller_del(e->w->poller, &e->p);
	poller_del(e->w->poller, &e->p);
	close(e->p.fd);
	close(e->peer);
}

/* Run until the budget of events is spent; false when the time was up first. */
struct alarm {
	struct timer t;
	struct worker *w;
	bool rang;
};

static void
on_alarm(struct timer *t, uint64_t now)
{
	(void)now;
	struct alarm *a = CONTAINER_OF(t, struct alarm, t);
	a->rang = true;
	worker_stop(a->w);
}

static bool
run(struct worker *w, unsigned ms)
{
	struct alarm a = {.w = w};
	timer_init(&a.t, on_alarm);
	wheel_add(&w->wheel, &a.t, worker_now(w) + ms);
	worker_run(w);
	wheel_del(&w->wheel, &a.t);
	return !a.rang;
}

static void
edges_come_once(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int budget = 1;
	struct end e;
	end_open(&e, &w, &budget);
	assert_true(run(&w, 1000)); /* writable from the start */
	assert_int_equal(e.out, 1);
	budget = 1;
	assert_int_equal(write(e.peer, "xy", 2), 2);
	assert_true(run(&w, 1000));
	assert_int_equal(e.in, 1);
	char c;
	assert_int_equal(recv(e.p.fd, &c, 1, MSG_PEEK), 1);
	budget = 1;
	assert_false(run(&w, 30)); /* unread bytes do not spin */
	assert_int_equal(e.in, 1);
	assert_int_equal(write(e.peer, "z", 1), 1);
	assert_true(run(&w, 1000));
	assert_int_equal(e.in, 2);
	end_close(&e);
	assert_int_equal(worker_fini(&w), 0);
}

static void
deleted_inside_its_batch(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int budget = 1;
	struct end a, b;
	end_open(&a, &w, &budget);
	end_open(&b, &w, &budget);
	a.kill = &b;
	b.kill = &a;
	assert_true(run(&w, 1000));
	assert_int_equal(a.out + b.out, 1);
	struct end *live = a.out ? &a : &b;
	live->kill = live; /* and itself */
	budget = 1;
	assert_int_equal(write(live->peer, "x", 1), 1);
	assert_true(run(&w, 1000));
	assert_int_equal(write(live->peer, "x", 1), 1);
	budget = 1;
	assert_false(run(&w, 20));
	end_close(&a);
	end_close(&b);
	assert_int_equal(worker_fini(&w), 0);
}

static void
more_than_one_batch(void **state)
{
	(void)state;
	enum { N = 300 };
	struct worker w;
	start(&w);
	static struct end e[N];
	int budget = N;
	for (int i = 0; i < N; i++)
		end_open(&e[i], &w, &budget);
	assert_true(run(&w, 2000));
	for (int i = 0; i < N; i++) {
		assert_int_equal(e[i].out, 1);
		end_close(&e[i]);
	}
	assert_int_equal(worker_fini(&w), 0);
}

static void
a_file_cannot_be_polled(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	struct poll_fd f = {.fd = open("/dev/null", O_RDWR)};
	assert_int_equal(poller_add(w.poller, &f), -EPERM);
	poller_del(w.poller, &f);
	close(f.fd);
	f.fd = -1;
	assert_int_equal(poller_add(w.poller, &f), -EBADF);
	assert_int_equal(worker_fini(&w), 0);
}

static void
hangup_is_told(void **state)
{
	(void)state;
	struct worker w;
	start(&w);
	int budget = 1;
	struct end e;
	end_open(&e, &w, &budget);
	assert_true(run(&w, 1000));
	budget = 1;
	shutdown(e.peer, SHUT_WR);
	assert_true(run(&w, 1000));
	assert_int_equal(e.in, 1);
	end_close(&e);
	assert_int_equal(worker_fini(&w), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(edges_come_once),
	        cmocka_unit_test(deleted_inside_its_batch),
	        cmocka_unit_test(more_than_one_batch),
	        cmocka_unit_test(a_file_cannot_be_polled),
	        cmocka_unit_test(hangup_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
