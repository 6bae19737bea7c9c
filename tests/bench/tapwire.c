/* tapwire: frames between two TAP devices, and nothing else: what a guest behind a TAP costs before
 * there is any stack. Makes both devices, the second in a network namespace; says "ready" and runs
 * until it is killed.
 *
 *   tapwire HERE THERE NETNS-PATH */
#include "tests/bench/kit/kit.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { AT_ONCE = 64 };

static int
make_tap(const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		die(name);
	return fd;
}

static void
shuttle(int from, int to)
{
	char frame[65536];
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t n = read(from, frame, sizeof frame);
		if (n <= 0)
			return;
		if (write(to, frame, (size_t)n) < 0)
			continue; /* a full or absent device loses frames, as devices do */
	}
}

int
main(int argc, char **argv)
{
	struct pollfd p[2] = {{.events = POLLIN}, {.events = POLLIN}};
	if (argc != 4) {
		fputs("tapwire HERE THERE NETNS-PATH\n", stderr);
		return 2;
	}
	p[0].fd = make_tap(argv[1]);
	int netns = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
		die(argv[3]);
	p[1].fd = make_tap(argv[2]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(p, 2, -1);
		if (p[0].revents)
			shuttle(p[0].fd, p[1].fd);
		if (p[1].revents)
			shuttle(p[1].fd, p[0].fd);
	}
}
