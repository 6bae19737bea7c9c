/* hosts: names and addresses known without asking: the hosts file.
 *
 * Owner    hosts_new / hosts_free; constant once it is filled, so it may be shared.
 * Memory   bounded: HOSTS_MOST pairs, lines of 4096 bytes; what is beyond is left out.
 * Errors   hosts_add: -ENOSPC, -ENOMEM. hosts_read: what open(2) says; bad lines are skipped.
 * Spec     hosts(5). */
#pragma once

#include "base/addr.h"
#include "wire/dnsname.h"

#define HOSTS_MOST 65536
#define HOSTS_FILE "/etc/hosts"

struct hosts;

struct hosts *hosts_new(void);
void hosts_free(struct hosts *h);
int hosts_add(struct hosts *h, const struct dnsname *name, const struct ip *a);
int hosts_read(struct hosts *h, const char *path);
void hosts_parse(struct hosts *h, struct span text);

struct hosts_found {
	size_t n; /* addresses, of both families, in the order they were added */
	struct ip ip[16];
};
/* False: the name is not known here. */
bool hosts_find(const struct hosts *h, const struct dnsname *name, struct hosts_found *out);
/* The first name of that address. */
bool hosts_name_of(const struct hosts *h, const struct ip *a, struct dnsname *out);
