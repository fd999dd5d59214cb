/* mrnode's command line. */
#ifndef IO_OPTIONS_H
#define IO_OPTIONS_H

#include "base/address.h"
#include "base/trace.h"
#include "io/confinement.h"
#include "io/logfmt.h"
#include "node/node.h"

enum {
    OPTIONS_JOINS_MAX = 64,
    OPTIONS_SLOTS_MAX = 1024, /* tasks at once on one machine */
    OPTIONS_TAGS_MAX = 16,    /* this and the next two as messages.def says */
    OPTIONS_TAG_KEY_MAX = 32,
    OPTIONS_TAG_VALUE_MAX = 128,
    OPTIONS_PREFETCH_SIZE = 1 << 30, /* a share of a large job's maps, little of any disk */
};

struct options {
    const char *directory;    /* -d; NULL: the default */
    const char *key_file;     /* --key-file, MR_KEY_FILE; NULL: the default */
    struct address listen;    /* port 0: the kernel's choice */
    struct address advertise; /* none: as listen */
    const char *joins[OPTIONS_JOINS_MAX];
    size_t joins_count;
    const char *name; /* NULL: the host's */
    uint16_t slots;   /* 0: as many as processors */
    uint64_t prefetch_size;
    uint64_t memory_size;  /* 0: the node's default */
    duration scrub_every;  /* 0: the node's default */
    duration pin_length;   /* 0: the node's default */
    duration details_kept; /* 0: the node's default */
    duration evict_after;  /* 0: the node's default */
    enum node_profile profile;
    struct msg_tag tags[OPTIONS_TAGS_MAX]; /* by key */
    size_t tags_count;
    enum trace_level level;
    enum logfmt_format format;
    struct confinement confinement; /* --confine, --task-user, --task-read, --task-write */
    bool is_check;
    const char *checked_store; /* --check-store; NULL: run */
};

enum options_verdict {
    OPTIONS_RUN,
    OPTIONS_SHOWN, /* help or version was asked for and printed: exit 0 */
    OPTIONS_WRONG, /* one line on stderr says what: exit 2 */
};

/* May this long name stand in a configuration file? Those may that say how a node is, and are no
 * errand. */
bool options_is_setting(const char *name);
/* Reads the command line; strings are borrowed from arguments and the environment. */
enum options_verdict options_parse(int count, char *arguments[], struct options *options);

#endif
