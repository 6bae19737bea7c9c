/* text_int: what the writers of texts share; not for anybody outside this folder. */
#pragma once

#include "conf/text.h"
#include "conf/value.h"

typedef void text_visit(const struct opt_service *svc, const struct opt_place *p,
        const struct opt *o, struct buf *out);

/* `head` before each section, `each` for every option that is not hidden; either may be NULL. */
void text_walk(const struct opt_service *svc,
        void (*head)(const struct opt_section *, struct buf *), text_visit *each, struct buf *out);
/* Of this service; "" for none. */
const char *text_default(
        const struct opt_service *svc, const struct opt_place *p, const struct opt *o);
/* Every environment name, the regular one first. */
void text_env_names(const struct opt_service *svc, const struct opt_place *p, const struct opt *o,
        const char *before, const char *between, const char *after, struct buf *out);
const char *text_reload(const struct opt *o);
void text_quirks(const struct opt_env *e, const struct opt *o, struct buf *out);
