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
 * to the same log and the same state; without a lie the victim ends in step. */
#include "base/prng.h"
#include "store/feed.h"
#include "store/log.h"
#include "tasks/jobs.h"
#include "wire/plain.h"

#include <stdlib.h>
#include <string.h>

enum {
    SCRATCH_SIZE = 24 << 20,
    BUDGET = 64 << 20,
    STEPS_MAX = 200,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool holds)
{
    if (!holds) abort();
}

struct replica {
    struct memory memory, jobs_memory;
    struct arena scratch;
    struct crypto_pair pair;
    struct id id;
    struct boot boot;
    struct log *log;
    struct jobs jobs;
    struct storage *disk;
    uint64_t token;
};

struct bench {
    struct replica peer, victim;
    bool is_lied_to;
    uint8_t page[1 << 20];
};

static const struct id anyone = {{1}};

/* ---- ports ---- */

static void on_entry(void *context, const struct stamped *entry)
{
    struct replica *replica = context;
    require(jobs_apply(&replica->jobs, entry) == ERROR_NONE);
}

static void on_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    struct replica *replica = context;
    require(token == ++replica->token);
    require(storage_write(replica->disk, puts, count) == ERROR_NONE);
}

static void on_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                      const struct id *from)
{
    (void)context, (void)batch, (void)author, (void)from;
}

static void on_usurped(void *context, const struct boot *boot) { (void)context, (void)boot; }

static enum log_fate judge(void *context, const struct msg_entry *entry, struct msg_stamp *needs)
{
    const struct replica *replica = context;
    struct id id;
    if ((entry->kind != MSG_claim && entry->kind != MSG_done) || entry->body.count < sizeof id)
        return LOG_KEPT;
    memcpy(id.bytes, entry->body.at, sizeof id.bytes);
    const struct job *job = jobs_find(&replica->jobs, &id);
    if (job == NULL || job->outcome == JOB_RUNNING) return LOG_WAITS;
    *needs = job->ended;
    return LOG_DROPPED;
}

/* ---- life ---- */

static enum error load_pair(void *context, struct slice key, struct slice value)
{
    struct replica *replica = context;
    arena_reset(&replica->scratch);
    require(log_load(replica->log, key, value, &replica->scratch) == NULL);
    return ERROR_NONE;
}

static void boot(struct replica *replica)
{
    replica->boot.counter++;
    replica->token = 0;
    struct log_config config = {
        .crypto = &crypto_plain,
        .pair = &replica->pair,
        .id = replica->id,
        .boot = replica->boot,
        .ports = {replica, on_entry, on_persist, on_spread, on_usurped},
    };
    jobs_init(&replica->jobs, &replica->jobs_memory);
    replica->log = log_open(&config, &replica->memory);
    require(replica->log != NULL);
    require(storage_each(replica->disk, slice_string(""), load_pair, replica) == ERROR_NONE);
}

static void stop(struct replica *replica)
{
    log_close(replica->log);
    jobs_deinit(&replica->jobs);
    require(replica->memory.used == 0 && replica->jobs_memory.used == 0);
}

static void replica_open(struct replica *replica, uint64_t number, uint8_t *scratch)
{
    *replica = (struct replica){.token = 0};
    memory_init(&replica->memory, BUDGET);
    memory_init(&replica->jobs_memory, BUDGET);
    arena_init(&replica->scratch, scratch, SCRATCH_SIZE);
    plain_pair(number, &replica->pair);
    replica->id = crypto_node_id(&crypto_plain, &replica->pair.public);
    require(storage_memory_open(&replica->disk) == ERROR_NONE);
    boot(replica);
}

static void replica_close(struct replica *replica)
{
    stop(replica);
    storage_close(replica->disk);
}

static uint64_t state_of(const struct replica *replica) { return jobs_digest(&replica->jobs); }

/* Everything is on the disk, and comes back from there. */
static void restart(struct replica *replica)
{
    uint64_t log = log_digest(replica->log), state = state_of(replica);
    stop(replica);
    boot(replica);
    require(log_digest(replica->log) == log && state_of(replica) == state);
}

/* ---- what they write ---- */

static void say(struct replica *replica, const struct wire_schema *schema, const void *message,
                struct msg_stamp *stamp)
{
    arena_reset(&replica->scratch);
    require(log_append(replica->log, schema, message, stamp) == ERROR_NONE);
    require(log_commit(replica->log, &replica->scratch) == ERROR_NONE);
}

static void write_entry(struct replica *replica, unsigned what, uint8_t argument)
{
    struct msg_stamp stamp;
    struct id id = {{0x55, argument % 8}};
    struct msg_task_range range = {TASK_MAP, argument / 8 % 4, 1};
    struct msg_job job = {.job = id, .spec = {.name = slice_string("j"), .maps = 4}};
    struct msg_claim claim = {.job = id, .number = 1, .ranges = {&range, 1}};
    struct msg_done done = {.job = id, .task = argument / 8 % 4, .claim.node = replica->id};
    struct msg_ended ended = {.job = id, .outcome = JOB_DONE};
    done.claim.boot = replica->boot;
    done.claim.sequence = done.claim.time = 1 + argument / 32;
    if (what == 0) say(replica, &wire_job, &job, &stamp);
    else if (what == 1) say(replica, &wire_claim, &claim, &stamp);
    else if (what == 2) say(replica, &wire_done, &done, &stamp);
    else say(replica, &wire_ended, &ended, &stamp);
}

static void cut(struct replica *replica)
{
    struct log_judge by = {replica, judge, 1 + replica->jobs.revision};
    struct log_pass pass = {.entries_max = 1000, .is_new = true};
    require(storage_sync(replica->disk) == ERROR_NONE);
    log_persisted(replica->log, replica->token);
    uint64_t log = log_digest(replica->log), state = state_of(replica);
    arena_reset(&replica->scratch);
    (void)log_cut(replica->log, &by, &pass, &replica->scratch);
    (void)log_prune(replica->log, &by, 100, &replica->scratch);
    require(log_digest(replica->log) == log && state_of(replica) == state);
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
    uint64_t log = log_digest(to->log), state = state_of(to), clock = log_clock(to->log);
    arena_reset(&to->scratch);
    if (wire_unpack(&packed, &message, &to->scratch) != NULL || message.type != MSG_log_snapshot)
        return LOG_PAGE_IGNORED;
    enum log_page news =
        log_snapshot_take(to->log, message.fields, &anyone, first, &reason, &to->scratch);
    require((news == LOG_PAGE_REFUSED) == (reason != NULL) && reason != log_memory);
    require(log_clock(to->log) <= LOG_TIME_MAX);
    if (news != LOG_PAGE_LAST)
        require(log_digest(to->log) == log && state_of(to) == state && log_clock(to->log) == clock);
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
    case 12: (void)take(bench, page_of(bench, argument % 4, false, argument), &first); return;
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
    static uint8_t scratch[2][SCRATCH_SIZE] __attribute__((aligned(16)));
    static struct bench bench;
    uint64_t first;
    bench.is_lied_to = false;
    replica_open(&bench.peer, 1, scratch[0]);
    replica_open(&bench.victim, 2, scratch[1]);
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
    (void)pull(&bench.peer, &bench.victim);
    if (!pull(&bench.victim, &bench.peer)) transfer(&bench, -1);
    (void)pull(&bench.victim, &bench.peer);
    if (!bench.is_lied_to) {
        require(log_digest(bench.peer.log) == log_digest(bench.victim.log));
        require(state_of(&bench.peer) == state_of(&bench.victim));
    }
    replica_close(&bench.peer);
    replica_close(&bench.victim);
    return 0;
}
