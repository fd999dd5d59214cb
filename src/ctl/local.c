/* A flock of one node, for one command: `run --local` needs no daemon. It is an ordinary mrnode, on
 * a free port of the loopback with a key and a directory of its own, so that what works here works
 * on many machines. Only its tasks are not confined: what they may do their user could do anyway.
 *
 *   mrctl --- leash (a pipe) --- keeper --- mrnode
 *
 * The keeper is a child that does nothing but hold the other end of a pipe: whatever becomes of
 * mrctl, a kill -9 included, the pipe ends, and the keeper ends the node and removes the directory.
 * It is in a session of its own: Ctrl-C is for mrctl. */
#include "ctl/local.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/keys.h"
#include "ctl/notice.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    START_PATIENCE_MS = 20 * 1000,
    END_PATIENCE_MS = 5 * 1000, /* to leave by itself: there is nobody to hand anything to */
    LOOK_EVERY_MS = 5,
    FILES_OPEN = 16, /* of nftw */
};

/* mrnode is where mrctl is; else it is looked for on the PATH. */
static void find_mrnode(char path[LOCAL_PATH_SIZE])
{
    static const char name[] = "mrnode";
    ssize_t size = readlink("/proc/self/exe", path, LOCAL_PATH_SIZE - 1);
    char *end = size < 0 ? NULL : memrchr(path, '/', (size_t)size);
    bool fits = end != NULL && (size_t)(end + 1 - path) + sizeof name <= LOCAL_PATH_SIZE;
    if (fits) memcpy(end + 1, name, sizeof name);
    if (!fits || access(path, X_OK) != 0) memcpy(path, name, sizeof name);
}

/* ---- the keeper's side ---- */

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *place)
{
    (void)stat;
    (void)kind;
    (void)place;
    (void)remove(path);
    return 0;
}

static void sleep_ms(int ms) { (void)poll(NULL, 0, ms); }

static void end_node(pid_t node)
{
    int status;
    (void)kill(node, SIGTERM);
    for (int waited = 0; waited < END_PATIENCE_MS; waited += LOOK_EVERY_MS) {
        if (waitpid(node, &status, WNOHANG) != 0) return;
        sleep_ms(LOOK_EVERY_MS);
    }
    (void)kill(node, SIGKILL);
    (void)waitpid(node, &status, 0);
}

_Noreturn static void be_node(const struct local *local, const char *mrnode, int ready)
{
    char data[LOCAL_PATH_SIZE + 8], log[LOCAL_PATH_SIZE + 8];
    snprintf(data, sizeof data, "%s/node", local->directory);
    snprintf(log, sizeof log, "%s/log", local->directory);
    int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    bool is_ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && err >= 0 && dup2(ready, 1) >= 0 &&
                    dup2(err, 2) >= 0;
    if (is_ready)
        execlp(mrnode, "mrnode", "-d", data, "--name", "local", "--listen", "127.0.0.1:0",
               "--key-file", local->key_file, "--confine", "off", "--task-user", "own",
               (char *)NULL);
    dprintf(err, "%s: %s\n", mrnode, strerror(errno));
    _exit(EXIT_JOB_FAILED);
}

_Noreturn static void be_keeper(const struct local *local, const char *mrnode, int leash, int ready)
{
    char byte;
    (void)setsid();
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; nothing >= 0 && fd <= 2; fd++) (void)dup2(nothing, fd);
    signal(SIGINT, SIG_DFL);
    pid_t node = fork();
    if (node == 0) be_node(local, mrnode, ready);
    close(ready);
    ssize_t size;
    do size = read(leash, &byte, 1);
    while (size > 0 || (size < 0 && errno == EINTR));
    if (node > 0) end_node(node);
    (void)nftw(local->directory, remove_one, FILES_OPEN, FTW_DEPTH | FTW_PHYS);
    _exit(EXIT_OK);
}

/* ---- mrctl's side ---- */

static void tell_log(const struct local *local)
{
    char path[LOCAL_PATH_SIZE + 8], text[512];
    snprintf(path, sizeof path, "%s/log", local->directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
    if (fd >= 0) close(fd);
    if (size > 0) notice_block("local node: ", slice_of((const uint8_t *)text, (size_t)size));
}

/* Its "ready ... listen=ADDRESS" line. */
static bool read_address(struct local *local, int ready)
{
    char line[512];
    size_t size = 0;
    instant limit = clock_now() + START_PATIENCE_MS * MILLISECOND;
    while (size < sizeof line - 1 && memchr(line, '\n', size) == NULL) {
        struct pollfd look = {.fd = ready, .events = POLLIN};
        duration left = limit - clock_now();
        if (left <= 0 || poll(&look, 1, (int)(left / MILLISECOND) + 1) < 0) return false;
        if (look.revents == 0) continue;
        ssize_t got = read(ready, line + size, sizeof line - 1 - size);
        if (got <= 0) return false;
        size += (size_t)got;
    }
    line[size] = '\0';
    const char *at = strstr(line, " listen=");
    return at != NULL && sscanf(at, " listen=%127[^ \n]", local->address) == 1;
}

static int complain(const char *what)
{
    notice_line("--local: %s: %s", what, strerror(errno));
    return EXIT_JOB_FAILED;
}

/* The processes; ready: where the node's line will come. */
static int start(struct local *local, int *ready)
{
    char mrnode[LOCAL_PATH_SIZE];
    int leash[2], line[2];
    find_mrnode(mrnode);
    if (pipe2(leash, O_CLOEXEC) != 0) return complain("no pipe");
    if (pipe2(line, O_CLOEXEC) != 0) {
        int error = errno;
        close(leash[0]);
        close(leash[1]);
        errno = error;
        return complain("no pipe");
    }
    local->keeper = fork();
    if (local->keeper == 0) {
        close(leash[1]);
        close(line[0]);
        be_keeper(local, mrnode, leash[0], line[1]);
    }
    int error = errno;
    close(leash[0]);
    close(line[1]);
    local->leash = leash[1];
    *ready = line[0];
    errno = error;
    if (local->keeper > 0) return EXIT_OK;
    close(leash[1]);
    close(line[0]);
    return complain("no process can be started");
}

int local_begin(struct local *local, const struct options *options, struct options *with)
{
    const char *top = getenv("TMPDIR");
    if (top == NULL || *top == '\0') top = "/tmp";
    int size = snprintf(local->directory, LOCAL_PATH_SIZE - 8, "%s/mr-local.XXXXXX", top);
    bool fits = size > 0 && size < LOCAL_PATH_SIZE - 8;
    if (!fits) errno = ENAMETOOLONG;
    if (!fits || mkdtemp(local->directory) == NULL) return complain(top);
    memcpy(local->key_file, local->directory, (size_t)size);
    memcpy(local->key_file + size, "/key", sizeof "/key");
    int ready, code = keys_generate(local->key_file);
    if (code == EXIT_OK) code = start(local, &ready);
    if (code != EXIT_OK) {
        (void)nftw(local->directory, remove_one, FILES_OPEN, FTW_DEPTH | FTW_PHYS);
        return code;
    }
    bool is_there = read_address(local, ready);
    close(ready);
    if (!is_there) {
        notice_line("--local: the node did not start");
        tell_log(local);
        local_end(local);
        return EXIT_JOB_FAILED;
    }
    *with = *options;
    with->node = local->address;
    with->key_file = local->key_file;
    with->is_alone = true;
    with->ack = 1;
    return EXIT_OK;
}

void local_end(struct local *local)
{
    close(local->leash);
    while (waitpid(local->keeper, NULL, 0) < 0 && errno == EINTR) continue;
}
