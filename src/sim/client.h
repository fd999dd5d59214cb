/* Simulated mrctl: each job has a client of its own that uploads its input, submits it, waits for
 * its end and reads its output, going on with another node whenever its own dies or falls silent.
 * It holds nothing but what it was told. */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "base/id.h"
#include "base/prng.h"
#include "base/slice.h"
#include "base/time.h"
#include "sim/model.h"
#include "wire/kinds.h"
#include "wire/wire.h"

#include <stdbool.h>

struct world;
struct content;

enum client_state {
    CLIENT_AWAY, /* will connect at its next turn */
    CLIENT_CONNECTING,
    CLIENT_SUBMITTING,
    CLIENT_WAITING,
    CLIENT_READING,
    CLIENT_OVER, /* it has all it wants */
};

enum {
    CLIENT_TEXT_SIZE = 64
};

struct sim_job {
    uint32_t index;
    struct id id;
    char command[16];
    enum model model;
    uint32_t percent;                /* of flaky */
    char output[16];                 /* the dataset's name */
    char name[CLIENT_TEXT_SIZE + 1]; /* as the flock calls it; once acknowledged */
    uint32_t maps, reduces;
    uint8_t retries;
    uint8_t verify; /* copies of each task that must be done; 0 = 1 */
    bool wants_kill;
    bool is_small; /* its input comes with it, and it asks for its result at once */
    bool is_hasty; /* asks at one node and goes on to the next at once */
    const struct content **inputs;
    const struct content *manifest;
    struct digest *expected; /* of the output's blocks */
    uint32_t expected_count;
    uint32_t *runs[2], *exits[2]; /* per task: programs started, those that exited 1 */
    uint64_t copies;              /* programs started as second copies */

    enum client_state state;
    uint32_t peer;
    uint64_t stream; /* grows with each connection: its epoch */
    uint64_t request;
    instant heard;
    bool is_acked;
    uint8_t acks;
    instant acked_at;
    uint64_t disks_lost_at_ack;
    enum job_outcome told; /* what it was told of the end */
};

/* The jobs of the plan, which begin at their times. */
void clients_init(struct world *world, uint64_t seed);
void clients_deinit(struct world *world);

struct sim_job *client_job(struct world *world, const struct id *id);
bool clients_are_over(const struct world *world);
/* A program of this task began, or exited 1. */
void client_count_run(struct sim_job *job, uint32_t kind, uint32_t task, bool is_exit);

/* HAPPEN_CLIENT, and the events of its stream. */
void client_turn(struct world *world, uint32_t index, uint32_t epoch);
void client_opened(struct world *world, uint32_t index, uint64_t stream);
void client_record(struct world *world, uint32_t index, uint64_t stream, struct slice bytes);
void client_closed(struct world *world, uint32_t index, uint64_t stream);

#endif
