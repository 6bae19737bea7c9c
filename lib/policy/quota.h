/* quota: how much one tunnel may move.
 *
 * For      one counter of bytes in both directions, one fixed window of inbound messages.
 * Order    quota_init at session start. Inbound: quota_bytes, then quota_message, then the message
 *          is processed; outbound: quota_bytes before queueing. One that fails is not processed.
 * Errors   false = over the limit: close the tunnel.
 * A limit of 0 is none. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define QUOTA_WINDOW_MS 1000

struct quota {
	uint64_t max_bytes, max_messages;
	uint64_t bytes;        /* so far, refused ones included */
	uint64_t window, used; /* when the window opened, messages in it */
};

void quota_init(struct quota *q, uint64_t max_bytes, uint64_t max_messages, uint64_t now);
bool quota_bytes(struct quota *q, uint64_t n);
bool quota_message(struct quota *q, uint64_t now);
