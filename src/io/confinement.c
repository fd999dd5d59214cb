/* Confinement, the daemon's side.
 *
 * As root each attempt gets a user number of its own, from a range that Debian and systemd assign
 * to nobody: so tasks can neither touch the daemon's files nor each other, and a fork bomb uses up
 * its own allowance alone. Two nodes on a machine may hand out the same number at once; Landlock
 * still keeps those apart.
 *
 * A user other than ours must be able to reach its directory: every directory above needs x for
 * others. Where a 0700 home is in the way, the directories of commands (and nothing else of an
 * attempt) are made in /var/tmp/mr-ID, which is gone when nothing runs. */
#include "io/confinement.h"

#include "wire/kinds.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    USERS_FIRST = 60736, /* 60706 to 61183: unassigned (systemd's UIDS-GIDS); from 61184: its own */
    USERS_COUNT = 448,
    LANDLOCK_VERSION = 1, /* flag of landlock_create_ruleset: only say which version */
    LANDLOCK_SCOPED = 6,  /* since this version: no signal leaves it */
};

bool confinement_set_user(struct confinement *confinement, const char *text)
{
    char *rest;
    confinement->users = strcmp(text, "auto") == 0 ? USERS_AUTO : USERS_OWN;
    if (strcmp(text, "auto") == 0 || strcmp(text, "own") == 0) return true;
    const struct passwd *user = getpwnam(text);
    unsigned long number = strtoul(text, &rest, 10);
    bool is_number = *text >= '0' && *text <= '9' && *rest == '\0' && number < UINT32_MAX;
    if (user == NULL && !is_number) return false;
    confinement->user = user != NULL ? user->pw_uid : (uid_t)number;
    confinement->users = USERS_ONE;
    return confinement->user != 0;
}

/* ---- what there is ---- */

/* The numbers exist where we are: in a container's user namespace many do not. */
static bool are_mapped(uid_t first, uid_t count)
{
    unsigned long inside, outside, size;
    bool found = false;
    FILE *file = fopen("/proc/self/uid_map", "re");
    if (file == NULL) return false;
    while (!found && fscanf(file, "%lu %lu %lu", &inside, &outside, &size) == 3)
        found = first >= inside && first + count <= inside + size;
    fclose(file);
    return found;
}

static uint64_t find_parts(struct confinement *confinement)
{
    uint64_t parts = 0;
    bool is_off = strcmp(confinement->mode, "off") == 0;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
    if (version >= 1 && !is_off) parts |= CONFINEMENT_FILES;
    if (version >= LANDLOCK_SCOPED && !is_off) parts |= CONFINEMENT_SIGNALS;
    if (geteuid() != 0) return parts | CONFINEMENT_UNPRIVILEGED;
    if (confinement->users == USERS_AUTO && are_mapped(USERS_FIRST, USERS_COUNT))
        parts |= CONFINEMENT_USER | CONFINEMENT_UNPRIVILEGED;
    if (confinement->users == USERS_ONE) parts |= CONFINEMENT_UNPRIVILEGED;
    return parts;
}

/* Everybody may pass all that is above it. */
static bool is_open_above(const char *directory)
{
    char path[FILE_PATH_MAX];
    struct stat status;
    snprintf(path, sizeof path, "%s", directory);
    for (char *slash = strrchr(path, '/'); slash != NULL; slash = strrchr(path, '/')) {
        *slash = '\0';
        if (stat(*path == '\0' ? "/" : path, &status) != 0 || (status.st_mode & S_IXOTH) == 0)
            return false;
    }
    return true;
}

/* What is in it stays closed: keys, log and blocks have modes of their own. */
static bool open_to_passers(const char *directory)
{
    char scratch[FILE_PATH_MAX];
    return is_open_above(directory) && chmod(directory, 0711) == 0 &&
           file_path(scratch, "%s/scratch", directory) && chmod(scratch, 0711) == 0;
}

const char *confinement_find(struct confinement *confinement, const char *directory,
                             const char *key_file, const char *id_text)
{
    confinement->parts = find_parts(confinement);
    confinement->commands[0] = '\0';
    snprintf(confinement->hidden[0], FILE_PATH_MAX, "%s", directory);
    if (realpath(key_file, confinement->hidden[1]) == NULL) confinement->hidden[1][0] = '\0';
    bool has_users = geteuid() == 0 && (confinement->parts & CONFINEMENT_UNPRIVILEGED) != 0;
    if (has_users && !open_to_passers(directory))
        snprintf(confinement->commands, FILE_PATH_MAX, "/var/tmp/mr-%s", id_text);
    if (strcmp(confinement->mode, "strict") != 0) return NULL;
    if ((confinement->parts & CONFINEMENT_FILES) == 0)
        return "the kernel has no Landlock (or it is off: see lsm= in its command line)";
    if ((confinement->parts & CONFINEMENT_UNPRIVILEGED) == 0)
        return "tasks would run as root: give --task-user NAME";
    return NULL;
}

void confinement_text(const struct confinement *confinement, char *text, size_t size)
{
    uint64_t parts = confinement->parts;
    snprintf(text, size, "files=%s signals=%s user=%s directories=%s",
             (parts & CONFINEMENT_FILES) != 0 ? "landlock" : "no",
             (parts & CONFINEMENT_SIGNALS) != 0 ? "landlock" : "no",
             (parts & CONFINEMENT_USER) != 0           ? "each"
             : (parts & CONFINEMENT_UNPRIVILEGED) == 0 ? "root"
             : confinement->users == USERS_ONE         ? "one"
                                                       : "own",
             confinement->commands[0] != '\0' ? confinement->commands : "scratch");
}

/* ---- an attempt ---- */

uid_t confinement_next_user(struct confinement *confinement)
{
    if (geteuid() != 0 || (confinement->parts & CONFINEMENT_UNPRIVILEGED) == 0) return 0;
    if (confinement->users == USERS_ONE) return confinement->user;
    uint64_t offset = (uint64_t)getpid() + confinement->attempts++;
    return USERS_FIRST + (uid_t)(offset % USERS_COUNT);
}

bool confinement_place(const struct confinement *confinement, const char *attempt, uint64_t number,
                       char path[FILE_PATH_MAX])
{
    if (confinement->commands[0] == '\0') return file_path(path, "%s/work", attempt);
    return file_path(path, "%s/%" PRIu64, confinement->commands, number);
}

static char **put(char **at, const char *option, const char *value)
{
    *at++ = (char *)(uintptr_t)option; /* execve takes them so, and changes none */
    *at++ = (char *)(uintptr_t)value;
    return at;
}

void confinement_arguments(const struct confinement *confinement, const char *mrtask,
                           struct confinement_call *call)
{
    char **at = call->arguments;
    *at++ = (char *)(uintptr_t)mrtask;
    *at++ = (char *)(uintptr_t) "--serve";
    at = put(at, "--confine", confinement->mode);
    for (int i = 0; i < 2; i++)
        if (confinement->hidden[i][0] != '\0') at = put(at, "--hide", confinement->hidden[i]);
    for (unsigned i = 0; i < confinement->readable.count; i++)
        at = put(at, "--read", confinement->readable.at[i]);
    for (unsigned i = 0; i < confinement->writable.count; i++)
        at = put(at, "--write", confinement->writable.at[i]);
    *at = NULL;
}
