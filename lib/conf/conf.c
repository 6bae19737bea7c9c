#include "conf/conf.h"

#include "base/buf.h"
#include "conf/load.h"

#include <assert.h>

const struct opt_service *
conf_service(const struct conf *c)
{
	return c->svc;
}

const struct l2_conf *
conf_l2(const struct conf *c)
{
	assert(c->svc == &service_l2);
	return (const struct l2_conf *)(const void *)c->values;
}

static struct slot *
slot_of(const struct conf *c, const void *field)
{
	const uint8_t *p = field;
	assert(p >= c->values && p < c->values + c->svc->size);
	size_t off = (size_t)(p - c->values);
	for (size_t i = 0; i < c->n_slots; i++)
		if (c->slots[i].off == off)
			return &c->slots[i];
	return NULL;
}

struct conf_src
conf_source(const struct conf *c, const void *field)
{
	const struct slot *s = slot_of(c, field);
	assert(s);
	return s->src;
}

const char *
conf_where(const struct conf *c, const void *field, uint32_t item, struct buf *b)
{
	const struct slot *s = slot_of(c, field);
	assert(s);
	const struct opt_list *l = field;
	uint32_t line = s->src.line;
	if (s->opt->type == OPT_LIST && item < l->n && l->line[item])
		line = l->line[item];
	buf_clear(b);
	if (s->src.from == FROM_DEFAULT)
		buf_adds(b, "default");
	else if (s->src.from == FROM_FILE)
		buf_addf(b, "%s:%u", s->src.name, line);
	else
		buf_adds(b, s->src.name);
	return buf_str(b);
}

void
conf_warnings(const struct conf *c, conf_say *say, void *arg)
{
	for (size_t i = 0; i < c->n_notices; i++)
		say(arg, c->notices[i]);
	if (c->svc->warn)
		c->svc->warn(c, c->values, say, arg);
}

void
conf_each(const struct conf *c, void (*each)(void *arg, const struct conf_item *it), void *arg)
{
	for (size_t i = 0; i < c->n_slots; i++) {
		const struct slot *s = &c->slots[i];
		each(arg, &(struct conf_item){
		                  s->section, s->opt, c->values + s->off, s->src, s->name});
	}
}

/* --- reload --- */

/* What a certificate's file holds may change under the same name; that is for whoever reads it. */
size_t
conf_diff(const struct conf *was, const struct conf *now,
        void (*each)(void *arg, const struct conf_change *ch), void *arg)
{
	size_t n = 0;
	assert(was->svc == now->svc);
	for (size_t i = 0; i < now->n_slots; i++) {
		const struct slot *s = &now->slots[i];
		if (value_equal(s->opt, was->values + s->off, now->values + s->off))
			continue;
		n++;
		if (each)
			each(arg,
			        &(struct conf_change){s->name, (s->opt->flags & OPT_RELOAD) != 0});
	}
	return n;
}

void
conf_hold(struct conf *now, const struct conf *was)
{
	assert(was->svc == now->svc);
	for (size_t i = 0; i < now->n_slots; i++) {
		struct slot *s = &now->slots[i];
		const struct conf_src *src = &was->slots[i].src;
		if (s->opt->flags & OPT_RELOAD)
			continue;
		value_copy(s->opt, now->values + s->off, was->values + s->off, &now->keep);
		s->src = *src;
		s->src.name = keep_text(&now->keep, span_str(src->name));
	}
}
