/* The registry with no centre: datasets' names, a fold over named and unnamed entries. A naming lists the namings that it
 * replaces; concurrent ones all survive: the least in total order answers to NAME, the others to NAME@id (first 8 hex digits of the
 * stamp's hash); `ls` marks the conflict. Order of arrival does not matter: a replacement that arrives before what it replaces
 * is remembered. */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "wire/stamp.h"

enum { NAME_SIZE = 256 };

/* One naming that has been made; replaced ones stay as tombstones (their stamp only). */
struct naming {
    struct msg_stamp stamp;
    bool is_known;      /* its entry has come (else only named in somebody's `replaces`) */
    bool is_replaced;
    char name[NAME_SIZE];
    struct msg_block_ref manifest;
    uint64_t size;
    uint8_t replicas;
    struct id request;
    struct naming *next; /* in names.all, in order of arrival */
};

struct names {
    struct memory *memory;
    struct map by_stamp;
    struct naming *all;
};

void names_init(struct names *names, struct memory *memory);
void names_deinit(struct names *names);
/* Folds named and unnamed; others are ignored. ERROR_MEMORY. */
enum error names_apply(struct names *names, const struct stamped *entry) MUST_USE;
/* The naming that answers to NAME or NAME@id; NULL when none. */
const struct naming *names_find(const struct names *names, struct slice name);
/* The naming made by this request, replaced or not; NULL. */
const struct naming *names_by_request(const struct names *names, const struct id *request);
/* All current namings of exactly this name, their stamps, at most max; returns how many. */
size_t names_current(const struct names *names, struct slice name, struct msg_stamp *stamps, size_t max);
/* The next current naming in (name, stamp) order behind (after, after_stamp), name starting with prefix; NULL at the end. after empty: from
 * the beginning. is_conflict: it is not the only one of its name; text (NAME_SIZE + 16): what it answers to. */
const struct naming *names_next(const struct names *names, struct slice prefix, const struct naming *after,
                                bool *is_conflict, char *text);
uint64_t names_digest(const struct names *names);

#endif
