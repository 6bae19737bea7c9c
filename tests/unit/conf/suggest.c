#include "conf/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *
nearest(const char *word)
{
	static const char *const known[] = {"listen", "log.level", "dns", "AERO_L2_MAX_CONNECTIONS",
	        "tunnel.max-frame-payload", "tunnel.max-control-payload", NULL};
	struct suggest s = suggest_for(span_str(word));
	for (const char *const *k = known; *k; k++)
		suggest_offer(&s, *k);
	return s.best;
}

static void
slips(void **state)
{
	(void)state;
	assert_string_equal(nearest("listne"), "listen");  /* swapped */
	assert_string_equal(nearest("lsten"), "listen");   /* left out */
	assert_string_equal(nearest("liisten"), "listen"); /* doubled */
	assert_string_equal(nearest("LISTEN"), "listen");
	assert_string_equal(nearest("dms"), "dns");
	assert_string_equal(nearest("AERO_L2_MAX_CONECTION"), "AERO_L2_MAX_CONNECTIONS");
	assert_string_equal(nearest("tunnel.max-frame-paylod"), "tunnel.max-frame-payload");
	assert_string_equal(nearest("listen"), "listen");
}

static void
strangers(void **state)
{
	(void)state;
	char huge[200];
	memset(huge, 'x', sizeof huge - 1);
	huge[sizeof huge - 1] = 0;
	assert_null(nearest("colour"));
	assert_null(nearest("dxx"));
	assert_null(nearest(""));
	assert_null(nearest(huge));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(slips),
	        cmocka_unit_test(strangers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
