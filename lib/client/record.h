/* record: a pcapng file of what a tool sends and receives.
 *
 * Owner    record_open / record_close. NULL is a tool that records nothing; every call takes it.
 * Memory   frames are copied.
 * Pace     on disk after a second at the latest, if anything more comes, and at the end.
 * Errors   record_open: negative errno and a sentence. Later ones are told by record_close.
 * Spec     pcapng.h; directions as the services write them. */
#pragma once

#include "base/err.h"
#include "base/span.h"
#include "wire/pcapng.h"

struct record;

int record_open(const char *path, struct record **out, struct err *e);
void record_frame(struct record *r, enum pcapng_flags way, struct span frame);
/* 0, or -errno: not everything was written. */
int record_close(struct record *r);
