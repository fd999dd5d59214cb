/* A disk that takes its time: fsync and fdatasync wait for a second while the file named by SLOWSYNC is there, and do not
 * return while the one named by STUCKSYNC is. Preloaded into daemons by tests that want to look into moments which are brief on a good disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slowly(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *sign = getenv("SLOWSYNC");
    const char *stuck = getenv("STUCKSYNC");
    if (sign != NULL && access(sign, F_OK) == 0) usleep(999999);
    while (stuck != NULL && access(stuck, F_OK) == 0) usleep(20000);
    return real(file);
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
