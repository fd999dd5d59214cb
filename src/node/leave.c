/* Leaving. A node that goes takes its disk along, and others may need what only that disk has.
 *
 *   STAYS --asked--> HANDS OVER --all is elsewhere, or it waits no more--> PARTS --told--> GONE
 *
 * The first thing is the entry `left`: who holds it does not count on our copies any more
 * (living_stays), and copies blocks as if we had died, but from us, too. We ask as well, all anew:
 * what a member said before may be old, and a copy counts only at somebody who stays and holds all
 * that we know of who leaves. So of two who leave at once, or of three, none counts on another: who
 * was counted on knew of it, and does not count on him who counted.
 *
 * It waits until each block that a name, a job or a client needs is where it should be; where fewer
 * stay, or have room, than copies are wanted, until one of them has looked at its bytes. When no
 * more copies come for a while, longer for large blocks, it goes without: so it is bounded by bytes
 * over speed. A block that has one other copy is no better off than after a death, so for further
 * copies it waits half a minute in all. Where nobody stays there is nothing to wait for. Then the
 * bytes are on this disk alone, which drops nothing, and that is said. */
#include "node/holders.h"
#include "node/manifests.h"
#include "node/smalls.h"
#include "node/state.h"

#include "base/plural.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    LOOK_EVERY = 100 * MILLISECOND,
    ASK_LOG_EVERY = 200 * MILLISECOND,
    ASK_LOG_SELDOM = SECOND,       /* who has not answered ten times is busy, or away */
    TASKS_PATIENCE = 5 * SECOND,   /* a task that is told to stop does within that */
    LOG_PATIENCE = 5 * SECOND,     /* for a disk that has all we hold of the log */
    COPIES_PATIENCE = 30 * SECOND, /* for second and third copies; below systemd's 90 s */
    STALL_PATIENCE = 30 * SECOND,  /* a full disk is asked some times again (holders.c) */
    SLOWEST = 1 << 20,             /* bytes a second: less is not waited for */
    AT_ONCE = 8,                   /* blocks that come to a member at a time: io/fetch.c */
    LET_GO = 15 * SECOND,          /* the longest pin of what nobody wants any more: release.c */
    VOUCH_AGAIN = 2 * SECOND,
    VOUCH_MAX = 48,  /* questions at a time: a member keeps 64 in mind (CONFIRMS_MAX) */
    NAMES_TOLD = 10, /* datasets that are named to people */
};

/* ---- states ---- */

static void change_state(struct node *node, enum leave_state state, const char *text)
{
    static const bool allowed[4][4] = {
        [LEAVE_STAYS] = {[LEAVE_HANDS_OVER] = true},
        [LEAVE_HANDS_OVER] = {[LEAVE_PARTS] = true},
        [LEAVE_PARTS] = {[LEAVE_GONE] = true},
    };
    assert(allowed[node->leave.state][state]);
    node->leave.state = state;
    node->leave.next = node->now;
    living_recount(node);
    if (text != NULL) trace_line(&node->trace, TRACE_INFO, "%s", text);
}

/* What others confirmed, they are asked again: they may have dropped it since. */
static void forget_copies(struct node *node)
{
    size_t cursor = 0;
    for (struct block *block; (block = map_next(&node->blocks, &cursor)) != NULL;)
        if (block->is_here) keeper_forget_copies(block);
    holders_changed(node);
    node->sweep_next = node->now;
}

void leave_begin(struct node *node, bool is_now)
{
    struct leave *leave = &node->leave;
    leave->is_hurried = leave->is_hurried || is_now;
    if (leave->state != LEAVE_STAYS) {
        leave->next = node->now;
        return;
    }
    leave->asked = leave->moved = node->now;
    change_state(node, LEAVE_HANDS_OVER, "event=leaving");
    work_give_back(node, CAUSE_LEAVING);
    struct msg_left left = {.cause = CAUSE_LEAVING};
    (void)!node_append(node, &wire_left, &left, NULL);
    node_commit(node); /* nobody who has not got that holds all of ours */
    gossip_slots(&node->gossip, node->now, 0);
    forget_copies(node);
}

static bool is_writing(unsigned type)
{
    switch (type) {
    case MSG_ask_submit:
    case MSG_ask_submit_with:
    case MSG_ask_submit_small:
    case MSG_ask_resume:
    case MSG_ask_name:
    case MSG_ask_unname:
    case MSG_ask_kill:
    case MSG_ask_retry:
    case MSG_ask_forget:
    case MSG_ask_rotate:
    case MSG_ask_key_drop: return true;
    default: return false;
    }
}

static void refuse(struct node *node, uint64_t stream, const void *request)
{
    control_error(node, stream, *(const uint64_t *)request, CODE_NO_PEER,
                  "this node is leaving: ask another");
}

bool leave_refuses(struct node *node, uint64_t stream, const struct wire_message *message)
{
    bool is_refused = node_is_leaving(node) && is_writing(message->type);
    if (is_refused) refuse(node, stream, message->fields);
    return is_refused;
}

bool leave_interrupts(struct node *node, struct pending *pending)
{
    bool is_written = !stamp_is_none(&pending->entry);
    if (!node_is_leaving(node) || is_written || !is_writing(pending->type)) return false;
    refuse(node, pending->stream, pending->request);
    pending->state = PENDING_ENTRY; /* what was copied for it is not given up */
    return true;
}

/* ---- blocks ---- */

/* Stored here for something that is still on its way into the log; or somebody was told that it is
 * here, and counts on it. What a name or a client has let go of is pinned for some seconds only. */
static bool is_promised(const struct node *node, const struct block *block)
{
    return block->is_here && !block->is_marked && block->pinned != 0 &&
           block->pinned_until > node->now + LET_GO;
}

static bool is_needed(const struct node *node, const struct block *block)
{
    if (!block->is_here || smalls_find(node, &block->digest) != NULL) return false;
    if (block->is_marked) return block->replicas > 0;
    return is_promised(node, block) || !node->leave.is_all_known;
}

/* Members whose copies count, by id. */
struct sound {
    struct id *ids;
    size_t count;
};

static struct sound sound_members(struct node *node)
{
    size_t count;
    const struct schedule_node *living = living_nodes(node, &count);
    struct sound sound = {arena_take(&node->actions->arena, count * sizeof *sound.ids), 0};
    for (size_t i = 0; sound.ids != NULL && i < count; i++)
        if (heard_has_ours(node, &living[i].id)) sound.ids[sound.count++] = living[i].id;
    return sound;
}

static bool is_sound(const struct sound *sound, const struct id *id)
{
    size_t low = 0, high = sound->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (id_compare(&sound->ids[middle], id) < 0) low = middle + 1;
        else high = middle;
    }
    return low < sound->count && id_equal(&sound->ids[low], id);
}

static size_t copies_at(const struct sound *sound, const struct block *block)
{
    size_t count = 0;
    for (size_t i = 0; i < block->copies_count; i++) count += is_sound(sound, &block->copies[i]);
    return count;
}

/* Who should have it was found to (keeper.c), and each of them counts. */
static bool is_placed(const struct node *node, const struct block *block, size_t copies)
{
    if (!block->is_marked) return copies > 0;
    return block->placed == node->placing && block->placed_replicas == block->replicas &&
           copies > 0 && copies == block->copies_count;
}

/* Nobody who stays has room for it: no time helps. */
static bool is_hopeless(const struct node *node, const struct block *block)
{
    return block->is_marked && block->placed == node->placing && block->copies_count == 0;
}

/* As many as are wanted: one of them is good. Of fewer perhaps none is. */
static bool is_certain(const struct block *block, size_t copies)
{
    return !block->is_marked || copies >= block->replicas || block->is_vouched;
}

/* Those who have it look at their bytes, and say whether they are good (surplus.c). */
static void ask_vouching(struct node *node, struct block *block)
{
    struct msg_block_confirm confirm = {block->digest};
    if (node->now - block->asked < VOUCH_AGAIN) return;
    block->asked = node->now;
    for (size_t i = 0; i < block->copies_count; i++) {
        struct link *link = links_need(node, &block->copies[i]);
        if (link != NULL) (void)links_send(node, link->stream, &wire_block_confirm, &confirm);
    }
}

static void look(struct node *node, const struct sound *sound)
{
    struct leave_look found = {0};
    size_t cursor = 0, questions = 0;
    for (struct block *block; (block = map_next(&node->blocks, &cursor)) != NULL;) {
        if (!is_needed(node, block)) continue;
        size_t copies = copies_at(sound, block);
        found.blocks++;
        found.copies += copies;
        if (copies == 0) found.alone_size += block->size;
        found.alone += copies == 0;
        bool is_there = is_placed(node, block, copies);
        if (is_there && is_certain(block, copies)) continue;
        if (is_there && questions++ < VOUCH_MAX) ask_vouching(node, block);
        found.lacking++;
        if (!is_hopeless(node, block) && block->size > found.largest) found.largest = block->size;
    }
    if (found.copies > node->leave.look.copies) node->leave.moved = node->now;
    node->leave.look = found;
}

bool leave_settle(struct node *node, struct block *block)
{
    struct msg_block_ref ref = {block->digest, block->size};
    if (!node_is_leaving(node) || !is_promised(node, block)) return false;
    if (keeper_copies(node, &block->digest) > 0) return false;
    keeper_want(node, &ref, block->early > 0 ? block->early : 1, false, NULL);
    return true;
}

static bool are_blocks_elsewhere(const struct node *node)
{
    const struct leave *leave = &node->leave;
    const struct leave_look *now = &leave->look;
    duration patience = STALL_PATIENCE + (duration)(AT_ONCE * now->largest / SLOWEST * SECOND);
    if (now->lacking == 0 || leave->is_hurried || heard_is_last(node)) return true;
    if (now->alone == 0 && node->now - leave->asked >= COPIES_PATIENCE) return true;
    return node->now - leave->moved >= patience;
}

/* ---- handing over ---- */

/* What they hold is asked of those who are not known to hold all. */
static void ask_peers(struct node *node, const struct sound *sound)
{
    struct leave *leave = &node->leave;
    bool is_new = node->now - leave->asked < 2 * SECOND;
    if (node->now - leave->log_asked < (is_new ? ASK_LOG_EVERY : ASK_LOG_SELDOM)) return;
    leave->log_asked = node->now;
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && link->purpose == CHANNEL_PEER &&
            !is_sound(sound, &link->peer))
            replicas_ask(node, link, true);
}

/* It may be the only one who holds an entry: then it waits until another one's disk does. */
static bool is_log_elsewhere(struct node *node, const struct sound *sound)
{
    if (sound->count > 0 || heard_is_last(node)) return true;
    node_count(node, METRIC_leaves_waited);
    return node->now - node->leave.asked >= LOG_PATIENCE;
}

static void part(struct node *node, const struct sound *sound)
{
    const struct leave_look *last = &node->leave.look;
    if (sound->count == 0) node_count(node, METRIC_leaves_alone);
    gossip_leave(&node->gossip, node->now);
    if (!node->gossip.is_leaving) return; /* no memory to say so: at the next tick */
    node->metrics[METRIC_leaves_kept] += last->alone;
    trace_line(&node->trace, last->alone > 0 ? TRACE_WARN : TRACE_INFO,
               "event=handed_over blocks=%u lacking=%u kept=%u bytes=%llu", last->blocks,
               last->lacking, last->alone, (unsigned long long)last->alone_size);
    change_state(node, LEAVE_PARTS, NULL);
    node->pending_next = node->now;
    if (members_living_count(&node->gossip.members) > 0) /* we are of the left */
        node->leave.next = node->gossip.period_deadline;
}

static void hand_over(struct node *node)
{
    struct sound sound = sound_members(node);
    bool is_idle = work_running_count(node) == 0 || node->now - node->leave.asked >= TASKS_PATIENCE;
    node->leave.next = node->now + LOOK_EVERY;
    look(node, &sound);
    bool is_log = is_log_elsewhere(node, &sound);
    if (is_idle && is_log && are_blocks_elsewhere(node)) part(node, &sound);
    else ask_peers(node, &sound);
}

void leave_tick(struct node *node)
{
    if (node->now < node->leave.next) return;
    switch (node->leave.state) {
    case LEAVE_STAYS:
    case LEAVE_GONE: return;
    case LEAVE_HANDS_OVER: hand_over(node); return;
    case LEAVE_PARTS:
        change_state(node, LEAVE_GONE, NULL);
        node->is_stopped = true;
        actions_push(node->actions, ACTION_STOP);
        return;
    }
}

instant leave_deadline(const struct node *node)
{
    bool is_waiting = node->leave.state == LEAVE_HANDS_OVER || node->leave.state == LEAVE_PARTS;
    return is_waiting ? node->leave.next : INSTANT_NEVER;
}

/* ---- what people are told ---- */

static bool is_alone(struct node *node, const struct sound *sound, const struct msg_block_ref *ref)
{
    const struct block *block = keeper_find(node, &ref->digest);
    return block != NULL && is_needed(node, block) && copies_at(sound, block) == 0;
}

static bool is_dataset_kept(struct node *node, const struct sound *sound,
                            const struct msg_block_ref *list)
{
    const struct msg_manifest *manifest = manifests_get(node, list);
    bool is_kept = is_alone(node, sound, list);
    const struct msg_manifest_block *blocks = manifest == NULL ? NULL : manifest->blocks.at;
    for (uint32_t i = 0; blocks != NULL && !is_kept && i < manifest->blocks.count; i++)
        is_kept = is_alone(node, sound, &blocks[i].block);
    return is_kept;
}

static void tell_name(char *text, size_t size, size_t count, struct slice name)
{
    size_t used = strlen(text);
    if (count > NAMES_TOLD) return;
    if (count == NAMES_TOLD) snprintf(text + used, size - used, ", and others");
    else
        snprintf(text + used, size - used, "%s%.*s", count == 0 ? ": of " : ", ",
                 (int)(name.count < 64 ? name.count : 64), (const char *)name.at);
}

/* ": of a, b, the input of wc-3f7a"; empty: of no dataset and of no running job's input. */
static void kept_names(struct node *node, char *text, size_t size)
{
    struct sound sound = sound_members(node);
    size_t count = 0;
    text[0] = '\0';
    for (size_t i = 0; i < node->names.current_count; i++) {
        const struct naming *naming = node->names.current[i];
        if (is_dataset_kept(node, &sound, &naming->manifest))
            tell_name(text, size, count++, slice_string(naming->name));
    }
    for (const struct work *work = node->works; work != NULL; work = work->next) {
        char name[128];
        if (!is_dataset_kept(node, &sound, &work->job->spec.manifest)) continue;
        snprintf(name, sizeof name, "the input of %s", work->job->name);
        tell_name(text, size, count++, slice_string(name));
    }
}

static const char *why_kept(const struct node *node)
{
    if (node->leave.is_hurried) return "it was to go at once";
    if (heard_is_last(node)) return "nobody stays who could take them";
    return "nobody has taken more of them for a while: see mrctl members and free space";
}

bool leave_answer(struct node *node, const struct pending *pending)
{
    const struct msg_ask_leave *ask = pending->request;
    const struct leave_look *last = &node->leave.look;
    char text[256] = "left", names[1024];
    if (node->leave.state == LEAVE_STAYS || node->leave.state == LEAVE_HANDS_OVER) return false;
    if (last->alone > 0) {
        kept_names(node, names, sizeof names);
        control_error(node, pending->stream, ask->request, CODE_PARTIAL,
                      "left, and took along %s (%s) of which no other copy is known"
                      "%s; %s. They are on its disk, and there again when it is back",
                      plural(last->alone, "block").text, plural(last->alone_size, "byte").text,
                      names, why_kept(node));
        return true;
    }
    if (last->blocks > 0)
        snprintf(text, sizeof text, "left; elsewhere is all that is needed of it: %s%s",
                 plural(last->blocks, "block").text,
                 last->lacking > 0 ? ", further copies are being made" : "");
    struct msg_say_ok reply = {.request = ask->request, .text = slice_string(text)};
    links_send(node, pending->stream, &wire_say_ok, &reply);
    return true;
}
