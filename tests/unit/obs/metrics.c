#include "obs/metrics.h"

#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct shard
make(uint32_t workers)
{
	struct shard s;
	struct shard_conf c = {.workers = workers,
	        .limit_slots = 4,
	        .extra = 100,
	        .version = "1.2 \"x\"\n",
	        .revision = "abc"};
	assert_int_equal(shard_new(&s, &c), 0);
	return s;
}

static const char *
text(struct shard *s, struct buf *b)
{
	buf_init(b, METRICS_TEXT_MAX);
	metrics_text(s, b);
	assert_false(b->bad);
	return buf_str(b);
}

static void
expect(struct shard *s, const char *line)
{
	struct buf b;
	const char *t = text(s, &b);
	const char *at = strstr(t, line);
	if (!at || (at != t && at[-1] != '\n') || at[strlen(line)] != '\n')
		fail_msg("no line \"%s\"", line);
	buf_fini(&b);
}

/* The promised beginning, byte for byte. */
static void
test_exposition_begins_as_promised(void **state)
{
	(void)state;
	struct shard s = make(1);
	struct buf b;
	static const char want[] =
	        "# TYPE l2_upgrade_rejected_total counter\n"
	        "l2_upgrade_rejected_total 0\n"
	        "# TYPE l2_upgrade_reject_max_connections_per_session_total counter\n"
	        "l2_upgrade_reject_max_connections_per_session_total 0\n"
	        "# TYPE l2_auth_reject_total counter\n"
	        "l2_auth_reject_total{reason=\"missing_credentials\"} 0\n"
	        "l2_auth_reject_total{reason=\"invalid_api_key\"} 0\n"
	        "l2_auth_reject_total{reason=\"invalid_cookie\"} 0\n"
	        "l2_auth_reject_total{reason=\"invalid_jwt\"} 0\n"
	        "l2_auth_reject_total{reason=\"jwt_origin_mismatch\"} 0\n"
	        "# TYPE l2_sessions_active gauge\n"
	        "l2_sessions_active 0\n";
	assert_memory_equal(text(&s, &b), want, sizeof want - 1);
	buf_fini(&b);
	shard_free(&s);
}

static void
test_names_and_order(void **state)
{
	(void)state;
	static const char *const order[] = {"l2_upgrade_rejected_total",
	        "l2_upgrade_reject_max_connections_per_session_total", "l2_auth_reject_total",
	        "l2_sessions_active", "l2_sessions_total", "aero_l2_idle_timeouts_total",
	        "l2_sessions_closed_quota_bytes_total", "l2_sessions_closed_quota_fps_total",
	        "l2_sessions_closed_backpressure_total", "l2_upgrade_reject_origin_missing_total",
	        "l2_upgrade_reject_origin_not_allowed_total",
	        "l2_upgrade_reject_host_missing_total", "l2_upgrade_reject_host_invalid_total",
	        "l2_upgrade_reject_host_not_allowed_total", "l2_upgrade_reject_auth_missing_total",
	        "l2_upgrade_reject_auth_invalid_total", "l2_upgrade_reject_max_connections_total",
	        "l2_upgrade_reject_max_tunnels_per_session_total",
	        "l2_upgrade_ip_limit_exceeded_total", "l2_auth_failures_total",
	        "l2_session_connection_denied_total", "l2_frames_rx_total", "l2_frames_tx_total",
	        "l2_bytes_rx_total", "l2_bytes_tx_total", "l2_frames_dropped_total",
	        "l2_capture_bytes_total", "l2_capture_frames_total",
	        "l2_capture_frames_dropped_total", "l2_capture_errors_total",
	        "l2_policy_denied_total", "l2_tcp_conns_active", "l2_tcp_connect_fail_total",
	        "l2_udp_flows_active", "l2_udp_send_fail_total", "l2_udp_flow_limit_exceeded_total",
	        "l2_dns_queries_total", "l2_dns_fail_total", "l2_ping_rtt_ms"};
	struct shard s = make(1);
	struct buf b;
	char *save, *t = strdup(text(&s, &b));
	size_t n = 0;
	for (char *l = strtok_r(t, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strncmp(l, "# TYPE ", 7) != 0)
			continue;
		char *name = l + 7;
		*strchr(name, ' ') = '\0';
		if (n < sizeof order / sizeof order[0])
			assert_string_equal(name, order[n]);
		else
			assert_memory_equal(name, "aero_", 5);
		n++;
	}
	assert_true(n > sizeof order / sizeof order[0]);
	free(t);
	buf_fini(&b);
	shard_free(&s);
}

static bool
is_integer(const char *p)
{
	return *p && strspn(p, "0123456789") == strlen(p);
}

static void
test_every_line_is_name_space_integer(void **state)
{
	(void)state;
	struct shard s = make(3);
	struct buf b;
	char *save, *t = strdup(text(&s, &b));
	for (char *l = strtok_r(t, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (*l == '#')
			continue;
		char *sp = strchr(l, ' ');
		assert_non_null(sp);
		assert_true(is_integer(sp + 1));
	}
	free(t);
	buf_fini(&b);
	shard_free(&s);
}

static void
test_histogram(void **state)
{
	(void)state;
	struct shard s = make(1);
	static const uint16_t ms[] = {0, 1, 2, 5, 6, 2500, 2501, 60000};
	for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
		metric_observe(&s, M_L2_PING_RTT_MS, ms[i]);
	expect(&s, "# TYPE l2_ping_rtt_ms histogram");
	expect(&s, "l2_ping_rtt_ms_bucket{le=\"1\"} 2");
	expect(&s, "l2_ping_rtt_ms_bucket{le=\"5\"} 4");
	expect(&s, "l2_ping_rtt_ms_bucket{le=\"10\"} 5");
	expect(&s, "l2_ping_rtt_ms_bucket{le=\"1000\"} 5");
	expect(&s, "l2_ping_rtt_ms_bucket{le=\"2500\"} 6");
	expect(&s, "l2_ping_rtt_ms_bucket{le=\"+Inf\"} 8");
	expect(&s, "l2_ping_rtt_ms_sum 65015");
	expect(&s, "l2_ping_rtt_ms_count 8");
	shard_free(&s);
}

static void
test_gauges_stop_at_zero(void **state)
{
	(void)state;
	struct shard s = make(1);
	metric_add(&s, M_L2_TCP_CONNS_ACTIVE, 1);
	metric_sub(&s, M_L2_TCP_CONNS_ACTIVE, 2);
	metric_move(&s, M_L2_UDP_FLOWS_ACTIVE, -3);
	expect(&s, "l2_tcp_conns_active 0");
	metric_move(&s, M_L2_UDP_FLOWS_ACTIVE, 2);
	expect(&s, "l2_udp_flows_active 2");
	shard_free(&s);
}

static void
test_two_names_one_value(void **state)
{
	(void)state;
	struct shard s = make(1);
	metric_add(&s, M_L2_UPGRADE_REJECT_PER_SESSION, 7);
	expect(&s, "l2_upgrade_reject_max_connections_per_session_total 7");
	expect(&s, "l2_upgrade_reject_max_tunnels_per_session_total 7");
	shard_free(&s);
}

static void
count_in_child(struct shard *s, uint32_t worker)
{
	pid_t pid = fork();
	if (pid == 0) {
		shard_attach(s, worker);
		metric_add(s, M_L2_FRAMES_RX, 10 + worker);
		metric_add(s, M_L2_SESSIONS_ACTIVE, 1);
		metric_observe(s, M_L2_PING_RTT_MS, 3);
		shard_next_id(s);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void
test_sum_over_workers_and_death(void **state)
{
	(void)state;
	struct shard s = make(3);
	metric_add(&s, M_L2_FRAMES_RX, 1);
	for (uint32_t w = 0; w < 3; w++)
		count_in_child(&s, w);
	expect(&s, "l2_frames_rx_total 34");
	expect(&s, "l2_sessions_active 3");
	assert_int_equal(shard_next_id(&s), 4);
	shard_reset_worker(&s, 1);
	expect(&s, "l2_frames_rx_total 34");
	expect(&s, "l2_sessions_active 2");
	expect(&s, "l2_ping_rtt_ms_count 3");
	count_in_child(&s, 1);
	expect(&s, "l2_frames_rx_total 45");
	expect(&s, "aero_worker_restarts_total{worker=\"1\"} 1");
	expect(&s, "aero_worker_restarts_total{worker=\"2\"} 0");
	shard_free(&s);
}

static void
test_build_and_processes(void **state)
{
	(void)state;
	struct shard s = make(2);
	struct buf b;
	shard_attach(&s, 1);
	expect(&s, "aero_build_info{version=\"1.2__x__\",revision=\"abc\"} 1");
	expect(&s, "aero_worker_up{worker=\"0\"} 0");
	expect(&s, "aero_worker_up{worker=\"1\"} 1");
	assert_non_null(strstr(text(&s, &b), "aero_process_resident_bytes{process=\"worker-1\"} "));
	assert_non_null(strstr(buf_str(&b), "aero_process_resident_bytes{process=\"parent\"} "));
	assert_null(strstr(buf_str(&b), "{process=\"worker-0\"}"));
	buf_fini(&b);
	shard_free(&s);
}

static void
test_setup(void **state)
{
	(void)state;
	struct shard s;
	assert_int_equal(shard_new(&s, &(struct shard_conf){.workers = 0}), -EINVAL);
	assert_int_equal(
	        shard_new(&s, &(struct shard_conf){.workers = SHARD_MAX_WORKERS + 1}), -EINVAL);
	assert_int_equal(
	        shard_new(&s, &(struct shard_conf){.workers = 1, .extra = SIZE_MAX / 4}), -ENOMEM);
	s = make(SHARD_MAX_WORKERS);
	uint8_t *x = shard_extra(&s);
	assert_int_equal((uintptr_t)x % 64, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(x[i], 0);
	memset(x, 0xff, 100);
	struct buf b;
	buf_init(&b, 100);
	metrics_text(&s, &b);
	assert_true(b.bad);
	buf_fini(&b);
	text(&s, &b);
	assert_true(b.n < METRICS_TEXT_MAX);
	buf_fini(&b);
	shard_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_exposition_begins_as_promised),
	        cmocka_unit_test(test_names_and_order),
	        cmocka_unit_test(test_every_line_is_name_space_integer),
	        cmocka_unit_test(test_histogram),
	        cmocka_unit_test(test_gauges_stop_at_zero),
	        cmocka_unit_test(test_two_names_one_value),
	        cmocka_unit_test(test_sum_over_workers_and_death),
	        cmocka_unit_test(test_build_and_processes),
	        cmocka_unit_test(test_setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
