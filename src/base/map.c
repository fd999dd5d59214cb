#include "base/map.h"

#include "base/hash.h"

#include <assert.h>
#include <string.h>

void map_init(struct map *map, struct memory *memory, size_t key_offset, size_t key_size)
{
    assert(key_size > 0);
    *map = (struct map){.memory = memory, .key_offset = key_offset, .key_size = key_size};
}

void map_init_behind(struct map *map, struct memory *memory, size_t key_offset, size_t key_size)
{
    map_init(map, memory, key_offset, key_size);
    map->is_key_behind = true;
}

void map_deinit(struct map *map)
{
    memory_put(map->memory, map->slots, map->slots_count * sizeof *map->slots);
    map->slots = NULL;
    map->slots_count = map->count = 0;
}

static inline const void *key_of(const struct map *map, const void *object)
{
    const uint8_t *holder = object;
    if (map->is_key_behind) memcpy(&holder, object, sizeof holder);
    return holder + map->key_offset;
}

static inline uint64_t hash_of(const struct map *map, const void *key)
{
    return map->key_size == 16 ? hash64_id(key) : hash64(key, map->key_size, 0);
}

/* Keys are ids and digests nearly always: words, and no call, which would cost the loop around it
 * more than the words do. */
static inline bool is_same(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (; size >= 8; size -= 8, a += 8, b += 8) {
        uint64_t left, right;
        memcpy(&left, a, sizeof left);
        memcpy(&right, b, sizeof right);
        if (left != right) return false;
    }
    while (size > 0 && *a == *b) size--, a++, b++;
    return size == 0;
}

/* The slot that holds key, or the free slot where it would go. */
static inline struct map_slot *find(const struct map *map, const void *key, uint64_t hash)
{
    size_t mask = map->slots_count - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        struct map_slot *slot = &map->slots[at];
        if (slot->object == NULL) return slot;
        if (slot->hash == hash && is_same(key_of(map, slot->object), key, map->key_size))
            return slot;
    }
}

void *map_get(const struct map *map, const void *key)
{
    return map->count == 0 ? NULL : find(map, key, hash_of(map, key))->object;
}

static enum error grow(struct map *map, size_t slots_count)
{
    size_t mask = slots_count - 1;
    struct map_slot *slots = memory_take(map->memory, slots_count * sizeof *slots);
    if (slots == NULL) return ERROR_MEMORY;
    for (size_t i = 0; i < map->slots_count; i++) {
        const struct map_slot *slot = &map->slots[i];
        if (slot->object == NULL) continue;
        size_t at = (size_t)slot->hash & mask;
        while (slots[at].object != NULL) at = (at + 1) & mask;
        slots[at] = *slot;
    }
    memory_put(map->memory, map->slots, map->slots_count * sizeof *slots);
    map->slots = slots;
    map->slots_count = slots_count;
    return ERROR_NONE;
}

enum error map_reserve(struct map *map, size_t count)
{
    size_t slots_count = map->slots_count == 0 ? 16 : map->slots_count;
    while (4 * count > 3 * slots_count) slots_count *= 2;
    return slots_count > map->slots_count ? grow(map, slots_count) : ERROR_NONE;
}

enum error map_add(struct map *map, void *object)
{
    if (4 * (map->count + 1) > 3 * map->slots_count) {
        enum error error = grow(map, map->slots_count == 0 ? 16 : 2 * map->slots_count);
        if (error != ERROR_NONE) return error;
    }
    const void *key = key_of(map, object);
    uint64_t hash = hash_of(map, key);
    struct map_slot *slot = find(map, key, hash);
    assert(slot->object == NULL);
    *slot = (struct map_slot){object, hash};
    map->count++;
    return ERROR_NONE;
}

void *map_remove(struct map *map, const void *key)
{
    if (map->count == 0) return NULL;
    struct map_slot *slots = map->slots, *hole = find(map, key, hash_of(map, key));
    void *object = hole->object;
    if (object == NULL) return NULL;
    size_t mask = map->slots_count - 1;
    for (size_t at = (size_t)(hole - slots + 1) & mask; slots[at].object != NULL;
         at = (at + 1) & mask) {
        /* It may fill the hole unless its home lies cyclically in (hole, at]. */
        if (((at - slots[at].hash) & mask) < ((at - (size_t)(hole - slots)) & mask)) continue;
        *hole = slots[at];
        hole = &slots[at];
    }
    hole->object = NULL;
    map->count--;
    return object;
}

void *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->slots_count) {
        void *object = map->slots[(*cursor)++].object;
        if (object != NULL) return object;
    }
    return NULL;
}
