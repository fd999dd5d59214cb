/* How fast the log is, with everything that a daemon has around it: real loops, sealed streams
 * over loopback, signatures, LMDB with its fsyncs. Only the tasks are made up: each author writes
 * jobs of JOB_TASKS tasks, a claim and a done a task, then the job's end.
 *
 *   bench_log disk DIR                              single fsync'd commits, and bare fsyncs
 *   bench_log flock DIR NODES AUTHORS ENTRIES STEP  until all hold all of it on disk
 *   bench_log newcomer DIR ENTRIES                  one node writes; another one then joins it
 *
 *   bench_log compact DIR NODES TASKS               memory when finished jobs are compacted, then a
 *                                                   newcomer behind their snapshot
 *
 * STEP: entries an author appends at once: they become one batch. Each node is a process; what
 * they tell each other for the measurement is in shared memory. */
#include "io/daemon.h"
#include "io/identity.h"
#include "io/loop.h"
#include "io/parts.h"
#include "io/port.h"
#include "node/node.h"
#include "store/log.h"
#include "wire/kinds.h"
#include "wire/seal.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NODES_MAX = 8, JOB_TASKS = 50000, LOOK_MS = 2, WINDOW = 50000 };

/* What a node shows the others. */
struct shown {
    struct id id;
    struct boot boot;
    struct address address;
    _Atomic bool is_ready;
    _Atomic uint64_t wanted;              /* entries that it is to write */
    _Atomic uint64_t written;
    _Atomic uint64_t durable[NODES_MAX];  /* of each node's feed, on its disk */
    _Atomic uint64_t entries;             /* held */
    _Atomic uint64_t memory;              /* of the core, bytes */
    _Atomic uint64_t digest;              /* of its state */
    _Atomic uint64_t cpu_ms;
};

struct shared {
    struct shown nodes[NODES_MAX];
    uint32_t count;
    uint32_t step;
    duration compact_every;
    _Atomic bool is_over;
};

struct rig {
    struct shared *shared;
    struct shown *self;
    uint32_t index;
    struct loop loop;
    struct node *node;
    struct storage *storage;
    struct crypto_pair pair;
    struct crypto_key key;
    struct port port;
    uv_timer_t timer;
    struct id job;
    uint32_t task; /* next one of the job; JOB_TASKS: the job ends */
    uint32_t half; /* 1: the claim is written, the done is next */
    struct msg_stamp claim;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_log: %s\n", what);
    exit(1);
}

static double seconds(void) { return (double)loop_now() / (double)SECOND; }

/* The bench writes where only the node should. */
static struct log *log_of(const struct rig *rig)
{
    return (struct log *)(uintptr_t)node_log(rig->node);
}

/* ---- made-up work ---- */

static void append(struct rig *rig, const struct wire_schema *schema, const void *message,
                   struct msg_stamp *stamp)
{
    if (log_append(log_of(rig), schema, message, stamp) != ERROR_NONE) die("append");
    rig->self->written++;
}

static void write_job(struct rig *rig)
{
    struct msg_stamp stamp;
    struct msg_job job = {.cause = CAUSE_ASKED};
    randombytes_buf(rig->job.bytes, sizeof rig->job.bytes);
    job.job = rig->job;
    job.spec = (struct msg_job_spec){.name = slice_string("bench"), .maps = 1, .retries = 4};
    job.spec.reduces = JOB_TASKS;
    job.spec.mapper = job.spec.reducer = slice_string("cat");
    append(rig, &wire_job, &job, &stamp);
}

static void write_end(struct rig *rig)
{
    struct msg_stamp stamp;
    struct msg_ended ended = {.job = rig->job, .outcome = JOB_DONE, .cause = CAUSE_EXITED};
    append(rig, &wire_ended, &ended, &stamp);
    rig->task = 0;
    memset(&rig->job, 0, sizeof rig->job);
}

static void write_one(struct rig *rig)
{
    struct msg_stamp stamp;
    if (id_is_zero(&rig->job)) {
        write_job(rig);
    } else if (rig->task == JOB_TASKS) {
        write_end(rig);
    } else if (rig->half == 0) {
        struct msg_task_range range = {.kind = TASK_REDUCE, .first = rig->task, .count = 1};
        struct msg_claim claim = {
            .job = rig->job, .number = 1, .cause = CAUSE_FIRST, .ranges = {&range, 1}};
        append(rig, &wire_claim, &claim, &rig->claim);
        rig->half = 1;
    } else {
        struct msg_done done = {.job = rig->job, .claim = rig->claim, .kind = TASK_REDUCE};
        done.task = rig->task++;
        done.output.size = 1000;
        randombytes_buf(done.output.digest.bytes, sizeof done.output.digest.bytes);
        done.cause = CAUSE_EXITED;
        append(rig, &wire_done, &done, &stamp);
        rig->half = 0;
    }
}

static uint64_t durable_everywhere(const struct rig *rig)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < rig->shared->count; i++) {
        uint64_t durable = rig->shared->nodes[i].durable[rig->index];
        if (durable < least) least = durable;
    }
    return least;
}

static void show(struct rig *rig)
{
    struct rusage usage;
    struct node *node = rig->node;
    for (uint32_t i = 0; i < rig->shared->count; i++) {
        const struct shown *other = &rig->shared->nodes[i];
        if (!other->is_ready) continue;
        rig->self->durable[i] = log_durable(node_log(node), &other->id, &other->boot);
    }
    rig->self->entries = log_counters(node_log(node))->entries;
    rig->self->memory = node_memory(node)->used;
    rig->self->digest = node_state_digest(node);
    getrusage(RUSAGE_SELF, &usage);
    rig->self->cpu_ms = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                        (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static void on_look(uv_timer_t *timer)
{
    struct rig *rig = timer->data;
    struct shown *self = rig->self;
    show(rig);
    if (rig->shared->is_over) {
        uv_close((uv_handle_t *)&rig->timer, NULL);
        loop_stop(&rig->loop, ERROR_NONE, "over");
        return;
    }
    loop_hold(&rig->loop); /* as what a stream brings at once */
    uint64_t under_way = log_have(log_of(rig), &self->id, &self->boot) - durable_everywhere(rig);
    for (int steps = 0; steps < 64 && self->written < self->wanted && under_way < WINDOW; steps++) {
        for (uint32_t i = 0; i < rig->shared->step && self->written < self->wanted; i++)
            write_one(rig);
        under_way += rig->shared->step;
        struct event event = {.kind = EVENT_TICK};
        loop_feed(&rig->loop, &event);
    }
    loop_release(&rig->loop);
}

/* ---- a node ---- */

static enum error load_one(void *context, struct slice key, struct slice value)
{
    struct rig *rig = context;
    struct arena *scratch = &rig->loop.actions.arena;
    if (identity_is_own(key)) return ERROR_NONE;
    arena_reset(scratch);
    return node_load(rig->node, key, value, scratch) == NULL ? ERROR_NONE : ERROR_CORRUPT;
}

static void quiet(void *context, enum trace_level level, const char *line)
{
    (void)context;
    if (level >= TRACE_WARN) fprintf(stderr, "%s\n", line);
}

static void open_node(struct rig *rig, const char *directory)
{
    struct trace trace = {quiet, NULL, TRACE_WARN};
    char path[512], name[16];
    snprintf(path, sizeof path, "%s/node%u", directory, rig->index);
    snprintf(name, sizeof name, "n%u", rig->index);
    struct address any = address_ipv4(127, 0, 0, 1, 0);
    uint8_t pair_seed[32];
    randombytes_buf(pair_seed, sizeof pair_seed);
    seal_pair_from_seed(pair_seed, &rig->pair);
    if (file_make_directories(path, 0700) != ERROR_NONE) die("directory");
    if (port_open(&any, &rig->port) != ERROR_NONE) die("port");
    char log[600];
    snprintf(log, sizeof log, "%s/log", path);
    if (storage_journal_open(log, &rig->storage) != ERROR_NONE) die("storage");
    if (identity_boot(rig->storage, 0, &rig->self->boot) != ERROR_NONE) die("boot");
    if (loop_open(&rig->loop, &trace) != ERROR_NONE) die("loop");
    rig->self->id = rig->loop.self = crypto_node_id(&crypto_sodium, &rig->pair.public);
    rig->self->address = rig->port.address;
    struct channel_config identity = {.keys = &rig->key, .keys_count = 1, .pair = &rig->pair};
    identity.self.node = rig->self->id;
    identity.self.boot = rig->self->boot;
    identity.self.address = rig->port.address;
    memcpy(identity.self.name, name, sizeof name);
    if (parts_open(&rig->loop, path, &identity, &rig->port, rig->storage) != ERROR_NONE)
        die("parts");
    struct node_config config = {.crypto = &crypto_sodium, .pair = &rig->pair, .keys = &rig->key};
    config.keys_count = 1;
    config.boot = rig->self->boot;
    config.address = rig->port.address;
    config.name = name;
    config.profile = PROFILE_LOCAL;
    config.join = &rig->shared->nodes[0].address;
    config.join_count = rig->index > 0;
    config.memory_budget = (size_t)8 << 30;
    config.compact_every = rig->shared->compact_every;
    config.details_kept = rig->shared->compact_every;
    config.trace = trace;
    randombytes_buf(&config.seed, sizeof config.seed);
    rig->node = node_open(&config, loop_now());
    if (rig->node == NULL) die("node");
    if (storage_each(rig->storage, slice_string(""), load_one, rig) != ERROR_NONE) die("load");
}

static void run_node(struct shared *shared, uint32_t index, const char *directory)
{
    static struct rig rig;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN); /* as mrnode does */
    rig.shared = shared;
    rig.self = &shared->nodes[index];
    rig.index = index;
    memset(&rig.key, 7, sizeof rig.key);
    open_node(&rig, directory);
    if (uv_timer_init(&rig.loop.uv, &rig.timer) != 0) die("timer");
    rig.timer.data = &rig;
    if (parts_start(&rig.loop) != ERROR_NONE) die("parts");
    if (loop_start(&rig.loop, rig.node) != ERROR_NONE) die("start");
    (void)uv_timer_start(&rig.timer, on_look, LOOK_MS, LOOK_MS);
    rig.self->is_ready = true;
    loop_run(&rig.loop);
    if (!shared->is_over) die(rig.loop.stop_text);
    _exit(0);
}

static pid_t spawn(struct shared *shared, uint32_t index, const char *directory)
{
    pid_t pid = fork();
    if (pid == 0) run_node(shared, index, directory);
    while (!shared->nodes[index].is_ready) usleep(1000);
    return pid;
}

static struct shared *share(uint32_t count, uint32_t step)
{
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) die("no shared memory");
    shared->count = count;
    shared->step = step;
    return shared;
}

/* ---- measurements ---- */

/* A node that has ended has said why; nobody waits for it. */
static void wait_a_little(const struct shared *shared, unsigned us)
{
    int status;
    usleep(us);
    if (shared->is_over || waitpid(-1, &status, WNOHANG) <= 0) return;
    if (WIFSIGNALED(status)) fprintf(stderr, "bench_log: signal %d\n", WTERMSIG(status));
    die("a node has ended");
}

static void report(const struct shared *shared, const char *what, uint64_t entries, double took)
{
    uint64_t tasks = entries / 2;
    printf("%s: %llu entries in %.2f s: %.0f entries/s", what, (unsigned long long)entries, took,
           (double)entries / took);
    for (uint32_t i = 0; i < shared->count; i++)
        printf("; n%u %.1f MiB (%.1f MiB per million tasks), cpu %.2f s", i,
               (double)shared->nodes[i].memory / (1 << 20),
               (double)shared->nodes[i].memory / (1 << 20) * 1e6 / (double)tasks,
               (double)shared->nodes[i].cpu_ms / 1000);
    printf("\n");
}

static bool is_everywhere(const struct shared *shared, uint32_t authors, uint64_t each)
{
    for (uint32_t i = 0; i < shared->count; i++) {
        if (shared->nodes[i].digest != shared->nodes[0].digest) return false;
        for (uint32_t a = 0; a < authors; a++)
            if (shared->nodes[i].durable[a] < each) return false;
    }
    return true;
}

static void measure_flock(const char *directory, uint32_t count, uint32_t authors,
                          uint64_t entries, uint32_t step)
{
    char what[64];
    struct shared *shared = share(count, step);
    for (uint32_t i = 0; i < count; i++) (void)spawn(shared, i, directory);
    for (bool is_joined = false; !is_joined; wait_a_little(shared, 10000)) {
        is_joined = true;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t a = 0; a < count; a++)
                is_joined = is_joined && shared->nodes[i].durable[a] > 0;
    }
    double start = seconds();
    for (uint32_t a = 0; a < authors; a++) shared->nodes[a].wanted = entries / authors;
    while (!is_everywhere(shared, authors, entries / authors)) wait_a_little(shared, 2000);
    snprintf(what, sizeof what, "flock of %u, %u authors, %u an append", count, authors, step);
    report(shared, what, entries, seconds() - start);
    shared->is_over = true;
    while (wait(NULL) > 0) continue;
}

static void measure_newcomer(const char *directory, uint64_t entries)
{
    struct shared *shared = share(1, 500);
    (void)spawn(shared, 0, directory);
    shared->nodes[0].wanted = entries;
    while (shared->nodes[0].durable[0] < entries) wait_a_little(shared, 2000);
    shared->count = 2;
    double start = seconds();
    (void)spawn(shared, 1, directory);
    while (!is_everywhere(shared, 1, entries)) wait_a_little(shared, 2000);
    report(shared, "newcomer in step", entries, seconds() - start);
    shared->is_over = true;
    while (wait(NULL) > 0) continue;
}

static bool is_compact(const struct shared *shared)
{
    for (uint32_t i = 0; i < shared->count; i++)
        if (shared->nodes[i].memory > (4 << 20)) return false;
    return true;
}

static void measure_compact(const char *directory, uint32_t count, uint64_t tasks)
{
    enum { PATIENCE = 30 };
    struct shared *shared = share(count, 100);
    /* Whole jobs: a job entry, a claim and a done a task, an end. */
    uint64_t jobs = tasks / JOB_TASKS, entries = jobs * (2 * (uint64_t)JOB_TASKS + 2);
    shared->compact_every = SECOND;
    for (uint32_t i = 0; i < count; i++) (void)spawn(shared, i, directory);
    double start = seconds();
    shared->nodes[0].wanted = entries;
    while (!is_everywhere(shared, 1, entries)) wait_a_little(shared, 2000);
    report(shared, "written, compacting meanwhile", entries, seconds() - start);
    start = seconds();
    while (!is_compact(shared) && seconds() - start < PATIENCE) wait_a_little(shared, 10000);
    report(shared, "compacted, so much later", entries, seconds() - start);
    start = seconds();
    (void)spawn(shared, shared->count, directory);
    shared->count++;
    while (!is_everywhere(shared, 1, entries)) wait_a_little(shared, 2000);
    report(shared, "a newcomer behind that", entries, seconds() - start);
    shared->is_over = true;
    while (wait(NULL) > 0) continue;
}

static void measure_disk(const char *directory)
{
    enum { ROUNDS = 300, SIZE = 250 };
    char path[512];
    uint8_t value[SIZE] = {1};
    struct storage *storage;
    snprintf(path, sizeof path, "%s/fsync", directory);
    int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (file < 0) die(path);
    double start = seconds();
    for (int i = 0; i < ROUNDS; i++)
        if (write(file, value, SIZE) != SIZE || fsync(file) != 0) die("fsync");
    printf("disk: one fsync takes %.3f ms\n", (seconds() - start) * 1000 / ROUNDS);
    close(file);
    snprintf(path, sizeof path, "%s/single", directory);
    if (storage_lmdb_open(path, &storage) != ERROR_NONE) die(path);
    start = seconds();
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t key[8] = {'k', 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
        struct storage_put put = {slice_of(key, sizeof key), slice_of(value, SIZE)};
        if (storage_write(storage, &put, 1) != ERROR_NONE || storage_sync(storage) != ERROR_NONE)
            die("commit");
    }
    printf("single fsync'd LMDB commits: %.0f/s\n", ROUNDS / (seconds() - start));
    storage_close(storage);
}

int main(int count, char *arguments[])
{
    if (count < 3 || sodium_init() < 0) die("disk | flock | newcomer, see the top of the source");
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *what = arguments[1], *directory = arguments[2];
    if (strcmp(what, "disk") == 0) measure_disk(directory);
    else if (strcmp(what, "newcomer") == 0 && count == 4)
        measure_newcomer(directory, strtoull(arguments[3], NULL, 10));
    else if (strcmp(what, "compact") == 0 && count == 5)
        measure_compact(directory, (uint32_t)atoi(arguments[3]), strtoull(arguments[4], NULL, 10));
    else if (strcmp(what, "flock") == 0 && count == 7)
        measure_flock(directory, (uint32_t)atoi(arguments[3]), (uint32_t)atoi(arguments[4]),
                      strtoull(arguments[5], NULL, 10), (uint32_t)atoi(arguments[6]));
    else die("what? see the top of the source");
    return 0;
}
