#include "policy/door.h"

int
door_init(struct door *d, const struct l2_conf *c, struct err *e)
{
	*d = (struct door){0};
	int rc = auth_init(&d->auth, &c->auth, c->origin.open, e);
	if (!rc)
		rc = origin_init(&d->origin, &c->origin, e);
	if (!rc)
		rc = hostname_init(&d->host, &c->host, e);
	if (!rc)
		rc = clientip_init(&d->client, &c->client, e);
	if (rc)
		door_fini(d);
	return rc;
}

void
door_fini(struct door *d)
{
	origin_fini(&d->origin);
	hostname_fini(&d->host);
	clientip_fini(&d->client);
	*d = (struct door){0};
}

void
door_check(const struct door *d, const struct head *h, uint64_t now_ms, struct auth_room *room,
        struct door_result *out)
{
	origin_check(&d->origin, h, &out->origin);
	auth_check(&d->auth, h, out->origin.text, now_ms, room, &out->auth);
	hostname_check(&d->host, h, out->origin.text, &out->host);
	out->client = clientip_of(&d->client, h);
	out->refusal = out->auth.refusal;
	if (out->refusal.why == REFUSAL_NONE)
		out->refusal = out->origin.refusal;
	if (out->refusal.why == REFUSAL_NONE)
		out->refusal = out->host.refusal;
}
