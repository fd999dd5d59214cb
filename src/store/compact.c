/* Compaction carried out: what cut.c chose is kept, written and dropped, all feeds in one write, so
 * that a crash leaves either cut. The batches themselves are deleted from the disk later, a few at
 * a time; a start before that finds them below the base, and forgets them. */
#include "store/log_state.h"

#include <assert.h>

static void put_word(uint8_t bytes[8], uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
}

bool puts_take(struct puts *puts, size_t capacity, struct arena *arena)
{
    *puts = (struct puts){.arena = arena, .capacity = capacity};
    puts->items = arena_take(arena, capacity * sizeof *puts->items);
    return puts->items != NULL || capacity == 0;
}

void puts_add(struct puts *puts, struct slice key, struct slice value)
{
    assert(puts->count < puts->capacity);
    puts->items[puts->count++] = (struct storage_put){key, value};
}

bool puts_base(struct puts *puts, const struct id *node, const struct boot *boot, uint64_t base)
{
    uint8_t *bytes = arena_take(puts->arena, BASE_KEY_SIZE + 8);
    if (bytes == NULL) return false;
    batch_base_key(node, boot, bytes);
    put_word(bytes + BASE_KEY_SIZE, base);
    puts_add(puts, slice_of(bytes, BASE_KEY_SIZE), slice_of(bytes + BASE_KEY_SIZE, 8));
    return true;
}

static void puts_kept(struct puts *puts, const struct kept *kept)
{
    puts_add(puts, slice_of(kept->bytes, KEPT_KEY_SIZE), kept_value(kept));
}

/* Writes what cutting all feeds as chosen means; false, and nothing changed, without memory. */
static bool cut_prepare(struct log *log, const struct log_judge *judge, struct puts *puts,
                        struct arena *scratch)
{
    struct feeds *feeds = &log->feeds;
    size_t kept = 0, done = 0;
    bool fits = true;
    size_t *before = arena_take(scratch, feeds->count * sizeof *before);
    if (before == NULL) return false;
    for (; fits && done < feeds->count; done++) {
        before[done] = feeds->items[done]->kept_count;
        fits = feed_doom_reserve(feeds, feeds->items[done], feeds->items[done]->cut) &&
               feed_keep_cut(feeds, feeds->items[done], judge, scratch);
        kept += feeds->items[done]->kept_count - before[done];
    }
    fits = fits && puts_take(puts, kept + feeds->count, scratch);
    for (size_t i = 0; fits && i < feeds->count; i++) {
        const struct log_feed *feed = feeds->items[i];
        if (feed->cut == 0) continue;
        fits = puts_base(puts, &feed->node, &feed->boot, feed->batches[feed->cut - 1].last);
        for (size_t k = before[i]; k < feed->kept_count; k++) puts_kept(puts, feed->kept[k]);
    }
    if (fits) log->counters.kept += kept;
    for (size_t i = 0; !fits && i < done; i++) feed_unkeep(feeds, feeds->items[i], before[i]);
    return fits;
}

size_t log_cut(struct log *log, const struct log_judge *judge, struct log_pass *pass,
               struct arena *scratch)
{
    struct puts puts;
    assert(!log->is_delivering);
    size_t total = feeds_choose(&log->feeds, judge, pass, scratch);
    if (total == 0 || !cut_prepare(log, judge, &puts, scratch)) return 0;
    for (size_t i = 0; i < log->feeds.count; i++) {
        struct log_feed *feed = log->feeds.items[i];
        for (size_t b = 0; b < feed->cut; b++)
            log->counters.bytes -= batch_stored_value(&feed->batches[b]).count;
        bool fits = feed_drop(&log->feeds, feed, feed->cut);
        assert(fits); /* room was made for it */
        (void)fits;
    }
    log->counters.cut += total;
    log->config.ports.persist(log->config.ports.context, ++log->token, puts.items, puts.count);
    return total;
}

struct pruning {
    struct puts *puts;
    struct arena *scratch;
};

static void prune_one(void *context, const struct kept *kept)
{
    struct pruning *pruning = context;
    uint8_t *key = arena_take(pruning->scratch, KEPT_KEY_SIZE);
    if (key == NULL) return; /* the disk keeps it until it is read again: it is void there, too */
    memcpy(key, kept->bytes, KEPT_KEY_SIZE);
    puts_add(pruning->puts, slice_of(key, KEPT_KEY_SIZE), slice_of(NULL, 0));
}

size_t log_prune(struct log *log, const struct log_judge *judge, size_t max, struct arena *scratch)
{
    struct puts puts;
    struct arena keys;
    size_t total = 0;
    void *memory = arena_take(scratch, max * (KEPT_KEY_SIZE + 16));
    if (memory == NULL || !puts_take(&puts, max, scratch)) return 0;
    arena_init(&keys, memory, max * (KEPT_KEY_SIZE + 16));
    struct pruning pruning = {&puts, &keys};
    for (size_t i = 0; i < log->feeds.count; i++) log->feeds.items[i]->cut = 0;
    for (size_t i = 0; i < log->feeds.count && total < max; i++)
        total += feed_prune(&log->feeds, log->feeds.items[i], judge, max - total, prune_one,
                            &pruning, scratch);
    if (puts.count > 0)
        log->config.ports.persist(log->config.ports.context, ++log->token, puts.items, puts.count);
    return total;
}

bool log_sweep(struct log *log, size_t max, struct arena *scratch)
{
    struct puts puts;
    bool has_more = false;
    if (!puts_take(&puts, max, scratch)) return true;
    for (size_t i = 0; i < log->feeds.count; i++) {
        struct log_feed *feed = log->feeds.items[i];
        while (feed->doomed_count > 0 && puts.count < max) {
            uint8_t *key = arena_take(scratch, BATCH_KEY_SIZE);
            if (key == NULL) break;
            batch_key(&feed->node, &feed->boot, feed->doomed[--feed->doomed_count], key);
            puts_add(&puts, slice_of(key, BATCH_KEY_SIZE), slice_of(NULL, 0));
        }
        has_more = has_more || feed->doomed_count > 0;
        feed->doomed = memory_shrink(log->memory, feed->doomed, &feed->doomed_capacity,
                                     feed->doomed_count, sizeof *feed->doomed);
    }
    if (puts.count > 0)
        log->config.ports.persist(log->config.ports.context, ++log->token, puts.items, puts.count);
    return has_more;
}

bool log_is_cut_off(const struct log *log, const struct msg_log_vector *vector)
{
    const struct msg_feed_position *position = vector->feeds.at;
    size_t cut = 0, reached = 0, cursor = 0;
    if (!vector->complete) return false;
    for (size_t i = 0; i < log->feeds.count; i++) cut += log->feeds.items[i]->base > 0;
    for (uint32_t i = 0; i < vector->feeds.count && reached < cut; i++) {
        const struct log_feed *feed =
            feeds_seek(&log->feeds, &cursor, &position[i].node, &position[i].boot);
        reached += feed != NULL && feed->base > 0 && position[i].have >= feed->base;
    }
    return reached < cut;
}

uint64_t log_cut_number(const struct log *log) { return feeds_cut_number(&log->feeds); }

bool log_snapshot_fill(const struct log *log, uint64_t first, struct msg_log_snapshot *page,
                       struct arena *arena)
{
    return feeds_snapshot(&log->feeds, first, page, arena);
}
