#include "conf/conf.h"

#include "base/buf.h"
#include "conf/value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define FILES 3

/* Files are written to a folder of their own and named f0.ini, f1.ini... in messages. */
struct world {
	char dir[32];
	char path[FILES][64];
	struct buf problems;
	struct err e;
	struct conf *c;
};

static void
add_line(void *arg, const char *text)
{
	buf_addf(arg, "%s\n", text);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	strcpy(w->dir, "/tmp/load-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chdir(w->dir), 0);
	for (int i = 0; i < FILES; i++)
		snprintf(w->path[i], sizeof w->path[i], "f%d.ini", i);
	buf_init(&w->problems, 1 << 16);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	conf_free(w->c);
	buf_fini(&w->problems);
	for (int i = 0; i < FILES; i++)
		unlink(w->path[i]);
	unlink("secret");
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

struct given {
	const char *files[FILES];
	const char *env[6];
	const char *flags[6];
};

/* auth.mode is none where nothing else is asked for, so that the rest can be looked at. */
static int
load(struct world *w, const struct given *g)
{
	const char *files[FILES], *flags[8] = {"auth.mode=none"};
	char *env[8];
	struct conf_input in = {.files = files, .env = env, .flags = flags, .n_flags = 1};
	for (int i = 0; i < FILES && g->files[i]; i++) {
		write_file(w->path[i], g->files[i]);
		files[in.n_files++] = w->path[i];
	}
	int n = 0;
	for (; g->env[n]; n++)
		env[n] = (char *)g->env[n];
	env[n] = NULL;
	for (int i = 0; g->flags[i]; i++)
		flags[in.n_flags++] = g->flags[i];
	in.problem = add_line;
	in.arg = &w->problems;
	buf_clear(&w->problems);
	conf_free(w->c);
	w->c = NULL;
	w->e = (struct err){0};
	int r = conf_load(&w->c, &service_l2, &in, &w->e);
	if (r < 0) {
		/* The error is the first of the problems. */
		assert_true(strncmp(buf_str(&w->problems), w->e.text, strlen(w->e.text)) == 0);
		assert_int_equal(w->e.code, r);
	}
	return r;
}

static void
loads(struct world *w, const struct given *g)
{
	if (load(w, g) < 0)
		fail_msg("%s", buf_str(&w->problems));
}

static void
fails(struct world *w, const struct given *g, const char *problems)
{
	assert_int_equal(load(w, g), -EINVAL);
	assert_string_equal(buf_str(&w->problems), problems);
}

static void
came_from(struct world *w, const void *field, uint32_t item, const char *where)
{
	struct buf b;
	buf_init(&b, 256);
	assert_string_equal(conf_where(w->c, field, item, &b), where);
	buf_fini(&b);
}

/* --- where values come from --- */

static void
count_item(void *arg, const struct conf_item *it)
{
	struct buf b;
	size_t *n = arg;
	buf_init(&b, 4096);
	++*n;
	assert_true(*it->opt->help);
	/* What is printed reads back as the same. */
	value_write(it->opt, it->field, &b);
	if (it->opt->type != OPT_SECRET && it->opt->type != OPT_LIST) {
		struct keep k;
		struct err e = {0};
		union {
			max_align_t align;
			uint8_t room[64];
		} f;
		keep_init(&k);
		struct value_in in = {.text = buf_span(&b)};
		if (value_read(it->opt, &in, &f, &k, &e) < 0)
			fail_msg("%s = %s: %s", it->name, buf_str(&b), e.text);
		assert_true(value_equal(it->opt, it->field, &f));
		keep_fini(&k);
	}
	buf_fini(&b);
}

static void
defaults(void **state)
{
	struct world *w = *state;
	size_t n = 0;
	loads(w, &(struct given){0});
	conf_each(w->c, count_item, &n);
	assert_true(n > 100);
	const struct l2_conf *c = conf_l2(w->c);
	assert_int_equal(c->server.listen.port, 8090);
	assert_int_equal(c->tunnel.max_frame_payload, 2048);
	assert_int_equal(c->dns.default_ttl, 60000);
	assert_int_equal(c->tcp.idle_timeout, (2 * 60 + 4) * 60000);
	assert_false(c->egress.tcp_ports.set);
	assert_string_equal(c->auth.api_key, "");
	assert_int_equal(c->lan.mac.b[0], 2);
	came_from(w, &c->server.listen, 0, "default");
	came_from(w, &c->auth.mode, 0, "--auth.mode");
	assert_ptr_equal(conf_service(w->c), &service_l2);
}

static void
precedence(void **state)
{
	struct world *w = *state;
	struct given g = {
	        .files = {"[tcp]\nmax-connections = 1\ntime-wait = 1s\n[udp]\nmax_flows = 1\n",
	                "\n[tcp]\nmax-connections = 2\ntime-wait=2s\ngive-up=2s\n"},
	        .env = {"AERO_L2_STACK_MAX_TCP_CONNECTIONS=3", "AERO_TCP_TIME_WAIT=3s"},
	        .flags = {"tcp.max-connections=4", "tcp.max-connections=5"}};
	loads(w, &g);
	const struct l2_conf *c = conf_l2(w->c);
	assert_int_equal(c->tcp.max_connections, 5);
	came_from(w, &c->tcp.max_connections, 0, "--tcp.max-connections");
	assert_int_equal(c->tcp.time_wait, 3000);
	came_from(w, &c->tcp.time_wait, 0, "AERO_TCP_TIME_WAIT");
	assert_int_equal(c->tcp.give_up, 2000);
	came_from(w, &c->tcp.give_up, 0, "f1.ini:5");
	assert_int_equal(c->udp.max_flows, 1);
	came_from(w, &c->udp.max_flows, 0, "f0.ini:5");
	assert_int_equal(conf_source(w->c, &c->udp.max_flows).from, FROM_FILE);
	assert_int_equal(conf_source(w->c, &c->udp.idle_timeout).from, FROM_DEFAULT);
}

static void
lists(void **state)
{
	struct world *w = *state;
	struct given g = {
	        .files = {"[egress]\nallowed-domains = a.test, b.test\n  c.test\nallowed-domains = "
	                  "d.test\n"
	                  "tcp-ports =\n[origin]\nallowed =\n   https://a.test\n   # not this one\n"
	                  "   https://b.test ; but this\n",
	                "[egress]\nblocked-domains = x.test\n"},
	        .env = {"AERO_L2_BLOCKED_DOMAINS=y.test,z.test"},
	        .flags = {"origin.allowed-extra=https://c.test", "origin.allowed-extra=null",
	                "egress.udp-ports="}};
	loads(w, &g);
	const struct l2_conf *c = conf_l2(w->c);
	assert_int_equal(c->egress.allowed_domains.n, 4);
	assert_string_equal(c->egress.allowed_domains.v[3], "d.test");
	came_from(w, &c->egress.allowed_domains, 1, "f0.ini:2");
	came_from(w, &c->egress.allowed_domains, 2, "f0.ini:3");
	came_from(w, &c->egress.allowed_domains, 3, "f0.ini:4");
	came_from(w, &c->egress.allowed_domains, 99, "f0.ini:4");
	assert_int_equal(c->origin.allowed.n, 2);
	assert_string_equal(c->origin.allowed.v[1], "https://b.test");
	came_from(w, &c->origin.allowed, 1, "f0.ini:10");
	assert_int_equal(c->egress.blocked_domains.n, 2);
	assert_string_equal(c->egress.blocked_domains.v[0], "y.test");
	came_from(w, &c->egress.blocked_domains, 1, "AERO_L2_BLOCKED_DOMAINS");
	assert_int_equal(c->origin.allowed_extra.n, 2);
	assert_true(c->egress.tcp_ports.set && c->egress.tcp_ports.n == 0);
	assert_true(c->egress.udp_ports.set && c->egress.udp_ports.n == 0);

	/* A stronger source replaces the whole list. */
	g = (struct given){.files = {"[egress]\nallowed-domains = a.test,b.test\n",
	                           "[egress]\nallowed-domains = c.test\n"}};
	loads(w, &g);
	c = conf_l2(w->c);
	assert_int_equal(c->egress.allowed_domains.n, 1);
	assert_string_equal(c->egress.allowed_domains.v[0], "c.test");
}

static void
secrets(void **state)
{
	struct world *w = *state;
	write_file("secret", "0123456789abcdef0123456789abcdef\n");
	struct given g = {
	        .files = {"[auth]\napi-key-file = secret\n"}, .flags = {"auth.mode=token"}};
	loads(w, &g);
	const struct l2_conf *c = conf_l2(w->c);
	assert_string_equal(c->auth.api_key, "0123456789abcdef0123456789abcdef");
	came_from(w, &c->auth.api_key, 0, "f0.ini:2");

	g = (struct given){
	        .files = {"[auth]\napi-key = plain text\n"}, .flags = {"auth.api-key-file=secret"}};
	loads(w, &g);
	assert_string_equal(conf_l2(w->c)->auth.api_key, "0123456789abcdef0123456789abcdef");

	fails(w, &(struct given){.files = {"[auth]\napi-key = a\napi_key_file = secret\n"}},
	        "f0.ini:3: auth.api-key is already set on line 2\n");
	fails(w, &(struct given){.flags = {"auth.api-key=a"}},
	        "--auth.api-key: secrets have no flag, others could read it; use auth.api-key-file "
	        "or "
	        "the environment\n");
	fails(w, &(struct given){.files = {"[auth]\njwt-secret-file = nowhere\n"}},
	        "f0.ini:2: auth.jwt-secret-file = nowhere: cannot read nowhere: No such file or "
	        "directory\n");
	fails(w, &(struct given){.files = {"[auth]\napi-key = \x01hunter2\n"}},
	        "f0.ini:2: auth.api-key = (hidden): must not contain control characters\n");
}

/* --- what is refused, and how that is said --- */

static void
bad_values(void **state)
{
	struct world *w = *state;
	fails(w, &(struct given){.files = {"[tunnel]\nmax-frame-payload = 1GiB\n"}},
	        "f0.ini:2: tunnel.max-frame-payload = 1GiB: must be a size 1..16MiB\n");
	fails(w, &(struct given){.flags = {"log.level=loud"}},
	        "--log.level: log.level = loud: must be one of error, warn, info, debug\n");
	fails(w, &(struct given){.files = {"[tcp]\nconnect-timeout =\n"}},
	        "f0.ini:2: tcp.connect-timeout = : must be a duration 0..10m\n");
	/* Every problem is told, not only the first. */
	fails(w,
	        &(struct given){.files = {"[lan]\nmtu = 10\nmac = x\n"},
	                .env = {"AERO_L2_PING_INTERVAL_MS=x"},
	                .flags = {"lan.prefix=99"}},
	        "f0.ini:2: lan.mtu = 10: must be a whole number 576..9000\n"
	        "f0.ini:3: lan.mac = x: must be an Ethernet address of one station like "
	        "02:00:00:00:00:01\n"
	        "AERO_L2_PING_INTERVAL_MS=x: must be off (0) or a duration 1ms..24h "
	        "(tunnel.ping-interval)\n"
	        "--lan.prefix: lan.prefix = 99: must be a whole number 8..30\n");
	/* A bad value is not made good by a stronger source. */
	assert_int_equal(
	        load(w, &(struct given){.files = {"[lan]\nmtu = 10\n"}, .flags = {"lan.mtu=1400"}}),
	        -EINVAL);
	/* A very long value is cut in the message. */
	char text[600];
	snprintf(text, sizeof text, "[lan]\nmac = %0500d\n", 1);
	assert_int_equal(load(w, &(struct given){.files = {text}}), -EINVAL);
	assert_true(strlen(w->e.text) < 200);
}

static void
unknown_names(void **state)
{
	struct world *w = *state;
	fails(w, &(struct given){.files = {"[tunnel]\nmax-frame-paylod = 1\n"}},
	        "f0.ini:2: aero serve l2 has no option tunnel.max-frame-paylod; did you mean "
	        "tunnel.max-frame-payload?\n");
	fails(w, &(struct given){.files = {"[tunel]\nping-interval = 1\n"}},
	        "f0.ini:2: there is no section [tunel]; did you mean [tunnel]?\n");
	fails(w, &(struct given){.files = {"[dns]\nmax-window = 1\n"}},
	        "f0.ini:2: aero serve l2 has no option dns.max-window; did you mean "
	        "tcp.max-window?\n");
	fails(w, &(struct given){.files = {"[weather]\nsun = 1\n"}},
	        "f0.ini:2: aero serve l2 has no option weather.sun\n");
	fails(w, &(struct given){.files = {"listen = 1\n"}},
	        "f0.ini:1: listen stands before any [section]\n");
	fails(w, &(struct given){.flags = {"log.levle=info"}},
	        "--log.levle: aero serve l2 has no option log.levle; did you mean log.level?\n");
	fails(w, &(struct given){.flags = {"verbose=1"}},
	        "--verbose: options are written --section.key=value\n");
	fails(w, &(struct given){.flags = {"log=a.b"}},
	        "--log: options are written --section.key=value\n");
	fails(w, &(struct given){.flags = {"log.level"}},
	        "--log.level needs a value: --log.level=...\n");
	fails(w, &(struct given){.flags = {".=1"}}, "--.: aero serve l2 has no option .\n");
	/* Names come from outside: they must not be cut wrong or run over. */
	char text[400];
	snprintf(text, sizeof text, "%0150d.%0150d=1", 1, 2);
	assert_int_equal(load(w, &(struct given){.flags = {text}}), -EINVAL);
}

static void
broken_files(void **state)
{
	struct world *w = *state;
	fails(w, &(struct given){.files = {"[lan]\nmtu = 1400\n\nmtu = 1500\n"}},
	        "f0.ini:4: lan.mtu is already set on line 2\n");
	fails(w, &(struct given){.files = {"[lan]\nmtu = 1400\n  prefix = 16\n"}},
	        "f0.ini:3: lan.mtu is already set on line 2 (a line that begins with a blank "
	        "continues "
	        "the one above it)\n");
	fails(w, &(struct given){.files = {"[lan\nmtu = 1400\n"}},
	        "f0.ini:1: this line has a '[' without ']'\n"
	        "f0.ini:2: mtu stands before any [section]\n");
	fails(w, &(struct given){.files = {"[lan]\nmtu\n"}},
	        "f0.ini:2: this line is not \"key = value\", \"[section]\" or a comment\n");
	struct buf b;
	buf_init(&b, 8192);
	buf_addf(&b, "[origin]\nallowed = %05000d\n", 1);
	fails(w, &(struct given){.files = {buf_str(&b)}},
	        "f0.ini:2: this line is too long (4094 bytes at most); long lists may go one value "
	        "a "
	        "line\n");
	buf_fini(&b);

	const char *gone = "gone.ini";
	struct conf_input in = {.files = &gone, .n_files = 1};
	struct conf *c = NULL;
	assert_int_equal(conf_load(&c, &service_l2, &in, &w->e), -ENOENT);
	assert_string_equal(w->e.text, "gone.ini: No such file or directory");
	assert_int_equal(conf_load(&c, &service_l2, &in, NULL), -ENOENT);
	assert_null(c);
}

static void
rules(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *flags[3];
		const char *problem;
	} rows[] = {
	        {{"tls.cert=a"}, "--tls.cert: tls.cert needs tls.key\n"},
	        {{"tls.key=a"}, "--tls.key: tls.key needs tls.cert\n"},
	        {{"lan.guest=10.0.3.1"}, "--lan.guest: lan.guest is not in the network of "
	                                 "lan.gateway and lan.prefix\n"},
	        {{"lan.guest=10.0.2.2"}, "--lan.guest: lan.guest is the same as lan.gateway\n"},
	        {{"lan.guest=10.0.2.255"},
	                "--lan.guest: lan.guest is the network's own or broadcast address\n"},
	        {{"lan.gateway=10.0.2.0"},
	                "--lan.gateway: lan.gateway is the network's own or broadcast address\n"},
	        {{"lan.guest=::1"}, "--lan.guest: lan must be IPv4\n"},
	        {{"tcp.max-window=8MiB"},
	                "--tcp.max-window: tcp.max-window is larger than tcp.max-window-tunnel\n"},
	        {{"server.max-url=128KiB"},
	                "--server.max-url: server.max-url is larger than server.max-head\n"},
	        {{"auth.mode=jwt"},
	                "--auth.mode: auth.mode = jwt needs a JWT secret (AERO_L2_JWT_SECRET or "
	                "auth.jwt-secret)\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		fails(w, &(struct given){.flags = {rows[i].flags[0]}}, rows[i].problem);
	loads(w, &(struct given){.flags = {"lan.gateway=192.168.7.1", "lan.guest=192.168.7.2",
	                                 "lan.prefix=30", "tls.cert=a", "tls.key=b"}});
}

/* --- warnings --- */

static bool
warns(struct world *w, const char *flag, const char *about)
{
	struct buf b;
	buf_init(&b, 8192);
	loads(w, &(struct given){.flags = {flag}});
	conf_warnings(w->c, add_line, &b);
	bool found = strstr(buf_str(&b), about);
	buf_fini(&b);
	return found;
}

/* Whatever an OPT_UNSAFE option is turned to, somebody hears of it. */
static void
unsafe_options_warn(void **state)
{
	struct world *w = *state;
	size_t n = 0;
	for (size_t p = 0; p < service_l2.n_places; p++) {
		const struct opt_section *s = service_l2.places[p].section;
		for (size_t k = 0; k < s->n; k++) {
			char name[OPT_NAME], flag[OPT_NAME + 8];
			if (!(s->opts[k].flags & OPT_UNSAFE))
				continue;
			assert_int_equal(s->opts[k].type, OPT_BOOL);
			snprintf(flag, sizeof flag, "%s=yes", opt_name(s, &s->opts[k], name));
			if (!warns(w, flag, name))
				fail_msg("no warning about %s", flag);
			n++;
		}
	}
	assert_int_equal(n, 3);
	assert_true(warns(w, "origin.allowed=*", "contains *"));
	assert_true(warns(w, "origin.allowed-extra=*", "contains *"));
	assert_true(warns(w, "origin.allowed=null", "contains null"));
	assert_true(warns(w, "limits.max-connections=0", "limits.max-connections is off"));
	assert_true(warns(w, "auth.mode=none", "auth.mode is none"));
	assert_false(warns(w, "origin.allowed=https://a.test", "origin"));
}

/* --- reload --- */

static void
on_change(void *arg, const struct conf_change *ch)
{
	buf_addf(arg, "%s%s ", ch->name, ch->live ? "" : "!");
}

static void
reload(void **state)
{
	struct world *w = *state;
	struct buf b;
	buf_init(&b, 4096);
	loads(w, &(struct given){
	                 .files = {"[log]\nlevel = info\n[egress]\nallowed-domains = a.test\n"
	                           "[lan]\nmtu = 1400\nsearch = one.test,two.test\ndomain = "
	                           "d.test\n"}});
	struct conf *was = w->c;
	w->c = NULL;
	loads(w, &(struct given){
	                 .files = {"[egress]\nallowed-domains = b.test\n[log]\nlevel = debug\n"
	                           "[lan]\nmtu = 1300\nsearch = three.test\ndomain = e.test\n"}});
	assert_int_equal(conf_diff(was, w->c, NULL, NULL), 5);
	assert_int_equal(conf_diff(was, w->c, on_change, &b), 5);
	assert_string_equal(
	        buf_str(&b), "log.level lan.mtu! lan.domain! lan.search! egress.allowed-domains ");
	assert_int_equal(conf_diff(was, was, NULL, NULL), 0);

	conf_hold(w->c, was);
	buf_clear(&b);
	assert_int_equal(conf_diff(was, w->c, on_change, &b), 2);
	assert_string_equal(buf_str(&b), "log.level egress.allowed-domains ");
	conf_free(was);
	/* What was held outlives where it came from. */
	const struct l2_conf *c = conf_l2(w->c);
	assert_int_equal(c->lan.mtu, 1400);
	assert_int_equal(c->lan.search.n, 2);
	assert_string_equal(c->lan.search.v[1], "two.test");
	assert_string_equal(c->lan.domain, "d.test");
	assert_int_equal(c->log.level, LOG_DEBUG);
	came_from(w, &c->lan.mtu, 0, "f0.ini:6");
	buf_fini(&b);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        T(defaults),
	        T(precedence),
	        T(lists),
	        T(secrets),
	        T(bad_values),
	        T(unknown_names),
	        T(broken_files),
	        T(rules),
	        T(unsafe_options_warn),
	        T(reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
