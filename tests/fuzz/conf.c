/* A configuration file, an environment and flags of any bytes: refused with a reason, or loaded to
 * values that write and read back as themselves. The input's first line is a flag, the second the
 * rest of an environment entry, what remains is the file. */
#include "conf/conf.h"
#include "conf/value.h"

#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void
on_item(void *arg, const struct conf_item *it)
{
	struct buf b;
	struct keep k;
	struct err e;
	union {
		max_align_t align;
		uint8_t room[64];
	} f = {.room = {0}};
	(void)arg;
	if (it->opt->type == OPT_SECRET)
		return;
	buf_init(&b, 1 << 20);
	keep_init(&k);
	value_write(it->opt, it->field, &b);
	struct value_in in = {.text = buf_span(&b)};
	assert(value_read(it->opt, &in, &f, &k, &e) == 0);
	if (it->opt->type == OPT_LIST)
		((struct opt_list *)(void *)&f)->set = ((const struct opt_list *)it->field)->set;
	assert(value_equal(it->opt, it->field, &f));
	keep_fini(&k);
	buf_fini(&b);
}

static void
say(void *arg, const char *text)
{
	*(size_t *)arg += strlen(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span(data, size), flag = SPAN_NONE, env = SPAN_NONE;
	span_split(&rest, '\n', &flag);
	span_split(&rest, '\n', &env);
	char path[64], *text = span_dup(flag), *var = span_dup(env);
	int fd = memfd_create("conf", 0);
	assert(fd >= 0);
	if (rest.n)
		assert(write(fd, rest.p, rest.n) == (ssize_t)rest.n);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	const char *files[] = {path}, *flags[] = {"auth.mode=none", text};
	char *vars[] = {var, NULL};
	size_t said = 0;
	struct conf_input in = {files, 1, vars, flags, *text ? 2 : 1, say, &said};
	struct conf *c, *again;
	struct err e = {0};
	if (conf_load(&c, &service_l2, &in, &e) == 0) {
		assert(!said);
		conf_each(c, on_item, NULL);
		conf_warnings(c, say, &said);
		assert(conf_load(&again, &service_l2, &in, &e) == 0);
		assert(conf_diff(c, again, NULL, NULL) == 0);
		conf_hold(again, c);
		conf_free(c);
		assert(conf_l2(again)->server.max_head);
		conf_free(again);
	} else {
		assert(said && e.text[0]);
	}
	close(fd);
	free(text);
	free(var);
	return 0;
}
