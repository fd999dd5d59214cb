/* Who submits a job chooses the path, so mrtask must not lend it more than the job's own commands
 * would have: as root it opens the file with the rights of the attempt's user (setfsuid(2): of this
 * thread's looks at files alone), and what is hidden from tasks stays hidden. Without a user of its
 * own, whatever our user may read would be open to every job, keys in home directories too. So
 * there the file must be readable by everybody, or lie in what --task-read names: it is shared,
 * after all. Under --confine strict the node's owner names all that may be read.
 *
 * What is opened is read from this descriptor only: whoever exchanges the file meanwhile exchanges
 * nothing. */
#include "mapreduce/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

static const char CHANGED[] = "it is not as it was when the job was submitted; submit it again";
static const char HIDDEN[] = "it belongs to the node itself, and is hidden from tasks";
static const char CLOSED[] =
    "tasks may read what everybody may (chmod o+r; o+x all above), or what "
    "mrnode --task-read names (--confine strict: that alone)";

static void path_of(const struct attempt *attempt, char path[4097])
{
    const struct msg_task_input *input = attempt->spec->inputs.at;
    memcpy(path, input->path.at, input->path.count);
    path[input->path.count] = '\0';
}

static enum error refuse(struct attempt *attempt, const char *why)
{
    char path[4097];
    path_of(attempt, path);
    if (why != NULL) trouble_say(&attempt->scratch.trouble, "read", path, why);
    else (void)trouble_note(&attempt->scratch.trouble, "read", path);
    return ERROR_NOT_FOUND;
}

/* A pipe at this path would keep us waiting for its writer. */
static int open_as(const char *path, uid_t user)
{
    static const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    if (user == 0) return open(path, flags);
    if (setgroups(0, NULL) != 0) return -1;
    (void)setfsgid(user);
    (void)setfsuid(user); /* the capabilities that overrule permissions go with it */
    bool is_done = (uid_t)setfsuid(user) == user;
    int fd = is_done ? open(path, flags) : -1;
    int number = is_done ? errno : EPERM;
    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
    errno = number;
    return fd;
}

static bool is_within(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    if (size > 0 && directory[size - 1] == '/') size--;
    return strncmp(path, directory, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

static bool is_among(const char *path, const struct confine_paths *paths)
{
    for (unsigned i = 0; i < paths->count; i++)
        if (is_within(path, paths->at[i])) return true;
    return false;
}

/* By another name, too. */
static bool is_hidden(const struct attempt *attempt, const struct stat *status)
{
    const struct confine_paths *hidden = &attempt->confine->hidden;
    struct stat other;
    if (is_among(attempt->shared_path, hidden)) return true;
    for (unsigned i = 0; i < hidden->count; i++)
        if (stat(hidden->at[i], &other) == 0 && other.st_dev == status->st_dev &&
            other.st_ino == status->st_ino)
            return true;
    return false;
}

static bool may_everybody(const struct attempt *attempt, const struct stat *status)
{
    char path[sizeof attempt->shared_path];
    struct stat above;
    if ((status->st_mode & S_IROTH) == 0) return false;
    snprintf(path, sizeof path, "%s", attempt->shared_path);
    for (char *slash; (slash = strrchr(path, '/')) != NULL;) {
        *slash = '\0';
        if (stat(*path == '\0' ? "/" : path, &above) != 0) return false;
        if ((above.st_mode & S_IXOTH) == 0) return false;
    }
    return true;
}

static bool is_granted(const struct attempt *attempt, const struct stat *status)
{
    const struct confine *confine = attempt->confine;
    bool is_named = is_among(attempt->shared_path, &confine->readable) ||
                    is_among(attempt->shared_path, &confine->writable);
    if (is_named || confine->mode == CONFINE_OFF) return true;
    if (confine->mode == CONFINE_STRICT) return false;
    return confine->user != 0 || may_everybody(attempt, status);
}

static bool is_as_it_was(const struct msg_shared_file *was, const struct stat *status)
{
    uint64_t modified_ns =
        (uint64_t)status->st_mtim.tv_sec * 1000000000 + (uint64_t)status->st_mtim.tv_nsec;
    return (uint64_t)status->st_size == was->size && modified_ns == was->modified_ns;
}

/* The descriptor's own name: links and dots are behind us. */
static bool find_name(struct attempt *attempt)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", attempt->scratch.shared);
    ssize_t count = readlink(link, attempt->shared_path, sizeof attempt->shared_path - 1);
    attempt->shared_path[count > 0 ? count : 0] = '\0';
    return count > 0;
}

enum error shared_open(struct attempt *attempt)
{
    char path[4097];
    struct stat status;
    path_of(attempt, path);
    attempt->scratch.shared = open_as(path, attempt->confine->user);
    if (attempt->scratch.shared < 0) return refuse(attempt, errno == EACCES ? CLOSED : NULL);
    if (fstat(attempt->scratch.shared, &status) != 0 || !find_name(attempt))
        return refuse(attempt, NULL);
    if (!S_ISREG(status.st_mode)) return refuse(attempt, "it is not a regular file");
    if (is_hidden(attempt, &status)) return refuse(attempt, HIDDEN);
    if (!is_granted(attempt, &status)) return refuse(attempt, CLOSED);
    return is_as_it_was(attempt->shared, &status) ? ERROR_NONE : refuse(attempt, CHANGED);
}

enum error shared_check(struct attempt *attempt)
{
    struct stat status;
    if (fstat(attempt->scratch.shared, &status) != 0) return refuse(attempt, NULL);
    return is_as_it_was(attempt->shared, &status) ? ERROR_NONE : refuse(attempt, CHANGED);
}

bool shared_is_unreadable(const struct attempt *attempt)
{
    char path[4097];
    const struct trouble *trouble = &attempt->scratch.trouble;
    if (attempt->shared == NULL || trouble->verb == NULL) return false;
    path_of(attempt, path);
    return strncmp(path, trouble->name, strlen(trouble->name)) == 0;
}
