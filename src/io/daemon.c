/* A node's start and end, in the order that matters:
 *
 *   keys -> lock the directory -> port -> storage -> boot made durable -> names to join (2 s)
 *   -> node loaded from disk -> first packet -> `ready`
 *
 * Nothing of a node is seen by others before its boot is on the disk.
 * Everything here may block: no peer waits for us yet. */
#include "io/daemon.h"

#include "io/blocks.h"
#include "io/confinement.h"
#include "io/fetch.h"
#include "io/identity.h"
#include "io/keyfile.h"
#include "io/loop.h"
#include "io/parts.h"
#include "io/port.h"
#include "io/resolve.h"
#include "store/log.h"
#include "wire/seal.h"

#include <assert.h>
#include <pwd.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    DAEMON_JOIN_WAIT = 2 * SECOND, /* for names; then it starts and goes on asking */
    DAEMON_USURPED_MAX = 2,        /* new boots within the time below; the third is the end */
    DAEMON_USURPED_WITHIN = 60,    /* seconds: a disk image brought back is one, rarely two */
    DAEMON_FILES_MAX = 65536,      /* descriptors, as far as the system allows */
};

/* What one boot hands to the next when it has to start anew. */
struct life {
    uint64_t above; /* the boot must be above this; 0 = any: the first start */
    uint16_t port;  /* the kernel's choice of then; 0 = as the options say */
};

struct daemon {
    const struct options *options;
    char directory[FILE_PATH_MAX];
    char key_file[FILE_PATH_MAX];
    char name[65];
    struct why why;
    struct logfmt log;
    struct crypto_pair pair;
    struct crypto_key keys[IDENTITY_KEYS_MAX];
    size_t keys_count;
    struct keyfile keyfile;
    int lock;
    struct port port;
    struct address address; /* as others reach it */
    struct storage *storage;
    struct life *life;
    struct confinement confinement;
    struct boot boot;
    struct node *node;
    struct loop loop;
    bool has_loop;
    bool is_key_new;
};

static bool complain(struct daemon *daemon, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What to do next, behind a semicolon; nothing when there is nothing to say. */
static const char *semicolon(enum error error) { return *error_hint(error) != '\0' ? "; " : ""; }

static bool complain(struct daemon *daemon, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(daemon->why.text, sizeof daemon->why.text, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- where and who ---- */

static const char *home(void)
{
    const char *value = getenv("HOME");
    if (value != NULL && *value == '/') return value;
    const struct passwd *user = getpwuid(getuid());
    return user != NULL ? user->pw_dir : "/";
}

/* Absolute: tasks work elsewhere. The directory is made here, so that it has a real path. */
static bool find_directory(struct daemon *daemon)
{
    char wanted[FILE_PATH_MAX];
    const char *given = daemon->options->directory;
    bool fits = given != NULL ? file_path(wanted, "%s", given)
                              : file_path(wanted, "%s/.local/share/mr", home());
    if (!fits) return complain(daemon, "the path of the directory is too long");
    enum error error = file_make_directories(wanted, 0700);
    if (error != ERROR_NONE || realpath(wanted, daemon->directory) == NULL)
        return complain(daemon, "directory %.900s: %s; choose another with -d", wanted,
                        error_text(error));
    return true;
}

static void find_name(struct daemon *daemon)
{
    char host[256] = "node";
    if (daemon->options->name == NULL && gethostname(host, sizeof host - 1) == 0)
        host[strcspn(host, ".")] = '\0';
    const char *name = daemon->options->name != NULL ? daemon->options->name : host;
    snprintf(daemon->name, sizeof daemon->name, "%.64s", *name != '\0' ? name : "node");
}

static bool find_keys(struct daemon *daemon)
{
    const struct options *options = daemon->options;
    char text[ADDRESS_TEXT_SIZE];
    bool fits = options->key_file != NULL
                    ? file_path(daemon->key_file, "%s", options->key_file)
                    : file_path(daemon->key_file, "%s/.config/mr/cluster.key", home());
    if (!fits) return complain(daemon, "the key file's path is too long");
    enum identity_found found =
        identity_keys(daemon->key_file, daemon->keys, &daemon->keys_count, &daemon->why);
    if (found != IDENTITY_ABSENT) return found == IDENTITY_FOUND;
    if (!address_is_loopback(&options->listen))
        return complain(
            daemon,
            "no cluster key at %.700s, and --listen %s is open to others; copy the flock's key"
            " there, or make one: mrctl keygen %.100s",
            daemon->key_file, address_text(&options->listen, text), daemon->key_file);
    if (options->is_check) return true; /* a start makes it */
    if (!identity_make_key(daemon->key_file, &daemon->why)) return false;
    daemon->is_key_new = true;
    found = identity_keys(daemon->key_file, daemon->keys, &daemon->keys_count, &daemon->why);
    return found == IDENTITY_FOUND;
}

static bool is_unspecified(const struct address *address)
{
    static const uint8_t zeros[4];
    return address_is_none(address) ||
           (address_is_ipv4(address) && memcmp(address->ip + 12, zeros, 4) == 0);
}

/* Listening everywhere, on both families: its IPv4 address reaches more of the others. */
static struct address guess_address(const struct address *bound)
{
    struct address four = address_ipv4(0, 0, 0, 0, bound->port);
    struct address guess = port_guess(&four);
    if (is_unspecified(&guess) && !address_is_ipv4(bound)) guess = port_guess(bound);
    return is_unspecified(&guess) ? address_ipv4(127, 0, 0, 1, bound->port) : guess;
}

static void find_address(struct daemon *daemon)
{
    const struct address *given = &daemon->options->advertise, *bound = &daemon->port.address;
    daemon->address = address_is_none(given) ? *bound : *given;
    if (is_unspecified(&daemon->address)) daemon->address = guess_address(bound);
    if (daemon->address.port == 0) daemon->address.port = bound->port;
}

static bool open_port(struct daemon *daemon)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address listen = daemon->options->listen;
    if (daemon->life->port != 0) listen.port = daemon->life->port;
    enum error error = port_open(&listen, &daemon->port);
    (void)address_text(&listen, text);
    if (error == ERROR_BUSY)
        return complain(
            daemon,
            "port %s is taken: in use by another mrnode, perhaps; stop that or choose another with"
            " --listen",
            text);
    if (error == ERROR_NOT_FOUND)
        return complain(daemon, "--listen %s: this machine has no such address; see: ip address",
                        text);
    if (error == ERROR_DENIED)
        return complain(daemon, "--listen %s: not permitted; ports below 1024 need privileges",
                        text);
    if (error != ERROR_NONE) return complain(daemon, "--listen %s: %s", text, error_text(error));
    return true;
}

static bool open_storage(struct daemon *daemon)
{
    char path[FILE_PATH_MAX];
    if (!file_path(path, "%s/log", daemon->directory))
        return complain(daemon, "the path is too long");
    enum error error = file_make_directory(path, 0700);
    if (error == ERROR_NONE) error = storage_journal_open(path, &daemon->storage);
    if (error != ERROR_NONE)
        return complain(daemon, "the log in %.900s: %s%s%s", path, error_text(error),
                        semicolon(error), error_hint(error));
    return true;
}

static bool open_boot(struct daemon *daemon)
{
    enum error error = identity_boot(daemon->storage, daemon->life->above, &daemon->boot);
    if (error == ERROR_NONE) return true;
    return complain(daemon, "the log in %.900s: %s%s%s", daemon->directory, error_text(error),
                    semicolon(error), error_hint(error));
}

/* ---- the loop and its parts ---- */

static struct channel_config channel_identity(const struct daemon *daemon)
{
    struct channel_config config = {
        .keys = daemon->keys, .keys_count = daemon->keys_count, .pair = &daemon->pair};
    config.self.node = daemon->loop.self;
    config.self.boot = daemon->boot;
    config.self.address = daemon->address;
    memcpy(config.self.name, daemon->name, sizeof config.self.name);
    return config;
}

static bool complain_start(struct daemon *daemon, enum error error)
{
    return complain(daemon, "start: %s%s%s", error_text(error), semicolon(error),
                    error_hint(error));
}

static bool open_loop(struct daemon *daemon)
{
    struct trace trace = {logfmt_line, &daemon->log, daemon->options->level};
    enum error error = loop_open(&daemon->loop, &trace);
    daemon->has_loop = error == ERROR_NONE;
    if (!daemon->has_loop) return complain_start(daemon, error);
    daemon->loop.self = crypto_node_id(&crypto_sodium, &daemon->pair.public);
    daemon->loop.confinement = &daemon->confinement;
    daemon->loop.prefetch_size_max = daemon->options->prefetch_size;
    daemon->loop.keyfile = &daemon->keyfile;
    if (!keyfile_init(&daemon->keyfile, &daemon->loop, daemon->key_file, daemon->keys,
                      &daemon->keys_count))
        return complain(daemon, "the key file's path is too long");
    struct channel_config identity = channel_identity(daemon);
    if (error == ERROR_NONE)
        error =
            parts_open(&daemon->loop, daemon->directory, &identity, &daemon->port, daemon->storage);
    return error == ERROR_NONE || complain_start(daemon, error);
}

/* After the parts: blocks.c made the directories. */
static bool find_confinement(struct daemon *daemon)
{
    char id[ID_TEXT_SIZE], text[FILE_PATH_MAX + 128];
    daemon->confinement = daemon->options->confinement;
    const char *lack = confinement_find(&daemon->confinement, daemon->directory, daemon->key_file,
                                        id_text(&daemon->loop.self, id));
    if (lack != NULL) return complain(daemon, "--confine strict: %s", lack);
    confinement_text(&daemon->confinement, text, sizeof text);
    trace_line(&daemon->loop.trace, TRACE_INFO, "event=confinement mode=%s %s",
               daemon->confinement.mode, text);
    return true;
}

/* ---- joining ---- */

static void on_wait_over(uv_timer_t *timer) { *(bool *)timer->data = true; }

/* Numeric addresses at once, names by the resolver, which goes on by itself for those that take
 * longer. */
static size_t find_joins(struct daemon *daemon, struct address joins[OPTIONS_JOINS_MAX])
{
    const struct options *options = daemon->options;
    struct loop *loop = &daemon->loop;
    bool is_over = false;
    uv_timer_t timer;
    for (size_t i = 0; i < options->joins_count; i++)
        resolver_insist(loop->resolver, options->joins[i]);
    if (options->joins_count == 0) return 0;
    if (uv_timer_init(&loop->uv, &timer) != 0) abort(); /* it only fills in a struct */
    timer.data = &is_over;
    (void)uv_timer_start(&timer, on_wait_over, DAEMON_JOIN_WAIT / MILLISECOND, 0);
    while (!is_over && resolver_pending(loop->resolver) > 0) (void)uv_run(&loop->uv, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* the timer is of this stack frame */
    return resolver_found(loop->resolver, joins, OPTIONS_JOINS_MAX);
}

/* ---- the node ---- */

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

static bool open_node(struct daemon *daemon, const struct address *joins, size_t joins_count)
{
    const struct options *options = daemon->options;
    struct node_config config = {.crypto = &crypto_sodium,
                                 .pair = &daemon->pair,
                                 .keys = daemon->keys,
                                 .keys_count = daemon->keys_count,
                                 .boot = daemon->boot,
                                 .address = daemon->address,
                                 .name = daemon->name,
                                 .profile = options->profile,
                                 .tags = options->tags,
                                 .tags_count = options->tags_count,
                                 .join = joins,
                                 .join_count = joins_count,
                                 .wall_ms = wall_ms(),
                                 .memory_budget = (size_t)options->memory_size,
                                 .trace = daemon->loop.trace};
    config.task_memory =
        options->memory_size != 0 ? options->memory_size : machine_memory() / 4 * 3;
    config.confinement = daemon->confinement.parts;
    config.scrub_every = options->scrub_every;
    config.details_kept = options->details_kept;
    config.pin_length = options->pin_length;
    config.evict_after = options->evict_after;
    config.slots = options->slots != 0 ? options->slots : (uint16_t)uv_available_parallelism();
    randombytes_buf(&config.seed, sizeof config.seed);
    daemon->node = node_open(&config, loop_now());
    return daemon->node != NULL ||
           complain(daemon, "no memory for the node; %s", error_hint(ERROR_MEMORY));
}

static enum error visit_load(void *context, struct slice key, struct slice value)
{
    struct daemon *daemon = context;
    struct arena *scratch = &daemon->loop.actions.arena;
    if (identity_is_own(key)) return ERROR_NONE;
    arena_reset(scratch);
    const char *reason = node_load(daemon->node, key, value, scratch);
    if (reason == NULL) return ERROR_NONE;
    trace_line(&daemon->loop.trace, TRACE_ERROR, "event=load_failed reason=\"%s\"", reason);
    return reason == log_memory ? ERROR_MEMORY : ERROR_CORRUPT;
}

static bool load_node(struct daemon *daemon)
{
    const struct block *block;
    size_t cursor = 0;
    enum error error = storage_each(daemon->storage, slice_string(""), visit_load, daemon);
    while (error == ERROR_NONE && (block = blocks_next(daemon->loop.blocks, &cursor)) != NULL) {
        struct msg_block_ref ref = {block->digest, block->size};
        error = node_load_block(daemon->node, &ref);
    }
    if (error == ERROR_NONE) return true;
    return complain(daemon, "loading %.900s: %s%s%s", daemon->directory, error_text(error),
                    semicolon(error), error_hint(error));
}

static bool start_node(struct daemon *daemon)
{
    enum error error = parts_start(&daemon->loop);
    if (error == ERROR_NONE) error = loop_start(&daemon->loop, daemon->node);
    return error == ERROR_NONE || complain_start(daemon, error);
}

static bool say_ready(struct daemon *daemon)
{
    char id[ID_SHORT_SIZE], listen[ADDRESS_TEXT_SIZE];
    (void)id_short(&daemon->loop.self, id);
    (void)address_text(&daemon->port.address, listen);
    if (daemon->is_key_new)
        fprintf(stderr,
                "mrnode: this is %s (%s); new cluster key in %s\n"
                "mrnode: to add a machine, copy that file there and run: mrnode --listen ADDRESS "
                "--join %s"
                " (nodes of several machines need --listen 0.0.0.0)\n",
                daemon->name, id, daemon->key_file, listen);
    if (daemon->life->above > 0) return true; /* it was said, and nothing of it has changed */
    printf("ready name=%s id=%s listen=%s\n", daemon->name, id, listen);
    if (fflush(stdout) == 0) return true;
    return complain(daemon, "stdout can't be written, so nobody learns that it is ready");
}

/* ---- all of it ---- */

static void prepare_process(void)
{
    struct rlimit files;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    /* What an attempt leaves when its mrtask is killed becomes ours (workers.c), not init's. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)setenv("UV_THREADPOOL_SIZE", "4", 0);
    /* A dead name server: we ask again ourselves, and no thread can be called back at the end. */
    (void)setenv("RES_OPTIONS", "timeout:2 attempts:1", 0);
    (void)umask(077);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max < DAEMON_FILES_MAX ? files.rlim_max : DAEMON_FILES_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static bool check_all(struct daemon *daemon)
{
    find_name(daemon);
    daemon->log.format = daemon->options->format;
    memcpy(daemon->log.node, daemon->name, sizeof daemon->log.node);
    if (!find_directory(daemon) || !find_keys(daemon)) return false;
    daemon->lock = identity_lock(daemon->directory, &daemon->why);
    if (daemon->lock < 0) return false;
    return identity_pair(daemon->directory, &daemon->pair, &daemon->why) && open_port(daemon) &&
           open_storage(daemon);
}

static bool start_all(struct daemon *daemon)
{
    struct address joins[OPTIONS_JOINS_MAX];
    find_address(daemon);
    if (!open_boot(daemon) || !open_loop(daemon) || !find_confinement(daemon)) return false;
    size_t joins_count = find_joins(daemon, joins);
    return open_node(daemon, joins, joins_count) && load_node(daemon) && start_node(daemon) &&
           say_ready(daemon);
}

static int close_all(struct daemon *daemon, bool is_good)
{
    if (!is_good) fprintf(stderr, "mrnode: %s\n", daemon->why.text);
    if (daemon->has_loop) loop_close(&daemon->loop);
    if (daemon->node != NULL) node_close(daemon->node);
    if (daemon->storage != NULL) storage_close(daemon->storage);
    sodium_memzero(daemon->keys, sizeof daemon->keys);
    sodium_memzero(&daemon->pair, sizeof daemon->pair);
    if (daemon->lock >= 0) (void)close(daemon->lock);
    free(daemon);
    return is_good ? 0 : 1;
}

/* One boot, from start to end. *usurper: the boot above which to start anew; 0 = it is over. */
static int run_boot(const struct options *options, struct life *life, uint64_t *usurper)
{
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (daemon == NULL) {
        fprintf(stderr, "mrnode: start: %s\n", error_text(ERROR_MEMORY));
        return 1;
    }
    daemon->options = options;
    daemon->life = life;
    daemon->lock = -1;
    prepare_process();
    bool is_good = sodium_init() >= 0 || complain(daemon, "libsodium can't start: no entropy");
    is_good = is_good && check_all(daemon);
    if (is_good && options->is_check) {
        printf("ok directory=%s key=%s\n", daemon->directory, daemon->key_file);
        return close_all(daemon, true);
    }
    is_good = is_good && start_all(daemon);
    if (is_good) loop_run(&daemon->loop);
    life->port = daemon->port.address.port;
    if (is_good && daemon->loop.stop_error == ERROR_EXISTS) *usurper = daemon->loop.stop_boot;
    if (is_good && daemon->loop.stop_error != ERROR_NONE)
        is_good = complain(daemon, "%s%s%s", daemon->loop.stop_text,
                           semicolon(daemon->loop.stop_error), error_hint(daemon->loop.stop_error));
    return close_all(daemon, is_good);
}

/* A node that hears of its own id at another boot opens a new one above it: an old disk image was
 * brought back. When that happens again and again, two nodes run with one identity, and this one
 * gives up. */
int daemon_run(const struct options *options)
{
    struct life life = {0};
    time_t times[DAEMON_USURPED_MAX] = {0};
    for (unsigned usurped = 0;; usurped++) {
        uint64_t usurper = 0;
        int code = run_boot(options, &life, &usurper);
        time_t now = time(NULL), *oldest = &times[usurped % DAEMON_USURPED_MAX];
        bool is_storm = usurped >= DAEMON_USURPED_MAX && now - *oldest < DAEMON_USURPED_WITHIN;
        if (usurper == 0 || is_storm) return code;
        *oldest = now;
        life.above = usurper;
    }
}
