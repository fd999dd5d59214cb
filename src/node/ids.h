/* Short lists of nodes: who has a copy, who waits for an answer. Unordered; nobody is in one twice.
 */
#ifndef NODE_IDS_H
#define NODE_IDS_H

#include "base/id.h"

#include <stddef.h>

static inline bool ids_have(const struct id *ids, size_t count, const struct id *id)
{
    for (size_t i = 0; i < count; i++)
        if (id_equal(&ids[i], id)) return true;
    return false;
}

/* In a full list the oldest makes room. */
static inline void ids_add(struct id *ids, size_t *count, size_t max, const struct id *id)
{
    if (ids_have(ids, *count, id)) return;
    if (*count == max) {
        memmove(ids, ids + 1, (max - 1) * sizeof *ids);
        --*count;
    }
    ids[(*count)++] = *id;
}

static inline void ids_remove(struct id *ids, size_t *count, const struct id *id)
{
    for (size_t i = 0; i < *count; i++) {
        if (!id_equal(&ids[i], id)) continue;
        memmove(&ids[i], &ids[i + 1], (*count - i - 1) * sizeof *ids);
        --*count;
        return;
    }
}

#endif
