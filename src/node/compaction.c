/* When the log is cut, and how a peer behind the cut catches up (design, section 7).
 *
 *   each pass   jobs that ended long enough ago lose their tasks in memory (`details`);
 *               what was held at the last pass already, and no longer counts, is cut;
 *               nobody is waited for
 *   a vector from behind our cut --> offer --> the pages, asked for one by one --> vectors again
 *
 * A pass is one step, and so looks at a bounded part of the log; when there was more it comes back
 * soon. Passes rest while somebody reads our snapshot: a new cut would begin it anew. */
#include "node/smalls.h"

#include <string.h>

enum {
    PASS_EVERY = 20 * SECOND,        /* and a batch is at least so old when it goes */
    DETAILS_KEPT = 600 * SECOND,     /* `mrctl tasks` and `explain` of an ended job, at least */
    DETAILS_MAX = 200000,            /* attempts of ended jobs: then the oldest lose them sooner */
    PRUNE_MAX = 20000,               /* kept entries deleted a pass */
    LOOKED_AT_MAX = 100000,          /* entries judged a pass: some 20 ms of a step */
    LOOKED_AT_EASILY = 20000,        /* the more is looked at in vain, the later again */
    AGAIN_AFTER = 200 * MILLISECOND, /* a pass that ended at its bound */
    READER_REST = 5 * SECOND,
    SWEEP_EVERY = 20 * MILLISECOND,
    SWEEP_MAX = 1000,          /* deletions of one write: a few milliseconds of the disk */
    ASK_AGAIN = SECOND,        /* a page that does not come */
    REFUSED_REST = 5 * SECOND, /* a snapshot that was refused is not fetched again at once */
};

/* ---- what may go ---- */

/* The entries of tasks and `ended` begin with the job's id. */
static const struct job *job_of(const struct node *node, const struct msg_entry *entry)
{
    struct id id;
    if (entry->body.count < sizeof id) return NULL;
    memcpy(id.bytes, entry->body.at, sizeof id.bytes);
    return jobs_find(&node->jobs, &id);
}

static enum log_fate judge(void *context, const struct msg_entry *entry, struct msg_stamp *needs)
{
    const struct node *node = context;
    switch (entry->kind) {
    case MSG_claim:
    case MSG_done:
    case MSG_failed:
    case MSG_released:
    case MSG_counted:
    case MSG_logged:
    case MSG_small:
    case MSG_lost: break;
    default: return LOG_KEPT;
    }
    const struct job *job = job_of(node, entry);
    if (job == NULL || job->outcome == JOB_RUNNING) return LOG_WAITS;
    if (entry->kind == MSG_small && smalls_are_of(node, &job->id)) return LOG_WAITS;
    *needs = job->ended;
    return LOG_DROPPED;
}

/* ---- tasks of ended jobs ---- */

static void trim_jobs(struct node *node)
{
    uint64_t attempts = 0;
    duration kept = node->details_kept > 0 ? node->details_kept : DETAILS_KEPT;
    for (struct job *job = node->jobs.all; job != NULL; job = job->next) {
        if (job->outcome == JOB_RUNNING || job->is_trimmed) continue;
        if (job->retired == 0) job->retired = node->now;
        attempts += job->claims_count;
    }
    for (struct job *job = node->jobs.all; job != NULL; job = job->next) {
        if (job->outcome == JOB_RUNNING || job->is_trimmed || job->retired == node->now) continue;
        bool is_due = node->now - job->retired >= kept || attempts > DETAILS_MAX;
        if (!is_due) continue;
        attempts -= job->claims_count < attempts ? job->claims_count : attempts;
        jobs_trim(&node->jobs, job);
    }
}

/* Batches that were cut are still on the disk. */
static void sweep(struct node *node)
{
    if (!node->sweep_cut || node->now < node->sweep_cut_next) return;
    node->sweep_cut = log_sweep(node->log, SWEEP_MAX, &node->actions->arena);
    node->sweep_cut_next = node->now + SWEEP_EVERY;
}

static void cut(struct node *node, duration every)
{
    struct log_judge by = {node, judge, 1 + node->ends_count};
    struct log_pass pass = {.entries_max = LOOKED_AT_MAX};
    pass.is_new = node->now - node->compact_marked >= every;
    if (pass.is_new) node->compact_marked = node->now;
    bool is_cut = log_cut(node->log, &by, &pass, &node->actions->arena) > 0;
    node->compact_next = node->now + every;
    if (is_cut) {
        node_count(node, METRIC_cuts);
        node->sweep_cut = node->prune_wanted = true;
        node->sweep_cut_next = node->now + SWEEP_EVERY;
        if (pass.looked_at == LOOKED_AT_MAX) node->compact_next = node->now + AGAIN_AFTER;
    } else {
        node->compact_next += every * (duration)(pass.looked_at / LOOKED_AT_EASILY);
    }
}

/* Passes that found nothing come seldom (cut): now there is something. */
void compaction_ended(struct node *node)
{
    duration every = node->compact_every > 0 ? node->compact_every : PASS_EVERY;
    node->compact_next = instant_min(node->compact_next, node->now + every);
    node->prune_wanted = true;
    node->ends_count++;
}

void compaction_tick(struct node *node)
{
    sweep(node);
    if (node->now < node->compact_next) return;
    duration every = node->compact_every > 0 ? node->compact_every : PASS_EVERY;
    node->compact_next = node->now + every;
    if (node->now - node->snapshot_read < READER_REST && node->snapshot_read > 0) return;
    /* What was adopted in this step is on its way to the disk by its bytes here (log.h, persist).
     */
    if (node->snapshot_took == node->now && node->snapshot_took > 0) return;
    trim_jobs(node);
    struct log_judge by = {node, judge, 1 + node->ends_count};
    if (node->prune_wanted)
        node->prune_wanted =
            log_prune(node->log, &by, PRUNE_MAX, &node->actions->arena) == PRUNE_MAX;
    cut(node, every);
}

/* ---- peers behind the cut ---- */

bool compaction_offer(struct node *node, struct link *link, const struct msg_log_vector *vector)
{
    if (!log_is_cut_off(node->log, vector)) return false;
    struct msg_log_snapshot offer = {.number = log_cut_number(node->log), .more = true};
    node_count(node, METRIC_snapshots_offered);
    links_send(node, link->stream, &wire_log_snapshot, &offer);
    return true;
}

void compaction_asked(struct node *node, struct link *link, const struct msg_log_ask_snapshot *ask)
{
    struct msg_log_snapshot page = {.number = log_cut_number(node->log), .more = true};
    if (page.number == 0) return;
    if (ask->number == page.number) {
        node->snapshot_read = node->now;
        if (!log_snapshot_fill(node->log, ask->first, &page, &node->actions->arena)) return;
        node_count(node, METRIC_snapshot_pages_sent);
    }
    links_send(node, link->stream, &wire_log_snapshot, &page);
}

static void ask_page(struct node *node, struct link *link, uint64_t number, uint64_t first)
{
    struct msg_log_ask_snapshot ask = {.number = number, .first = first};
    node->snapshot_asked = node->now;
    links_send(node, link->stream, &wire_log_ask_snapshot, &ask);
}

static void page_refused(struct node *node, const char *reason)
{
    node_count(node, METRIC_snapshots_refused);
    node->snapshot_asked = node->now + REFUSED_REST;
    if (log_is_offence(reason)) node_count(node, METRIC_records_refused);
    trace_line(&node->trace, TRACE_WARN, "event=snapshot-refused reason=\"%s\"", reason);
    if (reason == log_memory) node_fail(node, ERROR_MEMORY, "snapshot");
}

static void page_last(struct node *node, struct link *link, uint64_t number)
{
    node->snapshot_had = number;
    node->snapshot_took = node->now;
    node->sweep_cut = node->prune_wanted = true;
    node_count(node, METRIC_snapshots_taken);
    replicas_ask(node, link, true); /* what came behind the cut */
}

void compaction_page(struct node *node, struct link *link, const struct msg_log_snapshot *page)
{
    uint64_t first;
    const char *reason;
    bool is_offer = page->anchors.count + page->entries.count == 0 && page->more;
    /* One transfer at a time; offers come with every vector, and some are late. */
    if (is_offer && node->now < node->snapshot_asked + ASK_AGAIN && node->snapshot_asked > 0)
        return;
    if (is_offer && page->number == node->snapshot_had) return;
    struct arena *scratch = &node->actions->arena;
    switch (log_snapshot_take(node->log, page, &link->peer, &first, &reason, scratch)) {
    case LOG_PAGE_IGNORED: break;
    case LOG_PAGE_WANTS: ask_page(node, link, page->number, first); break;
    case LOG_PAGE_LAST: page_last(node, link, page->number); break;
    case LOG_PAGE_REFUSED: page_refused(node, reason); break;
    }
}
