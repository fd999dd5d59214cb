/* The one place where errno becomes words. What a disk says when it is full depends on who limits
 * it (the device, a quota, a file size limit): for us all three are "no space left". */
#include "mapreduce/trouble.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum error error_of(int number)
{
    if (number == ENOSPC || number == EDQUOT || number == EFBIG) return ERROR_FULL;
    if (number == ENOMEM) return ERROR_MEMORY;
    return ERROR_IO;
}

enum error trouble_note(struct trouble *trouble, const char *verb, const char *name)
{
    int number = errno;
    assert(verb != NULL && name != NULL);
    if (trouble->verb == NULL) {
        trouble->verb = verb;
        trouble->number = number;
        snprintf(trouble->name, sizeof trouble->name, "%s", name);
    }
    return error_of(number);
}

void trouble_say(struct trouble *trouble, const char *verb, const char *name, const char *why)
{
    if (trouble->verb != NULL) return;
    errno = 0;
    (void)trouble_note(trouble, verb, name);
    trouble->why = why;
}

void trouble_text(const struct trouble *trouble, char *text, size_t size)
{
    assert(size > 0);
    text[0] = '\0';
    if (trouble->verb == NULL) return;
    const char *why = trouble->why != NULL         ? trouble->why
                      : trouble->number == EBADMSG ? "its bytes are not those that were written"
                                                   : strerror(trouble->number);
    snprintf(text, size, "cannot %s %s: %s", trouble->verb, trouble->name, why);
}
