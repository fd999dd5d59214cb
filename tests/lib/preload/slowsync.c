/* A disk that takes its time: fsync and fdatasync of any file but the log's wait for a second while
 * the file named by SLOWSYNC is there, or for as many milliseconds as that says, and none returns
 * while the one named by STUCKSYNC is. Preloaded into daemons by tests that want to look into
 * moments which are brief on a good disk. (The log stays quick under SLOWSYNC, or what happens
 * meanwhile would be told as late as it happens, and the moment be over when it is seen.) Writes of
 * 64 KiB and more take a twentieth of a second while the file named by SLOWWRITE is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_log(int file)
{
    char link[40];
    char path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t count = readlink(link, path, sizeof path - 1);
    if (count <= 0) return false;
    path[count] = '\0';
    return strstr(path, "/log/") != NULL;
}

static int milliseconds_of(const char *sign)
{
    FILE *said = fopen(sign, "re");
    int milliseconds = 0;
    if (said == NULL) return 0;
    if (fscanf(said, "%d", &milliseconds) != 1) milliseconds = 1000;
    (void)fclose(said);
    return milliseconds;
}

static int slowly(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *sign = getenv("SLOWSYNC");
    const char *stuck = getenv("STUCKSYNC");
    int left = sign != NULL && !is_log(file) ? milliseconds_of(sign) : 0;
    for (; left > 0 && access(sign, F_OK) == 0; left -= 20)
        usleep((unsigned)(left < 20 ? left : 20) * 1000);
    while (stuck != NULL && access(stuck, F_OK) == 0) usleep(20000);
    return real(file);
}

ssize_t write(int file, const void *bytes, size_t count)
{
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    const char *sign = getenv("SLOWWRITE");
    if (sign != NULL && count >= 65536 && access(sign, F_OK) == 0) usleep(50000);
    return real(file, bytes, count);
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
