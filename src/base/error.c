#include "base/error.h"

#include <assert.h>
#include <errno.h>

static const char *const texts[] = {
#define ERROR(name, text, hint) [ERROR_##name] = text,
#include "base/error.def"
#undef ERROR
};

static const char *const hints[] = {
#define ERROR(name, text, hint) [ERROR_##name] = hint,
#include "base/error.def"
#undef ERROR
};

const char *error_text(enum error error)
{
    assert((unsigned)error < sizeof texts / sizeof *texts);
    return texts[error];
}

const char *error_hint(enum error error)
{
    assert((unsigned)error < sizeof hints / sizeof *hints);
    return hints[error];
}

enum error error_of_errno(int number, enum error other)
{
    switch (number) {
    case 0: return ERROR_NONE;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ERROR_FULL;
    case EACCES:
    case EPERM:
    case EROFS: return ERROR_DENIED;
    case ENOENT:
    case ENOTDIR: return ERROR_NOT_FOUND;
    case ENOMEM: return ERROR_MEMORY;
    case EIO: return ERROR_IO;
    }
    return other;
}
