#include "cmd/cmd.h"

#include "base/jout.h"

const char help_version[] = "Examples\n"
                            "  aero version\n"
                            "  aero version --json | jq -r .version\n"
                            "\n"
                            "Usage: aero version [--json]\n"
                            "\n"
                            "Options\n"
                            "  --json  one JSON document (schema aero.version/1): version\n";

int
cmd_version(int argc, char **argv)
{
	if (argc == 1) {
		printf("aero %s\n", AERO_VERSION);
		return EXIT_OK;
	}
	if (argc != 2 || strcmp(argv[1], "--json") != 0)
		return cmd_usage("version", "unexpected argument %s", argv[1]);
	struct buf b;
	struct jout j;
	buf_init(&b, 1024);
	jout_init(&j, &b);
	jout_object(&j);
	jout_kv_str(&j, "schema", "aero.version/1");
	jout_kv_bool(&j, "ok", true);
	jout_kv_str(&j, "version", AERO_VERSION);
	jout_end(&j);
	puts(buf_str(&b));
	buf_fini(&b);
	return EXIT_OK;
}
