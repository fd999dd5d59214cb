/* A stranger's bytes get a counter and one rate-limited line, nothing else. */
#include "io/refusals.h"

#include <inttypes.h>
#include <string.h>

enum {
    REFUSAL_SILENCE = 10 * SECOND
}; /* often enough to be seen, too seldom to fill a disk */

static struct refusal *find(struct refusals *refusals, const char *reason)
{
    for (size_t i = 0; i < refusals->count; i++)
        if (strcmp(refusals->rows[i].reason, reason) == 0) return &refusals->rows[i];
    if (refusals->count == REFUSAL_REASONS_MAX) return &refusals->rows[REFUSAL_REASONS_MAX - 1];
    struct refusal *row = &refusals->rows[refusals->count++];
    *row = (struct refusal){.reason = reason};
    return row;
}

void refusals_note(struct refusals *refusals, const struct trace *trace, instant now,
                   const char *reason, const struct address *from)
{
    struct refusal *row = find(refusals, reason);
    row->count++;
    row->unsaid++;
    if (row->said != 0 && now - row->said < REFUSAL_SILENCE) return;
    bool is_mendable = strstr(reason, "key") != NULL || strstr(reason, "version") != NULL;
    char text[ADDRESS_TEXT_SIZE];
    trace_line(trace, is_mendable ? TRACE_WARN : TRACE_DEBUG,
               "event=refused from=%s count=%" PRIu64 " reason=\"%s\"%s", address_text(from, text),
               row->unsaid, reason,
               is_mendable ? " hint=\"compare --key-file and --version on both\"" : "");
    row->said = now;
    row->unsaid = 0;
}
