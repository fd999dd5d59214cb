/* The stories told first, because everything else builds on them: nothing goes wrong; the node that
 * took the job dies; two die; all die and return; the flock falls apart and comes together. Jobs
 * begin in the third second, with the flock formed; every job goes in through node 0, the
 * submitter. */
#include "sim/scenarios.h"

#include "sim/client.h"
#include "sim/world.h"

#include <string.h>

enum {
    JOBS_AT = 3 * SECOND,
    SUBMITTER = 0,
};

/* Everything that goes wrong is counted: the bound on work (S10) allows for it. */
static void part(struct world *world, enum layout layout)
{
    world->faults.partitions++;
    network_partition(&world->network, layout, &world->faults.prng, world->now);
}

static void scene_calm(struct world *world, uint64_t step)
{
    (void)world;
    (void)step;
}

static void scene_kill_submitter(struct world *world, uint64_t step)
{
    if (step == 3) faults_crash(world, SUBMITTER, CRASH_KILL, INSTANT_NEVER);
}

static void scene_power_cut_submitter(struct world *world, uint64_t step)
{
    if (step == 3) faults_crash(world, SUBMITTER, CRASH_UNSYNCED, 5 * SECOND);
}

static void scene_kill_two(struct world *world, uint64_t step)
{
    if (step == 3) faults_crash(world, SUBMITTER, CRASH_KILL, INSTANT_NEVER);
    if (step == 4) faults_crash(world, 1, CRASH_KILL, INSTANT_NEVER);
}

static void scene_all_crash(struct world *world, uint64_t step)
{
    for (uint32_t i = 0; step == 4 && i < world->hosts_count; i++)
        faults_crash(world, i, CRASH_UNSYNCED, SECOND + i * 100 * MILLISECOND);
}

static void scene_partition(struct world *world, uint64_t step)
{
    if (step == 3) part(world, LAYOUT_HALVES);
    if (step > 3) streams_sweep(world);
}

static void scene_one_way(struct world *world, uint64_t step)
{
    if (step == 3) part(world, LAYOUT_ONE_WAY);
    if (step > 3) streams_sweep(world);
}

static void scene_pause(struct world *world, uint64_t step)
{
    if (step == 3) faults_pause(world, SUBMITTER, 20 * SECOND);
}

static void scene_lose_disk(struct world *world, uint64_t step)
{
    if (step == 3) faults_crash(world, 1, CRASH_DISK, 3 * SECOND);
}

static void scene_leave(struct world *world, uint64_t step)
{
    if (step != 3) return;
    world->faults.count++;
    queue_push(&world->queue, (struct happening){.at = world->now + 1,
                                                 .kind = HAPPEN_LEAVE,
                                                 .host = 1,
                                                 .life = world->hosts[1].life});
}

static void scene_half_lost(struct world *world, uint64_t step)
{
    if (step == 0) world->network.loss = 500000;
}

static const struct scenario scenarios[] = {
    {"calm", "nothing goes wrong", 5, 3, 10 * SECOND, scene_calm},
    {"alone", "a flock of one", 1, 2, 10 * SECOND, scene_calm},
    {"kill-submitter", "the node that took the jobs is killed", 5, 3, 40 * SECOND,
     scene_kill_submitter},
    {"power-cut-submitter", "it loses its power and what it had not synced", 5, 3, 40 * SECOND,
     scene_power_cut_submitter},
    {"kill-two", "the submitter and another are killed", 5, 3, 40 * SECOND, scene_kill_two},
    {"all-crash", "all lose their power at once and start again", 5, 3, 20 * SECOND,
     scene_all_crash},
    {"partition", "two halves that work on, then meet again", 5, 3, 30 * SECOND, scene_partition},
    {"one-way", "some are heard and hear nobody", 5, 3, 30 * SECOND, scene_one_way},
    {"pause", "the submitter is stopped for 20 s", 5, 3, 30 * SECOND, scene_pause},
    {"lose-disk", "one returns with an empty disk", 5, 3, 20 * SECOND, scene_lose_disk},
    {"leave", "one leaves in the middle of a job", 5, 3, 30 * SECOND, scene_leave},
    {"half-lost", "half of all datagrams are lost", 5, 3, 30 * SECOND, scene_half_lost},
};

const struct scenario *scenario_each(unsigned i)
{
    return i < sizeof scenarios / sizeof *scenarios ? &scenarios[i] : NULL;
}

const struct scenario *scenario_find(const char *name)
{
    const struct scenario *scenario;
    for (unsigned i = 0; (scenario = scenario_each(i)) != NULL; i++)
        if (strcmp(scenario->name, name) == 0) return scenario;
    return NULL;
}

void scenario_begin(struct world *world, const struct scenario *scenario)
{
    uint64_t steps = (uint64_t)(scenario->heal / SECOND);
    for (uint64_t step = 0; step < steps; step++)
        queue_push(&world->queue, (struct happening){.at = (instant)(step + 1) * SECOND,
                                                     .kind = HAPPEN_SCENE,
                                                     .host = UINT32_MAX,
                                                     .number = step});
    for (uint32_t i = 0; i < world->jobs_count; i++)
        client_begin(world, i, JOBS_AT + i * 100 * MILLISECOND, SUBMITTER);
    queue_push(&world->queue,
               (struct happening){.at = scenario->heal, .kind = HAPPEN_HEAL, .host = UINT32_MAX});
}

void scenario_scene(struct world *world, uint64_t step)
{
    world->options.scenario->scene(world, step);
}
