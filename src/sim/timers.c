/* A heap with four children a node (a third fewer cache lines on the way down than with two; Knuth,
 * TAOCP 3, 5.2.3) that knows where each owner stands. A node's deadline moves with each datagram it
 * gets, mostly by little, so the entry mostly stays: cheaper than a time wheel would be, and exact
 * to the microsecond. */
#include "sim/timers.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    CHILDREN = 4
};

void timers_init(struct timers *timers, uint32_t count)
{
    assert(count > 0);
    *timers = (struct timers){.count = count};
    timers->heap = malloc(count * sizeof *timers->heap);
    timers->places = malloc(count * sizeof *timers->places);
    assert(timers->heap != NULL && timers->places != NULL);
    for (uint32_t i = 0; i < count; i++) {
        timers->heap[i] = (struct timer){INSTANT_NEVER, i};
        timers->places[i] = i;
    }
}

void timers_deinit(struct timers *timers)
{
    free(timers->heap);
    free(timers->places);
    *timers = (struct timers){0};
}

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->at != b->at ? a->at < b->at : a->owner < b->owner;
}

static void put(struct timers *timers, uint32_t place, struct timer timer)
{
    timers->heap[place] = timer;
    timers->places[timer.owner] = place;
}

static uint32_t rise(struct timers *timers, uint32_t place, const struct timer *timer)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / CHILDREN;
        if (!is_before(timer, &timers->heap[parent])) break;
        put(timers, place, timers->heap[parent]);
        place = parent;
    }
    return place;
}

static uint32_t sink(struct timers *timers, uint32_t place, const struct timer *timer)
{
    for (;;) {
        uint32_t first = CHILDREN * place + 1, best = first;
        if (first >= timers->count) return place;
        uint32_t end = first + CHILDREN < timers->count ? first + CHILDREN : timers->count;
        for (uint32_t child = first + 1; child < end; child++)
            if (is_before(&timers->heap[child], &timers->heap[best])) best = child;
        if (!is_before(&timers->heap[best], timer)) return place;
        put(timers, place, timers->heap[best]);
        place = best;
    }
}

void timers_set(struct timers *timers, uint32_t owner, instant at)
{
    assert(owner < timers->count);
    struct timer timer = {at, owner};
    uint32_t place = timers->places[owner];
    if (timers->heap[place].at == at) return;
    place = rise(timers, place, &timer);
    place = sink(timers, place, &timer);
    put(timers, place, timer);
}

const struct timer *timers_first(const struct timers *timers) { return &timers->heap[0]; }
