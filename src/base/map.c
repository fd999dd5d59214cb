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

static const void *key_of(const struct map *map, const void *object)
{
    const uint8_t *holder = object;
    if (map->is_key_behind) memcpy(&holder, object, sizeof holder);
    return holder + map->key_offset;
}

static size_t home(const struct map *map, const void *key)
{
    uint64_t hash = map->key_size == 16 ? hash64_id(key) : hash64(key, map->key_size, 0);
    return (size_t)hash & (map->slots_count - 1);
}

/* Keys are ids and digests nearly always: words, and no call. */
static bool is_same(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a, *y = b;
    for (; size >= 8; size -= 8, x += 8, y += 8) {
        uint64_t left, right;
        memcpy(&left, x, 8);
        memcpy(&right, y, 8);
        if (left != right) return false;
    }
    return size == 0 || memcmp(x, y, size) == 0;
}

/* The slot that holds key, or the free slot where it would go. */
static size_t find(const struct map *map, const void *key)
{
    size_t at = home(map, key);
    while (map->slots[at] != NULL && !is_same(key_of(map, map->slots[at]), key, map->key_size))
        at = (at + 1) & (map->slots_count - 1);
    return at;
}

void *map_get(const struct map *map, const void *key)
{
    return map->slots_count == 0 ? NULL : map->slots[find(map, key)];
}

static enum error grow(struct map *map, size_t slots_count)
{
    struct map larger = *map;
    larger.slots_count = slots_count;
    larger.slots = memory_take(map->memory, larger.slots_count * sizeof *larger.slots);
    if (larger.slots == NULL) return ERROR_MEMORY;
    for (size_t i = 0; i < map->slots_count; i++)
        if (map->slots[i] != NULL)
            larger.slots[find(&larger, key_of(map, map->slots[i]))] = map->slots[i];
    memory_put(map->memory, map->slots, map->slots_count * sizeof *map->slots);
    *map = larger;
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
    size_t at = find(map, key_of(map, object));
    assert(map->slots[at] == NULL);
    map->slots[at] = object;
    map->count++;
    return ERROR_NONE;
}

void *map_remove(struct map *map, const void *key)
{
    if (map->slots_count == 0) return NULL;
    size_t hole = find(map, key);
    void *object = map->slots[hole];
    if (object == NULL) return NULL;
    size_t mask = map->slots_count - 1;
    for (size_t at = (hole + 1) & mask; map->slots[at] != NULL; at = (at + 1) & mask) {
        size_t wanted = home(map, key_of(map, map->slots[at]));
        /* It may fill the hole unless its home lies cyclically in (hole, at]. */
        if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
        map->slots[hole] = map->slots[at];
        hole = at;
    }
    map->slots[hole] = NULL;
    map->count--;
    return object;
}

void *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->slots_count) {
        void *object = map->slots[(*cursor)++];
        if (object != NULL) return object;
    }
    return NULL;
}
