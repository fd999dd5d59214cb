/* What a program asks of the system fails, once, at a place of one's choice: memory, files, the disk, processes,
 * sockets. Preloaded by tests/e2e/countdown*.sh into mrctl, mrtask and mrnode. The environment says:
 *
 *   FAILING_IN=mrnode     the program that is meant (its file's name); any other goes on unharmed
 *   FAILING_CALLS=memory,files,disk,pipes,processes,network    which calls (of reads and writes: by what is read or written)
 *   FAILING_NTH=n         the n-th of them fails; or:
 *   FAILING_SEEN=FILE     the first fails whose call stack is not in FILE, and is then written to it: run until a run
 *                         adds nothing, and each place of the program has failed once, whatever threads did when
 *   FAILING_EVERY=k       of the stacks only one in k (by their hash)
 *   FAILING_UNDER=a-b     only those with a return address of the program between these two (of nm, in hexadecimal)
 *   FAILING_DEPTH=d       of a stack only the d innermost frames count (12)
 *   FAILING_LAST=1        all that follow fail, too (a disk that stays full, no memory any more)
 *   FAILING_MANY=1        not one stack a process but each, the next after some 20 ms
 *   FAILING_HIT=FILE      a line is appended when something was made to fail: the call and its stack
 *
 * Only calls through the dynamic linker are seen: what libc does inside itself (stdio's writes) is not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>
#include <unwind.h>

enum { DEPTH = 12, MODULES_MAX = 64, SEEN_MAX = 1 << 16, GAP_MS = 20, EARLY_SIZE = 1 << 16 };

struct module {
    uintptr_t from, to;
    char name[32];
};

static struct {
    int is_on; /* this program is meant */
    const char *calls, *seen_path, *hit_path;
    unsigned long nth, count, every;
    int depth;
    uint64_t under_from, under_to;
    int is_last, is_many, has_failed;
    uint64_t failed_at; /* ms */
    struct module modules[MODULES_MAX];
    int modules_count;
    uint64_t seen[SEEN_MAX]; /* open addressing; 0 = free */
    pthread_mutex_t mutex;
} failing = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* We are inside already: what we ourselves call goes through. */
static __thread int is_inside __attribute__((tls_model("initial-exec")));

/* ---- where we are called from ---- */

static int on_module(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    if (failing.modules_count == MODULES_MAX) return 1;
    struct module *module = &failing.modules[failing.modules_count++];
    const char *slash = strrchr(info->dlpi_name, '/');
    snprintf(module->name, sizeof module->name, "%s", slash == NULL ? info->dlpi_name : slash + 1);
    module->from = info->dlpi_addr;
    module->to = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > module->to) module->to = end;
    }
    return 0;
}

static const struct module *module_of(uintptr_t at)
{
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < failing.modules_count; i++)
            if (at >= failing.modules[i].from && at < failing.modules[i].to) return &failing.modules[i];
        failing.modules_count = 0;
        dl_iterate_phdr(on_module, NULL);
    }
    return NULL;
}

struct stack {
    uintptr_t at[DEPTH];
    int count, skipped;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *argument)
{
    struct stack *stack = argument;
    uintptr_t at = _Unwind_GetIP(context);
    const struct module *module = module_of(at);
    if (module != NULL && strcmp(module->name, "failing.so") == 0) return _URC_NO_REASON;
    stack->at[stack->count++] = at;
    return stack->count == failing.depth ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static uint64_t hash_of(const char *call, const struct stack *stack)
{
    uint64_t hash = 14695981039346656037u;
    for (; *call != '\0'; call++) hash = (hash ^ (uint8_t)*call) * 1099511628211u;
    for (int i = 0; i < stack->count; i++) {
        const struct module *module = module_of(stack->at[i]);
        uint64_t at = module == NULL ? 0 : stack->at[i] - module->from;
        for (int byte = 0; byte < 8; byte++) hash = (hash ^ (at >> 8 * byte & 0xff)) * 1099511628211u;
    }
    hash ^= hash >> 29;
    return hash == 0 ? 1 : hash;
}

/* ---- what was seen ---- */

static int remember(uint64_t hash) /* 0: it was known */
{
    size_t at = hash % SEEN_MAX;
    for (size_t i = 0; i < SEEN_MAX; i++, at = (at + 1) % SEEN_MAX) {
        if (failing.seen[at] == hash) return 0;
        if (failing.seen[at] == 0) return (int)(failing.seen[at] = hash, 1);
    }
    return 0;
}

static void append(const char *path, const char *text)
{
    int file = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) return;
    (void)!syscall(SYS_write, file, text, strlen(text));
    (void)syscall(SYS_close, file);
}

static void describe(const char *call, uint64_t hash, const struct stack *stack)
{
    char text[1024];
    int size = snprintf(text, sizeof text, "%016llx %s", (unsigned long long)hash, call);
    for (int i = 0; i < stack->count && size < (int)sizeof text - 64; i++) {
        const struct module *module = module_of(stack->at[i]);
        size += snprintf(text + size, sizeof text - size, " %s+0x%llx", module == NULL ? "?" : module->name[0] == 0 ? "." : module->name,
                         (unsigned long long)(module == NULL ? 0 : stack->at[i] - module->from));
    }
    snprintf(text + size, sizeof text - size, "\n");
    append(failing.seen_path, text);
    if (failing.hit_path != NULL) append(failing.hit_path, text);
}

static void load_seen(void)
{
    static char line[1 << 20];
    int file = (int)syscall(SYS_openat, AT_FDCWD, failing.seen_path, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    for (long got; file >= 0 && (got = syscall(SYS_read, file, line + have, sizeof line - 1 - have)) > 0;) have += (size_t)got;
    line[have] = '\0';
    for (char *at = line; at != NULL && *at != '\0'; at = strchr(at, '\n'), at = at == NULL ? NULL : at + 1)
        remember(strtoull(at, NULL, 16));
    if (file >= 0) (void)syscall(SYS_close, file);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static unsigned long number(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtoul(text, NULL, 10);
}

__attribute__((constructor)) static void start(void)
{
    char path[4096];
    const char *in = getenv("FAILING_IN");
    long size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (in == NULL || size <= 0) return;
    path[size] = '\0';
    if (strcmp(strrchr(path, '/') + 1, in) != 0) return;
    is_inside = 1;
    failing.calls = getenv("FAILING_CALLS");
    failing.seen_path = getenv("FAILING_SEEN");
    failing.hit_path = getenv("FAILING_HIT");
    failing.nth = number("FAILING_NTH");
    failing.every = number("FAILING_EVERY");
    failing.is_last = number("FAILING_LAST") > 0;
    failing.is_many = number("FAILING_MANY") > 0;
    failing.depth = number("FAILING_DEPTH") > 0 && number("FAILING_DEPTH") < DEPTH ? (int)number("FAILING_DEPTH") : DEPTH;
    const char *under = getenv("FAILING_UNDER");
    if (under != NULL) failing.under_from = strtoull(under, NULL, 16);
    if (under != NULL && strchr(under, '-') != NULL) failing.under_to = strtoull(strchr(under, '-') + 1, NULL, 16);
    dl_iterate_phdr(on_module, NULL);
    if (failing.seen_path != NULL) load_seen();
    failing.is_on = 1;
    is_inside = 0;
}

/* ---- does this one fail? ---- */

static int is_under(const struct stack *stack)
{
    if (failing.under_to == 0) return 1;
    for (int i = 0; i < stack->count; i++) {
        const struct module *module = module_of(stack->at[i]);
        if (module == NULL || module->name[0] != '\0') continue;
        uint64_t at = stack->at[i] - module->from;
        if (at >= failing.under_from && at < failing.under_to) return 1;
    }
    return 0;
}

static int is_new_stack(const char *call, struct stack *stack, uint64_t *hash)
{
    if (failing.has_failed && (!failing.is_many || now_ms() - failing.failed_at < GAP_MS)) return 0;
    _Unwind_Backtrace(on_frame, stack);
    if (!is_under(stack)) return 0;
    *hash = hash_of(call, stack);
    if (failing.every > 1 && (*hash >> 32) % failing.every != 0) return 0;
    return remember(*hash);
}

static int decide(const char *call)
{
    struct stack stack = {.count = 0};
    uint64_t hash = 0;
    int fails = 0;
    if (failing.has_failed && failing.is_last) return 1;
    if (failing.nth > 0) {
        fails = ++failing.count == failing.nth;
        if (fails) _Unwind_Backtrace(on_frame, &stack);
    } else if (failing.seen_path != NULL) {
        fails = is_new_stack(call, &stack, &hash);
    }
    if (!fails) return 0;
    failing.has_failed = 1;
    failing.failed_at = now_ms();
    describe(call, hash, &stack);
    return 1;
}

static int fails(const char *group, const char *call, int error)
{
    if (!failing.is_on || is_inside) return 0;
    if (failing.calls != NULL && strstr(failing.calls, group) == NULL) return 0;
    int kept = errno;
    is_inside = 1;
    pthread_mutex_lock(&failing.mutex);
    int yes = decide(call);
    pthread_mutex_unlock(&failing.mutex);
    is_inside = 0;
    errno = yes ? error : kept;
    return yes;
}

/* What a read or a write is about. An eventfd or the like never fails. */
static const char *kind_of(int file, const char *of_file)
{
    struct stat status;
    if (!failing.is_on || is_inside) return "-";
    int kept = errno;
    is_inside = 1;
    int is_known = fstat(file, &status) == 0;
    is_inside = 0;
    errno = kept;
    if (!is_known) return "-";
    return S_ISREG(status.st_mode) ? of_file : S_ISFIFO(status.st_mode) ? "pipes" : S_ISSOCK(status.st_mode) ? "network" : "-";
}

/* ---- memory ---- */

/* dlsym may itself allocate, before we know who does. */
static char early[EARLY_SIZE] __attribute__((aligned(16)));
static size_t early_used;
static int is_early(const void *piece) { return (const char *)piece >= early && (const char *)piece < early + EARLY_SIZE; }

static void *take_early(size_t size)
{
    void *piece = early + early_used;
    early_used += (size + 15) / 16 * 16;
    if (early_used > EARLY_SIZE) abort();
    return piece;
}

static __thread int is_resolving __attribute__((tls_model("initial-exec")));
#define REAL(name)                                                        \
    static __typeof__(&name) real;                                        \
    if (real == NULL && !is_resolving) {                                  \
        is_resolving = 1;                                                 \
        real = (__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name);     \
        is_resolving = 0;                                                 \
    }

void *malloc(size_t size)
{
    REAL(malloc)
    if (real == NULL) return take_early(size);
    return fails("memory", "malloc", ENOMEM) ? NULL : real(size);
}

void *calloc(size_t count, size_t size)
{
    REAL(calloc)
    if (real == NULL) return take_early(count * size);
    return fails("memory", "calloc", ENOMEM) ? NULL : real(count, size);
}

void free(void *piece)
{
    REAL(free)
    if (real != NULL && !is_early(piece)) real(piece);
}

void *realloc(void *piece, size_t size)
{
    REAL(realloc)
    if (real == NULL) return take_early(size);
    if (fails("memory", "realloc", ENOMEM)) return NULL;
    if (!is_early(piece)) return real(piece, size);
    void *moved = malloc(size);
    size_t left = (size_t)(early + EARLY_SIZE - (char *)piece);
    if (moved != NULL) memcpy(moved, piece, size < left ? size : left);
    return moved;
}

#define PASS(group, name, error, failure, result, parameters, arguments)          \
    result name parameters                                                        \
    {                                                                             \
        REAL(name)                                                                \
        return fails(group, #name, error) ? failure : real arguments;             \
    }

PASS("memory", aligned_alloc, ENOMEM, NULL, void *, (size_t alignment, size_t size), (alignment, size))
PASS("memory", posix_memalign, ENOMEM, ENOMEM, int, (void **at, size_t alignment, size_t size), (at, alignment, size))
PASS("memory", mmap, ENOMEM, MAP_FAILED, void *, (void *at, size_t size, int how, int flags, int file, off_t offset),
     (at, size, how, flags, file, offset))

/* ---- files ---- */

#define OPENING(name, parameters, ...)                                            \
    int name parameters                                                           \
    {                                                                             \
        REAL(name)                                                                \
        mode_t mode = 0;                                                          \
        if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {         \
            va_list list;                                                         \
            va_start(list, flags);                                                \
            mode = va_arg(list, mode_t);                                          \
            va_end(list);                                                         \
        }                                                                         \
        return fails("files", #name, EMFILE) ? -1 : real(__VA_ARGS__, mode);      \
    }

OPENING(open, (const char *path, int flags, ...), path, flags)
OPENING(open64, (const char *path, int flags, ...), path, flags)
OPENING(openat, (int at, const char *path, int flags, ...), at, path, flags)
OPENING(openat64, (int at, const char *path, int flags, ...), at, path, flags)
PASS("files", fopen, EMFILE, NULL, FILE *, (const char *path, const char *mode), (path, mode))
PASS("files", fopen64, EMFILE, NULL, FILE *, (const char *path, const char *mode), (path, mode))
PASS("files", opendir, EMFILE, NULL, DIR *, (const char *path), (path))
PASS("files", fdopendir, ENOMEM, NULL, DIR *, (int file), (file))
PASS("files", dup, EMFILE, -1, int, (int file), (file))
PASS("files", pipe, EMFILE, -1, int, (int files[2]), (files))
PASS("files", pipe2, EMFILE, -1, int, (int files[2], int flags), (files, flags))
PASS(kind_of(file, "files"), read, EIO, -1, ssize_t, (int file, void *at, size_t size), (file, at, size))
PASS("files", pread, EIO, -1, ssize_t, (int file, void *at, size_t size, off_t offset), (file, at, size, offset))
PASS("files", pread64, EIO, -1, ssize_t, (int file, void *at, size_t size, off_t offset), (file, at, size, offset))
PASS("files", fstat, EIO, -1, int, (int file, struct stat *status), (file, status))
PASS("files", stat, EIO, -1, int, (const char *path, struct stat *status), (path, status))

/* ---- the disk ---- */

PASS(kind_of(file, "disk"), write, ENOSPC, -1, ssize_t, (int file, const void *at, size_t size), (file, at, size))
PASS(kind_of(file, "disk"), writev, ENOSPC, -1, ssize_t, (int file, const struct iovec *at, int count), (file, at, count))
PASS("disk", pwrite, ENOSPC, -1, ssize_t, (int file, const void *at, size_t size, off_t offset), (file, at, size, offset))
PASS("disk", pwrite64, ENOSPC, -1, ssize_t, (int file, const void *at, size_t size, off_t offset), (file, at, size, offset))
PASS("disk", pwritev, ENOSPC, -1, ssize_t, (int file, const struct iovec *at, int count, off_t offset), (file, at, count, offset))
PASS("disk", fsync, EIO, -1, int, (int file), (file))
PASS("disk", fdatasync, EIO, -1, int, (int file), (file))
PASS("disk", msync, EIO, -1, int, (void *at, size_t size, int flags), (at, size, flags))
PASS("disk", ftruncate, ENOSPC, -1, int, (int file, off_t size), (file, size))
PASS("disk", ftruncate64, ENOSPC, -1, int, (int file, off_t size), (file, size))
PASS("disk", posix_fallocate, 0, ENOSPC, int, (int file, off_t from, off_t size), (file, from, size))
PASS("disk", posix_fallocate64, 0, ENOSPC, int, (int file, off_t from, off_t size), (file, from, size))
PASS("disk", rename, ENOSPC, -1, int, (const char *from, const char *to), (from, to))
PASS("disk", renameat, ENOSPC, -1, int, (int a, const char *from, int b, const char *to), (a, from, b, to))
PASS("disk", link, ENOSPC, -1, int, (const char *from, const char *to), (from, to))
PASS("disk", linkat, ENOSPC, -1, int, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
PASS("disk", symlink, ENOSPC, -1, int, (const char *from, const char *to), (from, to))
PASS("disk", mkdir, ENOSPC, -1, int, (const char *path, mode_t mode), (path, mode))
PASS("disk", mkdirat, ENOSPC, -1, int, (int at, const char *path, mode_t mode), (at, path, mode))
PASS("disk", unlink, EIO, -1, int, (const char *path), (path))
PASS("disk", unlinkat, EIO, -1, int, (int at, const char *path, int flags), (at, path, flags))

/* ---- processes ---- */

PASS("processes", fork, EAGAIN, -1, pid_t, (void), ())
PASS("processes", pthread_create, EAGAIN, EAGAIN, int,
     (pthread_t *thread, const pthread_attr_t *with, void *(*run)(void *), void *argument), (thread, with, run, argument))
PASS("processes", execve, ENOMEM, -1, int, (const char *path, char *const words[], char *const environment[]),
     (path, words, environment))
PASS("processes", execvp, ENOMEM, -1, int, (const char *path, char *const words[]), (path, words))

#ifdef __x86_64__
/* It returns twice into its caller's frame: no frame of ours may be between. */
__attribute__((used)) static void *look_at_vfork(void)
{
    REAL(vfork)
    return fails("processes", "vfork", EAGAIN) ? NULL : (void *)(uintptr_t)real;
}
__attribute__((naked)) pid_t vfork(void)
{
    __asm__("sub $8, %rsp\n .cfi_adjust_cfa_offset 8\n call look_at_vfork\n add $8, %rsp\n"
            ".cfi_adjust_cfa_offset -8\n test %rax, %rax\n je 1f\n jmp *%rax\n"
            "1: mov $-1, %eax\n ret\n");
}
#endif

/* ---- the network ---- */

PASS("network", socket, EMFILE, -1, int, (int domain, int type, int protocol), (domain, type, protocol))
PASS("network", socketpair, EMFILE, -1, int, (int domain, int type, int protocol, int files[2]), (domain, type, protocol, files))
PASS("network", bind, EADDRINUSE, -1, int, (int file, const struct sockaddr *address, socklen_t size), (file, address, size))
PASS("network", listen, EADDRINUSE, -1, int, (int file, int backlog), (file, backlog))
PASS("network", connect, ENETUNREACH, -1, int, (int file, const struct sockaddr *address, socklen_t size), (file, address, size))
PASS("network", accept, EMFILE, -1, int, (int file, struct sockaddr *address, socklen_t *size), (file, address, size))
PASS("network", accept4, EMFILE, -1, int, (int file, struct sockaddr *address, socklen_t *size, int flags),
     (file, address, size, flags))
PASS("network", send, ENOBUFS, -1, ssize_t, (int file, const void *at, size_t size, int flags), (file, at, size, flags))
PASS("network", sendto, ENOBUFS, -1, ssize_t,
     (int file, const void *at, size_t size, int flags, const struct sockaddr *to, socklen_t to_size),
     (file, at, size, flags, to, to_size))
PASS("network", sendmsg, ENOBUFS, -1, ssize_t, (int file, const struct msghdr *message, int flags), (file, message, flags))
PASS("network", sendmmsg, ENOBUFS, -1, int, (int file, struct mmsghdr *messages, unsigned count, int flags),
     (file, messages, count, flags))
PASS("network", recv, ECONNRESET, -1, ssize_t, (int file, void *at, size_t size, int flags), (file, at, size, flags))
PASS("network", recvmsg, ENOMEM, -1, ssize_t, (int file, struct msghdr *message, int flags), (file, message, flags))
PASS("network", recvmmsg, ENOMEM, -1, int,
     (int file, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit),
     (file, messages, count, flags, limit))
PASS("network", setsockopt, ENOBUFS, -1, int, (int file, int level, int name, const void *at, socklen_t size),
     (file, level, name, at, size))
