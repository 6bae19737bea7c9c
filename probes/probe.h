/* probe: one question about a service, asked by a real client: rows, options, and the report.
 *
 * A probe is a row of probe_rows and a file with its `run`, written from top to bottom: it takes
 * steps, and each step says yes, no or unknown and why. A probe stops at its first step that does
 * not say yes; what run returns is that step's exit code.
 *
 *   step_begin(p, "arp");  ...  return step_end(p, ANSWER_YES, EXIT_OK, "10.0.2.2 is at %s", mac);
 *
 * Order    step_begin, then facts and lines about it, then step_end. Facts go into the JSON report
 *          under their step; lines are shown to a person while they come. */
#pragma once

#include "base/exitcode.h"
#include "base/jout.h"
#include "client/dial.h"
#include "guest/guest.h"

enum answer { ANSWER_YES, ANSWER_NO, ANSWER_UNKNOWN };
enum style { STYLE_TEXT, STYLE_JSON, STYLE_TAP, STYLE_QUIET };

struct lan;

struct probe_conf {
	struct dial dial;
	const char *target, *more; /* what follows WHAT on the command line */
	const char *static_ip, *gateway, *mac, *capture;
	const char *send; /* text to send: tcp, udp */
	const char *type; /* dns: record type */
	const char *name; /* l2: name to resolve */
	const char *echo; /* l2: HOST:PORT of a TCP echo service */
	bool tcp;         /* dns: over TCP at once */
	bool watch;
	uint32_t count, interval_ms, mtu, size, ttl;
};

struct probe {
	const struct probe_conf *conf;
	struct lan *lan;

	/* the report */
	enum style style;
	bool colour;
	struct buf doc;
	struct jout j;
	uint32_t steps, run; /* run: counts repetitions, from 1; 0 = only one */
	char step[32];
	uint64_t began_us, took_us;
	char hint[256];
	/* of the last step */
	enum answer answer;
	int code;
	char reason[512];
};

enum { NEEDS_TUNNEL = 1, NEEDS_ADDRESS = 2, REPEATS = 4 /* does its own counting */ };

struct probe_row {
	const char *name, *args, *summary;
	unsigned needs;
	uint8_t least, most; /* arguments */
	int (*run)(struct probe *p);
};

extern const struct probe_row probe_rows[]; /* ends with a row without a name */
const struct probe_row *probe_find(const char *name);
/* Everything: the loop, the tunnel, the address, the probe, again and again if asked to. */
int probe_run(
        const struct probe_row *row, const struct probe_conf *conf, enum style style, bool colour);

uint64_t probe_us(void); /* a clock for round trips */

/* --- steps (report.c) ------------------------------------------------------------------------- */
void report_begin(struct probe *p, const char *what);
void report_end(struct probe *p);
void step_begin(struct probe *p, const char *name);
/* What to do about it, shown if the answer is not yes. */
void step_hint(struct probe *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void step_line(struct probe *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void step_str(struct probe *p, const char *key, const char *value);
void step_u64(struct probe *p, const char *key, uint64_t value);
void step_bool(struct probe *p, const char *key, bool value);
void step_ms(struct probe *p, const char *key, uint64_t us);
/* Returns code. */
int step_end(struct probe *p, enum answer a, int code, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
/* The clock of this step starts again: what came before was preparation. */
void step_restart(struct probe *p);
