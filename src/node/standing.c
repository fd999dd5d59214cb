/* How members stand beyond alive and dead.
 *
 *   degraded: it was held dead and proved to live, again and again (a bad cable, a machine that
 *             swaps). It stays a member, does what it has begun, serves its blocks; it is given no
 *             new work while others do it (claiming.c). It knows of itself, for it refuted each
 *             time.
 *   forgotten: an operator says that a dead one never comes back; all hold it left at once, and
 *             ping it no more; and it is off the roster, as an evicted one (evict.c). If it does
 *             come back, it does so with a new boot, as a newcomer, and is welcome. */
#include "node/state.h"

#include <string.h>

enum {
    FLAPS_MAX = 3,            /* one is bad luck, two a long repair */
    FLAPS_WITHIN_S = 10 * 60, /* longer than a partition heals, shorter than a shift */
};

static duration flaps_within(void) { return (duration)FLAPS_WITHIN_S * SECOND; }

static void flap(struct node *node, const struct id *id)
{
    struct roster_item *item = map_get(&node->roster, id);
    if (item == NULL) return;
    if (node->now - item->flapped > flaps_within()) item->flaps = 0;
    item->flapped = node->now;
    if (++item->flaps < FLAPS_MAX) return;
    char text[ID_SHORT_SIZE];
    trace_line(&node->trace, TRACE_WARN,
               "event=degraded id=%s text=\"held dead and back %u times within minutes: it is given"
               " no new work\"",
               id_short(id, text), item->flaps);
    node->is_living_stale = true;
    node->degraded_until = node->now + flaps_within();
}

bool standing_is_degraded(const struct node *node, const struct id *id)
{
    const struct roster_item *item = map_get(&node->roster, id);
    return item != NULL && item->flaps >= FLAPS_MAX && node->now - item->flapped <= flaps_within();
}

void standing_changed(struct node *node, const struct member *member, unsigned before)
{
    bool is_back = before == MEMBER_DEAD && member->state == MEMBER_ALIVE;
    if (is_back && member->cause == CAUSE_REFUTED) flap(node, &member->fact->id);
}

void standing_tick(struct node *node)
{
    for (; node->deaths_refuted < node->gossip.counters.deaths_refuted; node->deaths_refuted++)
        flap(node, &node->id);
    if (node->degraded_until == 0 || node->now <= node->degraded_until) return;
    node->degraded_until = 0;
    node->is_living_stale = node->is_work_wanted = true;
}

/* ---- forget ---- */

/* By name, or by the first digits of its id. *count: how many there are. */
static const struct member *find_named(const struct node *node, struct slice text, size_t *count)
{
    const struct member *found = NULL;
    size_t cursor = 0;
    *count = 0;
    for (const struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;) {
        char id[ID_TEXT_SIZE];
        bool is_name =
            text.count == strlen(m->fact->name) && memcmp(text.at, m->fact->name, text.count) == 0;
        bool is_id = text.count >= 4 && text.count < sizeof id &&
                     strncmp(id_text(&m->fact->id, id), (const char *)text.at, text.count) == 0;
        if (!is_name && !is_id) continue;
        found = m;
        (*count)++;
    }
    return found;
}

const char *standing_forget(struct node *node, uint64_t stream, const struct msg_ask_forget *ask)
{
    size_t count;
    const struct member *member = find_named(node, ask->node, &count);
    int shown = ask->node.count < 64 ? (int)ask->node.count : 64;
    const char *text = (const char *)ask->node.at;
    if (count == 0) {
        control_error(node, stream, ask->request, CODE_NOT_FOUND,
                      "no member is named %.*s: see: mrctl members", shown, text);
        return NULL;
    }
    if (count > 1) {
        control_error(node, stream, ask->request, CODE_USAGE,
                      "%zu members are meant by %.*s: say the id", count, shown, text);
        return NULL;
    }
    if (member_is_living(member)) {
        control_error(node, stream, ask->request, CODE_CONFLICT,
                      "%s lives: only the dead are forgotten (mrctl -n ITS-ADDRESS leave)",
                      member->fact->name);
        return NULL;
    }
    if (!flock_is_evicted(&node->flock, &member->fact->id) &&
        flock_has(&node->flock, &member->fact->id))
        evict_write(node, &member->fact->id, CAUSE_FORGOTTEN);
    gossip_forget(&node->gossip, node->now, &member->fact->id);
    return member->fact->name;
}
