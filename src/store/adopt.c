/* Taking over another replica's cut (design, section 7: a peer behind the cut joins a snapshot with
 * its own state and keeps its unseen entries).
 *
 *   anchors --> a plan for each feed of which we hold less --> kept entries, written as they come
 *   last page --> feeds move to their bases, anchors are put behind them --> what is new is folded
 *
 * A feed that we hold up to its anchor is left as it is: cuts join feed by feed (cut.c). Anchors
 * are signed by their authors, so how far each came can't be lied about; that what is kept of the
 * prefix is true is taken from the peer, who holds the cluster's key. But it may not contradict
 * what we hold of it, nor the order of times, nor name a time that no honest clock has reached. And
 * what it leaves out of what we hold is kept all the same, until our own pruning finds it void: it
 * has been folded here, and must be after a start.
 *
 * Kept entries that are on the disk above their feed's base are of a snapshot that never came to
 * its end: a start passes over them. */
#include "store/log_state.h"

#include <assert.h>
#include <string.h>

enum {
    OTHER_PUTS = 2,   /* of a feed that moves: its base, its anchor */
    OWN_MAX = 100000, /* own entries kept at once: some megabytes of the step's memory. Of more,
                         what the snapshot says must do */
};

static void plan_put(struct plan *plan, struct memory *memory)
{
    for (size_t i = 0; i < plan->kept_count; i++)
        if (plan->kept[i] != NULL) kept_put(plan->kept[i], memory);
    memory_put(memory, plan->kept, plan->kept_capacity * sizeof(struct kept *));
    memory_put(memory, plan->anchor, plan->anchor_size);
}

void intake_reset(struct intake *intake, uint64_t number, struct memory *memory)
{
    for (size_t i = 0; i < intake->plans_count; i++) plan_put(&intake->plans[i], memory);
    memory_put(memory, intake->plans, intake->plans_capacity * sizeof *intake->plans);
    *intake = (struct intake){.number = number};
}

static int plan_compare(const struct plan *plan, const struct id *node, const struct boot *boot)
{
    int order = id_compare(&plan->node, node);
    return order != 0 ? order : boot_compare(&plan->boot, boot);
}

static struct plan *plan_find(struct intake *intake, const struct id *node, const struct boot *boot)
{
    size_t low = 0, high = intake->plans_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan_compare(&intake->plans[middle], node, boot) < 0) low = middle + 1;
        else high = middle;
    }
    bool is_it = low < intake->plans_count && plan_compare(&intake->plans[low], node, boot) == 0;
    return is_it ? &intake->plans[low] : NULL;
}

/* ---- a page comes ---- */

static const char *plan_add(struct log *log, const struct content *content,
                            const struct msg_log_batch *message)
{
    struct intake *intake = &log->intake;
    const struct msg_batch_body *body = &content->body;
    size_t size = wire_packed_size(&wire_log_batch, message);
    struct plan *plans = memory_grow(log->memory, intake->plans, &intake->plans_capacity,
                                     intake->plans_count, sizeof *plans);
    if (plans == NULL) return log_no_room;
    intake->plans = plans;
    if (intake->plans_count > 0 &&
        plan_compare(&plans[intake->plans_count - 1], &body->node, &body->boot) >= 0)
        return "anchors out of order";
    uint8_t *anchor = memory_take(log->memory, size);
    if (anchor == NULL) return log_no_room;
    struct writer writer = writer_of(anchor, size);
    bool fits = wire_pack(&wire_log_batch, message, &writer);
    assert(fits);
    (void)fits;
    intake->size += size;
    plans[intake->plans_count++] = (struct plan){
        .node = body->node,
        .boot = body->boot,
        .base = body->first - 1,
        .last = body->first + content->count - 1,
        .time = content->entries[0].time,
        .anchor = anchor,
        .anchor_size = size,
    };
    return NULL;
}

static const char *take_anchor(struct log *log, const struct msg_log_batch *message,
                               struct arena *scratch)
{
    const struct log_config *config = &log->config;
    struct content content;
    const char *reason = batch_read(&content, message, config->crypto, scratch);
    if (reason != NULL) return reason;
    const struct msg_batch_body *body = &content.body;
    struct log_feed *feed = feeds_find(&log->feeds, &body->node, &body->boot);
    uint64_t last = body->first + content.count - 1, had = feed == NULL ? 0 : feed->have;
    if (content.entries[content.count - 1].time > LOG_TIME_MAX) return "time beyond all clocks";
    if (feed != NULL && (feed->is_quarantined || had >= last)) return NULL;
    if (!batch_is_signed(config->crypto, &content, message)) return "signature is wrong";
    if (id_equal(&body->node, &config->id) && boot_compare(&body->boot, &config->boot) >= 0)
        return log_found_usurper(log, &body->boot);
    /* We hold a part of it, and so not the same: two histories. The others' feeds are no worse. */
    if (had > body->first - 1) {
        (void)log_found_fork(log, feed);
        return NULL;
    }
    reason = batch_unfold(&content, scratch);
    return reason != NULL ? reason : plan_add(log, &content, message);
}

/* What we hold at this place says the same? */
static bool is_as_held(const struct log_feed *feed, const struct msg_log_kept *kept,
                       struct arena *scratch)
{
    const struct batch *batch = feed_batch(feed, kept->stamp.sequence);
    struct msg_batch_body body;
    assert(batch != NULL);
    if (wire_decode_all(&wire_batch_body, &body, batch->message.body, scratch) != NULL)
        return false;
    const struct msg_entry *entries = body.entries.at;
    const struct msg_entry *held = &entries[kept->stamp.sequence - batch->first];
    return held->time == kept->stamp.time && held->kind == kept->kind &&
           slice_equal(held->body, kept->body);
}

/* Can't be an entry at all? */
static const char *judge_kept(const struct msg_log_kept *kept, struct arena *scratch)
{
    const struct wire_schema *schema = wire_schema(kept->kind);
    if (!batch_is_kind(kept->kind)) return "not a kind of entry";
    if (kept->stamp.time == 0 || kept->stamp.time > LOG_TIME_MAX) return "time beyond all clocks";
    if (schema == NULL) return NULL;
    void *fields = arena_take(scratch, wire_struct_size(schema));
    return fields == NULL ? log_no_room : wire_decode_all(schema, fields, kept->body, scratch);
}

static const char *take_kept(struct log *log, const struct msg_log_kept *kept, struct puts *puts,
                             struct arena *scratch)
{
    const struct msg_stamp *stamp = &kept->stamp;
    struct plan *plan = plan_find(&log->intake, &stamp->node, &stamp->boot);
    const struct log_feed *feed = feeds_find(&log->feeds, &stamp->node, &stamp->boot);
    const char *reason = judge_kept(kept, scratch);
    if (reason != NULL || plan == NULL) return reason;
    uint64_t after = plan->kept_count == 0 ? 0 : plan->kept[plan->kept_count - 1]->sequence;
    if (stamp->sequence <= after || stamp->sequence > plan->base)
        return "kept entries out of order";
    if (stamp->time <= plan->kept_time || stamp->time >= plan->time) return "times do not increase";
    plan->kept_time = stamp->time;
    if (feed != NULL && stamp->sequence <= feed->base) return NULL; /* ours tell as much */
    if (feed != NULL && stamp->sequence <= feed->have && !is_as_held(feed, kept, scratch))
        return "contradicts what is held";
    struct kept **grown =
        memory_grow(log->memory, plan->kept, &plan->kept_capacity, plan->kept_count, sizeof *grown);
    if (grown == NULL) return log_no_room;
    plan->kept = grown;
    struct kept *made = kept_make(kept, log->memory);
    if (made == NULL) return log_no_room;
    plan->kept[plan->kept_count++] = made;
    log->intake.size += sizeof *made + made->size;
    uint8_t *copy = arena_take(puts->arena, made->size);
    assert(copy != NULL);
    memcpy(copy, made->bytes, made->size);
    puts_add(puts, slice_of(copy, KEPT_KEY_SIZE),
             slice_of(copy + KEPT_KEY_SIZE, made->size - KEPT_KEY_SIZE));
    return NULL;
}

/* Room for the puts of all entries of a page, and for copies of them: the snapshot may be forgotten
 * while they are under way. */
static bool puts_take_page(struct puts *puts, const struct msg_log_snapshot *page,
                           struct arena *copies, struct arena *scratch)
{
    const struct msg_log_kept *entries = page->entries.at;
    size_t size = 0;
    for (uint32_t i = 0; i < page->entries.count; i++)
        size +=
            KEPT_KEY_SIZE + wire_packed_size(&wire_log_kept, &entries[i]) + 16; /* of alignment */
    void *memory = arena_take(scratch, size);
    if (!puts_take(puts, page->entries.count, scratch) || (memory == NULL && size > 0))
        return false;
    arena_init(copies, memory, size);
    puts->arena = copies;
    return true;
}

/* Everything of one page; what is kept is written. */
static const char *take_page(struct log *log, const struct msg_log_snapshot *page,
                             struct arena *scratch)
{
    const struct msg_log_batch *anchors = page->anchors.at;
    const struct msg_log_kept *entries = page->entries.at;
    const char *reason = NULL;
    struct puts puts;
    struct arena copies;
    if (!puts_take_page(&puts, page, &copies, scratch)) return log_no_room;
    for (uint32_t i = 0; i < page->anchors.count && reason == NULL; i++) {
        size_t mark = scratch->used;
        reason = take_anchor(log, &anchors[i], scratch);
        scratch->used = mark;
    }
    for (uint32_t i = 0; i < page->entries.count && reason == NULL; i++) {
        size_t mark = scratch->used;
        reason = take_kept(log, &entries[i], &puts, scratch);
        scratch->used = mark;
    }
    log->intake.count += page->anchors.count + page->entries.count;
    if (reason == NULL && log->intake.size > log->memory->budget / 4) reason = log_no_room;
    if (reason == NULL && puts.count > 0)
        log->config.ports.persist(log->config.ports.context, ++log->token, puts.items, puts.count);
    return reason;
}

/* ---- the last one is here ---- */

/* What a plan came to, by what we hold now, which may be more than when its anchor came. */
struct adopted {
    const struct batch *anchor; /* NULL: nothing */
    uint64_t had;               /* what is up to there has been folded */
    const struct log_feed *feed;
    size_t kept_from; /* of feed->kept, the first one that came now */
};

/* The place among the plan's entries where this sequence is, or would be. */
static size_t place_of(const struct plan *plan, uint64_t sequence)
{
    size_t low = 0, high = plan->kept_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->kept[middle]->sequence < sequence) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool keep_one(struct log *log, struct plan *plan, const struct msg_log_kept *entry,
                     struct puts *puts)
{
    size_t at = place_of(plan, entry->stamp.sequence);
    if (at < plan->kept_count && plan->kept[at]->sequence == entry->stamp.sequence) return true;
    if (puts->count + OTHER_PUTS * log->intake.plans_count >= puts->capacity) return true;
    struct kept **grown =
        memory_grow(log->memory, plan->kept, &plan->kept_capacity, plan->kept_count, sizeof *grown);
    if (grown == NULL) return false;
    plan->kept = grown;
    struct kept *made = kept_make(entry, log->memory);
    if (made == NULL) return false;
    memmove(grown + at + 1, grown + at, (plan->kept_count++ - at) * sizeof *grown);
    grown[at] = made;
    puts_add(puts, slice_of(made->bytes, KEPT_KEY_SIZE), kept_value(made));
    return true;
}

/* Adds to the plan what we hold whole of the prefix and it does not name. */
static bool keep_own(struct log *log, const struct log_feed *feed, struct plan *plan,
                     struct puts *puts, struct arena *scratch)
{
    bool fits = true;
    for (size_t b = 0; b < feed->batches_count && fits; b++) {
        struct msg_batch_body body;
        size_t mark = scratch->used;
        if (wire_decode_all(&wire_batch_body, &body, feed->batches[b].message.body, scratch) !=
            NULL)
            return false;
        const struct msg_entry *entries = body.entries.at;
        for (uint32_t i = 0; i < body.entries.count && fits; i++) {
            struct msg_stamp stamp = {entries[i].time, feed->node, feed->boot,
                                      feed->batches[b].first + i};
            struct msg_log_kept kept = {stamp, entries[i].kind, entries[i].body};
            fits = keep_one(log, plan, &kept, puts);
        }
        scratch->used = mark;
    }
    return fits;
}

/* Moves one feed; false: out of memory half-way. */
static bool adopt_feed(struct log *log, struct plan *plan, struct adopted *adopted,
                       struct puts *puts, struct arena *scratch)
{
    struct feeds *feeds = &log->feeds;
    struct slice bytes = slice_of(plan->anchor, plan->anchor_size);
    struct wire_message message;
    struct content content;
    struct log_feed *feed = feeds_get(feeds, &plan->node, &plan->boot);
    *adopted = (struct adopted){.feed = feed};
    if (feed == NULL) return false;
    adopted->had = feed->have;
    adopted->kept_from = feed->kept_count;
    if (feed->is_quarantined || feed->have >= plan->last) return true;
    if (wire_unpack(&bytes, &message, scratch) != NULL) return false;
    if (batch_read(&content, message.fields, log->config.crypto, scratch) != NULL) return false;
    if (feed->have < plan->base) {
        if (!keep_own(log, feed, plan, puts, scratch)) return false;
        if (!puts_base(puts, &plan->node, &plan->boot, plan->base)) return false;
        if (!feed_keep_all(feeds, feed, plan->kept, plan->kept_count)) return false;
        feed->waits += plan->kept_count; /* its next pruning tells */
        log->counters.kept += plan->kept_count;
        plan->kept_count = 0; /* they are the feed's */
        if (!feed_rebase(feeds, feed, plan->base)) return false;
    } else if (feed_place(feed, &content) != PLACE_NEXT) {
        (void)log_found_fork(log, feed);
        return true;
    }
    adopted->anchor = log_keep(log, &content, message.fields, log->token + 1);
    if (adopted->anchor == NULL) return false;
    puts_add(puts, batch_stored_key(adopted->anchor), batch_stored_value(adopted->anchor));
    return true;
}

/* Gives the ports an entry that was kept. */
static void deliver_kept(struct log *log, const struct kept *kept, struct arena *scratch)
{
    const struct log_ports *ports = &log->config.ports;
    struct slice value = kept_value(kept);
    struct wire_message message;
    const char *reason = wire_unpack(&value, &message, scratch);
    assert(reason == NULL);
    const struct msg_log_kept *fields = message.fields;
    struct stamped entry = {.stamp = fields->stamp, .kind = fields->kind};
    const struct wire_schema *schema = wire_schema(fields->kind);
    if (schema != NULL) {
        void *decoded = arena_take(scratch, wire_struct_size(schema));
        reason =
            decoded == NULL ? log_memory : wire_decode_all(schema, decoded, fields->body, scratch);
        assert(reason == NULL); /* it was read once, with as much room */
        entry.fields = decoded;
    }
    lamport_see(&log->clock, fields->stamp.time);
    ports->entry(ports->context, &entry);
}

/* What is new to the fold. */
static const char *deliver(struct log *log, const struct adopted *adopted, struct arena *scratch)
{
    const struct log_feed *feed = adopted->feed;
    struct content content;
    if (adopted->anchor == NULL) return NULL;
    log->is_delivering = true;
    for (size_t k = adopted->kept_from; k < feed->kept_count; k++) {
        size_t mark = scratch->used;
        if (feed->kept[k]->sequence > adopted->had) deliver_kept(log, feed->kept[k], scratch);
        scratch->used = mark;
    }
    log->is_delivering = false;
    if (batch_read(&content, &adopted->anchor->message, log->config.crypto, scratch) != NULL ||
        batch_unfold(&content, scratch) != NULL)
        return log_memory;
    log_deliver(log, &content);
    return NULL;
}

/* Entries that feeds hold whole which are about to move, OWN_MAX at most. */
static size_t own_count(const struct log *log)
{
    uint64_t count = 0;
    for (size_t i = 0; i < log->intake.plans_count; i++) {
        const struct plan *plan = &log->intake.plans[i];
        const struct log_feed *feed = feeds_find(&log->feeds, &plan->node, &plan->boot);
        if (feed != NULL && feed->have < plan->base) count += feed->have - feed->base;
    }
    return count < OWN_MAX ? (size_t)count : OWN_MAX;
}

static const char *adopt(struct log *log, struct arena *scratch)
{
    enum {
        WORK_SIZE = 8 << 20
    }; /* an anchor decoded, twice over */
    struct intake *intake = &log->intake;
    struct puts puts;
    struct arena work;
    struct adopted *adopted = arena_take(scratch, (intake->plans_count + 1) * sizeof *adopted);
    size_t own = own_count(log);
    void *memory = arena_take(scratch, WORK_SIZE);
    if (adopted == NULL || memory == NULL ||
        !puts_take(&puts, 2 * OTHER_PUTS * intake->plans_count + own + 1, scratch))
        return log_no_room;
    for (size_t i = 0; i < intake->plans_count; i++) {
        arena_init(&work, memory, WORK_SIZE);
        if (!adopt_feed(log, &intake->plans[i], &adopted[i], &puts, &work)) return log_memory;
    }
    if (puts.count > 0)
        log->config.ports.persist(log->config.ports.context, ++log->token, puts.items, puts.count);
    for (size_t i = 0; i < intake->plans_count; i++) {
        arena_init(&work, memory, WORK_SIZE);
        const char *reason = deliver(log, &adopted[i], &work);
        if (reason != NULL) return reason;
    }
    return NULL;
}

enum log_page log_snapshot_take(struct log *log, const struct msg_log_snapshot *page,
                                const struct id *from, uint64_t *first, const char **reason,
                                struct arena *scratch)
{
    struct intake *intake = &log->intake;
    bool is_offer = page->anchors.count + page->entries.count == 0 && page->more;
    assert(!log->is_delivering);
    *first = 0;
    *reason = NULL;
    if (page->number == 0) return LOG_PAGE_IGNORED;
    if (is_offer && intake->number != page->number) intake_reset(intake, page->number, log->memory);
    if (intake->number != page->number) return LOG_PAGE_IGNORED;            /* of a cut forgotten */
    if (!is_offer && page->first != intake->count) return LOG_PAGE_IGNORED; /* asked for twice */
    if (!is_offer) *reason = take_page(log, page, scratch);
    *first = intake->count;
    if (*reason == NULL && page->more) return LOG_PAGE_WANTS;
    if (*reason == NULL) *reason = adopt(log, scratch);
    intake_reset(intake, 0, log->memory);
    if (*reason == NULL) return LOG_PAGE_LAST;
    log_count_refusal(log, *reason, from);
    return LOG_PAGE_REFUSED;
}
