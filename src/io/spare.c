/* What a former boot left at its path is removed first. That it could not be made is no error: the
 * next attempt makes its own. */
#include "io/spare.h"

#include <assert.h>
#include <stdio.h>
#include <sys/stat.h>

bool spare_init(struct spare *spare, const char *directory)
{
    *spare = (struct spare){.state = SPARE_NONE};
    return file_path(spare->path, "%s/spare", directory);
}

bool spare_use(struct spare *spare, const char *directory)
{
    if (spare->state != SPARE_READY) return false;
    spare->state = SPARE_NONE;
    return rename(spare->path, directory) == 0;
}

bool spare_begin(struct spare *spare)
{
    if (spare->state != SPARE_NONE) return false;
    spare->state = SPARE_MAKING;
    return true;
}

void spare_make(struct spare *spare, bool is_passable)
{
    char work[FILE_PATH_MAX];
    assert(spare->state == SPARE_MAKING);
    file_remove_tree(spare->path);
    spare->is_made = file_path(work, "%s/work", spare->path) &&
                     file_make_directory(spare->path, 0700) == ERROR_NONE &&
                     (!is_passable || chmod(spare->path, 0711) == 0) &&
                     file_make_directory(work, 0700) == ERROR_NONE;
}

void spare_end(struct spare *spare)
{
    assert(spare->state == SPARE_MAKING);
    spare->state = spare->is_made ? SPARE_READY : SPARE_NONE;
}
