/* pace: how many bytes a tunnel may have under way to its guest, so that no more of them lie in
 * queues on the way than it takes to keep the way full.
 *
 * For      a keystroke that does not wait behind a second of downloads in the socket buffers, the
 *          browser and the guest's card.
 * Order    pace_sent and pace_delivered for every byte; pace_sample for every timed round trip,
 *          pace_limited when the budget held somebody back. Ask pace_budget at any time.
 * Errors   none. Without samples it works from the bytes alone.
 * Thread   none; `now` is in milliseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PACE_FLOOR = 4 * 1514, PACE_FIRST = 64 << 10, PACE_CAP = 4 << 20 };

struct tcp_pace {
	uint32_t budget; /* now, with what is being tried out */
	/* private */
	uint32_t base; /* without */
	uint32_t target_us;
	uint32_t least_us, least_before_us; /* shortest round trip of this period and the last */
	uint64_t period_at;
	uint64_t epoch_at;
	uint64_t delivered, mark; /* bytes in all; where the epoch ends */
	uint64_t delivered_at_start;
	uint32_t sample_sum, sample_n; /* ms, in this epoch */
	uint32_t rate_base, rate_last; /* bytes a second */
	uint32_t cut_from, cut_rate;   /* before base was cut for a queue; 0 = it was not */
	uint8_t phase, slow;
	bool limited, startup, settled;
};

void pace_init(struct tcp_pace *p, uint32_t target_us, uint32_t rtt_us, uint64_t now);
/* The guest has got n more bytes; in_flight: what is left. */
void pace_arrived(struct tcp_pace *p, uint32_t n, uint32_t in_flight, uint64_t now);
void pace_sample(struct tcp_pace *p, uint32_t ms);
/* A round trip measured otherwise. */
void pace_rtt(struct tcp_pace *p, uint32_t rtt_us);
void pace_limited(struct tcp_pace *p);

static inline uint32_t
pace_budget(const struct tcp_pace *p)
{
	return p->budget;
}
