/* A multi-value register a name (Shapiro et al. 2011, "A comprehensive study of Convergent and
 * Commutative Replicated Data Types", 3.2.2): the state is a set of namings, each with three
 * bits of fate that only ever go from no to yes: known, replaced, has a lesser twin. What is
 * current follows from them, so order cannot matter.
 *
 *   current(n) = n is known, no twin of n is replaced, n is the least of its known twins
 *
 * Twins are namings of one request: a ring through `twin`, n included (request zero: alone). An
 * entry is applied in two steps: room for all that it will touch, which can fail and leaves at
 * most placeholders without meaning; then the change, which cannot. */
#include "store/names.h"

#include "base/hash.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

enum {
    SUFFIX_SIZE = 9
}; /* "@" and 8 hex digits */

void names_init(struct names *names, struct memory *memory)
{
    *names = (struct names){.memory = memory, .last = &names->all};
    map_init(&names->by_stamp, memory, offsetof(struct naming, stamp), sizeof(struct msg_stamp));
    map_init(&names->by_request, memory, offsetof(struct naming, request), sizeof(struct id));
}

void names_deinit(struct names *names)
{
    for (struct naming *naming = names->all, *next; naming != NULL; naming = next) {
        next = naming->next;
        memory_put(names->memory, naming, sizeof *naming);
    }
    size_t size = names->current_capacity * sizeof *names->current;
    memory_put(names->memory, names->current, size);
    map_deinit(&names->by_stamp);
    map_deinit(&names->by_request);
    names_init(names, names->memory);
}

/* ---- current namings: an array in order of (name, stamp) ---- */

static int compare_text(const char *a, struct slice b) { return slice_compare(slice_string(a), b); }

static int compare(const struct naming *a, const struct naming *b)
{
    int order = compare_text(a->name, slice_string(b->name));
    return order != 0 ? order : stamp_compare(&a->stamp, &b->stamp);
}

/* The first current naming that is not before this name. */
static size_t find_name(const struct names *names, struct slice name)
{
    size_t low = 0, high = names->current_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_text(names->current[middle]->name, name) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The first current naming that is not before this one. */
static size_t find_naming(const struct names *names, const struct naming *naming)
{
    size_t low = 0, high = names->current_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(names->current[middle], naming) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool has_name(const struct names *names, size_t at, struct slice name)
{
    return at < names->current_count && compare_text(names->current[at]->name, name) == 0;
}

static void set_current(struct names *names, struct naming *naming, bool is_current)
{
    size_t at = find_naming(names, naming);
    struct naming **place = names->current + at;
    bool is_there = at < names->current_count && *place == naming;
    size_t behind = names->current_count - at;
    if (is_current && !is_there) {
        assert(names->current_count < names->current_capacity);
        if (behind > 0) memmove(place + 1, place, behind * sizeof *place);
        *place = naming;
        names->current_count++;
    } else if (!is_current && is_there) {
        memmove(place, place + 1, (behind - 1) * sizeof *place);
        names->current_count--;
    }
}

/* ---- the fold ---- */

/* The naming of this stamp, a placeholder when it was never heard of. NULL when out of memory. */
static struct naming *touch(struct names *names, const struct msg_stamp *stamp)
{
    struct naming *naming = map_get(&names->by_stamp, stamp);
    if (naming != NULL) return naming;
    naming = memory_take(names->memory, sizeof *naming);
    if (naming == NULL) return NULL;
    naming->stamp = *stamp;
    naming->twin = naming;
    if (map_add(&names->by_stamp, naming) != ERROR_NONE) {
        memory_put(names->memory, naming, sizeof *naming);
        return NULL;
    }
    *names->last = naming;
    names->last = &naming->next;
    return naming;
}

/* A naming's part of the digest; 0 for a placeholder without meaning. What it says follows from
 * its stamp. */
static uint64_t digest_of(const struct naming *naming)
{
    if (!naming->is_known && !naming->is_replaced) return 0;
    uint64_t words[2] = {stamp_hash(&naming->stamp), 2 * naming->is_known + naming->is_replaced};
    return hash64(words, sizeof words, 0);
}

/* The least known naming of a ring of twins; NULL when none is known yet. */
static const struct naming *least_twin(const struct naming *naming)
{
    const struct naming *least = NULL, *twin = naming;
    do {
        if (twin->is_known && (least == NULL || stamp_compare(&twin->stamp, &least->stamp) < 0))
            least = twin;
        twin = twin->twin;
    } while (twin != naming);
    return least;
}

/* Settles which of the twins is current. */
static void settle(struct names *names, struct naming *naming)
{
    const struct naming *least = least_twin(naming);
    struct naming *twin = naming;
    bool is_replaced = false;
    do {
        is_replaced = is_replaced || twin->is_replaced;
        twin = twin->twin;
    } while (twin != naming);
    do {
        if (twin->is_known) set_current(names, twin, twin == least && !is_replaced);
        twin = twin->twin;
    } while (twin != naming);
}

static void replace(struct names *names, const struct list *replaces)
{
    const struct msg_stamp *stamp = replaces->at;
    for (uint32_t i = 0; i < replaces->count; i++) {
        struct naming *naming = map_get(&names->by_stamp, &stamp[i]);
        assert(naming != NULL);
        if (naming->is_replaced) continue;
        names->digest -= digest_of(naming);
        naming->is_replaced = true;
        names->digest += digest_of(naming);
        settle(names, naming);
    }
}

/* Room for what an entry touches. */
static enum error reserve(struct names *names, const struct list *replaces)
{
    struct naming **current = memory_grow(names->memory, names->current, &names->current_capacity,
                                          names->current_count, sizeof *current);
    if (current == NULL) return ERROR_MEMORY;
    names->current = current;
    const struct msg_stamp *stamp = replaces->at;
    for (uint32_t i = 0; i < replaces->count; i++)
        if (touch(names, &stamp[i]) == NULL) return ERROR_MEMORY;
    return ERROR_NONE;
}

/* Finds the naming's twins, if it is not in their ring yet. ERROR_MEMORY. */
static enum error join_twins(struct names *names, struct naming *naming, const struct id *request)
{
    if (id_is_zero(request) || id_equal(&naming->request, request)) return ERROR_NONE;
    struct naming *twin = map_get(&names->by_request, request);
    naming->request = *request;
    if (twin != NULL) {
        naming->twin = twin->twin;
        twin->twin = naming;
        return ERROR_NONE;
    }
    enum error error = map_add(&names->by_request, naming);
    if (error != ERROR_NONE) naming->request = (struct id){{0}};
    return error;
}

static enum error apply_named(struct names *names, const struct msg_stamp *stamp,
                              const struct msg_named *named)
{
    assert(named->name.count < NAME_SIZE);
    struct naming *naming = touch(names, stamp);
    if (naming == NULL || reserve(names, &named->replaces) != ERROR_NONE) return ERROR_MEMORY;
    if (naming->is_known) return ERROR_NONE;
    if (join_twins(names, naming, &named->request) != ERROR_NONE) return ERROR_MEMORY;
    names->digest -= digest_of(naming);
    naming->is_known = true;
    if (named->name.count > 0) memcpy(naming->name, named->name.at, named->name.count);
    naming->manifest = named->manifest;
    naming->size = named->size;
    naming->replicas = named->replicas;
    names->digest += digest_of(naming);
    settle(names, naming);
    replace(names, &named->replaces);
    return ERROR_NONE;
}

static enum error apply_unnamed(struct names *names, const struct msg_unnamed *unnamed)
{
    enum error error = reserve(names, &unnamed->replaces);
    if (error == ERROR_NONE) replace(names, &unnamed->replaces);
    return error;
}

enum error names_apply(struct names *names, const struct stamped *entry)
{
    if (entry->fields == NULL) return ERROR_NONE;
    if (entry->kind == MSG_named) return apply_named(names, &entry->stamp, entry->fields);
    if (entry->kind == MSG_unnamed) return apply_unnamed(names, entry->fields);
    return ERROR_NONE;
}

/* ---- answers ---- */

/* "@" and the first 8 hex digits of the stamp's hash. */
static void suffix_of(const struct naming *naming, char text[SUFFIX_SIZE + 1])
{
    (void)snprintf(text, SUFFIX_SIZE + 1, "@%08x", (unsigned)(stamp_hash(&naming->stamp) >> 32));
}

const struct naming *names_find(const struct names *names, struct slice name)
{
    size_t at = find_name(names, name);
    if (has_name(names, at, name)) return names->current[at];
    if (name.count < SUFFIX_SIZE) return NULL;
    struct slice stem = slice_of(name.at, name.count - SUFFIX_SIZE);
    struct slice suffix = slice_of(name.at + stem.count, SUFFIX_SIZE);
    for (at = find_name(names, stem); has_name(names, at, stem); at++) {
        char text[SUFFIX_SIZE + 1];
        suffix_of(names->current[at], text);
        if (slice_equal(slice_string(text), suffix)) return names->current[at];
    }
    return NULL;
}

const struct naming *names_by_request(const struct names *names, const struct id *request)
{
    const struct naming *naming = map_get(&names->by_request, request);
    return naming == NULL ? NULL : least_twin(naming);
}

size_t names_current(const struct names *names, struct slice name, struct msg_stamp *stamps,
                     size_t max)
{
    size_t count = 0;
    for (size_t at = find_name(names, name); count < max && has_name(names, at, name); at++)
        stamps[count++] = names->current[at]->stamp;
    return count;
}

const struct naming *names_next(const struct names *names, struct slice prefix,
                                const struct naming *after, bool *is_conflict, char *text)
{
    size_t at = find_name(names, prefix);
    if (after != NULL) {
        size_t behind = find_naming(names, after);
        if (behind < names->current_count && compare(names->current[behind], after) == 0) behind++;
        if (behind > at) at = behind;
    }
    if (at == names->current_count) return NULL;
    const struct naming *naming = names->current[at];
    struct slice name = slice_string(naming->name);
    if (name.count < prefix.count || !slice_equal(slice_of(name.at, prefix.count), prefix))
        return NULL;
    bool is_least = at == 0 || !has_name(names, at - 1, name);
    char suffix[SUFFIX_SIZE + 1] = "";
    *is_conflict = !is_least || has_name(names, at + 1, name);
    if (!is_least) suffix_of(naming, suffix);
    (void)snprintf(text, NAME_TEXT_SIZE, "%s%s", naming->name, suffix);
    return naming;
}

uint64_t names_digest(const struct names *names) { return names->digest; }
