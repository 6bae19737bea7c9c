#include "policy/quota.h"

void
quota_init(struct quota *q, uint64_t max_bytes, uint64_t max_messages, uint64_t now)
{
	*q = (struct quota){.max_bytes = max_bytes, .max_messages = max_messages, .window = now};
}

bool
quota_bytes(struct quota *q, uint64_t n)
{
	q->bytes = n > UINT64_MAX - q->bytes ? UINT64_MAX : q->bytes + n;
	return !q->max_bytes || q->bytes <= q->max_bytes;
}

bool
quota_message(struct quota *q, uint64_t now)
{
	if (now - q->window >= QUOTA_WINDOW_MS) {
		q->window = now;
		q->used = 0;
	}
	q->used++;
	return !q->max_messages || q->used <= q->max_messages;
}
