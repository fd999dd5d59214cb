/* The registry with no centre: datasets' names, a fold over named and unnamed entries. A naming
 * lists the namings that it replaces; concurrent ones all survive: the least in total order
 * answers to NAME, the others to NAME@id (first 8 hex digits of the stamp's hash); `ls` marks
 * the conflict. Order of arrival does not matter: a replacement that arrives before what it
 * replaces is remembered.
 *
 * Namings made by the same request (a client that asked again at another peer, the first being
 * cut off) are one: the least of them stands for all, and who replaces one replaces all. */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "wire/stamp.h"

enum {
    NAME_SIZE = 256,                 /* the cap of named.name in messages.def, and a NUL */
    NAME_TEXT_SIZE = NAME_SIZE + 16, /* with @id */
};

/* One naming that has been made; replaced ones stay as tombstones. */
struct naming {
    struct msg_stamp stamp;
    bool is_known;    /* its entry has come (else only named in somebody's `replaces`) */
    bool is_replaced; /* by an entry that names it; its twins count too: see names.c */
    char name[NAME_SIZE];
    struct msg_block_ref manifest;
    uint64_t size;
    uint8_t replicas;
    struct id request;
    struct naming *next; /* in names.all, in order of arrival */
    struct naming *twin; /* the next one of the same request */
};

struct names {
    struct memory *memory;
    struct map by_stamp;
    struct map by_request; /* one of the twins of each request */
    struct naming *all;
    struct naming **last;    /* where the next one in `all` is linked */
    struct naming **current; /* known, not replaced, the least of its twins; by (name, stamp) */
    size_t current_count;
    size_t current_capacity;
    uint64_t digest; /* sum over what is folded */
};

/* Borrows memory until names_deinit. Allocates nothing. names must not move. */
void names_init(struct names *names, struct memory *memory);
void names_deinit(struct names *names);
/* Folds named and unnamed; others are ignored; the same entry again does nothing. ERROR_MEMORY:
 * nothing was folded. */
enum error names_apply(struct names *names, const struct stamped *entry) MUST_USE;
/* The naming that answers to NAME or NAME@id; NULL when none. Valid until names_deinit (though
 * it may be replaced). */
const struct naming *names_find(const struct names *names, struct slice name);
/* The naming made by this request, replaced or not, the least if several; NULL. */
const struct naming *names_by_request(const struct names *names, const struct id *request);
/* All current namings of exactly this name, their stamps, at most max; returns how many. Their
 * twins' stamps are not among them, and need not be. */
size_t names_current(const struct names *names, struct slice name, struct msg_stamp *stamps,
                     size_t max);
/* The next current naming in (name, stamp) order behind `after` (its name and stamp are all that
 * is read; NULL: from the beginning), name starting with prefix; NULL at the end. is_conflict:
 * it is not the only one of its name; text (NAME_TEXT_SIZE): what it answers to. */
const struct naming *names_next(const struct names *names, struct slice prefix,
                                const struct naming *after, bool *is_conflict, char *text);
/* Order-independent digest of what is folded: equal entries, equal digests. */
uint64_t names_digest(const struct names *names);

#endif
