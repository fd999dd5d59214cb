/* Whole lines of many attempts (said.h). */
#include "ctl/said.h"

#include "ctl/notice.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void saids_init(struct saids *saids)
{
    memory_init(&saids->memory, SIZE_MAX);
    map_init(&saids->by_key, &saids->memory, offsetof(struct said, key),
             sizeof((struct said *)0)->key);
}

void saids_deinit(struct saids *saids)
{
    size_t cursor = 0;
    for (struct said *said; (said = map_next(&saids->by_key, &cursor)) != NULL;) {
        free(said->line);
        free(said);
    }
    map_deinit(&saids->by_key);
}

struct said *saids_get(struct saids *saids, const char *name, const struct id *node)
{
    char key[sizeof((struct said *)0)->key] = "", text[ID_TEXT_SIZE];
    snprintf(key, sizeof key, "%.*s %s", TASK_NAME_SIZE - 1, name, id_text(node, text));
    struct said *said = map_get(&saids->by_key, key);
    if (said != NULL) return said;
    said = calloc(1, sizeof *said);
    if (said == NULL) notice_no_memory();
    memcpy(said->key, key, sizeof key);
    snprintf(said->name, sizeof said->name, "%s", name);
    if (map_add(&saids->by_key, said) != ERROR_NONE) notice_no_memory();
    return said;
}

void said_print(const char *name, struct slice text)
{
    while (text.count > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.count);
        size_t count = end == NULL ? text.count : (size_t)(end - text.at);
        printf("%s: ", name);
        fwrite(text.at, 1, count, stdout);
        putchar('\n');
        if (end == NULL) return;
        text = slice_of(end + 1, text.count - count - 1);
    }
}

static void remember(struct said *said, struct slice text)
{
    said->position += text.count;
    if (text.count >= SAID_LAST_SIZE) {
        memcpy(said->last, text.at + text.count - SAID_LAST_SIZE, SAID_LAST_SIZE);
        said->last_count = SAID_LAST_SIZE;
        return;
    }
    size_t kept = SAID_LAST_SIZE - text.count;
    if (kept > said->last_count) kept = said->last_count;
    memmove(said->last, said->last + said->last_count - kept, kept);
    memcpy(said->last + kept, text.at, text.count);
    said->last_count = kept + text.count;
}

static void end_line(struct said *said)
{
    if (said->line_size > 0) said_print(said->name, slice_of(said->line, said->line_size));
    said->line_size = 0;
}

static void keep(struct said *said, struct slice rest)
{
    if (rest.count > 0 && said->line == NULL) said->line = malloc(SAID_LINE_MAX);
    while (rest.count > 0) {
        if (said->line == NULL) notice_no_memory();
        size_t count = SAID_LINE_MAX - said->line_size;
        if (count > rest.count) count = rest.count;
        memcpy(said->line + said->line_size, rest.at, count);
        said->line_size += count;
        rest = slice_of(rest.at + count, rest.count - count);
        if (said->line_size == SAID_LINE_MAX) end_line(said);
    }
}

void said_more(struct said *said, struct slice text)
{
    if (text.count > 0) remember(said, text);
    while (text.count > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.count);
        size_t count = end == NULL ? text.count : (size_t)(end - text.at) + 1;
        keep(said, slice_of(text.at, count));
        if (end == NULL) return;
        /* The newline ends a line that may be empty. */
        if (said->line_size > 0) end_line(said);
        text = slice_of(text.at + count, text.count - count);
    }
}

/* Behind the last place where what was printed last is; all of it when it is nowhere. */
static struct slice behind_last(const struct said *said, struct slice log)
{
    size_t size = said->last_count;
    for (size_t at = log.count; size > 0 && at >= size; at--)
        if (memcmp(log.at + at - size, said->last, size) == 0)
            return slice_of(log.at + at, log.count - at);
    return log;
}

void said_end(struct said *said, struct slice log, bool is_whole)
{
    size_t skipped = said->position < log.count ? (size_t)said->position : log.count;
    struct slice rest =
        is_whole ? slice_of(log.at + skipped, log.count - skipped) : behind_last(said, log);
    said_more(said, rest);
    end_line(said);
    free(said->line);
    said->line = NULL;
    said->is_over = true;
}
