/* A task that tries what it must not: badtask WHAT [ARGUMENTS]. Exit 0: it was refused, or it came
 * to an end by itself; 1: it had its way; 2: usage. For tests/e2e/misbehave.sh, where it is a file
 * of the job. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int refused(long result)
{
    printf("%s\n", result < 0 ? strerror(errno) : "it worked");
    return result < 0 ? 0 : 1;
}

static int try_ptrace(int pid) { return refused(ptrace(PTRACE_SEIZE, pid, NULL, NULL)); }

static int try_read_memory(int pid)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
    return refused(process_vm_readv(pid, &here, 1, &there, 1, 0));
}

/* Root of a user namespace of its own may mount; nothing it mounts may open what was closed. */
static int try_namespace(const char *secret)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return refused(-1);
    (void)mount("none", "/mnt", "tmpfs", 0, NULL);
    (void)mount("/", "/mnt", NULL, MS_BIND | MS_REC, NULL);
    return refused(open(secret, O_RDONLY));
}

static int try_chroot(void)
{
    if (chroot(".") != 0) return refused(-1);
    return refused(chdir("../../../../../..") == 0 ? open("etc/shadow", O_RDWR) : -1);
}

static int try_abstract(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t size = strlen(name);
    memcpy(address.sun_path + 1, name, size);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size);
    return refused(connect(fd, (struct sockaddr *)&address, length));
}

/* Listens on such a socket until it is killed; "ready" when it does. */
static int listen_abstract(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t size = strlen(name);
    memcpy(address.sun_path + 1, name, size);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size);
    if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 1) != 0) return 2;
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}

/* So many MiB, all touched, in each of so many processes. */
static int take_memory(int processes, size_t mib)
{
    for (int i = 1; i < processes; i++)
        if (fork() == 0) break;
    for (size_t taken = 0; taken < mib; taken++) {
        char *memory = malloc((size_t)1 << 20);
        if (memory == NULL) return 3;
        memset(memory, 1, (size_t)1 << 20);
    }
    sleep(20);
    return 1;
}

/* Each generation is a new session, forks the next and goes: for so many seconds nobody stays long
 * enough to be named. */
static int chain(int seconds)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        pid_t pid = fork();
        if (pid > 0) _exit(0);
        (void)setsid();
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - start.tv_sec > seconds) _exit(1);
    }
}

static int deep(int levels)
{
    for (int i = 0; i < levels; i++)
        if (mkdir("a-directory-with-a-name", 0700) != 0 || chdir("a-directory-with-a-name") != 0)
            return 3;
    return 0;
}

static int many_files(int count)
{
    char name[32];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "f%d", i);
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        if (fd < 0) return 3;
        close(fd);
    }
    return 0;
}

int main(int count, char *arguments[])
{
    const char *what = count > 1 ? arguments[1] : "", *word = count > 2 ? arguments[2] : "";
    int number = atoi(word);
    if (strcmp(what, "ptrace") == 0) return try_ptrace(number);
    if (strcmp(what, "read-memory") == 0) return try_read_memory(number);
    if (strcmp(what, "namespace") == 0) return try_namespace(word);
    if (strcmp(what, "chroot") == 0) return try_chroot();
    if (strcmp(what, "mount") == 0) return refused(mount("none", "/mnt", "tmpfs", 0, NULL));
    if (strcmp(what, "become-root") == 0)
        return refused(getuid() == 0 && number != 0 ? -1 : setuid(0));
    if (strcmp(what, "abstract") == 0) return try_abstract(word);
    if (strcmp(what, "listen") == 0) return listen_abstract(word);
    if (strcmp(what, "memory") == 0 && count > 3)
        return take_memory(number, (size_t)atoi(arguments[3]));
    if (strcmp(what, "chain") == 0) return chain(number);
    if (strcmp(what, "deep") == 0) return deep(number);
    if (strcmp(what, "files") == 0) return many_files(number);
    return 2;
}
