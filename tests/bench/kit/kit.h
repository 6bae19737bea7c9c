/* kit: what the load generators share: a clock, what /proc knows about the programs measured, the
 * servers that stand for the Internet, and a line of JSON.
 *
 * Errors   a load generator that cannot go on says why and exits with 1. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t now_us(void);
_Noreturn void die(const char *what); /* with errno's text */
void pin_reno(int fd);                /* the same congestion control wherever this runs */

/* --- what a program and all of its descendants use ------------------------------------ */

struct usage {
	uint64_t cpu_ns;
	long pss_kb, rss_kb, fds;
};

uint64_t cpu_of(int pid); /* schedstat of every thread; pid 0: nothing */
struct usage usage_of(int pid);

/* --- servers for the guest to talk to ------------------------------------------------- */

enum upstream_kind {
	UPSTREAM_SOURCE,  /* sends for ever */
	UPSTREAM_SINK,    /* reads for ever */
	UPSTREAM_ECHO,    /* TCP */
	UPSTREAM_REQUEST, /* answers once, then closes */
	UPSTREAM_UDP,     /* echo */
};

/* Counted by the server processes, read by whoever started them. */
struct upstream_count {
	uint64_t bytes; /* that a sink has read */
};

struct upstream {
	uint16_t port;
	volatile struct upstream_count *count;
};

/* A process of its own that dies with this one; listens on every address. */
struct upstream upstream_start(enum upstream_kind kind);

/* --- latencies ------------------------------------------------------------------------ */

struct lat {
	uint32_t *us;
	size_t n, cap;
};

void lat_add(struct lat *l, uint64_t us);
/* The value below which that part of all lies; sorts. */
uint32_t lat_at(struct lat *l, double part);

/* --- one JSON object on stdout -------------------------------------------------------- */

void out_open(const char *mode);
void out_num(const char *name, double v);
void out_close(void);
/* Latencies as p50_us and p99_us, if there are any. */
void out_lat(struct lat *l);
