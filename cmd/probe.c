#include "cmd/cmd.h"
#include "cmd/dialflags.h"
#include "probes/probe.h"

#include <stdlib.h>
#include <unistd.h>

const char help_probe[] =
        "Examples\n"
        "  aero probe l2 --url wss://vm.example/l2 --token @/run/secrets/key\n"
        "  aero probe dns example.com AAAA\n"
        "  aero probe tcp example.com:22 --send ''\n"
        "  aero probe ping 192.0.2.1 --count 10 --interval 200ms --capture ping.pcapng\n"
        "  aero probe http http://192.0.2.1/ --static 10.0.2.15 --json | jq .answer\n"
        "\n"
        "Usage: aero probe WHAT [TARGET] [option]...\n"
        "\n"
        "Asks one question about a service, as a real client of it: yes, no or unknown, and why.\n"
        "\n"
        "What\n"
        "  arp [IP]             is the gateway there?\n"
        "  dhcp                 does a guest get an address, keep it, and hear of the network?\n"
        "  dns NAME [TYPE]      does a guest resolve this name (or address)?\n"
        "  ping HOST            does this host answer a guest's echo requests?\n"
        "  tcp HOST:PORT        can a guest connect there?\n"
        "  udp HOST:PORT        does something there answer a guest's datagram?\n"
        "  http URL             does a guest get this page?\n"
        "  l2                   the whole minimum LAN, in order: upgrade, PONG, ARP, DHCP, echo,\n"
        "                       DNS, TCP\n"
        "  health               /healthz and /readyz of the server\n"
        "\n"
        "The tunnel\n" DIAL_HELP "\n"
        "The guest\n"
        "  --static IP[/BITS]   this address instead of a lease (/24)\n"
        "  --gateway IP         the LAN's gateway (10.0.2.2, or what DHCP says)\n"
        "  --mac ADDRESS        its Ethernet address\n"
        "  --mtu N              of its link (1500)\n"
        "\n"
        "The question\n"
        "  --count N            ask so often; ping: 3\n"
        "  --interval TIME      between two (1s)\n"
        "  --watch              again and again until interrupted\n"
        "  --send TEXT          tcp, udp: say this, and show what comes back\n"
        "  --size N             ping, udp: bytes of data\n"
        "  --ttl N              ping, udp: hops it may go\n"
        "  --type TYPE          dns: record type\n"
        "  --tcp                dns: over TCP\n"
        "  --name NAME          l2: what to resolve (example.com)\n"
        "  --echo HOST:PORT     l2: a TCP echo service; without one the LAN's resolver is asked\n"
        "                       over TCP\n"
        "\n"
        "Output\n"
        "  --json               one JSON document (schema aero.probe/1): ok, answer, reason, "
        "exit,\n"
        "                       and steps[] with what each found; --watch: one a run\n"
        "  --tap                TAP version 14, a line per step\n"
        "  --quiet              no report, only the exit status\n"
        "  --color WHEN         auto, always or never; NO_COLOR is honoured\n"
        "  --capture FILE       record every frame (pcapng)\n"
        "\n"
        "Exit status: 0 yes, 1 no, 4 cannot connect or resolve, 5 authentication refused, 6 "
        "denied\n"
        "by policy, 7 the peer broke the protocol, 124 no answer, 130 interrupted.\n";

struct asked {
	struct probe_conf c;
	bool json, tap, quiet;
	const char *color;
};

#define PROBE_OPT(name, type, field, min, max)                      \
	{                                                           \
		name, type, offsetof(struct asked, field), min, max \
	}

struct dial_at { /* where DIAL_FLAGS finds the dial: at the start of struct asked */
	struct dial dial;
};
_Static_assert(offsetof(struct asked, c.dial) == 0, "DIAL_FLAGS counts from here");

static const struct flag flags[] = {
        DIAL_FLAGS(struct dial_at),
        PROBE_OPT("static", FLAG_STR, c.static_ip, 0, 0),
        PROBE_OPT("gateway", FLAG_STR, c.gateway, 0, 0),
        PROBE_OPT("mac", FLAG_STR, c.mac, 0, 0),
        PROBE_OPT("mtu", FLAG_U32, c.mtu, 576, 9000),
        PROBE_OPT("count", FLAG_U32, c.count, 1, 1000000),
        PROBE_OPT("interval", FLAG_MS, c.interval_ms, 1, 86400000),
        PROBE_OPT("watch", FLAG_BOOL, c.watch, 0, 0),
        PROBE_OPT("send", FLAG_STR, c.send, 0, 0),
        PROBE_OPT("size", FLAG_U32, c.size, 0, 65507),
        PROBE_OPT("ttl", FLAG_U32, c.ttl, 1, 255),
        PROBE_OPT("type", FLAG_STR, c.type, 0, 0),
        PROBE_OPT("tcp", FLAG_BOOL, c.tcp, 0, 0),
        PROBE_OPT("name", FLAG_STR, c.name, 0, 0),
        PROBE_OPT("echo", FLAG_STR, c.echo, 0, 0),
        PROBE_OPT("capture", FLAG_STR, c.capture, 0, 0),
        PROBE_OPT("json", FLAG_BOOL, json, 0, 0),
        PROBE_OPT("tap", FLAG_BOOL, tap, 0, 0),
        PROBE_OPT("quiet", FLAG_BOOL, quiet, 0, 0),
        PROBE_OPT("color", FLAG_STR, color, 0, 0),
        {NULL, FLAG_BOOL, 0, 0, 0},
};

/* An address before the first '/', and a prefix length behind it. */
static bool
static_ok(const char *text)
{
	struct span s = span_str(text), addr;
	struct ip ip;
	uint64_t bits;
	span_split(&s, '/', &addr);
	return ip_parse(addr, &ip) && ip_is4(&ip) && (!s.p || (span_u64(s, 30, &bits) && bits));
}

static int
check(const struct probe_conf *c)
{
	struct ip ip;
	struct mac mac;
	if (c->static_ip && !static_ok(c->static_ip))
		return cmd_usage("probe", "--static wants IPv4[/BITS], not '%s'", c->static_ip);
	if (c->gateway && !ip_parse(span_str(c->gateway), &ip))
		return cmd_usage("probe", "--gateway wants an IP address, not '%s'", c->gateway);
	if (c->mac && !mac_parse(span_str(c->mac), &mac))
		return cmd_usage("probe", "--mac wants six pairs of hex digits, not '%s'", c->mac);
	return 0;
}

static int
use_colour(const struct asked *a, bool *out)
{
	const char *no = getenv("NO_COLOR");
	*out = isatty(STDOUT_FILENO) && !(no && *no);
	if (!a->color || strcmp(a->color, "auto") == 0)
		return 0;
	*out = strcmp(a->color, "always") == 0;
	if (*out || strcmp(a->color, "never") == 0)
		return 0;
	return cmd_usage("probe", "--color is auto, always or never, not '%s'", a->color);
}

static int
parse(struct asked *a, int argc, char **argv, const struct probe_row **row)
{
	const char *word[3] = {NULL};
	uint8_t n = 0;
	for (int i = 1; i < argc; i++) {
		int took = flags_take("probe", flags, a, argc, argv, &i);
		if (took < 0)
			return EXIT_USAGE;
		if (took)
			continue;
		if (argv[i][0] == '-')
			return cmd_usage("probe", "unknown option '%s'", argv[i]);
		if (n == 3)
			return cmd_usage("probe", "'%s' is one argument too many", argv[i]);
		word[n++] = argv[i];
	}
	*row = n ? probe_find(word[0]) : NULL;
	if (!n)
		return cmd_usage("probe", "what shall be probed?");
	if (!*row)
		return cmd_usage("probe", "there is no probe '%s'", word[0]);
	if (n - 1 < (*row)->least || n - 1 > (*row)->most)
		return cmd_usage("probe", "%s wants %s", (*row)->name,
		        *(*row)->args ? (*row)->args : "no target");
	a->c.target = word[1];
	a->c.more = word[2];
	return 0;
}

int
cmd_probe(int argc, char **argv)
{
	struct asked *a = calloc(1, sizeof *a);
	const struct probe_row *row = NULL;
	struct err e = {0};
	bool colour = false;
	if (!a)
		return EXIT_LOCAL;
	a->c.dial = (struct dial)DIAL_USUAL;
	a->c.mtu = 1500;
	a->c.interval_ms = 1000;
	int r = parse(a, argc, argv, &row);
	if (r == 0)
		r = check(&a->c);
	if (r == 0)
		r = use_colour(a, &colour);
	if (r == 0 && dial_check(&a->c.dial, &e))
		r = cmd_usage("probe", "%s", e.text);
	if (r == 0) {
		enum style style = a->quiet  ? STYLE_QUIET
		                   : a->json ? STYLE_JSON
		                   : a->tap  ? STYLE_TAP
		                             : STYLE_TEXT;
		dial_limit_files();
		r = probe_run(row, &a->c, style, colour);
	}
	free(a);
	return r;
}
