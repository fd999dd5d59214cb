/* A binary heap of happenings (CLRS, chapter 6). Virtual time jumps from one to the next: an idle
 * minute costs nothing, which is what lets a run of two minutes of five nodes take a fraction of a
 * second. What moves in the heap is small; what happens stays in its slot. The heap's places behind
 * the last one name the slots that are free. */
#include "sim/queue.h"

#include <assert.h>
#include <stdlib.h>

void queue_deinit(struct queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) free(queue->items[queue->heap[i].slot].bytes);
    free(queue->items);
    free(queue->heap);
    *queue = (struct queue){0};
}

static bool is_before(const struct queued *a, const struct queued *b)
{
    return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

static void grow(struct queue *queue)
{
    queue->capacity = queue->capacity == 0 ? 1024 : 2 * queue->capacity;
    queue->items = realloc(queue->items, queue->capacity * sizeof *queue->items);
    queue->heap = realloc(queue->heap, queue->capacity * sizeof *queue->heap);
    assert(queue->items != NULL && queue->heap != NULL);
    for (size_t i = queue->count; i < queue->capacity; i++) queue->heap[i].slot = i;
}

void queue_push(struct queue *queue, struct happening happening)
{
    if (queue->count == queue->capacity) grow(queue);
    struct queued *heap = queue->heap;
    struct queued pushed = {happening.at, ++queue->sequence, heap[queue->count].slot};
    queue->items[pushed.slot] = happening;
    size_t at = queue->count++;
    for (; at > 0 && is_before(&pushed, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = pushed;
}

bool queue_pop(struct queue *queue, struct happening *happening)
{
    if (queue->count == 0) return false;
    struct queued *heap = queue->heap;
    size_t slot = heap[0].slot, at = 0, count = --queue->count;
    struct queued last = heap[count];
    *happening = queue->items[slot];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && is_before(&heap[child + 1], &heap[child]);
        if (!is_before(&heap[child], &last)) break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    heap[count].slot = slot;
    return true;
}

const char *happening_text(enum happening_kind kind)
{
    static const char *const texts[HAPPEN_COUNT] = {
        "tick",  "datagram", "accept",  "opened",   "record",         "closed", "synced", "block",
        "fetch", "inputs",   "finish",  "resolved", "storage-failed", "leave",  "start",  "resume",
        "sweep", "client",   "history", "fault",    "fault-end",      "heal",   "check",  "gone",
    };
    assert(kind < HAPPEN_COUNT);
    return texts[kind];
}
