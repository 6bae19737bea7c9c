/* nameserver: the servers that names are asked of. The door to c-ares.
 *
 * For      whole DNS messages out and back; servers are tried in turn, truncated answers are asked
 *          for again over TCP, EDNS is given up where a server does not know it.
 * Owner    nameserver_new / nameserver_free. A struct ns_query is its user's and must stay until
 *          `done`, which comes once, perhaps inside nameserver_ask or nameserver_free.
 * Memory   messages are borrowed for the call, both ways.
 * Errors   nameserver_new is set-up: -errno and a sentence.
 * Thread   one worker. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct worker;
struct nameserver;

enum ns_result {
	NS_ANSWER, /* msg is one, to this question, whatever it says */
	NS_FAILED, /* every server said that it could not or would not */
	NS_TIMEOUT,
	NS_UNREACHABLE, /* no server could be sent to */
	NS_CLOSED,      /* nameserver_free was called */
};

struct ns_query {
	/* msg may be changed in place; n is 0 unless r is NS_ANSWER. */
	void (*done)(struct ns_query *q, enum ns_result r, uint8_t *msg, size_t n);
	struct nameserver *ns; /* private */
};

struct nameserver_conf {
	const char *servers; /* "ip[:port],..."; "" = those of /etc/resolv.conf */
	uint32_t try_ms;     /* patience with each server; doubled in each round */
	uint32_t tries;      /* rounds */
	uint16_t udp_max;    /* largest UDP answer, as the queries' OPT says */
};

int nameserver_new(struct worker *w, const struct nameserver_conf *conf, struct nameserver **out,
        struct err *e);
void nameserver_free(struct nameserver *ns);
/* msg: a query with one question; its id is replaced by a random one. An OPT comes last and has no
 * options. */
void nameserver_ask(struct nameserver *ns, struct ns_query *q, uint8_t *msg, size_t n);
/* "1.2.3.4:53,[::1]:53" into buf, for the log; returns buf. */
const char *nameserver_text(struct nameserver *ns, char *buf, size_t cap);
