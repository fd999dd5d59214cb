/* Compaction carried out: what cut.c chose is kept, written and dropped, all feeds in one write, so
 * that a crash leaves either cut. The batches themselves are deleted from the disk later, a few at
 * a time; a start before that finds them below the base, and forgets them. And a peer's cut is
 * taken over (design, section 7: a peer behind the cut joins a snapshot with its own state and
 * keeps its unseen entries). The anchors' signatures prove how far each author came; that what is
 * kept of the prefix is true is taken from the peer, who holds the cluster's key. */
#include "store/log_state.h"

#include <assert.h>

static void put_word(uint8_t bytes[8], uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
}

/* The puts of one write, in scratch. */
struct puts {
    struct storage_put *items;
    size_t count, capacity;
};

static bool puts_take(struct puts *puts, size_t capacity, struct arena *scratch)
{
    *puts = (struct puts){.capacity = capacity};
    puts->items = arena_take(scratch, capacity * sizeof *puts->items);
    return puts->items != NULL;
}

static void puts_add(struct puts *puts, struct slice key, struct slice value)
{
    assert(puts->count < puts->capacity);
    puts->items[puts->count++] = (struct storage_put){key, value};
}

static bool puts_base(struct puts *puts, const struct id *node, const struct boot *boot,
                      uint64_t base, struct arena *scratch)
{
    uint8_t *bytes = arena_take(scratch, BASE_KEY_SIZE + 8);
    if (bytes == NULL) return false;
    batch_base_key(node, boot, bytes);
    put_word(bytes + BASE_KEY_SIZE, base);
    puts_add(puts, slice_of(bytes, BASE_KEY_SIZE), slice_of(bytes + BASE_KEY_SIZE, 8));
    return true;
}

static void puts_kept(struct puts *puts, const struct kept *kept)
{
    puts_add(puts, slice_of(kept->bytes, KEPT_KEY_SIZE),
             slice_of(kept->bytes + KEPT_KEY_SIZE, kept->size - KEPT_KEY_SIZE));
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
        fits =
            puts_base(puts, &feed->node, &feed->boot, feed->batches[feed->cut - 1].last, scratch);
        for (size_t k = before[i]; k < feed->kept_count; k++) puts_kept(puts, feed->kept[k]);
    }
    if (fits) log->counters.kept += kept;
    for (size_t i = 0; !fits && i < done; i++) feed_unkeep(feeds, feeds->items[i], before[i]);
    return fits;
}

size_t log_cut(struct log *log, const struct log_judge *judge, uint64_t *looked_at,
               struct arena *scratch)
{
    struct puts puts;
    assert(!log->is_delivering);
    size_t total = feeds_choose(&log->feeds, judge, looked_at, scratch);
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
    for (size_t i = 0; vector->complete && i < log->feeds.count; i++) {
        const struct log_feed *feed = log->feeds.items[i];
        uint64_t have = 0;
        if (feed->base == 0) continue;
        const struct msg_feed_position *position = vector->feeds.at;
        for (uint32_t p = 0; p < vector->feeds.count; p++)
            if (id_equal(&position[p].node, &feed->node) &&
                boot_equal(&position[p].boot, &feed->boot))
                have = position[p].have;
        if (have < feed->base) return true;
    }
    return false;
}

uint64_t log_cut_number(const struct log *log) { return feeds_cut_number(&log->feeds); }

bool log_snapshot_fill(const struct log *log, uint64_t first, struct msg_log_snapshot *page,
                       struct arena *arena)
{
    return feeds_snapshot(&log->feeds, first, page, arena);
}

/* ---- a snapshot is taken in ---- */

/* One anchor, checked: what is to become of its feed. *is_vain: nothing. */
static const char *plan_anchor(struct log *log, const struct piece *piece, struct plan *plan,
                               bool *is_vain, struct arena *scratch)
{
    const struct log_config *config = &log->config;
    struct slice bytes = slice_of(piece->bytes, piece->size);
    struct wire_message message;
    const char *reason = wire_unpack(&bytes, &message, scratch);
    if (reason != NULL) return reason;
    *plan = (struct plan){.message = *(const struct msg_log_batch *)message.fields};
    reason = batch_read(&plan->content, &plan->message, config->crypto, scratch);
    if (reason != NULL) return reason;
    const struct msg_batch_body *body = &plan->content.body;
    struct log_feed *feed = feeds_find(&log->feeds, &body->node, &body->boot);
    uint64_t last = body->first + plan->content.count - 1;
    plan->base = body->first - 1;
    *is_vain = feed != NULL && (feed->base >= plan->base || feed->is_quarantined);
    if (*is_vain) return NULL;
    plan->had = feed == NULL ? 0 : feed->have;
    plan->had_base = feed == NULL ? 0 : feed->base;
    plan->is_ahead = plan->had < last;
    bool is_later_self =
        id_equal(&body->node, &config->id) && boot_compare(&body->boot, &config->boot) >= 0;
    if (plan->is_ahead) {
        if (!batch_is_signed(config->crypto, &plan->content, &plan->message))
            return "signature is wrong";
        if (is_later_self) return log_found_usurper(log, &body->boot);
        return plan->had > plan->base ? log_fork : batch_unfold(&plan->content, scratch);
    }
    const struct batch *held = feed_batch(feed, body->first);
    if (held->first != body->first || !digest_equal(&held->digest, &plan->content.digest))
        return log_fork;
    return feed->durable < plan->base ? log_gap : NULL; /* our disk is behind: later */
}

static bool is_in_order(const struct plan *a, const struct plan *b)
{
    int order = id_compare(&a->content.body.node, &b->content.body.node);
    return order != 0 ? order < 0 : boot_compare(&a->content.body.boot, &b->content.body.boot) < 0;
}

static const char *plan_all(struct log *log, struct plan *plans, size_t *count,
                            struct arena *scratch)
{
    const char *reason = NULL;
    for (const struct piece *piece = log->intake.first; piece != NULL && reason == NULL;
         piece = piece->next) {
        bool is_vain = false;
        if (!piece->is_anchor) continue;
        reason = plan_anchor(log, piece, &plans[*count], &is_vain, scratch);
        if (reason != NULL || is_vain) continue;
        if (*count > 0 && !is_in_order(&plans[*count - 1], &plans[*count]))
            return "anchors out of order";
        ++*count;
    }
    return reason;
}

/* The kept entry of a piece when its feed is to be cut there and lacks it; NULL. */
static struct plan *plan_of(struct plan *plans, size_t count, const struct piece *piece,
                            struct stamped *entry, struct msg_log_kept *kept, struct arena *scratch)
{
    struct slice bytes = slice_of(piece->bytes, piece->size);
    struct wire_message message;
    if (wire_unpack(&bytes, &message, scratch) != NULL) return NULL;
    *kept = *(const struct msg_log_kept *)message.fields;
    const struct wire_schema *schema = wire_schema(kept->kind);
    void *fields = schema == NULL ? NULL : arena_take(scratch, wire_struct_size(schema));
    if (!batch_is_kind(kept->kind)) return NULL;
    if (schema != NULL &&
        (fields == NULL || wire_decode_all(schema, fields, kept->body, scratch) != NULL))
        return NULL;
    *entry = (struct stamped){.stamp = kept->stamp, .kind = kept->kind, .fields = fields};
    for (size_t i = 0; i < count; i++) {
        const struct msg_batch_body *body = &plans[i].content.body;
        if (!id_equal(&body->node, &kept->stamp.node) ||
            !boot_equal(&body->boot, &kept->stamp.boot))
            continue;
        bool is_lacked =
            kept->stamp.sequence > plans[i].had_base && kept->stamp.sequence <= plans[i].base;
        return is_lacked ? &plans[i] : NULL;
    }
    return NULL;
}

/* Moves the feeds and keeps what is kept; false: out of memory half-way. */
static bool adopt_feeds(struct log *log, struct plan *plans, size_t count, struct puts *puts,
                        struct arena *scratch)
{
    struct feeds *feeds = &log->feeds;
    for (size_t i = 0; i < count; i++) {
        struct plan *plan = &plans[i];
        const struct msg_batch_body *body = &plan->content.body;
        struct log_feed *feed = plan->feed = feeds_get(feeds, &body->node, &body->boot);
        if (feed == NULL) return false;
        if (plan->base > 0 && !puts_base(puts, &body->node, &body->boot, plan->base, scratch))
            return false;
        size_t gone = plan->is_ahead ? 0 : (size_t)(feed_batch(feed, body->first) - feed->batches);
        bool fits = plan->base == 0  ? true
                    : plan->is_ahead ? feed_rebase(feeds, feed, plan->base)
                                     : feed_drop(feeds, feed, gone);
        if (!fits) return false;
    }
    for (const struct piece *piece = log->intake.first; piece != NULL; piece = piece->next) {
        struct stamped entry;
        struct msg_log_kept fields;
        size_t mark = scratch->used;
        struct plan *plan =
            piece->is_anchor ? NULL : plan_of(plans, count, piece, &entry, &fields, scratch);
        if (plan != NULL) {
            const struct log_feed *feed = plan->feed;
            bool is_next = feed->kept_count == 0 ||
                           feed->kept[feed->kept_count - 1]->sequence < fields.stamp.sequence;
            const struct kept *kept = is_next ? feed_keep(feeds, plan->feed, &fields) : NULL;
            plan->feed->waits++; /* its next pruning tells */
            if (is_next && kept == NULL) return false;
            if (kept != NULL) puts_kept(puts, kept);
        }
        scratch->used = mark;
    }
    return true;
}

static bool adopt_anchors(struct log *log, struct plan *plans, size_t count, struct puts *puts)
{
    for (size_t i = 0; i < count; i++) {
        if (!plans[i].is_ahead) continue;
        const struct batch *batch =
            log_keep(log, &plans[i].content, &plans[i].message, log->token + 1);
        if (batch == NULL) return false;
        puts_add(puts, batch_stored_key(batch), batch_stored_value(batch));
    }
    return true;
}

/* What is new to the fold. */
static void deliver_adopted(struct log *log, struct plan *plans, size_t count,
                            struct arena *scratch)
{
    const struct log_ports *ports = &log->config.ports;
    log->is_delivering = true;
    for (const struct piece *piece = log->intake.first; piece != NULL; piece = piece->next) {
        struct stamped entry;
        struct msg_log_kept fields;
        if (piece->is_anchor) continue;
        size_t mark = scratch->used;
        const struct plan *plan = plan_of(plans, count, piece, &entry, &fields, scratch);
        size_t filled = scratch->used;
        lamport_see(&log->clock, plan == NULL ? 0 : fields.stamp.time);
        if (plan != NULL && fields.stamp.sequence > plan->had) ports->entry(ports->context, &entry);
        if (scratch->used == filled) scratch->used = mark;
    }
    log->is_delivering = false;
    for (size_t i = 0; i < count; i++)
        if (plans[i].is_ahead) log_deliver(log, &plans[i].content);
}

static const char *adopt(struct log *log, struct arena *scratch)
{
    const struct log_ports *ports = &log->config.ports;
    struct puts puts;
    size_t count = 0;
    struct plan *plans = arena_take(scratch, (size_t)(log->intake.count + 1) * sizeof *plans);
    if (plans == NULL) return log_gap; /* too large for a step: never, at 4096 items a page */
    const char *reason = plan_all(log, plans, &count, scratch);
    if (reason != NULL || count == 0) return reason;
    if (!puts_take(&puts, (size_t)log->intake.count + 2 * count, scratch)) return log_gap;
    if (!adopt_feeds(log, plans, count, &puts, scratch)) return log_memory;
    if (!adopt_anchors(log, plans, count, &puts)) return log_memory;
    ports->persist(ports->context, ++log->token, puts.items, puts.count);
    deliver_adopted(log, plans, count, scratch);
    return NULL;
}

const char *log_snapshot_take(struct log *log, const struct msg_log_snapshot *page,
                              const struct id *from, uint64_t *wanted, struct arena *scratch)
{
    struct intake *intake = &log->intake;
    bool is_offer = page->anchors.count + page->entries.count == 0;
    assert(!log->is_delivering);
    *wanted = UINT64_MAX;
    if (intake->number != page->number && page->first > 0) return NULL; /* of a cut forgotten */
    if (intake->number != page->number) intake_reset(intake, page->number, log->memory);
    if (!is_offer && page->first != intake->count) return NULL;              /* asked for twice */
    if (!is_offer && !intake_add(intake, page, log->memory)) return log_gap; /* again, later */
    *wanted = is_offer || page->more ? intake->count : UINT64_MAX;
    if (*wanted != UINT64_MAX) return NULL;
    const char *reason = adopt(log, scratch);
    intake_reset(intake, 0, log->memory);
    if (reason != NULL) log_count_refusal(log, reason, from);
    return reason;
}
