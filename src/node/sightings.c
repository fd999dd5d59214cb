/* What this node saw become of members, and why: the last of it, for `mrctl events`. The log has
 * only what all must agree on: of a death no more than which claims it frees, of a suspicion
 * nothing. So these are one node's word, in its memory alone; what two nodes saw may differ, and
 * that is what one wants to see. They carry the time of the log's clock, to stand among its
 * entries. */
#include "node/sightings.h"

#include "node/state.h"

void sightings_note(struct node *node, const struct member *member, unsigned before)
{
    struct sightings *sightings = &node->sightings;
    if (before == member->state) return; /* another boot, or address */
    sightings->items[sightings->count++ % SIGHTINGS_MAX] = (struct sighting){
        .node = member->fact->id,
        .at = node->now,
        .time = log_clock(node->log),
        .state = member->state,
        .before = before,
        .cause = member->cause,
    };
}

void sightings_answer(struct node *node, uint64_t stream, const struct msg_ask_sightings *ask)
{
    const struct sightings *sightings = &node->sightings;
    struct arena *arena = &node->actions->arena;
    uint64_t last = sightings->count, from = last < SIGHTINGS_MAX ? 0 : last - SIGHTINGS_MAX;
    if (ask->behind > from) from = ask->behind < last ? ask->behind : last;
    struct msg_sighting_row *rows = arena_take(arena, SIGHTINGS_MAX * sizeof *rows);
    struct msg_say_sightings reply = {
        .request = ask->request, .node = node->id, .node_name = slice_string(node->name)};
    if (rows == NULL) return;
    uint32_t count = 0;
    for (uint64_t n = from; n < last; n++) {
        const struct sighting *sighting = &sightings->items[n % SIGHTINGS_MAX];
        rows[count++] = (struct msg_sighting_row){
            .time = sighting->time,
            .ago_ms = (uint64_t)((node->now - sighting->at) / MILLISECOND),
            .node = sighting->node,
            .node_name = answers_author(node, &sighting->node, arena),
            .state = (uint8_t)sighting->state,
            .before = (uint8_t)sighting->before,
            .cause = (uint8_t)sighting->cause,
        };
    }
    reply.last = last;
    reply.rows = (struct list){rows, count};
    links_send(node, stream, &wire_say_sightings, &reply);
}
