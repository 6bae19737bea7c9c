/* Needs CAP_NET_ADMIN, as the tests with namespaces do; without it only the messages are looked
 * at. */
#include "net/tap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void
makes_a_device(void **state)
{
	(void)state;
	struct err e = {0};
	char name[IFNAMSIZ];
	struct tap_conf c = {.name = "aeroutest%d", .mtu = 1400, .up = true, .has_mac = true};
	c.mac = (struct mac){{2, 3, 4, 5, 6, 7}};
	if (unshare(CLONE_NEWNET) < 0)
		skip();
	int fd = tap_open(&c, name, &e);
	assert_string_equal(e.text, "");
	assert_true(fd >= 0);
	assert_string_equal(name, "aeroutest0");
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = {0};
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	assert_int_equal(ioctl(sock, SIOCGIFMTU, &ifr), 0);
	assert_int_equal(ifr.ifr_mtu, 1400);
	assert_int_equal(ioctl(sock, SIOCGIFHWADDR, &ifr), 0);
	assert_memory_equal(ifr.ifr_hwaddr.sa_data, c.mac.b, 6);
	assert_int_equal(ioctl(sock, SIOCGIFFLAGS, &ifr), 0);
	assert_true(ifr.ifr_flags & IFF_UP);
	uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	assert_int_equal(write(fd, frame, sizeof frame), sizeof frame);
	struct tap_conf again = {.name = "aeroutest0"};
	assert_int_equal(tap_open(&again, name, &e), -EBUSY);
	assert_non_null(strstr(e.text, "another program has it"));
	close(fd);
	memcpy(ifr.ifr_name, "aeroutest0", sizeof "aeroutest0");
	assert_int_equal(ioctl(sock, SIOCGIFFLAGS, &ifr), -1); /* gone with its descriptor */
	close(sock);
}

static void
says_what_is_wrong(void **state)
{
	(void)state;
	struct err e = {0};
	char name[IFNAMSIZ];
	struct tap_conf c = {.name = "tap0", .netns = "no-such-namespace"};
	assert_int_equal(tap_open(&c, name, &e), -ENOENT);
	assert_non_null(strstr(e.text, "no network namespace no-such-namespace"));
	e = (struct err){0};
	c = (struct tap_conf){.name = "a-name-that-is-too-long"};
	assert_int_equal(tap_open(&c, name, &e), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(makes_a_device),
	        cmocka_unit_test(says_what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
