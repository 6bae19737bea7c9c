#include "serve/uplink_int.h"

#include <errno.h>

int
uplink_ping_send(struct stack *st, const struct ip *dst, uint16_t id, uint16_t seq,
        struct span payload, uint8_t ttl)
{
	struct uplink *up = uplink_of(st);
	struct endpoint to = {.ip = *dst};
	if (!up->svc->app->l2->icmp.ping)
		return -EPERM;
	if (!uplink_ask(up, IPPROTO_ICMP, &to).allow)
		return -EACCES;
	return ping_send(&up->pings, dst, id, seq, payload, ttl);
}

void
uplink_ping_end(struct stack *st, uint16_t id)
{
	ping_end(&uplink_of(st)->pings, id);
}

static struct uplink *
uplink_of_set(struct ping_set *s)
{
	return CONTAINER_OF(s, struct uplink, pings);
}

static void
on_reply(struct ping_set *s, const struct ip *src, uint16_t id, uint16_t seq, struct span payload,
        uint8_t ttl)
{
	struct uplink *up = uplink_of_set(s);
	stack_ping_reply(up->stack, src, id, seq, payload, ttl, uplink_now(up));
}

static void
on_error(struct ping_set *s, const struct ip *dst, uint16_t id, uint16_t seq, const struct ip *from,
        uint8_t type, uint8_t code, uint32_t mtu)
{
	struct uplink *up = uplink_of_set(s);
	stack_ping_error(up->stack, dst, id, seq, from, type, code, mtu, uplink_now(up));
}

const struct ping_ops uplink_ping_ops = {.reply = on_reply, .error = on_error};
