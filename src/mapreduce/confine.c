/* Confinement, from the outside in:
 *
 *   rlimits     a process: processor time, files, file sizes, no core; memory with --mem; and how
 *               many processes there may be
 *   user        another one than root's, where we are root
 *   privileges  none by set-user-ID programs (PR_SET_NO_NEW_PRIVS)
 *   Landlock    (landlock(7), Salaün 2021) what it may open: its own directory to write, the
 *               system to read, a few devices; no signal and no abstract socket leaves it, and no
 *               process outside can be traced or read through /proc
 *   parent      its death is the command's
 *
 * Landlock knows permissions alone, no exceptions. So a directory that holds something hidden (the
 * daemon's data in /opt, the cluster key in /etc) is not granted as a whole: what lies beside the
 * hidden path is, entry by entry, all the way down.
 *
 * Headers of older systems do not know the newer rights; the numbers here are the kernel's ABI. */
#include "mapreduce/confine.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum {
    PROCESSES_MAX = 1024, /* of an attempt: make -j and a pipeline each; a bomb is over soon */
    FILES_SOFT = 1024,    /* the usual; a program that knows of more may raise it */
    FILES_MAX = 65536,
    CPU_GRACE = 60,           /* seconds over the timeout: the timeout should be what is told */
    NESTED_MAX = 16,          /* directories on the way down to something hidden */
    SPARE_FRESH = 5 * SECOND, /* a path that appears is seen by all attempts after that */
};

/* ---- Landlock's numbers ---- */

#define ACCESS_EXECUTE ((uint64_t)1 << 0)
#define ACCESS_WRITE_FILE ((uint64_t)1 << 1)
#define ACCESS_READ_FILE ((uint64_t)1 << 2)
#define ACCESS_READ_DIR ((uint64_t)1 << 3)
#define ACCESS_TRUNCATE ((uint64_t)1 << 14)
#define ACCESS_IOCTL_DEV ((uint64_t)1 << 15)
#define ACCESS_READ (ACCESS_EXECUTE | ACCESS_READ_FILE | ACCESS_READ_DIR)
#define ACCESS_OF_FILES                                                                            \
    (ACCESS_EXECUTE | ACCESS_WRITE_FILE | ACCESS_READ_FILE | ACCESS_TRUNCATE | ACCESS_IOCTL_DEV)
#define SCOPE_ABSTRACT_SOCKET ((uint64_t)1 << 0)
#define SCOPE_SIGNAL ((uint64_t)1 << 1)

enum {
    RULE_PATH_BENEATH = 1,
    QUERY_VERSION = 1
};

struct ruleset_attributes {
    uint64_t access_files, access_net, scoped;
};

struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

static int landlock_version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, QUERY_VERSION);
}

/* All rights that a kernel of this version can take away. */
static uint64_t rights_known(int version)
{
    static const uint8_t bits[] = {0, 13, 14, 15, 15, 16}; /* by version; later ones add none */
    enum {
        LAST = sizeof bits - 1
    };
    return ((uint64_t)1 << bits[version < LAST ? version : LAST]) - 1;
}

/* ---- rules ---- */

static const char *const system_paths[] = {
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/etc",
    "/opt",
    "/nix",
    "/gnu",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/current-system",
};
static const char *const devices[] = {
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
};

struct rules {
    const struct confine *confine;
    int ruleset;
    uint64_t known;
};

/* What is not there, or not ours to see, needs no rule. */
static void allow(const struct rules *rules, const char *path, uint64_t rights)
{
    struct stat status;
    int at = open(path, O_PATH | O_CLOEXEC);
    if (at < 0) return;
    if (fstat(at, &status) == 0 && !S_ISDIR(status.st_mode)) rights &= ACCESS_OF_FILES;
    struct path_beneath rule = {.allowed = rights & rules->known, .parent = at};
    if (rule.allowed != 0)
        (void)syscall(SYS_landlock_add_rule, rules->ruleset, RULE_PATH_BENEATH, &rule, 0);
    close(at);
}

/* inner is outer, or lies beneath it. */
static bool is_within(const char *inner, const char *outer)
{
    size_t size = strlen(outer);
    return strncmp(inner, outer, size) == 0 && (inner[size] == '\0' || inner[size] == '/');
}

enum hiding {
    HIDES_NOTHING,
    HIDES_SOMETHING, /* somewhere beneath */
    IS_HIDDEN,
};

static enum hiding hides(const struct confine *confine, const char *path)
{
    enum hiding found = HIDES_NOTHING;
    for (unsigned i = 0; i < confine->hidden.count; i++) {
        if (is_within(path, confine->hidden.at[i])) return IS_HIDDEN;
        if (is_within(confine->hidden.at[i], path)) found = HIDES_SOMETHING;
    }
    return found;
}

static void allow_system(const struct rules *rules, const char *path, unsigned depth)
{
    char inner[PATH_MAX];
    enum hiding hiding = hides(rules->confine, path);
    if (hiding == HIDES_NOTHING) allow(rules, path, ACCESS_READ);
    if (hiding != HIDES_SOMETHING || depth == NESTED_MAX) return;
    DIR *list = opendir(path);
    if (list == NULL) return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int size = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (size > 0 && (size_t)size < sizeof inner) allow_system(rules, inner, depth + 1);
    }
    closedir(list);
}

/* A symbolic link (/bin) would be followed to what it names, past what is hidden there. */
static void allow_system_path(const struct rules *rules, const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISLNK(status.st_mode)) allow_system(rules, path, 0);
}

static void allow_common(const struct rules *rules)
{
    const struct confine *confine = rules->confine;
    for (size_t i = 0; i < sizeof system_paths / sizeof *system_paths; i++)
        allow_system_path(rules, system_paths[i]);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        allow(rules, devices[i], ACCESS_READ_FILE | ACCESS_WRITE_FILE | ACCESS_IOCTL_DEV);
    for (unsigned i = 0; i < confine->readable.count; i++)
        allow(rules, confine->readable.at[i], ACCESS_READ);
    for (unsigned i = 0; i < confine->writable.count; i++)
        allow(rules, confine->writable.at[i], rules->known);
}

/* Without what is an attempt's own; -1: errno. */
static int make_ruleset(const struct confine *confine, int version)
{
    struct ruleset_attributes attributes = {.access_files = rights_known(version)};
    if (version >= 6) attributes.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
    /* An older kernel takes a longer structure when what it does not know is zero. */
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    struct rules rules = {confine, ruleset, attributes.access_files};
    if (ruleset >= 0) allow_common(&rules);
    return ruleset;
}

static void drop_spare(struct confine *confine)
{
    if (confine->spare >= 0) close(confine->spare);
    confine->spare = -1;
}

static enum error take_ruleset(struct confine *confine, const struct confine_ask *ask, instant now)
{
    int version = landlock_version();
    if (version < 1) return confine->mode == CONFINE_STRICT ? ERROR_SYSTEM : ERROR_NONE;
    if (now - confine->spare_made >= SPARE_FRESH) drop_spare(confine);
    confine->ruleset = confine->spare >= 0 ? confine->spare : make_ruleset(confine, version);
    confine->spare = -1;
    if (confine->ruleset < 0) return ERROR_SYSTEM;
    struct rules rules = {confine, confine->ruleset, rights_known(version)};
    allow(&rules, ask->directory, rules.known);
    if (ask->readable != NULL) allow(&rules, ask->readable, ACCESS_READ);
    return ERROR_NONE;
}

void confine_prepare(struct confine *confine, instant now)
{
    drop_spare(confine);
    int version = confine->mode == CONFINE_OFF ? 0 : landlock_version();
    if (version < 1) return;
    confine->spare = make_ruleset(confine, version);
    confine->spare_made = now;
}

/* ---- limits ---- */

static void limit(struct confine *confine, int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit now;
    if (getrlimit(resource, &now) != 0) return;
    if (hard > now.rlim_max) hard = now.rlim_max; /* what we were given is never raised */
    if (soft > hard) soft = hard;
    assert(confine->limits_count < CONFINE_LIMITS_MAX);
    confine->limits[confine->limits_count].resource = resource;
    confine->limits[confine->limits_count++].limit = (struct rlimit){soft, hard};
}

/* The kernel counts the processes of a user, wherever they belong: with a user of its own an
 * attempt has all of them, else they come on top of what there is. */
static rlim_t processes_max(const struct confine *confine)
{
    struct sysinfo info;
    if (confine->user != 0 || sysinfo(&info) != 0) return PROCESSES_MAX;
    return (rlim_t)info.procs + PROCESSES_MAX;
}

static void reckon_limits(struct confine *confine, const struct confine_ask *ask)
{
    confine->limits_count = 0;
    limit(confine, RLIMIT_CORE, 0, 0);
    limit(confine, RLIMIT_NPROC, processes_max(confine), processes_max(confine));
    limit(confine, RLIMIT_NOFILE, FILES_SOFT, FILES_MAX);
    limit(confine, RLIMIT_FSIZE, ask->file_size_max, ask->file_size_max);
    if (ask->memory_size >= CONFINE_MEMORY_MIN)
        limit(confine, RLIMIT_DATA, ask->memory_size, ask->memory_size);
    if (ask->timeout_ms > 0) {
        rlim_t cores = (rlim_t)sysconf(_SC_NPROCESSORS_ONLN);
        rlim_t seconds = (ask->timeout_ms + 999) / 1000 * cores + CPU_GRACE;
        limit(confine, RLIMIT_CPU, seconds, seconds);
    }
}

/* ---- an attempt ---- */

void confine_init(struct confine *confine)
{
    *confine = (struct confine){.mode = CONFINE_AUTO, .ruleset = -1, .spare = -1};
}

enum error confine_begin(struct confine *confine, const struct confine_ask *ask, instant now,
                         const char **what)
{
    *what = "a directory of the task's user";
    if (confine->user != 0 && chown(ask->directory, confine->user, confine->user) != 0)
        return ERROR_SYSTEM;
    reckon_limits(confine, ask);
    *what = "confinement by Landlock";
    return confine->mode == CONFINE_OFF ? ERROR_NONE : take_ruleset(confine, ask, now);
}

void confine_end(struct confine *confine)
{
    if (confine->ruleset >= 0) close(confine->ruleset);
    confine->ruleset = -1;
}

/* ---- in the child ---- */

/* What a step needs to know beside struct confine. */
struct entry {
    struct confine *confine;
    const char *directory;
    pid_t parent;
};

static bool own_session(const struct entry *entry)
{
    (void)entry;
    return setsid() >= 0;
}

/* While we are who we were: above it may be directories that the user cannot pass. */
static bool enter_directory(const struct entry *entry) { return chdir(entry->directory) == 0; }

static bool take_limits(const struct entry *entry)
{
    const struct confine *confine = entry->confine;
    for (unsigned i = 0; i < confine->limits_count; i++)
        if (setrlimit((__rlimit_resource_t)confine->limits[i].resource,
                      &confine->limits[i].limit) != 0)
            return false;
    return true;
}

/* By system calls: after vfork the library's would speak to the parent's threads. */
static bool become_user(const struct entry *entry)
{
    uid_t user = entry->confine->user;
    if (user == 0) return true;
    return syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, user, user, user) == 0 &&
           syscall(SYS_setresuid, user, user, user) == 0;
}

static bool no_new_privileges(const struct entry *entry)
{
    (void)entry;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static bool landlock(const struct entry *entry)
{
    int ruleset = entry->confine->ruleset;
    return ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

/* After the change of user, which forgets it. */
static bool die_with_parent(const struct entry *entry)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == entry->parent;
}

static bool no_descriptors(const struct entry *entry)
{
    (void)entry;
    return close_range(3, ~0u, 0) == 0;
}

/* In this order. */
static const struct {
    const char *name;
    bool (*take)(const struct entry *entry);
} steps[] = {
    {"a session of its own", own_session},
    {"its directory", enter_directory},
    {"limits", take_limits},
    {"the task's user", become_user},
    {"no new privileges", no_new_privileges},
    {"Landlock", landlock},
    {"a signal at our death", die_with_parent},
    {"closing descriptors", no_descriptors},
};

bool confine_enter(struct confine *confine, const char *directory, pid_t parent)
{
    struct entry entry = {confine, directory, parent};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i].take(&entry)) continue;
        confine->failed = steps[i].name;
        return false;
    }
    return true;
}
