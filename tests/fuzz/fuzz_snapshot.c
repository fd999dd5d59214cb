/* Snapshots, true and false, between two replicas that write, cut and crash. The input is a list of
 * [what][argument]:
 *
 *   the peer writes a job, a claim, a done, an end; cuts, prunes; tells the victim its batches
 *   the victim takes the peer's snapshot, page by page: as it is, with one field spoilt (which, by
 * the argument), or stops in the middle; writes an entry of its own; cuts, sweeps, starts anew
 *
 * A tail of the form [255][bytes...] is a packed log_snapshot, as it is.
 *
 * What must hold: what is refused changes neither log nor state nor clock; what was persisted loads
 * to the same log and the same state; without a lie the victim ends in step, unless the peer is
 * behind the victim's own cut. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) abort();
}

#define REQUIRE(condition) require(condition)
#include "tests/lib/replica_lab.h"

enum {
    STEPS_MAX = 200,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

struct bench {
    struct replica peer, victim;
    bool is_lied_to;
    uint8_t page[1 << 20];
};

static const struct id anyone = {{1}};

/* Everything is on the disk, and comes back from there. */
static void restart(struct replica *replica)
{
    uint64_t log = log_digest(replica->log), state = replica_state(replica);
    replica_restart(replica);
    require(log_digest(replica->log) == log && replica_state(replica) == state);
}

/* ---- what they write ---- */

static void write_one(struct replica *replica, const struct wire_schema *schema,
                      const void *message)
{
    (void)say(replica, schema, message);
    commit(replica);
}

static void write_entry(struct replica *replica, unsigned what, uint8_t argument)
{
    struct id id = {{0x55, argument % 8}};
    struct msg_task_range range = {TASK_MAP, argument / 8 % 4, 1};
    struct msg_job job = {.job = id, .spec = {.name = slice_string("j"), .maps = 4}};
    struct msg_claim claim = {.job = id, .number = 1, .ranges = {&range, 1}};
    struct msg_done done = {.job = id, .task = argument / 8 % 4, .claim.node = replica->id};
    struct msg_ended ended = {.job = id, .outcome = JOB_DONE};
    done.claim.boot = replica->boot;
    done.claim.sequence = done.claim.time = 1 + argument / 32;
    if (what == 0) write_one(replica, &wire_job, &job);
    else if (what == 1) write_one(replica, &wire_claim, &claim);
    else if (what == 2) write_one(replica, &wire_done, &done);
    else write_one(replica, &wire_ended, &ended);
}

static void cut(struct replica *replica)
{
    replica_sync(replica);
    uint64_t log = log_digest(replica->log), state = replica_state(replica);
    (void)replica_cut(replica);
    (void)replica_prune(replica);
    require(log_digest(replica->log) == log && replica_state(replica) == state);
}

/* ---- between them ---- */

static void give(void *context, const struct msg_log_batch *batch)
{
    struct replica *to = context;
    (void)log_receive(to->log, batch, &anyone, &to->scratch);
}

/* True when nothing is cut off. */
static bool pull(struct replica *to, struct replica *from)
{
    struct msg_log_vector vector;
    arena_reset(&to->scratch);
    require(log_vector_fill(to->log, false, &vector, &to->scratch));
    bool is_cut_off = log_is_cut_off(from->log, &vector);
    (void)log_missing(from->log, &vector, give, to);
    return !is_cut_off;
}

/* One field of the page becomes another; what, by the argument. */
static void spoil(struct msg_log_snapshot *page, uint8_t argument)
{
    struct msg_log_kept *kept = (void *)(uintptr_t)page->entries.at;
    struct msg_log_batch *anchors = (void *)(uintptr_t)page->anchors.at;
    uint32_t at = page->entries.count == 0 ? 0 : argument / 16 % page->entries.count;
    if (page->anchors.count > 0 && argument % 16 == 0) anchors[0].signature.count--;
    if (page->anchors.count > 0 && argument % 16 == 1) anchors[0].body.count--;
    if (page->anchors.count > 0 && argument % 16 == 2)
        anchors[page->anchors.count - 1] = anchors[argument / 16 % page->anchors.count];
    if (page->entries.count == 0) return;
    switch (argument % 16) {
    case 3: kept[at].stamp.time = UINT64_MAX; return;
    case 4: kept[at].stamp.time = argument; return;
    case 5: kept[at].stamp.sequence += argument / 16; return;
    case 6: kept[at].stamp.boot.counter++; return;
    case 7: kept[at].kind = 90 + argument / 4; return;
    case 8: kept[at].body.count /= 2; return;
    case 9: kept[at] = kept[0]; return;
    case 10: kept[at].stamp.node.bytes[0]++; return;
    case 11: page->entries.count = at; return;
    case 12: kept[at].body = kept[0].body; return;
    default: page->first += argument / 16; return;
    }
}

/* Takes a packed page; what is refused has changed nothing. */
static enum log_page take(struct bench *bench, struct slice packed, uint64_t *first)
{
    struct replica *to = &bench->victim;
    struct wire_message message;
    const char *reason;
    uint64_t log = log_digest(to->log), state = replica_state(to), clock = log_clock(to->log);
    arena_reset(&to->scratch);
    if (wire_unpack(&packed, &message, &to->scratch) != NULL || message.type != MSG_log_snapshot)
        return LOG_PAGE_IGNORED;
    enum log_page news =
        log_snapshot_take(to->log, message.fields, &anyone, first, &reason, &to->scratch);
    require((news == LOG_PAGE_REFUSED) == (reason != NULL) && reason != log_memory);
    require(log_clock(to->log) <= LOG_TIME_MAX);
    if (news != LOG_PAGE_LAST)
        require(log_digest(to->log) == log && replica_state(to) == state &&
                log_clock(to->log) == clock);
    return news;
}

static struct slice page_of(struct bench *bench, uint64_t first, bool is_offer, int spoilt)
{
    struct replica *from = &bench->peer;
    struct msg_log_snapshot page = {.number = log_cut_number(from->log), .more = true};
    arena_reset(&from->scratch);
    if (!is_offer) require(log_snapshot_fill(from->log, first, &page, &from->scratch));
    if (spoilt >= 0) spoil(&page, (uint8_t)spoilt);
    struct writer writer = writer_of(bench->page, sizeof bench->page);
    require(wire_pack(&wire_log_snapshot, &page, &writer));
    return slice_of(bench->page, writer.written);
}

static void transfer(struct bench *bench, int spoilt)
{
    uint64_t first;
    enum log_page news = take(bench, page_of(bench, 0, true, -1), &first);
    while (news == LOG_PAGE_WANTS) news = take(bench, page_of(bench, first, false, spoilt), &first);
    if (news == LOG_PAGE_LAST && spoilt >= 0) bench->is_lied_to = true;
}

/* One page, by itself: after an offer it may be the one that was asked for. */
static void take_spoilt(struct bench *bench, uint8_t argument)
{
    uint64_t first;
    if (take(bench, page_of(bench, argument % 4, false, argument), &first) == LOG_PAGE_LAST)
        bench->is_lied_to = true;
}

static void step(struct bench *bench, uint8_t what, uint8_t argument)
{
    uint64_t first;
    switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3: write_entry(&bench->peer, what % 4, argument); return;
    case 4: write_entry(&bench->victim, argument % 4, argument); return;
    case 5: cut(&bench->peer); return;
    case 6: cut(&bench->victim); return;
    case 7: (void)pull(&bench->victim, &bench->peer); return;
    case 8: (void)pull(&bench->peer, &bench->victim); return;
    case 9: transfer(bench, -1); return;
    case 10: transfer(bench, argument); return;
    case 11: (void)take(bench, page_of(bench, 0, true, -1), &first); return;
    case 12: take_spoilt(bench, argument); return;
    case 13: restart(&bench->victim); return;
    case 14: restart(&bench->peer); return;
    case 15:
        arena_reset(&bench->victim.scratch);
        (void)log_sweep(bench->victim.log, 1 + argument % 4, &bench->victim.scratch);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static uint8_t scratch[2][LAB_SCRATCH_SIZE] __attribute__((aligned(16)));
    static struct bench bench;
    uint64_t first;
    bench.is_lied_to = false;
    replica_init(&bench.peer, 1, scratch[0]);
    replica_init(&bench.victim, 2, scratch[1]);
    for (size_t steps = 0; count >= 2 && bytes[0] != 255 && steps < STEPS_MAX; steps++) {
        step(&bench, bytes[0], bytes[1]);
        bytes += 2;
        count -= 2;
    }
    if (count > 1 && bytes[0] == 255) {
        bench.is_lied_to = true;
        (void)take(&bench, slice_of(bytes + 1, count - 1), &first);
    }
    restart(&bench.victim);
    bool is_behind = !pull(&bench.peer, &bench.victim); /* snapshots go the other way only */
    if (!pull(&bench.victim, &bench.peer)) transfer(&bench, -1);
    (void)pull(&bench.victim, &bench.peer);
    if (!bench.is_lied_to && !is_behind) {
        require(log_digest(bench.peer.log) == log_digest(bench.victim.log));
        require(replica_state(&bench.peer) == replica_state(&bench.victim));
    }
    replica_deinit(&bench.peer);
    replica_deinit(&bench.victim);
    return 0;
}
