/* guestsim: load from a guest without a kernel (tests/bench/sim), one measurement a run, one JSON
 * object on stdout. The servers it talks to are its children. */
#include "tests/bench/sim/sim.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static const char usage[] =
        "guestsim MODE --port P [--tls] [--token T] | --unix PATH   the server: aero, or passt\n"
        "  --pid PID       whose CPU time and memory count, descendants included\n"
        "  --host A.B.C.D  the servers' address as the guest sees it (127.0.0.1)\n"
        "  --seconds S     how long to measure (1)\n"
        "  --flows N       connections; udp: datagrams under way; synflood: SYNs (1)\n"
        "  --size BYTES    of a request, answer, datagram (1)\n"
        "  --rtt MS        delay of frames to the guest\n"
        "  --drop PPM      frames to the guest that its NIC loses\n"
        "  --rate MBIT     the tunnel is read no faster\n"
        "  --rcvbuf BYTES  receive buffer of the tunnel's socket\n"
        "  --window KIB    the guest's receive window (4096)\n"
        "  --pps N         pace, tunnels: frames a second (10000)\n"
        "  --stale N       pace: UDP flows used once before\n"
        "  --hosts N       synflood: addresses that do not answer (1)\n"
        "  --tunnels N     tunnels: how many (1)\n"
        "MODE: down up rr crr udp pace pingpong synflood flows tunnels\n";

static const struct {
	const char *name;
	void (*run)(struct sim *s);
} modes[] = {
        {"down", mode_down},
        {"up", mode_up},
        {"rr", mode_rr},
        {"crr", mode_crr},
        {"udp", mode_udp},
        {"pace", mode_pace},
        {"pingpong", mode_pingpong},
        {"synflood", mode_synflood},
        {"flows", mode_flows},
        {"tunnels", mode_tunnels},
};

static _Noreturn void
bad_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static void
read_args(struct opts *o, int argc, char **argv)
{
	static const struct option longs[] = {{"port", 1, 0, 'p'}, {"tls", 0, 0, 'T'},
	        {"token", 1, 0, 't'}, {"unix", 1, 0, 'u'}, {"pid", 1, 0, 'P'}, {"aux", 1, 0, 'A'},
	        {"host", 1, 0, 'h'}, {"seconds", 1, 0, 's'}, {"flows", 1, 0, 'f'},
	        {"size", 1, 0, 'n'}, {"rtt", 1, 0, 'r'}, {"drop", 1, 0, 'd'}, {"rate", 1, 0, 'R'},
	        {"window", 1, 0, 'w'}, {"pps", 1, 0, 'x'}, {"stale", 1, 0, 'S'},
	        {"hosts", 1, 0, 'H'}, {"tunnels", 1, 0, 'N'}, {"rcvbuf", 1, 0, 'b'}, {0, 0, 0, 0}};
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 'p': o->to.port = atoi(optarg); break;
		case 'T': o->to.tls = true; break;
		case 't': o->to.token = optarg; break;
		case 'u': o->to.path = optarg; break;
		case 'P': o->pid = atoi(optarg); break;
		case 'A': o->aux = atoi(optarg); break;
		case 'h': o->host = ntohl(inet_addr(optarg)); break;
		case 's': o->seconds = atof(optarg); break;
		case 'f': o->flows = atoi(optarg); break;
		case 'n': o->size = atoi(optarg); break;
		case 'r': o->rtt_ms = atoi(optarg); break;
		case 'd': o->drop_ppm = atoi(optarg); break;
		case 'R': o->rate_mbit = atoi(optarg); break;
		case 'w': o->window_kb = atoi(optarg); break;
		case 'x': o->pps = atoi(optarg); break;
		case 'H': o->hosts = atoi(optarg); break;
		case 'S': o->stale = atoi(optarg); break;
		case 'b': o->to.rcvbuf = atoi(optarg); break;
		case 'N': o->tunnels = atoi(optarg); break;
		default: bad_usage();
		}
	}
}

/* A tunnel is a file. */
static void
all_files(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int
main(int argc, char **argv)
{
	struct sim s = {.o = {.host = INADDR_LOOPBACK,
	                        .flows = 1,
	                        .seconds = 1,
	                        .size = 1,
	                        .window_kb = 4096,
	                        .pps = 10000,
	                        .tunnels = 1,
	                        .hosts = 1},
	        .seed = 7,
	        .next_port = 20000};
	if (argc < 2)
		bad_usage();
	read_args(&s.o, argc - 1, argv + 1);
	all_files();
	if (s.o.flows < 0 || s.o.flows > FLOWS_MOST || s.o.size < 1 || s.o.size > 1460 ||
	        (!s.o.to.path && !s.o.to.port) || s.o.tunnels < 1 || s.o.hosts < 1 ||
	        s.o.hosts > 254 || s.o.tunnels > 60000 || s.o.stale < 0 || s.o.stale > 40000)
		bad_usage();
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		s.opened_cpu = cpu_of(s.o.pid);
		sim_open(&s);
		modes[i].run(&s);
		return 0;
	}
	bad_usage();
}
