/* resolve: the name service of a worker: whole DNS answers, from a cache or from upstream servers.
 *
 * For      guests' queries of any type, passed through as they are; and addresses of names that we
 *          dial ourselves. Names are always absolute: search domains are never applied.
 * Owner    resolve_new / resolve_free. resolve_free drops what is under way without callbacks.
 * Order    resolve_query or resolve_addrs 0 -> exactly one callback, from the loop, never from
 *          inside the call; unless resolve_cancel comes first. < 0: no callback.
 * Memory   the cache is bounded in entries and bytes, the least used goes first. Identical
 *          questions under way share one lookup. Spans given to callbacks are borrowed.
 * Errors   -ENOBUFS too many under way, -ENOMEM, -EINVAL no such name; -ENOENT not in the cache
 *          (RESOLVE_CACHED_ONLY). In callbacks: 0 an answer of any rcode; -ETIMEDOUT; -EIO no
 *          server gave a usable answer.
 * Thread   one worker.
 * Depends  net/nameserver for the exchange with servers, net/hosts for what needs none; wire/dns
 *          for everything that is in a message.
 * Spec     RFC 1034, RFC 1035, RFC 2308, RFC 6761 6.3, RFC 6891. */
#pragma once

#include "base/err.h"
#include "net/worker.h"
#include "obs/shard.h"
#include "wire/dns.h"

struct resolve;
struct resolve_req; /* good until its callback */

struct resolve_conf {
	struct shard *shard; /* its M_DNS_* are counted here */
	const char *servers; /* "ip[:port],..."; "" = those of /etc/resolv.conf */
	uint32_t timeout_ms; /* 0 = as long as the servers take; may be changed at any time */
	uint32_t tries;      /* for each server */
	uint32_t max_ttl_s, negative_ttl_s; /* longest time an answer is remembered */
	uint32_t default_ttl_s; /* of answers that bring none; 0 = those are not remembered */
	uint32_t hosts_ttl_s;   /* lifetime of what /etc/hosts says */
	uint32_t max_entries;   /* 0 = no cache */
	size_t max_bytes;
	uint32_t max_lookups; /* different ones under way */
	bool hosts_file;
	const char *hosts_path; /* NULL = /etc/hosts */
};

struct resolve_answer {
	int status;
	struct span msg; /* id 0, TTLs aged; empty unless status is 0 */
	bool cached;     /* it was in the cache */
};

enum { RESOLVE_CACHED_ONLY = 1 };

typedef void resolve_answer_cb(void *user, const struct resolve_answer *a);
/* The addresses of a name, IPv4 before IPv6; n is 0 when status is not. */
typedef void resolve_addrs_cb(void *user, int status, const struct ip *addr, size_t n);

int resolve_new(
        struct worker *w, const struct resolve_conf *conf, struct resolve **out, struct err *e);
void resolve_free(struct resolve *r);
struct resolve_conf *resolve_conf(struct resolve *r);

/* How much of max_lookups is in use, in percent. */
uint32_t resolve_load(const struct resolve *r);
/* dnssec: ask for DNSSEC records and no validation (the DO and CD bits of the asker). */
int resolve_query(struct resolve *r, const struct dnsname *name, uint16_t type, uint16_t class,
        bool dnssec, unsigned flags, resolve_answer_cb *cb, void *user, struct resolve_req **out);
void resolve_cancel(struct resolve *r, struct resolve_req *req);

/* resolve_addrs: the addresses of a name that we dial ourselves. */
struct resolve_addrs;
/* name: text, or an address, which is its own answer. */
int resolve_addrs(struct resolve *r, const char *name, resolve_addrs_cb *cb, void *user,
        struct resolve_addrs **out);
void resolve_addrs_cancel(struct resolve_addrs *a);
/* For resolve_addrs: the worker r belongs to. */
struct worker *resolve_worker(struct resolve *r);
