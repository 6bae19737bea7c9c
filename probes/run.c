/* Around every probe: the loop, signals, the tunnel and the guest's address; and again, as often as
 * asked. */
#include "probes/rows.h"

#include "net/worker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct probe_row probe_rows[] = {
        {"arp", "[IP]", "is the gateway there?", NEEDS_TUNNEL, 0, 1, probe_arp},
        {"dhcp", "", "does a guest get an address, keep it, and hear of the network?", NEEDS_TUNNEL,
                0, 0, probe_dhcp},
        {"dns", "NAME [TYPE]", "does a guest resolve this name?", NEEDS_TUNNEL | NEEDS_ADDRESS, 1,
                2, probe_dns},
        {"ping", "HOST", "does this host answer a guest's echo requests?",
                NEEDS_TUNNEL | NEEDS_ADDRESS | REPEATS, 1, 1, probe_ping},
        {"tcp", "HOST:PORT", "can a guest connect there?", NEEDS_TUNNEL | NEEDS_ADDRESS, 1, 1,
                probe_tcp},
        {"udp", "HOST:PORT", "does something there answer a guest's datagram?",
                NEEDS_TUNNEL | NEEDS_ADDRESS, 1, 1, probe_udp},
        {"http", "URL", "does a guest get this page?", NEEDS_TUNNEL | NEEDS_ADDRESS, 1, 1,
                probe_http},
        {"l2", "", "the whole minimum LAN, in order", NEEDS_TUNNEL, 0, 0, probe_l2},
        {"health", "", "/healthz and /readyz of the server", 0, 0, 0, probe_health},
        {NULL, NULL, NULL, 0, 0, 0, NULL},
};

struct runner {
	struct probe p;
	struct lan lan;
	struct worker w;
	struct wait wait;
	struct signals signals;
	bool over;
};

const struct probe_row *
probe_find(const char *name)
{
	for (const struct probe_row *r = probe_rows; r->name; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

int
lan_step(struct probe *p)
{
	return lan_address(p->lan);
}

static void
on_signal(struct signals *s, int number)
{
	struct runner *r = CONTAINER_OF(s, struct runner, signals);
	(void)number;
	r->over = true;
	wait_wake(&r->wait);
}

static int
once(const struct probe_row *row, struct runner *r)
{
	int code = EXIT_OK;
	if (row->needs & NEEDS_TUNNEL)
		code = lan_connect(&r->lan);
	if (code == EXIT_OK && row->needs & NEEDS_ADDRESS)
		code = lan_address(&r->lan);
	if (code == EXIT_OK)
		code = row->run(&r->p);
	lan_disconnect(&r->lan, r->over);
	return code;
}

static void
rest(struct runner *r, uint32_t ms)
{
	uint64_t until = lan_now(&r->lan) + ms;
	while (!r->over && wait_for(&r->wait, until))
		;
}

/* The first failure is the command's; a person who watches hears of each. With --watch every run
 * has a report of its own. */
static int
repeat(const struct probe_row *row, struct runner *r)
{
	const struct probe_conf *c = r->p.conf;
	bool own = row->needs & REPEATS;
	uint32_t count = own || !c->count ? 1 : c->count;
	bool watch = c->watch && !own;
	int code = EXIT_OK;
	if (!watch)
		report_begin(&r->p, row->name);
	for (uint32_t i = 0; (watch || i < count) && !r->over; i++) {
		if (i)
			rest(r, c->interval_ms);
		if (r->over)
			break;
		if (watch)
			report_begin(&r->p, row->name);
		r->p.run = watch || count > 1 ? i + 1 : 0;
		int got = once(row, r);
		code = code ? code : got;
		if (watch)
			report_end(&r->p);
	}
	if (r->over && code == EXIT_OK)
		code = EXIT_INTERRUPTED;
	r->p.code = code;
	if (!watch)
		report_end(&r->p);
	return code;
}

static int
with_loop(const struct probe_row *row, struct runner *r)
{
	static const int ends[] = {SIGINT, SIGTERM, 0};
	const struct probe_conf *c = r->p.conf;
	struct transport_conf tc = {.ca_file = c->dial.ca};
	struct err e = {0};
	int code = EXIT_LOCAL;
	wait_init(&r->wait, &r->w);
	r->lan.wait = &r->wait;
	if (signals_open(&r->signals, &r->w, ends, on_signal) < 0) {
		fputs("aero probe: cannot wait for signals\n", stderr);
		return EXIT_LOCAL;
	}
	if (transport_open(&r->w, &tc, &r->lan.t, &e) < 0 ||
	        (c->capture && record_open(c->capture, &r->lan.client.record, &e) < 0)) {
		fprintf(stderr, "aero probe: %s\n", e.text);
	} else {
		code = repeat(row, r);
		if (record_close(r->lan.client.record) < 0) {
			fprintf(stderr, "aero probe: %s is not complete\n", c->capture);
			code = code ? code : EXIT_LOCAL;
		}
	}
	if (r->lan.t)
		transport_close(r->lan.t);
	wait_fini(&r->wait);
	signals_close(&r->signals);
	return code;
}

int
probe_run(const struct probe_row *row, const struct probe_conf *conf, enum style style, bool colour)
{
	struct runner r = {.p = {.conf = conf, .style = style, .colour = colour}};
	struct log log;
	r.p.lan = &r.lan;
	r.lan.p = &r.p;
	r.lan.w = &r.w;
	r.lan.over = &r.over;
	log_root(&log, STDERR_FILENO, LOG_ERROR, LOG_TEXT);
	if (worker_init(&r.w, &log) < 0) {
		fputs("aero probe: no event loop\n", stderr);
		return EXIT_LOCAL;
	}
	int code = with_loop(row, &r);
	worker_fini(&r.w);
	return code;
}
