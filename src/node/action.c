#include "node/action.h"

#include <assert.h>
#include <string.h>

void actions_init(struct actions *actions, struct action *items, size_t capacity, void *arena,
                  size_t arena_size)
{
    *actions = (struct actions){.items = items, .capacity = capacity};
    arena_init(&actions->arena, arena, arena_size);
}

struct action *actions_push(struct actions *actions, enum action_kind kind)
{
    assert(actions->count < actions->capacity);
    struct action *action = &actions->items[actions->count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}
