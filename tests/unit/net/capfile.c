#include "net/capfile.h"

#include "base/enc.h"
#include "tests/unit/net/loop.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

struct rig {
	struct worker w;
	struct shard shard;
	struct capfile_dir dir;
	char tmp[64], path[96];
	char name[256]; /* of the one file in there */
};

static void
start(struct rig *r, uint64_t max, uint32_t flush_ms)
{
	struct shard_conf sc = {.workers = 1, .limit_slots = 1};
	*r = (struct rig){0};
	loop_open(&r->w);
	assert_int_equal(shard_new(&r->shard, &sc), 0);
	strcpy(r->tmp, "/tmp/capfile-XXXXXX");
	assert_non_null(mkdtemp(r->tmp));
	snprintf(r->path, sizeof r->path, "%s/a/b/c", r->tmp);
	struct err e = {0};
	assert_int_equal(capfile_mkdir(r->path, &e), 0);
	assert_int_equal(capfile_mkdir(r->path, &e), 0);
	r->dir = (struct capfile_dir){&r->w, &r->shard, r->path, max, flush_ms};
}

static size_t
file(struct rig *r, uint8_t *out, size_t cap)
{
	DIR *d = opendir(r->path);
	int files = 0;
	size_t n = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		files++;
		snprintf(r->name, sizeof r->name, "%s", e->d_name);
		FILE *f = fdopen(openat(dirfd(d), e->d_name, O_RDONLY), "r");
		n = fread(out, 1, cap, f);
		fclose(f);
	}
	closedir(d);
	assert_int_equal(files, 1);
	return n;
}

static void
end(struct rig *r)
{
	char cmd[96];
	snprintf(cmd, sizeof cmd, "rm -r %s", r->tmp);
	assert_int_equal(system(cmd), 0);
	shard_free(&r->shard);
	loop_close(&r->w);
}

static uint64_t
counted(const struct rig *r, enum metric m)
{
	return r->shard.mine->metric[m];
}

static const uint8_t frame[60] = {1, 2, 3};
static uint8_t text[1 << 20];

/* Two header blocks, byte for byte, then one packet. */
static void
test_golden(void **state)
{
	(void)state;
	static const char want[] =
	        "0a0d0d0a340000004d3c2b1a01000000ffffffffffffffff04000d006165726f2d6c322d70726f78"
	        "790000000000000034000000"
	        "010000003000000001000000ffff0000020009006c322d74756e6e656c0000000900010009000000"
	        "0000000030000000";
	struct rig r;
	start(&r, 0, 0);
	struct capfile *f = capfile_open(&r.dir, &r.w.log, 17);
	assert_non_null(f);
	assert_int_equal(file(&r, text, sizeof text), 0); /* nothing is forced out */
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, sizeof frame));
	capfile_frame(f, CAPFILE_TO_GUEST, span(frame, 41));
	capfile_close(f);
	assert_int_equal(file(&r, text, sizeof text), 100 + 104 + 88);
	char hex[201];
	hex_encode(span(text, 100), hex);
	assert_string_equal(hex, want);
	const uint8_t *p = text + 100;
	assert_int_equal(p[0], 6);
	assert_int_equal(p[4], 104);
	assert_int_equal(p[20], 60);
	assert_int_equal(p[24], 60);
	assert_memory_equal(p + 28, frame, 60);
	assert_memory_equal(p + 88, "\x02\x00\x04\x00\x01\x00\x00\x00\x00\x00\x00\x00", 12);
	assert_int_equal(p[100], 104);
	p += 104;
	assert_int_equal(p[20], 41);
	assert_int_equal(p[4], 88);
	assert_int_equal(p[28 + 44 + 4], 2);
	assert_int_equal(counted(&r, M_L2_CAPTURE_BYTES), 292);
	assert_int_equal(counted(&r, M_L2_CAPTURE_FRAMES), 2);
	assert_int_equal(strspn(r.name, "0123456789"), 13);
	assert_string_equal(r.name + 13, "-session-17.pcapng");
	end(&r);
}

static void
test_cap_latches(void **state)
{
	(void)state;
	struct rig r;
	start(&r, 250, 1000);
	struct capfile *f = capfile_open(&r.dir, &r.w.log, 1);
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, 60));
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, 60));
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, 1)); /* would fit, comes too late */
	capfile_close(f);
	assert_int_equal(file(&r, text, sizeof text), 204);
	assert_int_equal(counted(&r, M_L2_CAPTURE_FRAMES_DROPPED), 2);
	end(&r);
	/* Headers are written whatever the cap says. */
	start(&r, 10, 0);
	f = capfile_open(&r.dir, &r.w.log, 1);
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, 1));
	capfile_close(f);
	assert_int_equal(file(&r, text, sizeof text), 100);
	end(&r);
}

static void
test_flushed_while_idle(void **state)
{
	(void)state;
	struct rig r;
	start(&r, 0, 30);
	struct capfile *f = capfile_open(&r.dir, &r.w.log, 1);
	assert_int_equal(file(&r, text, sizeof text), 100); /* at once */
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, 60));
	assert_int_equal(file(&r, text, sizeof text), 100);
	LOOP_UNTIL(&r.w, file(&r, text, sizeof text) == 204);
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, 60));
	LOOP_UNTIL(&r.w, file(&r, text, sizeof text) == 308);
	capfile_close(f);
	end(&r);
}

static void
test_many_and_large(void **state)
{
	(void)state;
	static uint8_t big[70000];
	struct rig r;
	start(&r, 0, 0);
	struct capfile *f = capfile_open(&r.dir, &r.w.log, 1);
	for (int i = 0; i < 1000; i++)
		capfile_frame(f, CAPFILE_TO_GUEST, span(frame, 60));
	capfile_frame(f, CAPFILE_TO_GUEST, span(big, sizeof big));
	capfile_frame(f, CAPFILE_TO_GUEST, span(frame, 60));
	capfile_close(f);
	assert_int_equal(file(&r, text, sizeof text), 100 + 1001 * 104 + 44 + 65536);
	const uint8_t *p = text + 100 + 1000 * 104;
	assert_int_equal(p[20] | p[21] << 8 | p[22] << 16, 65535);
	assert_int_equal(p[24] | p[25] << 8 | p[26] << 16, 70000);
	end(&r);
}

static void
test_not_opened(void **state)
{
	(void)state;
	struct rig r;
	struct err e = {0};
	start(&r, 0, 0);
	r.w.log.level = LOG_ERROR;
	r.dir.path = "/proc/nowhere";
	assert_null(capfile_open(&r.dir, &r.w.log, 1));
	assert_int_equal(counted(&r, M_L2_CAPTURE_ERRORS), 1);
	capfile_frame(NULL, CAPFILE_FROM_GUEST, span(frame, 60));
	capfile_close(NULL);
	assert_true(capfile_mkdir("/proc/nowhere/x", &e) < 0);
	assert_non_null(strstr(e.text, "/proc/nowhere"));
	end(&r);
}

/* A disk that is full, as far as this process can tell. */
static void
test_write_error_ends_the_recording(void **state)
{
	(void)state;
	struct rig r;
	struct rlimit was, small = {150, RLIM_INFINITY};
	start(&r, 0, 20);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	small.rlim_max = was.rlim_max;
	struct capfile *f = capfile_open(&r.dir, &r.w.log, 1);
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, 60));
	setrlimit(RLIMIT_FSIZE, &small);
	LOOP_UNTIL(&r.w, counted(&r, M_L2_CAPTURE_ERRORS) == 1);
	capfile_frame(f, CAPFILE_FROM_GUEST, span(frame, 60));
	loop_for(&r.w, 30);
	capfile_close(f);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(counted(&r, M_L2_CAPTURE_ERRORS), 1);
	assert_int_equal(counted(&r, M_L2_CAPTURE_FRAMES), 1);
	assert_int_equal(file(&r, text, sizeof text), 150);
	end(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_golden),
	        cmocka_unit_test(test_cap_latches),
	        cmocka_unit_test(test_flushed_while_idle),
	        cmocka_unit_test(test_many_and_large),
	        cmocka_unit_test(test_not_opened),
	        cmocka_unit_test(test_write_error_ends_the_recording),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
