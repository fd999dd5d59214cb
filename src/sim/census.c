/* The count is kept as things change, not taken by walks: ten thousand observers of ten thousand
 * members are 10^8 pairs. A story knows how many of those who run hold its subject as they should;
 * each change of one observer's mind moves that by one. Whether a node's whole view is the truth
 * shows in its view's digest, by one comparison. */
#include "sim/census.h"

#include "sim/crowd.h"
#include "sim/grow.h"

#include <assert.h>
#include <stdlib.h>

void census_open(struct census *census, uint32_t nodes_count)
{
    *census = (struct census){.csv = census->csv};
    census->open = calloc(nodes_count, sizeof *census->open);
    census->is_victim = calloc(nodes_count, sizeof *census->is_victim);
    census->calm = calloc(nodes_count, sizeof *census->calm);
    assert(census->open != NULL && census->is_victim != NULL && census->calm != NULL);
}

void census_close(struct census *census)
{
    free(census->stories);
    free(census->open);
    free(census->is_victim);
    free(census->calm);
    *census = (struct census){.csv = NULL};
}

/* ---- stories ---- */

/* Is this how the story ends for one observer? */
static bool is_known(enum story_kind kind, unsigned state)
{
    if (kind == STORY_KILL || kind == STORY_PAUSE) return state == MEMBER_DEAD;
    return state == MEMBER_ALIVE;
}

static bool knows(const struct crowd *crowd, uint32_t observer, const struct story *story)
{
    const struct id *id = &crowd->nodes[story->subject].gossip.config.id;
    const struct member *member = members_find(&crowd->nodes[observer].gossip.members, id);
    return member != NULL && is_known(story->kind, member->state);
}

static bool observes(const struct crowd *crowd, uint32_t observer, const struct story *story)
{
    return observer != story->subject && crowd->nodes[observer].state == CROWD_RUNNING;
}

static void settle(struct crowd *crowd, struct story *story)
{
    duration passed = crowd->now - story->at;
    if (story->known >= 1 && story->first == INSTANT_NEVER) story->first = passed;
    if (2 * story->known >= story->expected && story->half == INSTANT_NEVER) story->half = passed;
    if (story->known < story->expected) return;
    story->all = passed;
    story->is_open = false;
    crowd->census.open[story->subject] = 0;
}

static struct story *add_story(struct crowd *crowd, enum story_kind kind, uint32_t subject)
{
    struct census *census = &crowd->census;
    census->stories = sim_grow(census->stories, census->stories_count, &census->stories_capacity,
                               sizeof *census->stories);
    struct story *story = &census->stories[census->stories_count++];
    *story = (struct story){.kind = kind, .subject = subject, .at = crowd->now, .is_open = true};
    story->first = story->half = story->all = INSTANT_NEVER;
    return story;
}

void census_begin(struct crowd *crowd, enum story_kind kind, uint32_t subject)
{
    struct census *census = &crowd->census;
    struct story *story = add_story(crowd, kind, subject);
    if (kind == STORY_HEAL) {
        census->heal_place = census->stories_count;
        return;
    }
    if (census->open[subject] != 0) census->stories[census->open[subject] - 1].is_open = false;
    census->open[subject] = (uint32_t)census->stories_count;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        if (!observes(crowd, i, story)) continue;
        story->expected++;
        if (knows(crowd, i, story)) story->known++;
    }
    settle(crowd, story);
}

/* ---- truth ---- */

static void settle_heal(struct crowd *crowd)
{
    struct census *census = &crowd->census;
    if (census->heal_place == 0 || crowd->is_parted) return;
    struct story *story = &census->stories[census->heal_place - 1];
    if (census->right_count > 0 && story->first == INSTANT_NEVER)
        story->first = crowd->now - story->at;
    if (2 * census->right_count >= census->running_count && story->half == INSTANT_NEVER)
        story->half = crowd->now - story->at;
    if (census->right_count < census->running_count) return;
    story->all = crowd->now - story->at;
    story->is_open = false;
    census->heal_place = 0;
}

static bool is_right(const struct crowd *crowd, const struct crowd_node *node)
{
    return node->gossip.members.view_digest == crowd->census.truth;
}

void census_look(struct crowd *crowd, struct crowd_node *node)
{
    bool is_right_now = is_right(crowd, node);
    if (is_right_now == node->is_right) return;
    node->is_right = is_right_now;
    if (is_right_now) crowd->census.right_count++;
    else crowd->census.right_count--;
    settle_heal(crowd);
}

/* Who runs has changed: the truth is another. */
static void look_at_all(struct crowd *crowd)
{
    struct census *census = &crowd->census;
    census->right_count = census->running_count = 0;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        struct crowd_node *node = &crowd->nodes[i];
        if (node->state != CROWD_RUNNING) continue;
        node->is_right = is_right(crowd, node);
        census->running_count++;
        census->right_count += node->is_right;
    }
    settle_heal(crowd);
}

/* The observer counts in each open story by +1 or -1. */
static void recount(struct crowd *crowd, uint32_t observer, int sign)
{
    struct census *census = &crowd->census;
    for (size_t i = 0; i < census->stories_count; i++) {
        struct story *story = &census->stories[i];
        if (!story->is_open || story->kind == STORY_HEAL || story->subject == observer) continue;
        story->expected += (uint32_t)sign;
        if (knows(crowd, observer, story)) story->known += (uint32_t)sign;
        settle(crowd, story);
    }
    census->truth += (uint64_t)sign * crowd->nodes[observer].gossip.members.self->fact->view_part;
    look_at_all(crowd);
}

void census_leave(struct crowd *crowd, uint32_t observer) { recount(crowd, observer, -1); }

void census_enter(struct crowd *crowd, uint32_t observer) { recount(crowd, observer, 1); }

/* ---- what observers hold ---- */

static bool is_wrong(const struct crowd *crowd, uint32_t observer, uint32_t subject)
{
    if (crowd->nodes[subject].state != CROWD_RUNNING) return false;
    /* Held dead from over there: right while they are apart, and forgiven until all is well. */
    bool is_healing = crowd->is_parted || crowd->census.heal_place != 0;
    if (is_healing && (observer & 1) != (subject & 1)) return false;
    /* Just resumed: what was said of it may still be under way. */
    uint32_t place = crowd->census.open[subject];
    return place == 0 || crowd->census.stories[place - 1].kind != STORY_RETURN;
}

static void count_wrong(struct crowd *crowd, uint32_t observer, uint32_t subject, unsigned state)
{
    struct census *census = &crowd->census;
    if (!is_wrong(crowd, observer, subject)) return;
    if (state == MEMBER_SUSPECT) census->wrong_suspicions++;
    if (state != MEMBER_DEAD) return;
    census->wrong_failures++;
    if (!census->is_victim[subject]) census->wrong_victims++;
    census->is_victim[subject] = true;
}

void census_changed(struct crowd *crowd, uint32_t observer, const struct member *member,
                    unsigned before)
{
    struct census *census = &crowd->census;
    uint32_t subject = crowd_number(&member->fact->id);
    assert(subject < crowd->nodes_count);
    if (before == member->state || crowd->nodes[observer].state != CROWD_RUNNING) return;
    count_wrong(crowd, observer, subject, member->state);
    if (census->open[subject] == 0) return;
    struct story *story = &census->stories[census->open[subject] - 1];
    bool was_known = is_known(story->kind, before),
         is_known_now = is_known(story->kind, member->state);
    if (was_known == is_known_now) return;
    story->known += is_known_now ? 1u : -1u;
    if (is_known_now && census->csv != NULL)
        fprintf(census->csv, "%s,%u,%u,%.6f\n", story_text(story->kind), subject, observer,
                (double)(crowd->now - story->at) / SECOND);
    settle(crowd, story);
}

void census_restart_loads(struct crowd *crowd, bool is_calm)
{
    struct census *census = &crowd->census;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        if (is_calm) census->calm[i] = crowd->nodes[i].load;
        else crowd->nodes[i].load = (struct load){0};
    }
    if (is_calm) census->calm_time = crowd->now - census->measured_since;
    else census->measured_since = crowd->now;
}

/* ---- distributions ---- */

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread spread_of(double *values, size_t count)
{
    if (count == 0) return (struct spread){0};
    qsort(values, count, sizeof *values, compare_values);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return (struct spread){
        .least = values[0],
        .median = (values[(count - 1) / 2] + values[count / 2]) / 2,
        .most = values[count - 1],
        .mean = sum / (double)count,
        .count = count,
    };
}

struct spread census_spread(const struct census *census, enum story_kind kind, int which)
{
    double *values = malloc((census->stories_count + 1) * sizeof *values);
    assert(values != NULL);
    size_t count = 0;
    for (size_t i = 0; i < census->stories_count; i++) {
        const struct story *story = &census->stories[i];
        duration time = which == 0 ? story->first : which == 1 ? story->half : story->all;
        if (story->kind == kind && time != INSTANT_NEVER) values[count++] = (double)time / SECOND;
    }
    struct spread spread = spread_of(values, count);
    free(values);
    return spread;
}

const char *story_text(enum story_kind kind)
{
    static const char *const texts[STORY_KINDS] = {"kill", "pause", "return", "join", "heal"};
    assert(kind < STORY_KINDS);
    return texts[kind];
}
