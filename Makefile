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
override CFLAGS += -std=c11 -D_GNU_SOURCE $(WARN) -fno-strict-aliasing -Isrc -pthread $(SANITIZE)
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

.DEFAULT_GOAL := all
.PHONY: all deps demo test check-all lint format asan tsan fuzz sim bench install help clean tidy unit e2e

all: $(BINARIES) ## build mrnode, mrctl, mrsim and mrtask into build/

$(BUILD)/mrnode: $(call object,cmd/mrnode.c $(IO) $(CORE))
	$(CC) $(LDFLAGS) $^ -o $@ -luv -llmdb -lsodium

$(BUILD)/mrctl: $(call object,cmd/mrctl.c $(CTL) $(MAPREDUCE) $(BASE) $(WIRE))
	$(CC) $(LDFLAGS) $^ -o $@ -lsodium

$(BUILD)/mrsim: $(call object,cmd/mrsim.c $(SIM) $(filter-out %_lmdb.c,$(CORE)))
	$(CC) $(LDFLAGS) $^ -o $@ -lsodium

$(BUILD)/mrtask: $(call object,cmd/mrtask.c $(MAPREDUCE) $(BASE) $(WIRE))
	$(CC) $(LDFLAGS) $^ -o $@ -lsodium

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
	$(CC) $(LDFLAGS) $^ -o $@ -lcmocka -llmdb -lsodium

unit: $(UNIT_TESTS) ## build the unit tests

clean: ## remove build/
	rm -rf $(BUILD)
