#include "serve/app.h"

#include "base/mem.h"

#include <stdlib.h>

int
app_new(struct conf *conf, struct app **out, struct err *e)
{
	struct app *a = xcalloc(1, sizeof *a);
	a->conf = conf;
	a->l2 = conf_l2(conf);
	int rc = door_init(&a->door, a->l2, e);
	if (rc == 0) {
		rc = egress_new(&a->egress, &a->l2->egress, &a->l2->dns, e);
		if (rc < 0)
			door_fini(&a->door);
	}
	if (rc < 0) {
		conf_free(conf);
		free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void
app_free(struct app *a)
{
	if (!a)
		return;
	egress_free(a->egress);
	door_fini(&a->door);
	conf_free(a->conf);
	free(a);
}
