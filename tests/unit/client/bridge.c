/* A pair of packet sockets stands for the TAP device. */
#include "far.h"

#include <signal.h>
#include <sys/socket.h>

struct site {
	struct l2client c;
	struct bridge b;
	int fd, device; /* the bridge's end and the machine's */
	int ups, closes;
};

static struct site site;

static void
on_up(struct l2client *c)
{
	site.ups++;
	bridge_up(&site.b, c);
}

static void
on_frame(struct l2client *c, struct span frame)
{
	(void)c;
	bridge_frame(&site.b, frame);
}

static bool
on_pull(struct l2client *c, struct emit *e)
{
	(void)c;
	return bridge_pull(&site.b, e);
}

static void
on_closed(struct l2client *c, const struct l2client_end *end)
{
	(void)c;
	(void)end;
	site.closes++;
	bridge_down(&site.b);
}

static const struct l2client_ops ops = {
        .up = on_up,
        .frame = on_frame,
        .pull = on_pull,
        .closed = on_closed,
};

static void
dial(void)
{
	struct l2client_dial d = far_dial();
	int ups = site.ups;
	assert_int_equal(l2client_open(&site.c, far.rig.t, &far.rig.w, &ops, &d, NULL), 0);
	FAR_UNTIL(site.ups > ups && far.open);
}

static void
start(struct bridge_conf *conf)
{
	int fds[2];
	far_start();
	memset(&site, 0, sizeof site);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	site.fd = conf->fd = fds[0];
	site.device = fds[1];
	conf->queue_most = conf->queue_most ? conf->queue_most : 1 << 20;
	conf->seed = 7;
	assert_int_equal(bridge_open(&site.b, &far.rig.w, conf), 0);
	dial();
}

static void
stop(void)
{
	bridge_close(&site.b);
	l2client_drop(&site.c);
	RIG_UNTIL(&far.rig, site.closes);
	close(site.fd);
	close(site.device);
	far_stop();
}

static void
say(size_t n) /* n frames of different lengths from the machine */
{
	uint8_t p[1600];
	for (size_t i = 0; i < n; i++) {
		memset(p, (int)i, sizeof p);
		assert_true(send(site.device, p, 60 + i % 1400, 0) > 0);
		if (i % 50 == 49)
			rig_turn(&far.rig);
	}
}

static size_t
hear(void) /* frames that the machine has got */
{
	uint8_t p[2048];
	size_t n = 0;
	while (recv(site.device, p, sizeof p, MSG_DONTWAIT) > 0)
		n++;
	return n;
}

static uint64_t
ms(void)
{
	uv_update_time(&far.rig.w.loop);
	return uv_now(&far.rig.w.loop);
}

static void
both_ways(void **state)
{
	(void)state;
	struct bridge_conf conf = {0};
	start(&conf);
	say(300);
	FAR_UNTIL(far.frames == 300);
	assert_int_equal(far.last_n, 60 + 299);
	assert_int_equal(far.last[0], (uint8_t)299);
	for (int i = 0; i < 20; i++)
		far_send(L2TUN_FRAME, SPAN_LIT("0123456789abcdef"));
	FAR_UNTIL(site.b.to_device.frames == 20);
	assert_int_equal(hear(), 20);
	assert_int_equal(site.b.from_device.frames, 300);
	assert_int_equal(site.b.to_device.bytes, 20 * 16);
	stop();
}

static void
loses_what_it_is_told(void **state)
{
	(void)state;
	struct bridge_conf conf = {.to_device.loss_ppm = 500000, .from_device.loss_ppm = 100000};
	start(&conf);
	say(1000);
	FAR_UNTIL(far.frames + site.b.from_device.lost == 1000);
	assert_in_range(site.b.from_device.lost, 60, 140);
	for (int i = 0; i < 100; i++)
		far_send(L2TUN_FRAME, SPAN_LIT("0123456789abcdef"));
	FAR_UNTIL(site.b.to_device.frames + site.b.to_device.lost == 100);
	assert_in_range(site.b.to_device.lost, 30, 70);
	assert_int_equal(hear(), site.b.to_device.frames);
	stop();
}

static void
delays(void **state)
{
	(void)state;
	struct bridge_conf conf = {.to_device.delay_ms = 40, .from_device.delay_ms = 60};
	start(&conf);
	uint64_t t0 = ms();
	say(3);
	FAR_UNTIL(far.frames == 3);
	assert_in_range(ms() - t0, 59, 200);
	t0 = ms();
	far_send(L2TUN_FRAME, SPAN_LIT("0123456789abcdef"));
	FAR_UNTIL(site.b.to_device.frames == 1);
	assert_in_range(ms() - t0, 39, 200);
	say(2); /* on their way when the tunnel ends */
	rig_spin(&far.rig, 5);
	stop();
}

static void
keeps_to_a_rate(void **state)
{
	(void)state;
	struct bridge_conf conf = {.rate_bps = 8000000}; /* 1000 bytes a millisecond */
	uint8_t p[1000] = {0};
	start(&conf);
	uint64_t t0 = ms();
	for (int i = 0; i < 50; i++)
		far_send(L2TUN_FRAME, span(p, sizeof p));
	FAR_UNTIL(site.b.to_device.frames >= 25);
	assert_in_range(ms() - t0, 20, 200);
	FAR_UNTIL(site.b.to_device.frames == 50);
	assert_in_range(ms() - t0, 45, 300);
	assert_int_equal(site.b.to_device.dropped, 0);
	stop();
}

static void
a_slow_device_is_waited_for(void **state)
{
	(void)state;
	struct bridge_conf conf = {.queue_most = 100000};
	uint8_t p[1000] = {0};
	int small = 4096;
	start(&conf);
	setsockopt(site.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	for (int i = 0; i < 200; i++) {
		far_send(L2TUN_FRAME, span(p, sizeof p));
		rig_turn(&far.rig);
	}
	FAR_UNTIL(site.c.stats.frames_in == 200);
	assert_true(site.b.to_device.dropped > 50);
	size_t heard = 0;
	FAR_UNTIL((heard += hear()) + site.b.to_device.dropped == 200);
	assert_int_equal(site.b.to_device.frames, heard);
	stop();
}

static void
the_tunnel_comes_and_goes(void **state)
{
	(void)state;
	struct bridge_conf conf = {0};
	start(&conf);
	say(5);
	FAR_UNTIL(far.frames == 5);
	ws_drop(&far.ws);
	RIG_UNTIL(&far.rig, site.closes == 1);
	say(7); /* to nobody */
	rig_spin(&far.rig, 5);
	assert_int_equal(site.b.from_device.dropped, 7);
	dial();
	say(2);
	FAR_UNTIL(far.frames == 7);
	close(site.device);
	far_send(L2TUN_FRAME, SPAN_LIT("0123456789abcdef"));
	FAR_UNTIL(site.b.to_device.dropped == 1); /* the device is gone */
	site.closes = 0;
	site.device = -1;
	stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(both_ways),
	        cmocka_unit_test(loses_what_it_is_told),
	        cmocka_unit_test(delays),
	        cmocka_unit_test(keeps_to_a_rate),
	        cmocka_unit_test(a_slow_device_is_waited_for),
	        cmocka_unit_test(the_tunnel_comes_and_goes),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
