/* attach: a TAP device of this machine becomes a guest of a tunnel.
 *
 * One loop of connections, written from top to bottom: dial, run until the tunnel ends, say so,
 * wait a little longer than the last time, again. The bridge stays over all of them. */
#include "cmd/cmd.h"
#include "cmd/dialflags.h"

#include "base/crypto.h"
#include "base/jout.h"
#include "client/bridge.h"
#include "net/signals.h"
#include "net/tap.h"
#include "net/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

const char help_attach[] =
        "Examples\n"
        "  aero attach tap vm0 --url ws://127.0.0.1:8090/l2 --token secret --up\n"
        "  aero attach tap eth0 --netns guest --up --capture guest.pcapng\n"
        "  aero attach tap eth0 --netns guest --up --loss 1 --delay 25 --rate 50\n"
        "\n"
        "Usage: aero attach tap INTERFACE [option]...\n"
        "\n"
        "Makes a TAP device and carries its frames through a tunnel, so that whatever uses the\n"
        "device (a kernel, a namespace, a virtual machine) becomes a guest. The tunnel is dialled\n"
        "again when it ends, after 250 ms, 500 ms, ... 30 s. Prints a line 'attached if=... "
        "url=...'\n"
        "whenever it is up and 'detached reason=...' when it is not. SIGTERM and SIGINT end it.\n"
        "\n"
        "The device\n"
        "  --netns NAME         make it in this network namespace\n"
        "  --mac ADDRESS        its Ethernet address (made by the kernel)\n"
        "  --mtu N              its MTU (1500)\n"
        "  --up                 bring it up\n"
        "  --persist            leave it behind at the end\n"
        "\n"
        "The tunnel\n" DIAL_HELP "  --once               do not dial again\n"
        "  --ping TIME          send a PING this often; three unanswered ones end it (10s)\n"
        "\n"
        "A bad link\n"
        "  --loss P[,P]         per cent of frames lost: to the guest, from the guest; one number\n"
        "                       is for both\n"
        "  --delay T[,T]        time each frame takes: to the guest, from the guest\n"
        "  --rate MBIT          megabits a second to the guest, kept by reading no faster\n"
        "  --rcvbuf SIZE        receive buffer of the socket: what lies between the server and a\n"
        "                       slow reader (64KiB with --rate)\n"
        "  --queue SIZE         most bytes that wait for the guest (8MiB)\n"
        "  --seed N             of the losses: the same number loses the same frames\n"
        "  --reorder none       frames are never reordered; accepted to be said aloud\n"
        "\n"
        "Output\n"
        "  --capture FILE       record every frame (pcapng)\n"
        "  --json               the lines as JSON documents (schema aero.attach/1), the last one\n"
        "                       with counts of frames, bytes, lost and dropped\n"
        "  --verbose            round trips and counts on stderr\n"
        "  --quiet              no lines\n";

enum {
	BACKOFF_FIRST_MS = 250,
	BACKOFF_MOST_MS = 30000,
	LINGER_MS = 500,
	RATE_RCVBUF = 64 << 10,
	LINE_MOST = 4096,
};

struct attach {
	struct dial dial;
	const char *ifname, *netns, *mac, *loss, *delay, *rate, *reorder, *capture;
	bool up, persist, once, json, verbose, quiet;
	uint32_t mtu, ping_ms, rcvbuf, queue, seed;

	struct worker w;
	struct transport *t;
	struct wait wait;
	struct signals signals;
	struct bridge bridge;
	struct l2client client;
	struct l2client_end end;
	struct bridge_conf conf;
	char name[IFNAMSIZ];
	bool stopping, closed, said_why;
	uint32_t backoff_ms, tunnels;
};

static const struct flag flags[] = {
        DIAL_FLAGS(struct attach),
        {"netns", FLAG_STR, offsetof(struct attach, netns), 0, 0},
        {"mac", FLAG_STR, offsetof(struct attach, mac), 0, 0},
        {"mtu", FLAG_U32, offsetof(struct attach, mtu), 68, 9000},
        {"up", FLAG_BOOL, offsetof(struct attach, up), 0, 0},
        {"persist", FLAG_BOOL, offsetof(struct attach, persist), 0, 0},
        {"once", FLAG_BOOL, offsetof(struct attach, once), 0, 0},
        {"ping", FLAG_MS, offsetof(struct attach, ping_ms), 0, 3600000},
        {"loss", FLAG_STR, offsetof(struct attach, loss), 0, 0},
        {"delay", FLAG_STR, offsetof(struct attach, delay), 0, 0},
        {"rate", FLAG_STR, offsetof(struct attach, rate), 0, 0},
        {"rcvbuf", FLAG_SIZE, offsetof(struct attach, rcvbuf), 2048, 64 << 20},
        {"queue", FLAG_SIZE, offsetof(struct attach, queue), 65536, 1 << 30},
        {"seed", FLAG_U32, offsetof(struct attach, seed), 0, 0},
        {"reorder", FLAG_STR, offsetof(struct attach, reorder), 0, 0},
        {"capture", FLAG_STR, offsetof(struct attach, capture), 0, 0},
        {"json", FLAG_BOOL, offsetof(struct attach, json), 0, 0},
        {"verbose", FLAG_BOOL, offsetof(struct attach, verbose), 0, 0},
        {"quiet", FLAG_BOOL, offsetof(struct attach, quiet), 0, 0},
        {NULL, FLAG_BOOL, 0, 0, 0},
};

/* --- the link that is played ------------------------------------------------------------------ */

/* "a[,b]" as numbers from 0 to most. */
static bool
pair(const char *text, double most, double out[2])
{
	char *end;
	out[0] = out[1] = strtod(text, &end);
	if (end != text && *end == ',')
		out[1] = strtod(text = end + 1, &end);
	return end != text && !*end && out[0] >= 0 && out[0] <= most && out[1] >= 0 &&
	       out[1] <= most;
}

static int
read_link(struct attach *a)
{
	double loss[2] = {0}, delay[2] = {0}, rate[2] = {0};
	if (a->loss && !pair(a->loss, 100, loss))
		return cmd_usage("attach", "--loss wants per cent, not '%s'", a->loss);
	if (a->delay && !pair(a->delay, 60000, delay))
		return cmd_usage("attach", "--delay wants milliseconds, not '%s'", a->delay);
	if (a->rate && (!pair(a->rate, 100000, rate) || rate[0] < 0.001 || rate[1] != rate[0]))
		return cmd_usage("attach", "--rate wants megabits a second, not '%s'", a->rate);
	if (a->reorder && strcmp(a->reorder, "none") != 0)
		return cmd_usage("attach", "--reorder knows only 'none'");
	a->conf.to_device = (struct bridge_link){(uint32_t)(loss[0] * 10000), (uint32_t)delay[0]};
	a->conf.from_device = (struct bridge_link){(uint32_t)(loss[1] * 10000), (uint32_t)delay[1]};
	a->conf.rate_bps = (uint64_t)(rate[0] * 1e6);
	a->conf.seed = a->seed;
	a->conf.queue_most = a->queue;
	if (a->rate && !a->rcvbuf)
		a->rcvbuf = RATE_RCVBUF;
	return 0;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void
count_json(struct jout *j, const char *key, const struct bridge_count *c)
{
	jout_key(j, key);
	jout_object(j);
	jout_kv_u64(j, "frames", c->frames);
	jout_kv_u64(j, "bytes", c->bytes);
	jout_kv_u64(j, "lost", c->lost);
	jout_kv_u64(j, "dropped", c->dropped);
	jout_end(j);
}

static void
line_json(struct attach *a, const char *event, const char *url, const char *reason)
{
	struct buf b;
	struct jout j;
	buf_init(&b, LINE_MOST);
	jout_init(&j, &b);
	jout_object(&j);
	jout_kv_str(&j, "schema", "aero.attach/1");
	jout_kv_str(&j, "event", event);
	jout_kv_str(&j, "if", a->name);
	jout_kv_str(&j, "url", url);
	if (reason)
		jout_kv_str(&j, "reason", reason);
	if (strcmp(event, "end") == 0) {
		jout_kv_u64(&j, "tunnels", a->tunnels);
		count_json(&j, "to_guest", &a->bridge.to_device);
		count_json(&j, "from_guest", &a->bridge.from_device);
	}
	jout_end(&j);
	puts(buf_str(&b));
	buf_fini(&b);
}

static void
say(struct attach *a, const char *event, const char *reason)
{
	char url[URL_HOST + URL_TARGET];
	if (a->quiet)
		return;
	dial_shown(&a->dial, url, sizeof url);
	if (a->json)
		line_json(a, event, url, reason);
	else if (reason)
		printf("%s reason=%s\n", event, reason);
	else
		printf("%s if=%s url=%s\n", event, a->name, url);
	fflush(stdout);
}

static void
say_counts(const struct attach *a)
{
	const struct bridge_count *to = &a->bridge.to_device, *from = &a->bridge.from_device;
	fprintf(stderr,
	        "to guest: %llu frames, %llu bytes, %llu lost, %llu dropped; "
	        "from guest: %llu frames, %llu bytes, %llu lost, %llu dropped\n",
	        (unsigned long long)to->frames, (unsigned long long)to->bytes,
	        (unsigned long long)to->lost, (unsigned long long)to->dropped,
	        (unsigned long long)from->frames, (unsigned long long)from->bytes,
	        (unsigned long long)from->lost, (unsigned long long)from->dropped);
}

/* --- the tunnel ------------------------------------------------------------------------------- */

static struct attach *
of(struct l2client *c)
{
	return CONTAINER_OF(c, struct attach, client);
}

static void
on_up(struct l2client *c)
{
	struct attach *a = of(c);
	a->tunnels++;
	a->backoff_ms = BACKOFF_FIRST_MS;
	bridge_up(&a->bridge, c);
	say(a, "attached", NULL);
}

static void
on_frame(struct l2client *c, struct span frame)
{
	bridge_frame(&of(c)->bridge, frame);
}

static bool
on_pull(struct l2client *c, struct emit *e)
{
	return bridge_pull(&of(c)->bridge, e);
}

static void
on_rtt(struct l2client *c, uint32_t us)
{
	if (of(c)->verbose)
		fprintf(stderr, "round trip %.3f ms\n", us / 1000.0);
}

static void
on_closed(struct l2client *c, const struct l2client_end *end)
{
	struct attach *a = of(c);
	a->end = *end;
	a->closed = true;
	bridge_down(&a->bridge);
	wait_wake(&a->wait);
}

static const struct l2client_ops ops = {
        .up = on_up,
        .frame = on_frame,
        .pull = on_pull,
        .rtt = on_rtt,
        .closed = on_closed,
};

static void
on_signal(struct signals *s, int number)
{
	struct attach *a = CONTAINER_OF(s, struct attach, signals);
	(void)number;
	a->stopping = true;
	wait_wake(&a->wait);
}

static bool
is_over(void *user)
{
	return ((struct attach *)user)->stopping;
}

/* One tunnel from dialling to its end. Returns the exit code that it would be. */
static int
tunnel(struct attach *a)
{
	struct l2client_dial d;
	struct err e = {0};
	int r = dial_prepare(&a->dial, a->t, &a->wait, is_over, a, &d, &e);
	if (r == 0) {
		d.ping_ms = a->ping_ms;
		d.rcvbuf = a->rcvbuf;
		a->closed = false;
		if (l2client_open(&a->client, a->t, &a->w, &ops, &d, &e) < 0)
			r = EXIT_USAGE;
	}
	if (r) {
		a->end = (struct l2client_end){.how = L2CLIENT_LOST};
		snprintf(a->end.text, sizeof a->end.text, "%.200s", e.text);
		return r;
	}
	while (!a->closed) {
		wait_for(&a->wait, UINT64_MAX);
		if (a->stopping)
			l2client_close(&a->client, LINGER_MS);
	}
	return dial_exit(&a->end);
}

/* +-20 %, so that many guests of one server do not come back at the same moment. */
static void
back_off(struct attach *a)
{
	uint32_t random;
	random_bytes(&random, sizeof random);
	uint64_t ms = a->backoff_ms * (80 + random % 41) / 100;
	a->backoff_ms = a->backoff_ms * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : a->backoff_ms * 2;
	worker_look(&a->w);
	uint64_t until = worker_now(&a->w) + ms;
	while (!a->stopping && wait_for(&a->wait, until))
		;
}

static int
run(struct attach *a)
{
	for (;;) {
		uint32_t before = a->tunnels;
		int r = tunnel(a);
		bool was_up = a->tunnels > before;
		if (a->stopping)
			return EXIT_OK;
		if (was_up)
			say(a, "detached", a->end.text);
		/* A mistake in the command is not cured by repeating it. */
		bool hopeless = !a->tunnels && (r == EXIT_AUTH || r == EXIT_USAGE);
		if (a->once || hopeless) {
			const char *hint = dial_hint(&a->end);
			fprintf(stderr, "aero attach: %s%s%s\n", a->end.text, *hint ? "; " : "",
			        hint);
			return r ? r : EXIT_CONNECT;
		}
		if (was_up || !a->said_why || a->verbose)
			fprintf(stderr, "aero attach: %s; again in about %u ms\n", a->end.text,
			        a->backoff_ms);
		a->said_why = !was_up;
		back_off(a);
		if (a->stopping)
			return EXIT_OK;
	}
}

/* --- set-up ----------------------------------------------------------------------------------- */

static int
complain(int code, const struct err *e)
{
	fprintf(stderr, "aero attach: %s\n", e->text);
	return code;
}

static int
with_device(struct attach *a)
{
	struct err e = {0};
	if (a->capture && record_open(a->capture, &a->client.record, &e) < 0)
		return complain(EXIT_LOCAL, &e);
	if (bridge_open(&a->bridge, &a->w, &a->conf) < 0) {
		record_close(a->client.record);
		err_set(&e, -EIO, "cannot wait for the device");
		return complain(EXIT_LOCAL, &e);
	}
	a->backoff_ms = BACKOFF_FIRST_MS;
	int r = run(a);
	if (a->json)
		say(a, "end", NULL);
	if (a->verbose)
		say_counts(a);
	bridge_close(&a->bridge);
	if (record_close(a->client.record) < 0) {
		fprintf(stderr, "aero attach: %s is not complete\n", a->capture);
		r = r ? r : EXIT_LOCAL;
	}
	return r;
}

static int
with_loop(struct attach *a)
{
	static const int ends[] = {SIGINT, SIGTERM, 0};
	struct transport_conf tc = {.ca_file = a->dial.ca};
	struct err e = {0};
	int r = EXIT_LOCAL;
	wait_init(&a->wait, &a->w);
	if (signals_open(&a->signals, &a->w, ends, on_signal) < 0) {
		err_set(&e, -EIO, "cannot wait for signals");
		return complain(EXIT_LOCAL, &e);
	}
	if (transport_open(&a->w, &tc, &a->t, &e) < 0) {
		complain(EXIT_LOCAL, &e);
	} else {
		r = with_device(a);
		transport_close(a->t);
	}
	wait_fini(&a->wait);
	signals_close(&a->signals);
	return r;
}

static int
attach(struct attach *a)
{
	struct tap_conf tap = {
	        .name = a->ifname,
	        .netns = a->netns,
	        .persist = a->persist,
	        .up = a->up,
	        .mtu = (uint16_t)a->mtu,
	        .has_mac = a->mac != NULL,
	};
	struct err e = {0};
	struct log log;
	if (a->mac && !mac_parse(span_str(a->mac), &tap.mac))
		return cmd_usage("attach", "--mac wants six pairs of hex digits, not '%s'", a->mac);
	a->conf.fd = tap_open(&tap, a->name, &e);
	if (a->conf.fd < 0)
		return complain(EXIT_LOCAL, &e);
	log_root(&log, STDERR_FILENO, LOG_ERROR, LOG_TEXT);
	int r = worker_init(&a->w, &log);
	if (r < 0) {
		err_set(&e, r, "no event loop: %s", strerror(-r));
		r = complain(EXIT_LOCAL, &e);
	} else {
		r = with_loop(a);
		worker_fini(&a->w);
	}
	close(a->conf.fd);
	return r;
}

int
cmd_attach(int argc, char **argv)
{
	struct attach *a = calloc(1, sizeof *a);
	if (!a)
		return EXIT_LOCAL;
	a->dial = (struct dial)DIAL_USUAL;
	a->mtu = 1500;
	a->ping_ms = 10000;
	a->queue = 8 << 20;
	int r = 0;
	const char *what = NULL;
	for (int i = 1; i < argc && r == 0; i++) {
		int took = flags_take("attach", flags, a, argc, argv, &i);
		if (took < 0)
			r = EXIT_USAGE;
		else if (!took && argv[i][0] == '-')
			r = cmd_usage("attach", "unknown option '%s'", argv[i]);
		else if (!took && !what)
			what = argv[i];
		else if (!took && !a->ifname)
			a->ifname = argv[i];
		else if (!took)
			r = cmd_usage("attach", "'%s' is one argument too many", argv[i]);
	}
	if (r == 0 && (!what || strcmp(what, "tap") != 0 || !a->ifname))
		r = cmd_usage("attach", "say 'tap' and the name of the interface");
	struct err e = {0};
	if (r == 0 && dial_check(&a->dial, &e))
		r = cmd_usage("attach", "%s", e.text);
	if (r == 0)
		r = read_link(a);
	if (r == 0) {
		dial_limit_files();
		r = attach(a);
	}
	free(a);
	return r;
}
