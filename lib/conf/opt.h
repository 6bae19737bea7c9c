/* opt: what an option is: one row in a section's .def, from which everything else is derived.
 *
 *   OPT(type, field, "default", .min = 1, .max = 65535, .help = "...")
 *
 * A section is one .def file, one struct (conf/sections.h) and one table of rows made from the
 * same lines. A service is a list of sections plus the environment names that set them.
 * Spelling: field `max_frame_payload` of [tunnel] is the INI key and flag
 * `tunnel.max-frame-payload` and the environment name AERO_TUNNEL_MAX_FRAME_PAYLOAD; further
 * environment names are rows of the service's env table.
 * This header is the schema alone; conf/conf.h loads values.
 *
 *   type      field becomes       written as
 *   BOOL      bool                yes no true false on off 1 0
 *   U32 U64   uint32_t uint64_t   decimal digits
 *   MSEC      uint64_t, ms        1500ms 10s 1m30s 24h; a bare number takes the row's unit
 *   SIZE      uint64_t, bytes     2048 64KiB 4MiB 1GiB
 *   STR PATH  const char *        text; "" when unset, never NULL
 *   SECRET    const char *        ditto; never printed, has no flag, has a twin key `<key>-file`
 *   LIST      struct opt_list     comma separated, or one value a line
 *   ENUM      int                 one of .words
 *   ENDPOINT  struct endpoint     IP:PORT, [v6]:PORT
 *   IP MAC    struct ip opt_mac   address text */
#pragma once

#include "base/addr.h"
#include "base/err.h"

enum opt_type {
	OPT_BOOL,
	OPT_U32,
	OPT_U64,
	OPT_MSEC,
	OPT_SIZE,
	OPT_STR,
	OPT_PATH,
	OPT_SECRET,
	OPT_LIST,
	OPT_ENUM,
	OPT_ENDPOINT,
	OPT_IP,
	OPT_MAC,
};

struct opt_list {
	const char *const *v;
	const uint32_t *line; /* of the file, per item; 0 elsewhere */
	uint32_t n;
	bool set; /* was given at all: an empty list that is set may mean "none", see the row */
};

struct opt_mac {
	uint8_t b[6];
};

/* The field a type becomes. */
#define OPT_CTYPE_BOOL(f) bool f
#define OPT_CTYPE_U32(f) uint32_t f
#define OPT_CTYPE_U64(f) uint64_t f
#define OPT_CTYPE_MSEC(f) uint64_t f
#define OPT_CTYPE_SIZE(f) uint64_t f
#define OPT_CTYPE_STR(f) const char *f
#define OPT_CTYPE_PATH(f) const char *f
#define OPT_CTYPE_SECRET(f) const char *f
#define OPT_CTYPE_LIST(f) struct opt_list f
#define OPT_CTYPE_ENUM(f) int f
#define OPT_CTYPE_ENDPOINT(f) struct endpoint f
#define OPT_CTYPE_IP(f) struct ip f
#define OPT_CTYPE_MAC(f) struct opt_mac f

enum {
	OPT_UNSAFE = 1 << 0, /* any value but the default is worth a warning at start */
	OPT_RELOAD = 1 << 1, /* a reload may change it in a running service */
	OPT_HIDDEN = 1 << 2, /* left out of help and samples */
};

/* Units a bare number of a MSEC option may have. */
enum { UNIT_MS = 1, UNIT_S = 1000 };

struct opt_word {
	const char *name; /* the first name of a value is the one printed; NULL ends the table */
	int value;
};

struct opt {
	enum opt_type type;
	const char *field;
	const char *dflt;  /* parsed like any other value; NULL for a LIST means "not set" */
	const char *help;  /* whole sentences; '\n' between paragraphs */
	const char *zero;  /* what 0 stands for, also accepted as a word: "off", "unlimited" */
	uint64_t min, max; /* 0 is allowed below min when `zero` is given; max 0: the type's own */
	uint32_t unit;     /* MSEC: of a bare number; 0: UNIT_MS */
	uint32_t flags;
	size_t off; /* in the section's struct */
	const struct opt_word *words;
	/* LIST, STR: is this item well formed? `e` then says what it should look like. */
	int (*item)(struct span s, struct err *e);
	const char *form; /* what an item looks like, for help: "name=ipv4" */
};

struct opt_section {
	const char *name;
	const char *title; /* one line about the section */
	const struct opt *opts;
	size_t n;
};

/* How the text of one environment name differs from the INI form of the same option. */
enum {
	ENV_STRICT1 = 1 << 0,     /* BOOL: only "1" is true */
	ENV_BOOL7 = 1 << 1,       /* BOOL: 1 true TRUE yes YES on ON */
	ENV_BOOL4 = 1 << 2,       /* BOOL: 1 true yes on */
	ENV_ZERO_UNSET = 1 << 3,  /* 0 counts as not set: the next name, then the default */
	ENV_JUNK_UNSET = 1 << 4,  /* ditto for text that is no number; said as a warning */
	ENV_CLAMP = 1 << 5,       /* out of range becomes the nearest bound; said as a warning */
	ENV_EMPTY_SET = 1 << 6,   /* an empty text is a value (else: not set) */
	ENV_EMPTY_STOPS = 1 << 7, /* an empty text is not set, and later names are not asked */
	ENV_RAW = 1 << 8,         /* not trimmed */
	ENV_RUST_LOG = 1 << 9,    /* [target=]level,... */
	ENV_PRESENT = 1 << 10,    /* any non-empty text stands for the value `as` */
};

struct opt_env {
	const char *name;
	size_t off; /* of the option's field in the service's struct */
	uint32_t flags;
	uint32_t unit; /* MSEC: of a bare number; 0: the option's own */
	const char *as;
};

/* A service's sections, each at its place in the service's struct. */
struct opt_place {
	const struct opt_section *section;
	size_t off;
};

/* A default that differs for one service. */
struct opt_dflt {
	size_t off;
	const char *text;
};

struct conf;
/* Takes one sentence at a time. */
typedef void conf_say(void *arg, const char *text);

struct opt_service {
	const char *name;   /* "l2": aero serve l2 */
	const char *legacy; /* the program it replaces, "" for none: "aero-l2-proxy" */
	const char *title;
	size_t size; /* of its struct */
	const struct opt_place *places;
	size_t n_places;
	const struct opt_env *env; /* names of one option in fall-back order */
	size_t n_env;
	const struct opt_dflt *dflt;
	size_t n_dflt;
	/* Rules between options, see conf/check.h: returns how many are broken and says each. May
	 * settle values that were left to choose. */
	int (*check)(const struct conf *c, void *values, conf_say *say, void *arg);
	/* Says what is legal and yet worth a second look. */
	void (*warn)(const struct conf *c, const void *values, conf_say *say, void *arg);
};
