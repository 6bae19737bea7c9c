#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATH_MOST = 512 };

static int
enter_netns(const char *name, struct err *e)
{
	char path[PATH_MOST];
	bool is_path = strchr(name, '/') != NULL;
	snprintf(path, sizeof path, "%s%s", is_path ? "" : "/run/netns/", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "no network namespace %s: %s", name, strerror(errno));
	int r = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return err_set(e, r, "cannot enter network namespace %s: %s", name, strerror(-r));
	return 0;
}

static int
set_one(int sock, unsigned long request, struct ifreq *ifr, const char *what, struct err *e)
{
	if (ioctl(sock, request, ifr) == 0)
		return 0;
	int r = -errno;
	return err_set(e, r, "cannot set the %s of %s: %s", what, ifr->ifr_name, strerror(-r));
}

static int
configure(const struct tap_conf *c, const char *name, struct err *e)
{
	struct ifreq ifr = {0};
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;
	if (sock < 0)
		return err_set(e, -errno, "no socket: %s", strerror(errno));
	memcpy(ifr.ifr_name, name, sizeof ifr.ifr_name);
	if (c->has_mac) {
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(ifr.ifr_hwaddr.sa_data, c->mac.b, sizeof c->mac.b);
		r = set_one(sock, SIOCSIFHWADDR, &ifr, "Ethernet address", e);
	}
	if (r == 0 && c->mtu) {
		ifr.ifr_mtu = c->mtu;
		r = set_one(sock, SIOCSIFMTU, &ifr, "MTU", e);
	}
	if (r == 0 && c->up && ioctl(sock, SIOCGIFFLAGS, &ifr) == 0) {
		ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
		r = set_one(sock, SIOCSIFFLAGS, &ifr, "state", e);
	}
	close(sock);
	return r;
}

static int
create(const struct tap_conf *c, char name[IFNAMSIZ], struct err *e)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	if (strlen(c->name) >= IFNAMSIZ)
		return err_set(e, -EINVAL, "interface name %s is too long", c->name);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "cannot open /dev/net/tun: %s", strerror(errno));
	memcpy(ifr.ifr_name, c->name, strlen(c->name));
	int r = 0;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || (c->persist && ioctl(fd, TUNSETPERSIST, 1) < 0)) {
		r = -errno;
		const char *fix = r == -EPERM   ? " (run as root or with CAP_NET_ADMIN)"
		                  : r == -EBUSY ? " (another program has it)"
		                                : "";
		err_set(e, r, "cannot make interface %s: %s%s", c->name, strerror(-r), fix);
	}
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	if (r == 0)
		r = configure(c, name, e);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int
tap_open(const struct tap_conf *c, char name[IFNAMSIZ], struct err *e)
{
	if (!c->netns)
		return create(c, name, e);
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return err_set(e, -errno, "cannot open /proc/self/ns/net: %s", strerror(errno));
	int fd = enter_netns(c->netns, e);
	if (fd == 0) {
		fd = create(c, name, e);
		if (setns(home, CLONE_NEWNET) < 0) {
			int r = -errno;
			if (fd >= 0)
				close(fd);
			fd = err_set(e, r, "cannot return from namespace %s", c->netns);
		}
	}
	close(home);
	return fd;
}
