#include "tests/bench/kit/kit.h"

#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

uint64_t
now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void
die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

void
pin_reno(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) < 0)
		die("reno");
}

void
lat_add(struct lat *l, uint64_t us)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4096;
		l->us = realloc(l->us, l->cap * sizeof *l->us);
		if (!l->us)
			die("latencies");
	}
	l->us[l->n++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

uint32_t
lat_at(struct lat *l, double part)
{
	if (!l->n)
		return 0;
	qsort(l->us, l->n, sizeof *l->us, by_value);
	return l->us[(size_t)((double)(l->n - 1) * part)];
}

void
out_open(const char *mode)
{
	printf("{\"mode\":\"%s\"", mode);
}

void
out_num(const char *name, double v)
{
	if (isfinite(v))
		printf(",\"%s\":%.10g", name, v);
}

void
out_lat(struct lat *l)
{
	if (!l->n)
		return;
	out_num("p50_us", lat_at(l, 0.5));
	out_num("p99_us", lat_at(l, 0.99));
}

void
out_close(void)
{
	puts("}");
	fflush(stdout);
}
