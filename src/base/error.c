#include "base/error.h"

#include <assert.h>

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
