/* The guard. A disk is the flock's, too: the log and the blocks are on it, or on the one that other
 * programs need. When it is nearly full, an attempt that has written a good part of it is stopped;
 * one that has not is somebody else's victim and goes on. */
#include "mapreduce/guard.h"

#include "mapreduce/process.h"

#include <ftw.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    GUARD_EVERY = 250 * MILLISECOND, /* 1 GB/s fills a quarter of a gigabyte meanwhile */
    RESERVE_MAX_MIB = 512,           /* left to others on a large disk ... */
    RESERVE_SHARE = 20,              /* ... and a twentieth of a small one */
    FILES_SHARE = 100,               /* of the files (inodes) that it may hold, one hundredth */
    FILE_COST = 4096,                /* bytes that a file counts for beside its own */
    GUILT = 4,                       /* times that: who has less on a full disk is its victim */
    WALK_MAX = 200000,               /* files looked at; who has more is judged by these */
    DESCRIPTORS_MAX = 16,
};

void guard_init(struct guard *guard, uint64_t memory_max, const char *commands, const char *attempt,
                instant now)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    *guard = (struct guard){
        .memory_max = memory_max, .directories = {commands, attempt}, .next = now + GUARD_EVERY};
    if (memory_max == 0) guard->memory_max = machine - machine / 4;
}

/* ---- the disk ---- */

static uint64_t reserve_of(const struct statvfs *disk)
{
    uint64_t size = (uint64_t)disk->f_blocks * disk->f_frsize;
    uint64_t most = (uint64_t)RESERVE_MAX_MIB << 20;
    return size / RESERVE_SHARE < most ? size / RESERVE_SHARE : most;
}

static bool is_nearly_full(const struct statvfs *disk)
{
    uint64_t left = (uint64_t)disk->f_bavail * disk->f_frsize;
    bool has_files = disk->f_files == 0 || disk->f_favail > disk->f_files / FILES_SHARE;
    return left < reserve_of(disk) || !has_files;
}

uint64_t guard_room(const char *directory)
{
    struct statvfs disk;
    if (statvfs(directory, &disk) != 0) return UINT64_MAX;
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize, reserve = reserve_of(&disk);
    return left > 2 * reserve ? left - reserve : reserve;
}

/* nftw hands its callback nothing of ours: what one walk adds up. mrtask has one thread. */
static _Thread_local struct {
    uint64_t bytes;
    unsigned files;
} walked;

static int add(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)path;
    (void)walk;
    if (kind == FTW_NS) return 0;
    walked.bytes += (uint64_t)status->st_blocks * 512 + FILE_COST;
    return ++walked.files >= WALK_MAX;
}

bool guard_fills_disk(struct guard *guard)
{
    enum {
        DIRECTORIES = sizeof guard->directories / sizeof *guard->directories
    };
    for (int i = 0; i < DIRECTORIES; i++) {
        struct statvfs disk;
        if (statvfs(guard->directories[i], &disk) != 0 || !is_nearly_full(&disk)) continue;
        walked.bytes = walked.files = 0;
        (void)nftw(guard->directories[i], add, DESCRIPTORS_MAX, FTW_PHYS | FTW_MOUNT);
        guard->found = walked.bytes;
        if (walked.bytes >= GUILT * reserve_of(&disk) || walked.files >= WALK_MAX) return true;
        if (walked.files > disk.f_files / FILES_SHARE && disk.f_files > 0) return true;
    }
    return false;
}

/* ---- looking ---- */

enum guard_excess guard_look(struct guard *guard, instant now)
{
    if (now < guard->next) return GUARD_NONE;
    guard->next = now + GUARD_EVERY;
    guard->found = process_memory();
    if (guard->found > guard->memory_max) return GUARD_MEMORY;
    return guard_fills_disk(guard) ? GUARD_DISK : GUARD_NONE;
}
