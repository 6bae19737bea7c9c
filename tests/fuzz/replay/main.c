/* Gives a fuzz target the files named on the command line, one after the other, without a fuzzer:
 * every input that was ever interesting stays a test. A crash is the failure. */
#include "../fuzz.h"

#include <stdio.h>

static int
replay(const char *path)
{
	static uint8_t b[1 << 20];
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return 1;
	}
	size_t n = fread(b, 1, sizeof b, f);
	fclose(f);
	uint8_t *exact = fuzz_copy(span(b, n));
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int
main(int argc, char **argv)
{
	int failed = 0;
	for (int i = 1; i < argc; i++) {
		printf("%s\n", argv[i]);
		fflush(stdout);
		failed += replay(argv[i]);
	}
	return failed != 0;
}
