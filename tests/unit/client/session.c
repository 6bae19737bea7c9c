/* session and wait: tools run the loop themselves, so the server accepts from it too. */
#include "../http/rig.h"

#include "client/dial.h"
#include "client/session.h"
#include "net/poller.h"

struct site {
	struct poll_fd listener;
	struct wait wait;
	struct url url;
	struct session_ask ask;
	char cookie[SESSION_COOKIE];
	int status, asked;
	bool over;
	struct err e;
};

static struct rig rig;
static struct site site;

static void
on_accept(struct poll_fd *p, uint32_t events)
{
	int fd;
	(void)events;
	while ((fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		assert_int_equal(server_adopt(rig.s, fd), 0);
}

static void
give(struct req *r, void *user)
{
	(void)user;
	assert_true(span_starts(req_header(r, "origin", 0), "http://127.0.0.1:"));
	site.asked++;
	req_reply(r, 201, "application/json",
	        "Set-Cookie: other=1\r\nSet-Cookie: aero_session=abc%2Bd; Path=/; HttpOnly\r\n",
	        SPAN_LIT("{}"));
}

static void
refuse(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 403, NULL, "", SPAN_NONE);
}

static void
forget(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 200, NULL, "", SPAN_NONE);
}

static void
hang(struct req *r, void *user)
{
	(void)r;
	(void)user;
	site.asked++;
	wait_wake(&site.wait);
}

static const struct route routes[] = {
        {"/session", METHOD_POST, give},
        {"/refuse", METHOD_POST, refuse},
        {"/forget", METHOD_POST, forget},
        {"/hang", METHOD_POST, hang},
        {NULL, 0, NULL},
};

static bool
is_over(void *user)
{
	(void)user;
	return site.over && site.asked;
}

static int
setup(void **state)
{
	char text[64];
	(void)state;
	memset(&site, 0, sizeof site);
	rig_open(&rig, &rig_conf, routes, NULL);
	fcntl(rig.listen_fd, F_SETFL, O_NONBLOCK);
	site.listener = (struct poll_fd){.ready = on_accept, .fd = rig.listen_fd};
	assert_int_equal(poller_add(rig.w.poller, &site.listener), 0);
	wait_init(&site.wait, &rig.w);
	snprintf(text, sizeof text, "http://127.0.0.1:%u/session", ntohs(rig.at.sin_port));
	assert_int_equal(url_parse(text, &site.url, NULL), 0);
	site.ask = (struct session_ask){.at = &site.url, .timeout_ms = 300, .over = is_over};
	assert_int_equal(url_resolve(&site.url, &site.ask.to, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	wait_fini(&site.wait);
	poller_del(rig.w.poller, &site.listener);
	rig_close(&rig);
	return 0;
}

static int
get(const char *path)
{
	snprintf(site.url.target, sizeof site.url.target, "%s", path);
	site.e = (struct err){0};
	return session_get(rig.t, &site.wait, &site.ask, site.cookie, &site.status, &site.e);
}

static void
gets_a_cookie(void **state)
{
	(void)state;
	assert_int_equal(get("/session"), 0);
	assert_int_equal(site.status, 201);
	assert_string_equal(site.cookie, "aero_session=abc%2Bd");
}

static void
says_why_not(void **state)
{
	(void)state;
	assert_int_equal(get("/refuse"), -EPROTO);
	assert_string_equal(site.e.text, "no session: HTTP status 403");
	assert_int_equal(site.status, 403);
	assert_int_equal(get("/forget"), -EPROTO);
	assert_non_null(strstr(site.e.text, "no cookie aero_session"));
	assert_int_equal(get("/hang"), -ETIMEDOUT);
	site.over = true;
	site.asked = 0;
	assert_int_equal(get("/hang"), -EINTR);
	site.over = false;
	site.ask.to.port = 1;
	assert_int_equal(get("/session"), -ECONNREFUSED);
	assert_int_equal(get("/a b"), -EINVAL);
}

/* The same by way of the options that the commands share. */
static void
a_dial_fetches_it(void **state)
{
	(void)state;
	static struct dial d;
	char url[64], session[64], shown[128];
	struct l2client_dial out;
	snprintf(url, sizeof url, "ws://127.0.0.1:%u/base?token=secret", ntohs(rig.at.sin_port));
	snprintf(session, sizeof session, "http://127.0.0.1:%u/session", ntohs(rig.at.sin_port));
	d = (struct dial)DIAL_USUAL;
	d.url = url;
	d.session = true;
	assert_int_equal(dial_check(&d, &site.e), 0);
	assert_int_equal(dial_prepare(&d, rig.t, &site.wait, is_over, NULL, &out, &site.e), 0);
	assert_string_equal(out.cookie, "aero_session=abc%2Bd");
	dial_shown(&d, shown, sizeof shown);
	assert_null(strstr(shown, "secret"));
	assert_non_null(strstr(shown, "/base/l2"));
	snprintf(session + strlen(session) - strlen("session"), 16, "refuse");
	d.session_url = session;
	assert_int_equal(
	        dial_prepare(&d, rig.t, &site.wait, is_over, NULL, &out, &site.e), EXIT_AUTH);
	d.url = "ws://";
	assert_int_equal(dial_check(&d, &site.e), EXIT_USAGE);
	d.url = url;
	d.via = "pigeon";
	assert_int_equal(dial_check(&d, &site.e), EXIT_USAGE);
	d.via = "header";
	d.token = "@/no/such/file";
	assert_int_equal(dial_check(&d, &site.e), EXIT_USAGE);
}

static void
ends_have_codes(void **state)
{
	(void)state;
	static const struct {
		struct l2client_end end;
		int code;
	} rows[] = {
	        {{.how = L2CLIENT_OURS}, EXIT_OK},
	        {{.how = L2CLIENT_LOST}, EXIT_CONNECT},
	        {{.how = L2CLIENT_LATE}, EXIT_TIMEOUT},
	        {{.how = L2CLIENT_PROTOCOL}, EXIT_PROTOCOL},
	        {{.how = L2CLIENT_REFUSED, .status = 401}, EXIT_AUTH},
	        {{.how = L2CLIENT_REFUSED, .status = 403}, EXIT_AUTH},
	        {{.how = L2CLIENT_REFUSED, .status = 429}, EXIT_CONNECT},
	        {{.how = L2CLIENT_CLOSED, .code = 1001}, EXIT_CONNECT},
	        {{.how = L2CLIENT_CLOSED, .code = 1008, .error = 6}, EXIT_DENIED},
	        {{.how = L2CLIENT_CLOSED, .code = 1008, .error = 1}, EXIT_PROTOCOL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(dial_exit(&rows[i].end), rows[i].code);
	assert_true(*dial_hint(&rows[4].end));
	assert_string_equal(dial_hint(&rows[0].end), "");
}

static void
waits(void **state)
{
	(void)state;
	worker_look(&rig.w);
	uint64_t now = worker_now(&rig.w);
	assert_false(wait_for(&site.wait, now + 20));
	assert_true(worker_now(&rig.w) >= now + 20);
	wait_wake(&site.wait); /* before: not lost */
	assert_true(wait_for(&site.wait, now + 100000));
	assert_false(wait_for(&site.wait, worker_now(&rig.w) + 5));
	assert_false(wait_for(&site.wait, 0)); /* in the past */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(gets_a_cookie, setup, teardown),
	        cmocka_unit_test_setup_teardown(says_why_not, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_dial_fetches_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(ends_have_codes, setup, teardown),
	        cmocka_unit_test_setup_teardown(waits, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
