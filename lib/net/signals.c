#include "net/signals.h"

#include "base/mem.h"
#include "net/worker.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void
on_ready(struct poll_fd *p, uint32_t events)
{
	struct signals *s = CONTAINER_OF(p, struct signals, poll);
	struct signalfd_siginfo info;
	(void)events;
	while (p->fd >= 0 && read(p->fd, &info, sizeof info) == sizeof info)
		s->came(s, (int)info.ssi_signo);
}

int
signals_open(struct signals *s, struct worker *w, const int *numbers,
        void (*came)(struct signals *s, int number))
{
	*s = (struct signals){.w = w, .came = came};
	sigemptyset(&s->set);
	for (; *numbers; numbers++)
		sigaddset(&s->set, *numbers);
	s->poll.ready = on_ready;
	s->poll.fd = signalfd(-1, &s->set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->poll.fd < 0)
		return -errno;
	int r = poller_add(w->poller, &s->poll);
	if (r < 0) {
		close(s->poll.fd);
		s->poll.fd = -1;
		return r;
	}
	sigprocmask(SIG_BLOCK, &s->set, NULL);
	return 0;
}

void
signals_close(struct signals *s)
{
	if (s->poll.fd < 0)
		return;
	poller_del(s->w->poller, &s->poll);
	close(s->poll.fd);
	s->poll.fd = -1;
	sigprocmask(SIG_UNBLOCK, &s->set, NULL);
}
