/* metrics: the text of /metrics, the sum over all processes of a shard.
 *
 * Pace     a few dozen kilobytes; reads three small files of /proc for each process.
 * Spec     Prometheus text format 0.0.4, `# TYPE` lines only, integers only. */
#pragma once

#include "obs/shard.h"

struct buf;

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* A text never grows beyond this. */
#define METRICS_TEXT_MAX (256u << 10)

/* Appends to b; b->bad tells when it was too small. */
void metrics_text(struct shard *s, struct buf *b);
