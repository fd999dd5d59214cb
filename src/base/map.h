/* A hash table of pointers to objects that hold their own key: open addressing, linear probing,
 * backward-shift deletion (Knuth, TAOCP 3, 6.4, algorithm R), at most 3/4 full. The key is key_size
 * bytes at key_offset of the object, or of what the object's first pointer points to; it must not
 * change while the object is in the map. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The hash beside the object: who passes by looks at no object but the one that it wants. */
struct map_slot {
    void *object; /* NULL = free */
    uint64_t hash;
};

struct map {
    struct memory *memory;
    struct map_slot *slots; /* a power of two of them */
    size_t slots_count;
    size_t count;
    size_t key_offset;
    size_t key_size;
    bool is_key_behind; /* the object begins with a pointer to what has the key */
};

/* Borrows memory until map_deinit. Allocates nothing. */
void map_init(struct map *map, struct memory *memory, size_t key_offset, size_t key_size);
/* The same for objects that begin with a pointer to what holds the key, at key_offset there. */
void map_init_behind(struct map *map, struct memory *memory, size_t key_offset, size_t key_size);
/* Makes room for so many objects in all. ERROR_MEMORY. */
enum error map_reserve(struct map *map, size_t count) MUST_USE;
/* Frees the table, not the objects. */
void map_deinit(struct map *map);

/* The object with this key (key_size bytes), or NULL. */
void *map_get(const struct map *map, const void *key);
/* Adds an object whose key is not in the map yet (asserted). Borrows it. ERROR_MEMORY. */
enum error map_add(struct map *map, void *object) MUST_USE;
/* Takes the object with this key out and returns it; NULL when it is not there. */
void *map_remove(struct map *map, const void *key);

/* Walks all objects in table order: start with *cursor = 0; NULL at the end. The map must not
 * change between calls. The order depends only on the history of adds and removes, never on
 * addresses. */
void *map_next(const struct map *map, size_t *cursor);

#endif
