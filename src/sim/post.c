/* A binary heap of pointers to letters. At any moment few are under way (ten thousand idle nodes
 * have about ten), so heap and letters stay in the processor's cache. */
#include "sim/post.h"

#include "sim/grow.h"

#include <assert.h>
#include <stdlib.h>

void post_init(struct post *post) { *post = (struct post){.heap = NULL}; }

void post_deinit(struct post *post)
{
    while (post->count > 0) post_put(post, post->heap[--post->count].letter);
    for (struct letter *letter = post->free, *next; letter != NULL; letter = next) {
        next = letter->next;
        free(letter);
    }
    free(post->heap);
    *post = (struct post){.heap = NULL};
}

static bool is_before(const struct post_item *a, const struct post_item *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void post_again(struct post *post, instant at, struct letter *letter)
{
    post->heap = sim_grow(post->heap, post->count, &post->capacity, sizeof *post->heap);
    struct post_item item = {at, post->order++, letter};
    size_t place = post->count++;
    for (; place > 0 && is_before(&item, &post->heap[(place - 1) / 2]); place = (place - 1) / 2)
        post->heap[place] = post->heap[(place - 1) / 2];
    post->heap[place] = item;
}

void post_send(struct post *post, instant at, enum letter_kind kind, uint32_t from, uint32_t to,
               struct slice payload)
{
    assert(payload.count <= FRAME_PAYLOAD_MAX);
    struct letter *letter = post->free;
    if (letter != NULL) post->free = letter->next;
    else letter = malloc(sizeof *letter);
    assert(letter != NULL);
    letter->kind = kind;
    letter->from = from;
    letter->to = to;
    letter->size = (uint32_t)payload.count;
    if (payload.count > 0) memcpy(letter->bytes, payload.at, payload.count);
    post_again(post, at, letter);
}

instant post_next(const struct post *post)
{
    return post->count > 0 ? post->heap[0].at : INSTANT_NEVER;
}

struct letter *post_take(struct post *post)
{
    assert(post->count > 0);
    struct letter *letter = post->heap[0].letter;
    struct post_item last = post->heap[--post->count];
    size_t place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= post->count) break;
        if (child + 1 < post->count && is_before(&post->heap[child + 1], &post->heap[child]))
            child++;
        if (!is_before(&post->heap[child], &last)) break;
        post->heap[place] = post->heap[child];
        place = child;
    }
    post->heap[place] = last;
    return letter;
}

void post_put(struct post *post, struct letter *letter)
{
    letter->next = post->free;
    post->free = letter;
}
