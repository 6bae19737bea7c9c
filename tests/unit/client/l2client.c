#include "far.h"

#include "client/record.h"

struct near {
	struct l2client c;
	int ups, frames, batches, rtts, closes;
	size_t to_send;
	struct l2client_end end;
};

static struct near *
of(struct l2client *c)
{
	return CONTAINER_OF(c, struct near, c);
}

static void
on_up(struct l2client *c)
{
	of(c)->ups++;
}

static void
on_frame(struct l2client *c, struct span frame)
{
	of(c)->frames++;
	assert_true(span_is(frame, "frame from far"));
}

static void
on_batch_end(struct l2client *c)
{
	of(c)->batches++;
}

static bool
on_pull(struct l2client *c, struct emit *e)
{
	struct near *n = of(c);
	while (n->to_send) {
		uint8_t *p = emit_frame(e, 20 + n->to_send);
		if (!p)
			return true;
		memset(p, (int)n->to_send, 20 + n->to_send);
		n->to_send--;
	}
	return false;
}

static void
on_rtt(struct l2client *c, uint32_t us)
{
	(void)us;
	of(c)->rtts++;
}

static void
on_closed(struct l2client *c, const struct l2client_end *end)
{
	of(c)->closes++;
	of(c)->end = *end;
}

static const struct l2client_ops ops = {
        .up = on_up,
        .frame = on_frame,
        .batch_end = on_batch_end,
        .pull = on_pull,
        .rtt = on_rtt,
        .closed = on_closed,
};

static void
dial(struct near *n, const struct l2client_dial *d)
{
	memset(n, 0, sizeof *n);
	assert_int_equal(l2client_open(&n->c, far.rig.t, &far.rig.w, &ops, d, NULL), 0);
}

static void
carries_frames(void **state)
{
	(void)state;
	struct near n;
	far_start();
	struct l2client_dial d = far_dial();
	dial(&n, &d);
	FAR_UNTIL(n.ups);
	n.to_send = 150; /* lengths around 126 need headers of both sizes */
	l2client_want(&n.c);
	FAR_UNTIL(far.frames == 150);
	assert_int_equal(far.last_n, 21);
	assert_int_equal(far.last[20], 1);
	assert_int_equal(n.c.stats.frames_out, 150);
	far_send(L2TUN_FRAME, SPAN_LIT("frame from far"));
	far_send(L2TUN_FRAME, SPAN_LIT("frame from far"));
	FAR_UNTIL(n.frames == 2 && n.batches >= 1);
	far_send(L2TUN_PING, SPAN_LIT("12345678"));
	FAR_UNTIL(far.pongs == 1);
	assert_memory_equal(far.last, "12345678", 8);
	l2client_ping(&n.c);
	FAR_UNTIL(n.rtts == 1);
	l2client_close(&n.c, 500);
	FAR_UNTIL(n.closes && far.closed);
	assert_int_equal(n.end.how, L2CLIENT_OURS);
	assert_int_equal(far.code, WS_CODE_NORMAL);
	far_stop();
}

static void
shows_its_credentials(void **state)
{
	(void)state;
	static const struct {
		enum l2client_via via;
		const char *cookie, *origin, *want[3];
	} rows[] = {
	        {L2CLIENT_QUERY, NULL, NULL, {"?token=s%20t\n", "Origin: http://127.0.0.1:", ""}},
	        {L2CLIENT_HEADER, "x=y", "https://a.test",
	                {"Authorization: Bearer s t\n", "Cookie: x=y\n",
	                        "Origin: https://a.test\n"}},
	        {L2CLIENT_SUBPROTOCOL, "abc", "",
	                {"aero-l2-tunnel-v1, aero-l2-token.s t\n", "Cookie: aero_session=abc\n",
	                        ""}},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct near n;
		far_start();
		struct l2client_dial d = far_dial();
		d.token = "s t";
		d.via = rows[i].via;
		d.cookie = rows[i].cookie;
		d.origin = rows[i].origin;
		dial(&n, &d);
		FAR_UNTIL(n.ups);
		for (size_t j = 0; j < 3; j++)
			assert_non_null(strstr(far.head, rows[i].want[j]));
		if (rows[i].origin && !*rows[i].origin)
			assert_null(strstr(far.head, "Origin"));
		l2client_drop(&n.c);
		FAR_UNTIL(n.closes);
		far_stop();
	}
}

static void
says_how_it_ended(void **state)
{
	(void)state;
	struct near n;
	uint8_t p[64];
	far_start();
	struct l2client_dial d = far_dial();
	far.refuse = true;
	dial(&n, &d);
	FAR_UNTIL(n.closes);
	assert_int_equal(n.end.how, L2CLIENT_REFUSED);
	assert_int_equal(n.end.status, 401);
	assert_string_equal(n.end.text, "HTTP status 401: invalid token");
	assert_int_equal(n.ups, 0);

	far.refuse = false;
	far.wrong_protocol = true;
	dial(&n, &d);
	FAR_UNTIL(n.closes);
	assert_int_equal(n.end.how, L2CLIENT_PROTOCOL);

	far.wrong_protocol = false;
	dial(&n, &d);
	FAR_UNTIL(n.ups);
	size_t len =
	        l2tun_put_error(p, sizeof p, L2TUN_QUOTA_BYTES, SPAN_LIT("byte quota exceeded"));
	far_send(L2TUN_ERROR, span(p, len));
	ws_close(&far.ws, WS_CODE_POLICY, "byte quota exceeded", 500);
	FAR_UNTIL(n.closes);
	assert_int_equal(n.end.how, L2CLIENT_CLOSED);
	assert_int_equal(n.end.code, WS_CODE_POLICY);
	assert_int_equal(n.end.error, L2TUN_QUOTA_BYTES);
	assert_string_equal(n.end.text, "ERROR 6 quota_bytes: byte quota exceeded");

	dial(&n, &d);
	FAR_UNTIL(n.ups);
	ws_close(&far.ws, WS_CODE_AWAY, "shutting down", 500);
	FAR_UNTIL(n.closes);
	assert_string_equal(n.end.text, "closed by the server with 1001: shutting down");

	dial(&n, &d);
	FAR_UNTIL(n.ups);
	ws_drop(&far.ws);
	FAR_UNTIL(n.closes);
	assert_int_equal(n.end.how, L2CLIENT_LOST);

	dial(&n, &d);
	FAR_UNTIL(n.ups);
	ws_send(&far.ws, WS_BINARY, SPAN_LIT("\xa1\x03\x00\x00")); /* no magic */
	FAR_UNTIL(n.closes && far.closed);
	assert_int_equal(n.end.how, L2CLIENT_PROTOCOL);
	assert_string_equal(n.end.text, "invalid magic: 0xa1");
	far_stop();
}

static void
nobody_answers(void **state)
{
	(void)state;
	struct near n;
	far_start();
	struct l2client_dial d = far_dial();
	d.timeout_ms = 100;
	dial(&n, &d); /* connected by the kernel, never accepted */
	RIG_UNTIL(&far.rig, n.closes);
	assert_int_equal(n.end.how, L2CLIENT_LATE);
	far_accept();
	rig_spin(&far.rig, 20);
	d.timeout_ms = 1000;
	d.ping_ms = 20;
	dial(&n, &d);
	FAR_UNTIL(n.ups);
	ws_pause(&far.ws);
	FAR_UNTIL(n.closes);
	assert_int_equal(n.end.how, L2CLIENT_LOST);
	assert_string_equal(n.end.text, "no answer to PING");
	close(far.rig.listen_fd);
	far.rig.listen_fd = -1;
	dial(&n, &d);
	RIG_UNTIL(&far.rig, n.closes);
	assert_int_equal(n.end.how, L2CLIENT_LOST);
	d.origin = "a\r\nb";
	struct err e = {0};
	assert_int_equal(l2client_open(&n.c, far.rig.t, &far.rig.w, &ops, &d, &e), -EINVAL);
	assert_true(e.text[0]);
	far_stop();
}

static void
records(void **state)
{
	(void)state;
	char path[] = "/tmp/aero-unit-XXXXXX";
	struct near n;
	struct err e = {0};
	uint8_t file[4096];
	close(mkstemp(path));
	far_start();
	struct l2client_dial d = far_dial();
	memset(&n, 0, sizeof n);
	assert_int_equal(record_open(path, &n.c.record, &e), 0);
	assert_int_equal(l2client_open(&n.c, far.rig.t, &far.rig.w, &ops, &d, &e), 0);
	FAR_UNTIL(n.ups);
	n.to_send = 1;
	l2client_want(&n.c);
	far_send(L2TUN_FRAME, SPAN_LIT("frame from far"));
	FAR_UNTIL(n.frames == 1 && far.frames == 1);
	l2client_drop(&n.c);
	FAR_UNTIL(n.closes);
	assert_int_equal(record_close(n.c.record), 0);
	far_stop();
	int fd = open(path, O_RDONLY);
	size_t len = (size_t)read(fd, file, sizeof file);
	close(fd);
	unlink(path);
	struct pcapng p;
	struct pcapng_block b;
	unsigned ways = 0;
	pcapng_init(&p);
	for (size_t at = 0; at < len;) {
		ssize_t used = pcapng_read(&p, span(file + at, len - at), &b);
		assert_true(used > 0);
		at += (size_t)used;
		if (b.kind == PCAPNG_PACKET)
			ways |= b.packet.flags;
		assert_int_not_equal(b.kind, PCAPNG_FAULT);
	}
	assert_int_equal(ways, PCAPNG_IN | PCAPNG_OUT);
	assert_int_equal(record_open("/no/such/dir/x", &n.c.record, &e), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(carries_frames),
	        cmocka_unit_test(shows_its_credentials),
	        cmocka_unit_test(says_how_it_ended),
	        cmocka_unit_test(nobody_answers),
	        cmocka_unit_test(records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
