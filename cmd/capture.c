/* capture: what is in recorded tunnels. */
#include "cmd/cmd.h"
#include "cmd/flags.h"

#include "base/jout.h"
#include "client/pcapfile.h"
#include "wire/pkttext.h"

#include <dirent.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <time.h>

const char help_capture[] =
        "Examples\n"
        "  aero capture list /var/lib/aero/capture\n"
        "  aero capture read tunnel.pcapng 'tcp port 443 or arp'\n"
        "  aero capture read tunnel.pcapng --json | jq -r '.packets[].info'\n"
        "  aero capture check tunnel.pcapng\n"
        "\n"
        "Usage: aero capture list DIRECTORY [option]...\n"
        "       aero capture read FILE [FILTER] [option]...\n"
        "       aero capture check FILE [option]...\n"
        "\n"
        "  list DIRECTORY       a line per file: session, start, duration, packets, bytes, drops\n"
        "  read FILE            a line per packet: time, direction (> from the guest, < to the\n"
        "                       guest), addresses, protocol, and what it says; a filter as "
        "tcpdump\n"
        "                       has them leaves only what it fits\n"
        "  check FILE           what is wrong with the file's structure, and where\n"
        "\n"
        "FILE may be '-', standard input. Files are pcapng.\n"
        "\n"
        "Options\n"
        "  --json               one JSON document (schema aero.capture/1)\n"
        "  --relative           read: seconds since the first packet instead of the time of day\n"
        "  --count N            read: only the first N packets\n"
        "  --quiet              check: no report, only the exit status\n"
        "\n"
        "Exit status: 0 ok, 1 a file is not sound, 2 usage, 8 it cannot be read.\n";

enum { OUT_MOST = 1 << 20, OUT_FLUSH = 64 << 10, NS = 1000000000, SNAPLEN = 65535 };

struct capture {
	bool json, quiet, relative;
	uint32_t count;
	const char *verb, *path;
	char filter[4096]; /* "": everything */
	struct buf out;
	struct jout j;
};

static const struct flag flags[] = {
        {"json", FLAG_BOOL, offsetof(struct capture, json), 0, 0},
        {"quiet", FLAG_BOOL, offsetof(struct capture, quiet), 0, 0},
        {"relative", FLAG_BOOL, offsetof(struct capture, relative), 0, 0},
        {"count", FLAG_U32, offsetof(struct capture, count), 1, 0},
        {NULL, FLAG_BOOL, 0, 0, 0},
};

static int
complain(int code, const char *text)
{
	fprintf(stderr, "aero capture: %s\n", text);
	return code;
}

static void
flush(struct capture *c)
{
	if (c->out.n)
		fwrite(c->out.p, 1, c->out.n, stdout);
	buf_clear(&c->out);
}

static void
doc_begin(struct capture *c)
{
	buf_init(&c->out, OUT_MOST);
	jout_init(&c->j, &c->out);
	if (!c->json)
		return;
	jout_object(&c->j);
	jout_kv_str(&c->j, "schema", "aero.capture/1");
	jout_kv_str(&c->j, "verb", c->verb);
	jout_kv_str(&c->j, "path", c->path);
}

static int
doc_end(struct capture *c, bool ok, int code)
{
	if (c->json) {
		jout_kv_bool(&c->j, "ok", ok);
		jout_end(&c->j);
		buf_addc(&c->out, '\n');
	}
	flush(c);
	buf_fini(&c->out);
	return code;
}

static void
put_time(uint64_t ns, bool date, char *out, size_t cap)
{
	time_t s = (time_t)(ns / NS);
	struct tm tm;
	gmtime_r(&s, &tm);
	size_t n = strftime(out, cap, date ? "%Y-%m-%dT%H:%M:%SZ" : "%H:%M:%S", &tm);
	if (!date)
		snprintf(out + n, cap - n, ".%06u", (unsigned)(ns % NS / 1000));
}

/* --- read ------------------------------------------------------------------------------------- */

struct reading {
	struct capture *c;
	struct pcapfile *f;
	struct bpf_program program;
	bool filtered;
	uint64_t first_ns, number, shown, faults;
};

static bool
fits(const struct reading *r, const struct pcapng_packet *k)
{
	struct pcap_pkthdr h = {.caplen = (bpf_u_int32)k->data.n, .len = k->len};
	return !r->filtered || pcap_offline_filter(&r->program, &h, k->data.p) > 0;
}

static const char *
way(const struct pcapng_packet *k)
{
	switch (k->has_flags ? k->flags & PCAPNG_DIRECTION : 0) {
	case PCAPNG_IN: return ">";
	case PCAPNG_OUT: return "<";
	default: return "-";
	}
}

static void
packet_json(struct reading *r, const struct pcapng_packet *k, const struct pkttext *t)
{
	struct jout *j = &r->c->j;
	jout_object(j);
	jout_kv_u64(j, "n", r->number);
	jout_key(j, "time_ms");
	jout_ms(j, (double)(k->ns / 1000) / 1000.0);
	const char *from = way(k);
	jout_kv_str(j, "from", *from == '>' ? "guest" : *from == '<' ? "service" : NULL);
	jout_kv_str(j, "src", t->src);
	jout_kv_str(j, "dst", t->dst);
	jout_kv_str(j, "proto", t->proto);
	jout_kv_u64(j, "len", k->len);
	jout_kv_str(j, "info", t->info);
	if (k->drops)
		jout_kv_u64(j, "drops", k->drops);
	jout_end(j);
}

static void
packet_text(struct reading *r, const struct pcapng_packet *k, const struct pkttext *t)
{
	char when[48];
	if (r->c->relative)
		snprintf(when, sizeof when, "%.6f", (double)(int64_t)(k->ns - r->first_ns) / NS);
	else
		put_time(k->ns, false, when, sizeof when);
	if (k->drops)
		buf_addf(&r->c->out, "# %llu packets were not recorded here\n",
		        (unsigned long long)k->drops);
	buf_addf(
	        &r->c->out, "%s %s %s %s %s %s\n", when, way(k), t->src, t->dst, t->proto, t->info);
}

static void
take_packet(struct reading *r, const struct pcapng_packet *k)
{
	struct pkttext t = {.proto = "?"};
	if (!r->number++)
		r->first_ns = k->ns;
	if (!fits(r, k))
		return;
	r->shown++;
	if (pcapfile_linktype(r->f, k->iface) == PCAPNG_ETHERNET)
		pkttext_of(k->data, &t);
	else
		snprintf(t.info, sizeof t.info, "%u bytes, not Ethernet", k->len);
	if (r->c->json)
		packet_json(r, k, &t);
	else
		packet_text(r, k, &t);
	if (r->c->out.n > OUT_FLUSH)
		flush(r->c);
}

static bool
compile(struct reading *r)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	r->filtered =
	        dead && pcap_compile(dead, &r->program, r->c->filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
	if (!r->filtered)
		fprintf(stderr, "aero capture: filter '%s': %s\n", r->c->filter,
		        dead ? pcap_geterr(dead) : "out of memory");
	if (dead)
		pcap_close(dead);
	return r->filtered;
}

static int
capture_read(struct capture *c)
{
	struct reading r = {.c = c};
	struct pcapng_block b;
	struct err e = {0};
	if (*c->filter && !compile(&r))
		return EXIT_USAGE;
	if (pcapfile_open(c->path, &r.f, &e) < 0) {
		if (r.filtered)
			pcap_freecode(&r.program);
		return complain(EXIT_LOCAL, e.text);
	}
	doc_begin(c);
	if (c->json) {
		jout_key(&c->j, "packets");
		jout_array(&c->j);
	}
	while ((!c->count || r.shown < c->count) && pcapfile_next(r.f, &b)) {
		if (b.kind == PCAPNG_PACKET)
			take_packet(&r, &b.packet);
		if (b.kind != PCAPNG_FAULT)
			continue;
		r.faults++;
		fprintf(stderr, "aero capture: offset %llu: %s\n", (unsigned long long)b.offset,
		        b.why);
	}
	pcapfile_close(r.f);
	if (r.filtered)
		pcap_freecode(&r.program);
	if (c->json) {
		jout_end(&c->j);
		jout_kv_u64(&c->j, "read", r.number);
		jout_kv_u64(&c->j, "shown", r.shown);
	}
	return doc_end(c, !r.faults, r.faults ? EXIT_FAILED : EXIT_OK);
}

/* --- check ------------------------------------------------------------------------------------ */

struct totals {
	uint64_t blocks, packets, bytes, drops, faults;
	uint64_t first_ns, last_ns;
};

static void
fault(struct capture *c, const struct pcapng_block *b)
{
	if (c->json) {
		jout_object(&c->j);
		jout_kv_u64(&c->j, "offset", b->offset);
		jout_kv_str(&c->j, "why", b->why);
		jout_end(&c->j);
	} else if (!c->quiet) {
		buf_addf(&c->out, "offset %llu: %s\n", (unsigned long long)b->offset, b->why);
	}
}

static void
add(struct totals *t, const struct pcapng_block *b)
{
	t->blocks++;
	t->faults += b->kind == PCAPNG_FAULT;
	if (b->kind == PCAPNG_STATS && b->stats.has_dropped)
		t->drops += b->stats.dropped;
	if (b->kind != PCAPNG_PACKET)
		return;
	const struct pcapng_packet *k = &b->packet;
	t->packets++;
	t->bytes += k->len;
	t->drops += k->drops;
	if (!k->timed)
		return;
	t->first_ns = !t->first_ns || k->ns < t->first_ns ? k->ns : t->first_ns;
	t->last_ns = k->ns > t->last_ns ? k->ns : t->last_ns;
}

static int
capture_check(struct capture *c)
{
	struct totals t = {0};
	struct pcapfile *f;
	struct pcapng_block b;
	struct err e = {0};
	if (pcapfile_open(c->path, &f, &e) < 0)
		return complain(EXIT_LOCAL, e.text);
	doc_begin(c);
	if (c->json) {
		jout_key(&c->j, "faults");
		jout_array(&c->j);
	}
	while (pcapfile_next(f, &b)) {
		add(&t, &b);
		if (b.kind == PCAPNG_FAULT)
			fault(c, &b);
		if (c->out.n > OUT_FLUSH)
			flush(c);
	}
	pcapfile_close(f);
	bool ok = !t.faults && t.blocks;
	if (c->json) {
		jout_end(&c->j);
		jout_kv_u64(&c->j, "blocks", t.blocks);
		jout_kv_u64(&c->j, "packets", t.packets);
	} else if (!c->quiet) {
		buf_addf(&c->out, "%s: %llu blocks, %llu packets, %llu faults\n",
		        ok         ? "ok"
		        : t.blocks ? "not ok"
		                   : "not ok, the file is empty",
		        (unsigned long long)t.blocks, (unsigned long long)t.packets,
		        (unsigned long long)t.faults);
	}
	return doc_end(c, ok, ok ? EXIT_OK : EXIT_FAILED);
}

/* --- list ------------------------------------------------------------------------------------- */

static int
is_capture(const struct dirent *d)
{
	size_t n = strlen(d->d_name), k = strlen(".pcapng");
	return n > k && strcmp(d->d_name + n - k, ".pcapng") == 0;
}

/* "<ms>-session-<id>.pcapng" has a session's number; anything else its whole name. */
static void
session_of(const char *name, char *out, size_t cap)
{
	const char *at = strstr(name, "-session-");
	at = at ? at + strlen("-session-") : name;
	snprintf(out, cap, "%.*s", (int)(strlen(at) - strlen(".pcapng")), at);
}

static void
line(struct capture *c, const char *name, const struct totals *t)
{
	char session[256], start[48] = "-";
	session_of(name, session, sizeof session);
	if (t->first_ns)
		put_time(t->first_ns, true, start, sizeof start);
	double s = (double)(t->last_ns - t->first_ns) / NS;
	if (!c->json) {
		buf_addf(&c->out,
		        "%-8s %-20s %10.3f s %9llu packets %11llu bytes %6llu drops  %s%s\n",
		        session, start, s, (unsigned long long)t->packets,
		        (unsigned long long)t->bytes, (unsigned long long)t->drops, name,
		        t->faults ? "  NOT SOUND" : "");
		return;
	}
	struct jout *j = &c->j;
	jout_object(j);
	jout_kv_str(j, "file", name);
	jout_kv_str(j, "session", session);
	jout_kv_str(j, "start", t->first_ns ? start : NULL);
	jout_key(j, "duration_ms");
	jout_ms(j, s * 1000);
	jout_kv_u64(j, "packets", t->packets);
	jout_kv_u64(j, "bytes", t->bytes);
	jout_kv_u64(j, "drops", t->drops);
	jout_kv_bool(j, "ok", !t->faults);
	jout_end(j);
}

static int
list_one(struct capture *c, const char *name)
{
	char path[4096];
	struct totals t = {0};
	struct pcapfile *f;
	struct pcapng_block b;
	struct err e = {0};
	snprintf(path, sizeof path, "%s/%s", c->path, name);
	if (pcapfile_open(path, &f, &e) < 0)
		return complain(EXIT_LOCAL, e.text);
	while (pcapfile_next(f, &b))
		add(&t, &b);
	pcapfile_close(f);
	line(c, name, &t);
	if (c->out.n > OUT_FLUSH)
		flush(c);
	return t.faults ? EXIT_FAILED : EXIT_OK;
}

static int
capture_list(struct capture *c)
{
	struct dirent **all;
	int n = scandir(c->path, &all, is_capture, alphasort), code = EXIT_OK;
	if (n < 0) {
		fprintf(stderr, "aero capture: cannot read %s: %s\n", c->path, strerror(errno));
		return EXIT_LOCAL;
	}
	doc_begin(c);
	if (c->json) {
		jout_key(&c->j, "files");
		jout_array(&c->j);
	}
	for (int i = 0; i < n; i++) {
		int r = list_one(c, all[i]->d_name);
		code = code ? code : r;
		free(all[i]);
	}
	free(all);
	if (c->json)
		jout_end(&c->j);
	return doc_end(c, code == EXIT_OK, code);
}

/* --- the command ------------------------------------------------------------------------------ */

static const struct verb {
	const char *name;
	const char *args;
	bool filter;
	int (*run)(struct capture *c);
} verbs[] = {
        {"list", "DIRECTORY", false, capture_list},
        {"read", "FILE [FILTER]", true, capture_read},
        {"check", "FILE", false, capture_check},
};

/* A filter may be written in one argument or several, as for tcpdump. */
static bool
add_word(struct capture *c, const char *word)
{
	size_t n = strlen(c->filter), room = sizeof c->filter - n;
	return (size_t)snprintf(c->filter + n, room, n ? " %s" : "%s", word) < room;
}

int
cmd_capture(int argc, char **argv)
{
	struct capture c = {.verb = NULL};
	for (int i = 1; i < argc; i++) {
		int took = flags_take("capture", flags, &c, argc, argv, &i);
		if (took < 0)
			return EXIT_USAGE;
		if (took)
			continue;
		if (argv[i][0] == '-' && argv[i][1])
			return cmd_usage("capture", "unknown option '%s'", argv[i]);
		if (!c.verb)
			c.verb = argv[i];
		else if (!c.path)
			c.path = argv[i];
		else if (!add_word(&c, argv[i]))
			return cmd_usage("capture", "the filter is too long");
	}
	for (size_t i = 0; c.verb && i < sizeof verbs / sizeof verbs[0]; i++) {
		const struct verb *v = &verbs[i];
		if (strcmp(v->name, c.verb) != 0)
			continue;
		if (!c.path || (*c.filter && !v->filter))
			return cmd_usage("capture", "%s wants %s", v->name, v->args);
		return v->run(&c);
	}
	if (!c.verb)
		return cmd_usage("capture", "list, read or check?");
	return cmd_usage("capture", "there is no verb '%s': list, read, check", c.verb);
}
