/* flags: a command's own options, from a table: --name, --name=value or --name value.
 *
 * A later one overrides an earlier one. A bool is also written --no-name.
 * Errors   said on stderr, once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_type {
	FLAG_BOOL, /* bool */
	FLAG_STR,  /* const char * */
	FLAG_U32,  /* uint32_t */
	FLAG_MS,   /* uint32_t: 1500ms, 5s, 1m; a bare number is milliseconds */
	FLAG_SIZE, /* uint32_t: 65536, 64KiB */
};

struct flag {
	const char *name; /* NULL ends a table */
	enum flag_type type;
	size_t off;
	uint32_t min, max; /* of numbers; max 0: no bound */
};

/* 1: argv[*i] was taken, *i is at the last argument that belongs to it. 0: it is not in the
 * table. -1: its value is missing or wrong. */
int flags_take(
        const char *cmd, const struct flag *table, void *into, int argc, char **argv, int *i);
