/* failing: an allocator that fails once, to be preloaded: FAIL_AT=n fails the n-th allocation that
 * the program itself asks for (those of libraries are theirs to answer for); FAIL_COUNT=path gets
 * how many there were, when one fails and when a process ends. A child goes on counting where its
 * parent was. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static unsigned long count, fail_at;
static uintptr_t first, end; /* the program's code */

static int
on_object(struct dl_phdr_info *o, size_t size, void *user)
{
	(void)size;
	(void)user;
	for (int i = 0; i < o->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &o->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		first = o->dlpi_addr + p->p_vaddr;
		end = first + p->p_memsz;
	}
	return 1; /* the program comes first */
}

__attribute__((constructor)) static void
begin(void)
{
	const char *at = getenv("FAIL_AT");
	fail_at = at ? strtoul(at, NULL, 10) : 0;
	dl_iterate_phdr(on_object, NULL);
}

__attribute__((destructor)) static void
say_count(void)
{
	const char *path = getenv("FAIL_COUNT");
	char line[32];
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	if (fd < 0)
		return;
	int n = snprintf(line, sizeof line, "%lu\n", count);
	if (write(fd, line, (size_t)n) < 0)
		_exit(70);
	close(fd);
}

static bool
fails(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	if (at < first || at >= end || ++count != fail_at)
		return false;
	say_count();
	errno = ENOMEM;
	return true;
}

#define FAILS fails(__builtin_return_address(0))

void *
malloc(size_t n)
{
	return FAILS ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return FAILS ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return FAILS ? NULL : __libc_realloc(p, n);
}

void *
aligned_alloc(size_t align, size_t n)
{
	return FAILS ? NULL : __libc_memalign(align, n);
}

char *
strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = FAILS ? NULL : __libc_malloc(n);
	return p ? memcpy(p, s, n) : NULL;
}
