/* Answers of the gateway itself. They overtake everything, and a guest that asks faster than it
 * reads loses the newest of them. */
#include "stack/stack_int.h"

enum { CTL_BYTES = 128 * 1024 }; /* memory a tunnel may take for them; a 64 KiB echo fits */

static bool
has_room(const struct stack *st)
{
	return st->ctl.bytes < CTL_BYTES;
}

uint8_t *
ctl_frame(struct stack *st, size_t len)
{
	uint8_t *p = NULL;
	if (has_room(st))
		p = frameq_room(&st->ctl, st->sh->nodes, len, (uint32_t)st->now, false);
	if (p)
		ops_of(st)->wake(st);
	return p;
}

bool
ctl_packet(struct stack *st, const struct ippkt *k, struct span head, struct span body)
{
	if (!has_room(st) || !ip_queue(st, &st->ctl, k, head, body))
		return false;
	ops_of(st)->wake(st);
	return true;
}

bool
ctl_pull(struct stack *st, struct emit *e)
{
	size_t least = lan_frame_len(st, 0);
	while (st->ctl.frames)
		if (!frameq_emit(&st->ctl, st->sh->nodes, e, least))
			return false;
	return true;
}
