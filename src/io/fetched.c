/* Fetched files (fetched.h). What can't be deleted now, for want of memory, the next start deletes.
 */
#include "io/fetched.h"

#include "io/chore.h"
#include "io/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

struct removal {
    struct chore chore;
    char path[FILE_PATH_MAX];
};

static void run_removal(struct chore *chore) { (void)unlink(((struct removal *)chore)->path); }

static void done_removal(struct chore *chore) { free(chore); }

void fetched_remove(struct loop *loop, const char path[FILE_PATH_MAX])
{
    struct removal *removal = malloc(sizeof *removal);
    if (removal == NULL) return;
    memcpy(removal->path, path, FILE_PATH_MAX);
    chore_start(&loop->uv, &removal->chore, run_removal, done_removal);
}

struct fetched *fetched_new(struct loop *loop, const char path[FILE_PATH_MAX], uint64_t size)
{
    struct fetched *file = malloc(sizeof *file);
    if (file == NULL) return NULL;
    *file = (struct fetched){.loop = loop, .holds = 1, .size = size};
    memcpy(file->path, path, FILE_PATH_MAX);
    return file;
}

void fetched_release(struct fetched *file)
{
    assert(file->holds > 0);
    if (--file->holds > 0) return;
    fetched_remove(file->loop, file->path);
    free(file);
}
