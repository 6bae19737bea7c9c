#include "net/errqueue.h"

#include "wire/icmp.h"

#include <errno.h>
#include <netinet/in.h>
#include <time.h>
#include <linux/errqueue.h>

bool
errqueue_on(int fd, int family)
{
	int on = 1;
	if (family == AF_INET)
		return setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0;
	return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) == 0;
}

/* The extended error is followed by the offender's address. */
static bool
parse(const struct cmsghdr *c, struct errqueue_report *out)
{
	struct {
		struct sock_extended_err ee;
		struct sockaddr_in6 offender;
	} e = {0};
	bool ours = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
	            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
	if (!ours || c->cmsg_len < CMSG_LEN(sizeof e.ee))
		return false;
	size_t n = c->cmsg_len - CMSG_LEN(0);
	memcpy(&e, CMSG_DATA(c), n < sizeof e ? n : sizeof e);
	if (e.ee.ee_origin != SO_EE_ORIGIN_ICMP && e.ee.ee_origin != SO_EE_ORIGIN_ICMP6)
		return false;
	struct endpoint from;
	if (!endpoint_from_sockaddr((struct sockaddr *)&e.offender, &from))
		return false;
	out->from = from.ip;
	out->type = e.ee.ee_type;
	out->code = e.ee.ee_code;
	bool v6 = e.ee.ee_origin == SO_EE_ORIGIN_ICMP6;
	bool too_big = icmp_kind_of(v6, e.ee.ee_type, e.ee.ee_code) == ICMP_KIND_TOO_BIG;
	out->mtu = too_big ? e.ee.ee_info : 0;
	return true;
}

bool
errqueue_next(int fd, struct errqueue_report *out, void *buf, size_t cap)
{
	for (;;) {
		struct sockaddr_storage dst = {0};
		union {
			struct cmsghdr align;
			char space[256];
		} ctl;
		struct iovec iov = {buf, cap};
		struct msghdr m = {.msg_name = &dst,
		        .msg_namelen = sizeof dst,
		        .msg_iov = &iov,
		        .msg_iovlen = 1,
		        .msg_control = &ctl,
		        .msg_controllen = sizeof ctl};
		ssize_t n = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (!endpoint_from_sockaddr((struct sockaddr *)&dst, &out->dst))
			continue;
		out->quote = span(buf, (size_t)n);
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
			if (parse(c, out))
				return true;
	}
}
