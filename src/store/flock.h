/* Who belongs to the flock, as the log tells: a fold over the entries joined, opened and left
 * that does not depend on the order of arrival. A node is on the roster from the first word of it
 * (its sponsor's `joined`, its own `opened`) until its `left`, and again from a later boot's
 * `opened` on. That a node is dead changes nothing here: it is waited for (design, section 7). */
#ifndef STORE_FLOCK_H
#define STORE_FLOCK_H

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "wire/stamp.h"

struct flock_node {
    struct id id;
    struct boot opened; /* the newest; zeros = none known yet */
    struct boot left;   /* the newest that left */
    bool has_left;
};

struct flock {
    struct memory *memory;
    struct map nodes;
    uint64_t revision; /* grows with every change */
};

void flock_init(struct flock *flock, struct memory *memory);
void flock_deinit(struct flock *flock);
/* Folds one entry; kinds that are not of the roster are ignored. ERROR_MEMORY (then it is void). */
enum error flock_apply(struct flock *flock, const struct stamped *entry) MUST_USE;

bool flock_has(const struct flock *flock, const struct id *id);
/* Those that are on it, in no order that means anything: start with *cursor = 0; NULL at the end.
 */
const struct flock_node *flock_next(const struct flock *flock, size_t *cursor);
size_t flock_count(const struct flock *flock);
/* Order-independent. */
uint64_t flock_digest(const struct flock *flock);

#endif
