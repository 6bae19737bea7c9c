/* A program's descendants are found through /proc/PID/task/TID/children, so that workers count and
 * a program that executes itself again stays the same. */
#include "tests/bench/kit/kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
schedstat(int pid, const char *tid)
{
	char path[320], text[128] = "";
	snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, tid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(text, sizeof text, f))
		text[0] = 0;
	fclose(f);
	return strtoull(text, NULL, 10);
}

static void
add_memory(int pid, struct usage *u)
{
	char path[64], text[256];
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(text, sizeof text, f)) {
		if (strncmp(text, "Pss:", 4) == 0)
			u->pss_kb += strtol(text + 4, NULL, 10);
		else if (strncmp(text, "Rss:", 4) == 0)
			u->rss_kb += strtol(text + 4, NULL, 10);
	}
	if (f)
		fclose(f);
}

static long
entries(const char *path)
{
	long n = 0;
	DIR *d = opendir(path);
	if (!d)
		return 0;
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void add(int pid, struct usage *u, bool memory);

static void
add_children(int pid, const char *tid, struct usage *u, bool memory)
{
	char path[320];
	int child;
	snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, tid);
	FILE *f = fopen(path, "r");
	while (f && fscanf(f, "%d", &child) == 1)
		add(child, u, memory);
	if (f)
		fclose(f);
}

static void
add(int pid, struct usage *u, bool memory)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *d = opendir(path);
	if (!d)
		return;
	for (const struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		u->cpu_ns += schedstat(pid, e->d_name);
		add_children(pid, e->d_name, u, memory);
	}
	closedir(d);
	if (!memory)
		return;
	add_memory(pid, u);
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	u->fds += entries(path);
}

uint64_t
cpu_of(int pid)
{
	struct usage u = {0};
	if (pid)
		add(pid, &u, false);
	return u.cpu_ns;
}

struct usage
usage_of(int pid)
{
	struct usage u = {0};
	if (pid)
		add(pid, &u, true);
	return u;
}
