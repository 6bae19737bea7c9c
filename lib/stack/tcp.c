/* No TCP yet: segments are ignored. */
#include "stack/stack_int.h"

struct tcp_batch *
tcp_batch_new(void)
{
	return NULL;
}

void
tcp_batch_free(struct tcp_batch *b)
{
	(void)b;
}

void
tcp_part_init(struct stack *st)
{
	(void)st;
}

void
tcp_part_fini(struct stack *st)
{
	(void)st;
}

void
tcp_rtt(struct stack *st, uint32_t rtt_us)
{
	(void)st, (void)rtt_us;
}

void
dnstcp_answer(struct stack *st, uint32_t token, struct span reply, uint64_t now)
{
	(void)st, (void)token, (void)reply, (void)now;
}

void
tcp_input(struct stack *st, const struct ippkt *k, uint64_t now)
{
	(void)st, (void)k, (void)now;
}

void
tcp_rx_end(struct stack *st, uint64_t now)
{
	(void)st, (void)now;
}

bool
tcp_pull_control(struct stack *st, struct emit *e, uint64_t now)
{
	(void)st, (void)e, (void)now;
	return true;
}

size_t
tcp_memory(const struct stack *st)
{
	(void)st;
	return 0;
}
