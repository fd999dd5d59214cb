/* A binary heap of happenings (CLRS, chapter 6). Virtual time jumps from one to the next: an idle
 * minute costs nothing, which is what lets a run of two minutes of five nodes take a fraction of a
 * second. */
#include "sim/queue.h"

#include <assert.h>
#include <stdlib.h>

void queue_deinit(struct queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) free(queue->items[i].bytes);
    free(queue->items);
    *queue = (struct queue){0};
}

static bool is_before(const struct happening *a, const struct happening *b)
{
    return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

void queue_push(struct queue *queue, struct happening happening)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity == 0 ? 1024 : 2 * queue->capacity;
        queue->items = realloc(queue->items, queue->capacity * sizeof *queue->items);
        assert(queue->items != NULL);
    }
    happening.sequence = ++queue->sequence;
    size_t at = queue->count++;
    while (at > 0 && is_before(&happening, &queue->items[(at - 1) / 2])) {
        queue->items[at] = queue->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->items[at] = happening;
}

bool queue_pop(struct queue *queue, struct happening *happening)
{
    if (queue->count == 0) return false;
    *happening = queue->items[0];
    struct happening last = queue->items[--queue->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->count) break;
        if (child + 1 < queue->count && is_before(&queue->items[child + 1], &queue->items[child]))
            child++;
        if (!is_before(&queue->items[child], &last)) break;
        queue->items[at] = queue->items[child];
        at = child;
    }
    if (queue->count > 0) queue->items[at] = last;
    return true;
}

const char *happening_text(enum happening_kind kind)
{
    static const char *const texts[HAPPEN_COUNT] = {
        "tick",  "datagram", "accept", "opened",    "record",         "closed", "synced", "block",
        "fetch", "inputs",   "finish", "resolved",  "storage-failed", "leave",  "start",  "resume",
        "sweep", "client",   "history", "fault",  "fault-end", "heal",           "check",  "gone",
    };
    assert(kind < HAPPEN_COUNT);
    return texts[kind];
}
