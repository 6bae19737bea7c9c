# aero: build, check, install. `make help` lists the targets.
VARIANT ?= release
CC ?= gcc
PREFIX ?= /usr/local
DESTDIR ?=
V ?= 0

B := build/$(VARIANT)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

VERSION := $(shell git describe --tags --dirty 2>/dev/null || \
	{ h=$$(git describe --always --dirty 2>/dev/null) && echo 0.1.0-g$$h; } || echo 0.1.0)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wformat=2
PKGS := libuv libwebsockets libcares openssl libpcap libcjson
INC := -Ilib -Icmd -I.
DEFS := -D_GNU_SOURCE
CFLAGS_release := -O2 -g
CFLAGS_debug := -O0 -g3
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS_asan := -fsanitize=address,undefined
# NULL + 0, which empty spans come to, is what pointer-overflow would mostly complain about.
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=pointer-overflow \
	-fno-sanitize-recover=undefined
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined
HARDEN := -fstack-protector-strong -fPIE
ALL_CFLAGS = -std=gnu2x $(WARN) $(DEFS) $(INC) $(HARDEN) $(CFLAGS_$(VARIANT)) $(CFLAGS) \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null)
ALL_LDFLAGS = -pie $(LDFLAGS_$(VARIANT)) $(LDFLAGS)
LIBS = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -linih -lhttp_parser -lm -lpthread

LIB_SRC := $(shell find lib -name '*.c' 2>/dev/null | sort)
CMD_SRC := $(sort $(wildcard cmd/*.c) $(wildcard probes/*.c))
UNIT_SRC := $(shell find tests/unit -name '*.c' 2>/dev/null | sort)
HELPER_SRC := $(sort $(wildcard tests/helper/*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH_KIT := $(sort $(wildcard tests/bench/kit/*.c))
BENCH_SIM := $(sort $(wildcard tests/bench/sim/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
CMD_OBJ := $(CMD_SRC:%.c=$(B)/%.o)
UNIT_BIN := $(UNIT_SRC:%.c=$(B)/%)
HELPER_BIN := $(HELPER_SRC:%.c=$(B)/%)
BENCH_BIN := $(BENCH_SRC:%.c=$(B)/%)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(B)/%)
REPLAY_BIN := $(FUZZ_BIN:%=%-replay)
LIB_A := $(B)/libaero.a
AERO := $(B)/aero

.DEFAULT_GOAL := all
.PHONY: all
all: $(AERO) ## build the aero binary (VARIANT=release|debug|asan)

# Objects depend on the flags, the archive on its list of members: both are stamps that change
# only when what they hold does.
stamp = $(shell mkdir -p $(B); printf '%s\n' '$(2)' | cmp -s - $(1) 2>/dev/null || printf '%s\n' '$(2)' > $(1))
FLAGS_STAMP := $(B)/.flags
MEMBERS_STAMP := $(B)/.members
$(call stamp,$(FLAGS_STAMP),$(CC) $(ALL_CFLAGS))
$(call stamp,$(MEMBERS_STAMP),$(LIB_OBJ))

$(B)/%.o: %.c $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(LIB_A): $(LIB_OBJ) $(MEMBERS_STAMP)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)

# Only this object knows the version, so a commit rebuilds one file.
VERSION_STAMP := $(B)/.version
$(call stamp,$(VERSION_STAMP),$(VERSION))
$(B)/cmd/version.o: DEFS += -DAERO_VERSION='"$(VERSION)"'
$(B)/cmd/version.o: $(VERSION_STAMP)

$(AERO): $(CMD_OBJ) $(LIB_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(CMD_OBJ) $(LIB_A) $(LIBS)

$(UNIT_BIN): $(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIB_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIB_A) -lcmocka $(LIBS)

$(HELPER_BIN): $(B)/%: $(B)/%.o $(LIB_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIB_A) $(LIBS)

# The guest without a kernel has parts of its own; all load generators share the kit.
$(B)/tests/bench/guestsim: $(BENCH_SIM:%.c=$(B)/%.o)
$(BENCH_BIN): $(B)/%: $(B)/%.o $(BENCH_KIT:%.c=$(B)/%.o) $(LIB_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIB_A) $(LIBS)

.PHONY: unit
unit: $(UNIT_BIN) ## build and run the unit tests
	$(Q)tests/run-unit $(UNIT_BIN)

# The same targets twice: with libFuzzer, to find inputs, and with a plain main, to keep them.
$(FUZZ_BIN): %: %.o $(LIB_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIB_A) $(LIBS)

$(REPLAY_BIN): %-replay: %.o $(B)/tests/fuzz/replay/main.o $(LIB_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

FUZZ_SECONDS ?= 60
FUZZ ?= $(FUZZ_SRC:tests/fuzz/%.c=%)
.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZ_SECONDS (60); FUZZ="dns dhcp" names some
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz CC=clang fuzz-run

.PHONY: fuzz-run
fuzz-run: $(FUZZ:%=$(B)/tests/fuzz/%)
	$(Q)tests/fuzz/run $(B)/tests/fuzz $(FUZZ_SECONDS) $(FUZZ)

.PHONY: fuzz-replay
fuzz-replay: $(REPLAY_BIN) ## replay the fuzz corpora without a fuzzer
	$(Q)tests/fuzz/replay/run $(B)/tests/fuzz $(FUZZ_SRC:tests/fuzz/%.c=%)

.PHONY: bench
bench: ## measure beside pasta, passt, slirp4netns and the bare frame path; BENCH_ROUNDS, BENCH_SECONDS
	$(Q)tests/deps build bench
	$(Q)$(MAKE) --no-print-directory -j2 all $(BENCH_BIN)
	$(Q)BUILD=$(B) tests/bench/run $(BENCH)

.PHONY: deps
deps: ## install the Debian packages that are missing (root)
	$(Q)tests/deps build test

.PHONY: test
test: ## install what is missing, build all variants and run every test
	$(Q)tests/deps build test
	$(Q)$(MAKE) --no-print-directory -j2 all helpers
	$(Q)$(MAKE) --no-print-directory -j2 VARIANT=asan all helpers
	$(Q)tests/run

.PHONY: demo
demo: ## install what is missing, build, start the service and show it working
	$(Q)tests/deps build demo
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)deploy/demo

.PHONY: helpers
helpers: $(HELPER_BIN)

.PHONY: lint
lint: all ## static checks: layers, headers, globals, format, cppcheck, shellcheck
	$(Q)BUILD=$(B) tests/lint/run

.PHONY: gen
gen: all ## write the generated texts: samples, schema, configuration.md, man pages, completions
	$(Q)tests/lint/generated $(AERO) .

.PHONY: check-gen
check-gen: all ## fail when a generated text is stale
	$(Q)tests/lint/generated --check $(AERO)

# The services under the names of the programs they replace.
LINKS := aero-l2-proxy
BIN := $(DESTDIR)$(PREFIX)/bin
SHARE := $(DESTDIR)$(PREFIX)/share

.PHONY: install
install: all ## install below DESTDIR and PREFIX (/usr/local): program, links, manual, completions
	$(Q)install -D -m 755 $(AERO) $(BIN)/aero
	$(Q)for l in $(LINKS); do ln -sf aero $(BIN)/$$l; done
	$(Q)install -d $(SHARE)/man/man1 $(SHARE)/man/man5 $(SHARE)/aero/conf
	$(Q)install -m 644 docs/man/*.1 $(SHARE)/man/man1
	$(Q)install -m 644 docs/man/*.5 $(SHARE)/man/man5
	$(Q)install -m 644 conf/*.ini conf/*.schema.json $(SHARE)/aero/conf
	$(Q)install -D -m 644 completions/aero.bash $(SHARE)/bash-completion/completions/aero
	$(Q)install -D -m 644 completions/_aero $(SHARE)/zsh/site-functions/_aero
	$(Q)install -D -m 644 completions/aero.fish $(SHARE)/fish/vendor_completions.d/aero.fish

.PHONY: format
format: ## rewrite sources with clang-format
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

.PHONY: clean
clean: ## remove everything that was built
	$(Q)rm -rf build

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(LIB_OBJ:.o=.d) $(CMD_OBJ:.o=.d) $(UNIT_BIN:=.d) $(HELPER_BIN:=.d) $(BENCH_BIN:=.d) $(BENCH_KIT:%.c=$(B)/%.d) $(BENCH_SIM:%.c=$(B)/%.d) $(FUZZ_BIN:=.d) $(B)/tests/fuzz/replay/main.d
