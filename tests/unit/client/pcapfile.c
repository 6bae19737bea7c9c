#include "client/pcapfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static uint8_t bytes[1 << 20];
static char path[] = "/tmp/aero-unit-XXXXXX";

/* A section, an interface and n packets of `size` bytes; returns the file's length. */
static size_t
make(unsigned n, size_t size)
{
	static uint8_t data[65536];
	struct wr w = wr_init(bytes, sizeof bytes);
	pcapng_put_section(&w, &(struct pcapng_section){.userappl = SPAN_LIT("test")});
	pcapng_put_iface(&w, &(struct pcapng_iface){.linktype = PCAPNG_ETHERNET});
	for (unsigned i = 0; i < n; i++)
		pcapng_put_packet(&w, &(struct pcapng_packet){
		                              .timed = true,
		                              .ns = i,
		                              .data = span(data, size),
		                              .len = (uint32_t)size,
		                      });
	assert_false(w.bad);
	return wr_len(&w);
}

static void
store(size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static void
reads_blocks(void **state)
{
	(void)state;
	struct pcapfile *f;
	struct pcapng_block b;
	struct err e = {0};
	unsigned packets = 0, others = 0;
	store(make(15, 60001)); /* more than its buffer holds at once */
	assert_int_equal(pcapfile_open(path, &f, &e), 0);
	while (pcapfile_next(f, &b)) {
		packets += b.kind == PCAPNG_PACKET;
		others += b.kind != PCAPNG_PACKET;
		if (b.kind == PCAPNG_PACKET) {
			assert_int_equal(b.packet.data.n, 60001);
			assert_int_equal(pcapfile_linktype(f, b.packet.iface), PCAPNG_ETHERNET);
		}
	}
	assert_false(pcapfile_next(f, &b));
	assert_int_equal(packets, 15);
	assert_int_equal(others, 2);
	pcapfile_close(f);
}

static void
says_where_it_breaks(void **state)
{
	(void)state;
	struct pcapfile *f;
	struct pcapng_block b;
	struct err e = {0};
	size_t n = make(1, 100);
	for (size_t cut = 1; cut < n; cut++) {
		store(cut);
		assert_int_equal(pcapfile_open(path, &f, &e), 0);
		bool fault = false;
		while (pcapfile_next(f, &b)) {
			assert_false(fault); /* the last one */
			fault = b.kind == PCAPNG_FAULT;
			if (fault)
				assert_true(b.offset < cut);
		}
		pcapfile_close(f);
		bool between = cut == 40 || cut == 40 + 32 || fault;
		assert_true(between);
	}
	store(0);
	assert_int_equal(pcapfile_open(path, &f, &e), 0);
	assert_false(pcapfile_next(f, &b));
	pcapfile_close(f);
	memset(bytes, 'x', 64);
	store(64);
	assert_int_equal(pcapfile_open(path, &f, &e), 0);
	assert_true(pcapfile_next(f, &b));
	assert_int_equal(b.kind, PCAPNG_FAULT);
	assert_string_equal(b.why, "not a pcapng file");
	assert_false(pcapfile_next(f, &b));
	pcapfile_close(f);
}

static void
says_what_it_cannot_open(void **state)
{
	(void)state;
	struct pcapfile *f;
	struct err e = {0};
	assert_int_equal(pcapfile_open("/no/such/file", &f, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/no/such/file"));
	e = (struct err){0};
	assert_int_equal(pcapfile_open("/tmp", &f, &e), -EISDIR);
}

static int
clean(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_blocks),
	        cmocka_unit_test(says_where_it_breaks),
	        cmocka_unit_test(says_what_it_cannot_open),
	};
	close(mkstemp(path));
	return cmocka_run_group_tests(tests, NULL, clean);
}
