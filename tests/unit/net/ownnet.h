/* ownnet: a network namespace for one test program, so that it may forge what routers send. */
#pragma once

#include "tests/unit/net/loop.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

static inline bool
ownnet_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* False: not allowed here, skip what needs it. */
static inline bool
ownnet_enter(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (uid != 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			return false;
		ownnet_write("/proc/self/setgroups", "deny");
		snprintf(map, sizeof map, "0 %u 1", uid);
		ownnet_write("/proc/self/uid_map", map);
		snprintf(map, sizeof map, "0 %u 1", gid);
		ownnet_write("/proc/self/gid_map", map);
	}
	if (unshare(CLONE_NEWNET) < 0)
		return false;
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	close(fd);
	return up;
}

static inline uint16_t
ownnet_sum(const uint8_t *p, size_t n)
{
	uint32_t s = 0;
	for (size_t i = 0; i < n; i++)
		s += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* An ICMP error from 127.0.0.77 (or ::1) about a packet from `src` to `dst` that began with these
 * eight bytes behind its IP header. `word` is the second word of the ICMP header. */
static inline void
ownnet_forge(int family, uint8_t type, uint8_t code, uint32_t word, const struct ip *src,
        const struct ip *dst, uint8_t proto, const uint8_t head[8])
{
	uint8_t p[8 + 40 + 8] = {type, code, 0, 0, (uint8_t)(word >> 24), (uint8_t)(word >> 16),
	        (uint8_t)(word >> 8), (uint8_t)word};
	uint8_t *ip = p + 8;
	size_t n;
	if (family == AF_INET) {
		ip[0] = 0x45;
		ip[3] = 200;
		ip[8] = 1;
		ip[9] = proto;
		memcpy(ip + 12, src->b + 12, 4);
		memcpy(ip + 16, dst->b + 12, 4);
		memcpy(ip + 20, head, 8);
		n = 8 + 20 + 8;
		uint16_t sum = ownnet_sum(p, n);
		p[2] = (uint8_t)(sum >> 8);
		p[3] = (uint8_t)sum;
	} else {
		ip[0] = 0x60;
		ip[5] = 200;
		ip[6] = proto;
		memcpy(ip + 8, src->b, 16);
		memcpy(ip + 24, dst->b, 16);
		memcpy(ip + 40, head, 8);
		n = 8 + 40 + 8;
	}
	struct endpoint router = {family == AF_INET ? ip4(0x7f00004d) : loopback(family), 0};
	struct endpoint to = {*src, 0};
	struct sockaddr_storage ss;
	int fd = socket(
	        family, SOCK_RAW | SOCK_CLOEXEC, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	assert_true(fd >= 0);
	socklen_t len = endpoint_to_sockaddr(&router, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = endpoint_to_sockaddr(&to, &ss);
	assert_int_equal(sendto(fd, p, n, 0, (struct sockaddr *)&ss, len), n);
	close(fd);
}
