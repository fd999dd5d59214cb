#include "sim/heals.h"

#include "sim/world.h"

static bool is_equal(const struct world *world)
{
    const struct host *first = NULL;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->state != HOST_UP) continue;
        if (first == NULL) first = host;
        else if (node_log_digest(host->node) != node_log_digest(first->node)) return false;
    }
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->state != HOST_UP) continue;
        if (node_state_digest(host->node) != node_state_digest(first->node)) return false;
    }
    return true;
}

void heals_cut(struct world *world)
{
    world->result->heals_broken += world->heals.is_measuring;
    world->heals.is_measuring = false;
}

void heals_begin(struct world *world)
{
    heals_cut(world);
    if (is_equal(world)) world->result->heals_same++;
    else world->heals = (struct heals){true, world->now};
}

void heals_look(struct world *world)
{
    if (!world->heals.is_measuring || !is_equal(world)) return;
    struct sim_result *result = world->result;
    duration took = (world->now - world->heals.since) / MILLISECOND;
    world->heals.is_measuring = false;
    if (result->heals_count < SIM_HEALS_MAX) result->heals[result->heals_count++] = (uint32_t)took;
}
