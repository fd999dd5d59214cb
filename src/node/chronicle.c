/* What `mrctl log` and `mrctl events` print: entries in total order, a page a request. The asker
 * says how far it has come in each feed and is told how far the page brings it, so following an
 * active log misses nothing: an entry that comes late, with an early time, is in a later page. */
#include "node/state.h"

#include "base/plural.h"

#include <stdio.h>
#include <string.h>

enum {
    LINES_PAGE = 256,
    SEEN_MAX = 4096, /* entries looked at for one page: a filter must not walk a whole log */
    TEXT_SIZE = 512,
};

struct page {
    struct node *node;
    const struct msg_ask_log *ask;
    const struct job *job; /* of this one alone; NULL: of all */
    struct msg_log_line *lines;
    uint32_t count;
    uint32_t seen;
    struct msg_log_vector *behind;
    struct arena *arena;
};

/* ---- one entry as a line ---- */

static const char *job_text(const struct node *node, const struct id *id, char text[65])
{
    const struct job *job = jobs_find(&node->jobs, id);
    if (job == NULL || !job->is_known) return id_short(id, text);
    memcpy(text, job->name, 65);
    return text;
}

static void tell_ranges(const struct list *list, char *text, size_t size)
{
    const struct msg_task_range *ranges = list->at;
    size_t used = strlen(text);
    for (uint32_t i = 0; i < list->count && used + 40 < size; i++) {
        char kind = ranges[i].kind == TASK_MAP ? 'm' : 'r';
        used += (size_t)snprintf(text + used, size - used, " %c%u", kind, ranges[i].first);
        if (ranges[i].count > 1)
            used += (size_t)snprintf(text + used, size - used, "-%u",
                                     ranges[i].first + ranges[i].count - 1);
    }
}

static void tell_task(const struct node *node, const struct stamped *entry, char *text, size_t size)
{
    char job[65];
    const struct msg_done *done = entry->fields;
    const struct msg_failed *failed = entry->fields;
    const struct msg_lost *lost = entry->fields;
    if (entry->kind == MSG_done)
        snprintf(text, size, "done %s/%c%u in %llu ms, %s, %s", job_text(node, &done->job, job),
                 done->kind == TASK_MAP ? 'm' : 'r', done->task,
                 (unsigned long long)done->elapsed_ms, plural(done->records, "record").text,
                 plural(done->output.size, "byte").text);
    else if (entry->kind == MSG_failed)
        snprintf(text, size, "failed %s/%c%u: %s (%u)%s", job_text(node, &failed->job, job),
                 failed->kind == TASK_MAP ? 'm' : 'r', failed->task, cause_text(failed->cause),
                 failed->status, failed->charged ? "" : "; not counted");
    else
        snprintf(text, size, "lost the output of %s/%c%u: %s", job_text(node, &lost->job, job),
                 lost->kind == TASK_MAP ? 'm' : 'r', lost->task, cause_text(lost->cause));
}

static void tell_claim(const struct node *node, const struct stamped *entry, char *text,
                       size_t size)
{
    char job[65];
    const struct msg_claim *claim = entry->fields;
    const struct msg_released *released = entry->fields;
    if (entry->kind == MSG_claim) {
        snprintf(text, size, "claim %s attempt %u (%s):", job_text(node, &claim->job, job),
                 claim->number, cause_text(claim->cause));
        tell_ranges(&claim->ranges, text, size);
    } else {
        snprintf(text, size, "released %s (%s):", job_text(node, &released->job, job),
                 cause_text(released->cause));
        tell_ranges(&released->ranges, text, size);
    }
}

static void tell_job(const struct node *node, const struct stamped *entry, char *text, size_t size)
{
    char name[65];
    const struct msg_ended *ended = entry->fields;
    if (jobs_submitted(entry) != NULL) {
        const struct msg_job_spec *spec = jobs_submitted_spec(entry);
        snprintf(text, size, "job %.*s: %s, %s", (int)spec->name.count, (const char *)spec->name.at,
                 plural(spec->maps, "map").text, plural(spec->reduces, "reduce").text);
        return;
    }
    const struct job *job = jobs_find(&node->jobs, &ended->job);
    bool counts = job != NULL && stamp_equal(&job->ended, &entry->stamp);
    snprintf(text, size, "ended %s: %s (%s)%s", job_text(node, &ended->job, name),
             job_outcome_text(ended->outcome), cause_text(ended->cause),
             !counts         ? "; another end of it counts"
             : job->is_final ? "; final"
                             : "");
}

static void tell_small(const struct node *node, const struct msg_small *small, char *text,
                       size_t size)
{
    char name[65];
    uint64_t bytes = 0;
    const struct msg_small_block *blocks = small->blocks.at;
    for (uint32_t i = 0; i < small->blocks.count; i++) bytes += blocks[i].bytes.count;
    snprintf(text, size, "small %s: %s, %s", job_text(node, &small->job, name),
             plural(small->blocks.count, "block").text, plural(bytes, "byte").text);
}

static void tell_member(const struct stamped *entry, char *text, size_t size)
{
    char id[ID_SHORT_SIZE], address[ADDRESS_TEXT_SIZE];
    const struct msg_opened *opened = entry->fields;
    const struct msg_joined *joined = entry->fields;
    const struct msg_left *left = entry->fields;
    const struct msg_dead *dead = entry->fields;
    if (entry->kind == MSG_opened)
        snprintf(text, size, "opened: %.*s at %s, boot %llu", (int)opened->name.count,
                 (const char *)opened->name.at, address_text(&opened->address, address),
                 (unsigned long long)entry->stamp.boot.counter);
    else if (entry->kind == MSG_joined)
        snprintf(text, size, "joined: %.*s %s", (int)joined->name.count,
                 (const char *)joined->name.at, id_short(&joined->node, id));
    else if (entry->kind == MSG_left) snprintf(text, size, "left: %s", cause_text(left->cause));
    else
        snprintf(text, size, "dead: %s boot %llu, claims up to %llu are free: %s",
                 id_short(&dead->node, id), (unsigned long long)dead->boot.counter,
                 (unsigned long long)dead->sequence, cause_text(dead->cause));
}

static void tell_eviction(const struct node *node, const struct stamped *entry, char *text,
                          size_t size)
{
    char id[ID_SHORT_SIZE];
    const struct msg_evicted *evicted = entry->fields;
    const struct msg_returned *returned = entry->fields;
    if (entry->kind == MSG_returned) {
        if (returned->evictions.count == 0) snprintf(text, size, "in step with the flock");
        else
            snprintf(text, size, "returned: it knows of %s, and is a newcomer",
                     plural(returned->evictions.count, "eviction").text);
        return;
    }
    const struct member *member = members_find(&node->gossip.members, &evicted->node);
    snprintf(text, size, "evicted: %s %s: %s", member == NULL ? "" : member->fact->name,
             id_short(&evicted->node, id), cause_text(evicted->cause));
}

static void tell(const struct node *node, const struct stamped *entry, char *text, size_t size)
{
    if (entry->fields == NULL) {
        snprintf(text, size, "an entry of a kind that this version does not know: %u", entry->kind);
        return;
    }
    switch (entry->kind) {
    case MSG_done:
    case MSG_failed:
    case MSG_lost: tell_task(node, entry, text, size); break;
    case MSG_claim:
    case MSG_released: tell_claim(node, entry, text, size); break;
    case MSG_job:
    case MSG_job_with:
    case MSG_ended: tell_job(node, entry, text, size); break;
    case MSG_small: tell_small(node, entry->fields, text, size); break;
    case MSG_opened:
    case MSG_joined:
    case MSG_left:
    case MSG_dead: tell_member(entry, text, size); break;
    case MSG_evicted:
    case MSG_returned: tell_eviction(node, entry, text, size); break;
    default: wire_print(wire_schema(entry->kind), entry->fields, text, size);
    }
}

/* ---- which ---- */

/* What goes with the tasks of a job, once that has ended. */
static bool is_of_task(unsigned kind)
{
    return kind == MSG_claim || kind == MSG_done || kind == MSG_failed || kind == MSG_released ||
           kind == MSG_lost || kind == MSG_counted || kind == MSG_logged || kind == MSG_small;
}

static bool is_wanted(const struct page *page, const struct stamped *entry)
{
    if (page->ask->events_only && is_of_task(entry->kind)) return false;
    if (page->job == NULL) return true;
    bool has_job = is_of_task(entry->kind) || jobs_submitted(entry) != NULL ||
                   entry->kind == MSG_tallied || entry->kind == MSG_ended;
    /* Each of these begins with the job's id. */
    return has_job && entry->fields != NULL && id_equal(entry->fields, &page->job->id);
}

static void note_seen(struct page *page, const struct msg_stamp *stamp)
{
    struct msg_feed_position *positions = (void *)(uintptr_t)page->behind->feeds.at;
    for (uint32_t i = 0; i < page->behind->feeds.count; i++)
        if (id_equal(&positions[i].node, &stamp->node) &&
            boot_equal(&positions[i].boot, &stamp->boot))
            positions[i].have = stamp->sequence;
}

static bool visit(void *context, const struct stamped *entry)
{
    struct page *page = context;
    char text[TEXT_SIZE];
    if (page->count == LINES_PAGE || page->seen == SEEN_MAX) return false;
    if (is_wanted(page, entry)) {
        tell(page->node, entry, text, sizeof text);
        char *copy = arena_take(page->arena, strlen(text) + 1);
        if (copy == NULL) return false;
        memcpy(copy, text, strlen(text) + 1);
        page->lines[page->count++] = (struct msg_log_line){
            .stamp = entry->stamp,
            .author_name = answers_author(page->node, &entry->stamp.node, page->arena),
            .kind = entry->kind,
            .text = slice_string(copy),
        };
    }
    page->seen++;
    note_seen(page, &entry->stamp);
    return true;
}

/* How far the asker is, of all feeds that we hold. */
static bool begin(struct page *page)
{
    if (!log_vector_fill(page->node->log, false, page->behind, page->arena)) return false;
    struct msg_feed_position *positions = (void *)(uintptr_t)page->behind->feeds.at;
    const struct msg_feed_position *asked = page->ask->behind.at;
    for (uint32_t i = 0; i < page->behind->feeds.count; i++) {
        positions[i].have = 0;
        for (uint32_t j = 0; j < page->ask->behind.count; j++)
            if (id_equal(&positions[i].node, &asked[j].node) &&
                boot_equal(&positions[i].boot, &asked[j].boot))
                positions[i].have = asked[j].have;
    }
    return true;
}

void chronicle_answer(struct node *node, uint64_t stream, const struct msg_ask_log *ask)
{
    struct msg_log_vector behind, from;
    struct page page = {.node = node, .ask = ask, .behind = &behind};
    page.arena = &node->actions->arena;
    if (ask->job.count > 0) {
        page.job = answers_find_job(node, stream, ask->request, ask->job);
        if (page.job == NULL) return;
    }
    page.lines = arena_take(page.arena, LINES_PAGE * sizeof *page.lines);
    if (page.lines == NULL || !begin(&page)) return;
    from = behind;
    size_t size = behind.feeds.count * sizeof(struct msg_feed_position);
    void *copy = arena_take(page.arena, size);
    if (copy == NULL) return;
    if (size > 0) memcpy(copy, behind.feeds.at, size);
    from.feeds.at = copy;
    bool is_all = log_walk(node->log, &from, page.arena, visit, &page);
    struct msg_say_log reply = {.request = ask->request,
                                .more = !is_all && page.seen > 0,
                                .lines = {page.lines, page.count},
                                .behind = behind.feeds};
    links_send(node, stream, &wire_say_log, &reply);
}
