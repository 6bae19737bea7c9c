#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/show.h"

#include "base/crypto.h"
#include "base/enc.h"
#include "base/mem.h"
#include "serve/run.h"

#include <stdlib.h>
#include <unistd.h>

const char help_serve[] =
        "Examples\n"
        "  aero serve all --dev\n"
        "  aero serve l2 -c conf/l2.ini\n"
        "  aero serve l2 -c conf/l2.ini --check\n"
        "\n"
        "Usage: aero serve SERVICE [-c FILE]... [--section.key=value]...\n"
        "\n"
        "Services\n"
        "  l2   the Ethernet tunnel: a WebSocket for frames, and the guest's network behind it\n"
        "  all  every service there is, on one port\n"
        "\n"
        "Signals: SIGTERM and SIGINT drain and stop, SIGHUP reads the configuration again.\n"
        "'aero serve SERVICE --help' lists all options of a service.\n";

#define DEV_LISTEN "server.listen=127.0.0.1:8090"
#define DEV_TOKEN_BYTES 16

/* --- a developer's machine --------------------------------------------------------------- */

/* Weaker than anything the caller says: these flags go in front of his. A page of another site may
 * open a socket to loopback too, so even here a client needs the token. */
static void
apply_dev(struct serve_args *s)
{
	static const char *const flags[] = {DEV_LISTEN, "origin.open=yes", "auth.mode=token"};
	size_t n = sizeof flags / sizeof flags[0];
	uint8_t raw[DEV_TOKEN_BYTES];
	char token[2 * DEV_TOKEN_BYTES + 1];
	const char **all = xcalloc(n + s->conf.n_flags, sizeof *all);
	memcpy(all, flags, sizeof flags);
	if (s->conf.n_flags)
		memcpy(all + n, s->conf.flags, s->conf.n_flags * sizeof *all);
	free(s->conf.flags);
	s->conf.flags = all;
	s->conf.n_flags += n;
	random_bytes(raw, sizeof raw);
	hex_encode(span(raw, sizeof raw), token);
	setenv("AERO_AUTH_API_KEY", token, 0);
}

static void
say_dev(const struct conf *c, const char *at, bool tls)
{
	const struct l2_conf *l2 = conf_l2(c);
	const char *ws = tls ? "wss" : "ws", *token = l2->auth.api_key;
	printf("Ethernet tunnel  %s://%s/l2?token=%s\n", ws, at, token);
	printf("metrics          http%s://%s/metrics\n\n", tls ? "s" : "", at);
	printf("A client:   new WebSocket(\"%s://%s/l2?token=%s\", \"aero-l2-tunnel-v1\")\n", ws,
	        at, token);
	printf("A check:    aero probe l2 --url '%s://%s/l2' --token %s\n", ws, at, token);
	printf("A guest:    aero attach tap vm0 --url '%s://%s/l2' --token %s\n", ws, at, token);
}

/* --- running ----------------------------------------------------------------------------- */

struct serving {
	struct serve_args args;
	struct conf *conf; /* borrowed: for what is printed at the start */
};

static int
load_again(void *user, struct conf **out, struct err *e)
{
	const struct serving *s = user;
	struct conf_input in = args_input(&s->args.conf);
	return conf_load(out, s->args.conf.svc, &in, e);
}

static void
on_ready(void *user, const struct endpoint *at, bool tls)
{
	const struct serving *s = user;
	char text[ADDR_TEXT];
	endpoint_text(at, text);
	if (s->args.legacy)
		fprintf(stderr, "%s listening on http://%s\n", s->args.conf.svc->legacy, text);
	if (s->args.ready_stdout)
		printf("AERO_L2_PROXY_READY %s://%s/l2\n", tls ? "wss" : "ws", text);
	if (s->args.dev)
		say_dev(s->conf, text, tls);
	fflush(stdout);
}

static int
serve(struct serving *s)
{
	struct err e = {0};
	int code = serve_args_load(&s->args, &s->conf);
	if (code)
		return code;
	if (s->args.check) {
		show_values(s->conf, true);
		show_warnings(s->conf);
		conf_free(s->conf);
		return EXIT_OK;
	}
	show_warnings(s->conf);
	struct run_spec spec = {.conf = s->conf, .load = load_again, .user = s, .ready = on_ready};
	int rc = run_service(&spec, &e);
	if (rc < 0)
		fprintf(stderr, "aero serve: %s\n", e.text);
	return rc == 0 ? EXIT_OK : s->args.legacy || rc > 0 ? EXIT_FAILED : EXIT_LOCAL;
}

int
cmd_serve(int argc, char **argv)
{
	struct serving s;
	int code = serve_args_parse(&s.args, argc, argv);
	if (code < 0) {
		if (s.args.dev)
			apply_dev(&s.args);
		code = serve(&s);
	}
	serve_args_fini(&s.args);
	return code;
}
