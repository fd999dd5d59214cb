# Murmuration. `make help` lists what there is.
#
# Not recursive; every object remembers its headers (-MMD). BUILD says where, so that each flavour (release, asan, tsan)
# has a directory of its own.

BUILD  ?= build
CC     ?= gcc
PREFIX ?= /usr/local
VERSION := 0.1.0
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo release)

OPT      ?= -O2
SANITIZE ?=
CFLAGS   ?= $(OPT) -g
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
override CFLAGS += -std=c11 -D_GNU_SOURCE $(WARN) -fno-strict-aliasing -Isrc -I. -pthread $(SANITIZE)
override LDFLAGS += -pthread $(SANITIZE)

BASE       := $(wildcard src/base/*.c)
WIRE       := $(wildcard src/wire/*.c)
MEMBERSHIP := $(wildcard src/membership/*.c)
GOSSIP     := $(wildcard src/gossip/*.c)
STORE      := $(wildcard src/store/*.c)
TASKS      := $(wildcard src/tasks/*.c)
NODE       := $(wildcard src/node/*.c)
MAPREDUCE  := $(wildcard src/mapreduce/*.c)
IO         := $(wildcard src/io/*.c)
CTL        := $(wildcard src/ctl/*.c)
SIM        := $(wildcard src/sim/*.c)

CORE := $(BASE) $(WIRE) $(MEMBERSHIP) $(GOSSIP) $(STORE) $(TASKS) $(NODE)

object = $(patsubst %.c,$(BUILD)/%.o,$(1))

PROGRAMS := mrnode mrctl mrsim mrtask
BINARIES := $(PROGRAMS:%=$(BUILD)/%)

# On all processors; the makes that this one starts share its jobs.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

.DEFAULT_GOAL := all
.PHONY: all deps demo test check-all lint format asan tsan fuzz sim bench install help clean tidy unit e2e

all: $(BINARIES) ## build mrnode, mrctl, mrsim and mrtask into build/

# Of src/mapreduce a node wants what ends and sweeps processes alone: the linker takes that from an archive.
$(BUILD)/mrnode: $(call object,cmd/mrnode.c src/ctl/config.c $(IO) $(CORE)) $(BUILD)/libmapreduce.a
	$(CC) $(LDFLAGS) $^ -o $@ -luv -llmdb -lsodium -linih

$(BUILD)/libmapreduce.a: $(call object,$(MAPREDUCE) $(BASE) $(WIRE))
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/mrctl: $(call object,cmd/mrctl.c $(CTL) $(MAPREDUCE) $(BASE) $(WIRE))
	$(CC) $(LDFLAGS) $^ -o $@ -lsodium -lzstd -linih

$(BUILD)/mrsim: $(call object,$(wildcard cmd/mrsim*.c) $(SIM) $(filter-out %_lmdb.c %_journal.c,$(CORE)))
	$(CC) $(LDFLAGS) $^ -o $@ -lsodium

$(BUILD)/mrtask: $(call object,cmd/mrtask.c $(MAPREDUCE) $(BASE) $(WIRE))
	$(CC) $(LDFLAGS) $^ -o $@ -lsodium -lzstd

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -DMR_VERSION='"$(VERSION)"' -MMD -MP -c $< -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# A unit test is tests/unit/test_NAME.c, linked with everything but main: nothing to list by hand.
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SOURCES))
LIBRARY      := $(call object,$(CORE) $(MAPREDUCE) $(SIM) $(CTL))

$(BUILD)/libmr.a: $(LIBRARY)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libmr.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -lcmocka -llmdb -lsodium -lzstd -linih

HELPERS := $(patsubst tests/lib/%.c,$(BUILD)/lib/%,$(wildcard tests/lib/*.c)) \
           $(patsubst tests/lib/preload/%.c,$(BUILD)/lib/%.so,$(wildcard tests/lib/preload/*.c))

$(BUILD)/lib/%: $(BUILD)/tests/lib/%.o $(BUILD)/libmr.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -llmdb -lsodium -lzstd -linih

# Preloaded into daemons, whatever those are built with.
$(BUILD)/lib/%.so: tests/lib/preload/%.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -O1 -Wall -Wextra -Werror -shared -fPIC $< -o $@ -ldl

# The benches that drive daemons' insides: linked with the loop, too.
$(BUILD)/bench/%: $(BUILD)/tests/bench/log/%.o $(call object,$(IO)) $(BUILD)/libmr.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -luv -llmdb -lsodium -lzstd -linih

$(BUILD)/bench/latency: $(BUILD)/tests/bench/executors/latency.o $(BUILD)/libmr.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -llmdb -lsodium -lzstd -linih

unit: $(UNIT_TESTS)

.SECONDARY: $(UNIT_SOURCES:%.c=$(BUILD)/%.o) $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/lib/*.c))

# ---- what people type ----

deps: ## install the Debian packages that are needed (apt-get, as root or by sudo)
	@tests/deps.sh all

demo: ## watch five nodes count the words of real text, one of them killed half-way (INPUT=path for your own)
	@tests/deps.sh demo
	@$(MAKE) -s all
	@tests/demo.sh "$(BUILD)" $(INPUT)

# The packages first: the build proper is a second make, which sees what they brought.
test: ## everything that must hold, in less than 10 minutes; closes with "N passed, N failed"
	@tests/deps.sh test
	@$(MAKE) -s everything
	@tests/run.sh -b $(BUILD)

everything: all $(UNIT_TESTS) $(HELPERS)

check-all: ## the long suites: the same under ASan and UBSan, threads under TSan, more seeds, fuzzers
	@tests/deps.sh all
	@$(MAKE) -s test
	@$(MAKE) -s asan
	@$(MAKE) -s tsan
	@$(MAKE) -s sim SEED=1 SEEDS=2000
	@$(BUILD)/mrsim --histories --seed 1 --seeds 10000 | tail -n 1
	@tests/sim/canaries.sh $(BUILD)
	@STRIDE=1 $(BUILD)/unit/test_crash_points
	@EVERY=1 tests/e2e/countdown.sh
	@EVERY=1 tests/e2e/countdown_node.sh
	@ROUNDS=200 tests/e2e/crash_live.sh
	@ROUNDS=20 tests/e2e/shuffle_faults.sh
	@ROUNDS=50 tests/e2e/storm.sh
	@PAIRS=10000000 tests/e2e/memory.sh
	@FILES=100000 tests/e2e/datasets.sh
	@LONG=1 tests/e2e/retention.sh
	@LONG=1 tests/e2e/blocks.sh
	@$(MAKE) -s fuzz T=60

ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

asan: ## make test, under AddressSanitizer and UndefinedBehaviorSanitizer
	@tests/deps.sh test
	@$(MAKE) -s BUILD=build-asan OPT=-O1 SANITIZE="$(ASAN)" everything
	@ASAN_OPTIONS=detect_leaks=1 RSS_LIMIT=2000000 STRIDE=50 PATIENCE=4 tests/run.sh -b build-asan unit sim e2e

tsan: ## the daemon's threads under ThreadSanitizer
	@tests/deps.sh test
	@$(MAKE) -s BUILD=build-tsan OPT=-O1 SANITIZE=-fsanitize=thread everything
	@TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp PATIENCE=4 tests/run.sh -b build-tsan wordcount datasets lifecycle disk_full shuffle bags

T ?= 60
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

fuzz: ## every fuzzer for T seconds (60)
	@tests/deps.sh all
	@$(MAKE) -s BUILD=build-fuzz CC=clang-14 OPT=-O1 SANITIZE="-fsanitize=fuzzer-no-link,address,undefined" fuzzers
	@build-fuzz/lib/fuzzseeds build-fuzz/corpus
	@for f in $(FUZZERS); do echo "$$f"; build-fuzz/fuzz/$$f -max_total_time=$(T) -max_len=4096 -len_control=0 \
	  -print_final_stats=0 -verbosity=0 build-fuzz/corpus/$$f || exit 1; done

.PHONY: fuzzers everything
fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%) $(BUILD)/lib/fuzzseeds

# What it looks at beside the library: of src/io, and pure.
$(BUILD)/fuzz/fuzz_parts: $(call object,src/io/expect.c src/io/partitioned.c)

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libmr.a
	@mkdir -p $(@D)
	$(CC) -fsanitize=fuzzer,address,undefined -pthread $^ -o $@ -llmdb -lsodium -lzstd -linih

SEED ?= 1
SEEDS ?= 1

sim: $(BUILD)/mrsim ## run the simulator: SEED=n [SEEDS=count]
	$(BUILD)/mrsim --seed $(SEED) --seeds $(SEEDS)

bench: ## figures against the peers (no test)
	@tests/deps.sh bench
	@$(MAKE) -s all
	@tests/bench/run.sh "$(BUILD)"

tidy: all ## the style checks alone
	@tests/tidy.sh $(BUILD)

lint: ## clang-tidy and shellcheck, where they are installed
	@command -v clang-tidy >/dev/null && clang-tidy --quiet src/*/*.c cmd/*.c -- -std=c11 -D_GNU_SOURCE -Isrc \
	  -DMR_VERSION='"$(VERSION)"' || echo "clang-tidy is not installed"
	@command -v shellcheck >/dev/null && shellcheck tests/*.sh tests/*/*.sh || echo "shellcheck is not installed"

format: ## clang-format everything, in place
	clang-format -i src/*/*.[ch] cmd/*.c tests/*/*.[ch]

install: all ## into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(BINARIES) $(DESTDIR)$(PREFIX)/bin
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

clean: ## remove what was built
	rm -rf build build-asan build-tsan build-fuzz
