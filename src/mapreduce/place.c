/* Saying where a command stopped (place.h). How far a program has read is known to the byte: what
 * was written to its stdin, less what still lies in the pipe. It is no more than a hint at the
 * record that it could not take, because programs read ahead; but it is the line there or one
 * before, and in the bytes of the file, not of some block.
 *
 * Of a map the line is looked up in the input itself, backwards. Sorted records come from many
 * outputs at once: of those the key is shown that a chunk (flow.h) began with. */
#include "mapreduce/place.h"

#include "mapreduce/attempt.h"
#include "mapreduce/excerpt.h"
#include "mapreduce/input.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LOOK_BACK_MAX =
        1 << 20, /* for the beginning of a line: longer ones are told by the byte alone */
    LOOK_SIZE = 4096,
    NAME_MAX_SHOWN = 300, /* bytes of a file's name */
};

static const char *variable(const struct attempt *attempt, const char *name)
{
    size_t size = strlen(name);
    for (char **at = attempt->environment; at != NULL && *at != NULL; at++)
        if (strncmp(*at, name, size) == 0 && (*at)[size] == '=') return *at + size + 1;
    return NULL;
}

/* Which input this byte is in, and where in it; NULL when there are not so many. */
static const struct msg_task_input *find(const struct attempt *attempt, uint64_t *at)
{
    const struct msg_task_input *items = attempt->spec->inputs.at;
    for (uint32_t i = 0; i < attempt->spec->inputs.count; i++) {
        if (*at < items[i].size) return &items[i];
        *at -= items[i].size;
    }
    return NULL;
}

/* Bytes of the input from `from` on, of its file (fd) or as they came with the assignment. */
static bool read_input(const struct attempt *attempt, const struct msg_task_input *item, int fd,
                       uint64_t from, char *bytes, size_t count)
{
    if (fd >= 0) return pread(fd, bytes, count, (off_t)(item->offset + from)) == (ssize_t)count;
    struct slice carried = attempt->scratch.carried;
    if (from > carried.count || count > carried.count - from) return false;
    memcpy(bytes, carried.at + from, count);
    return true;
}

/* Where the line begins in which this byte of the input is, counted as the byte is; false when that
 * can't be told. */
static bool find_line(const struct attempt *attempt, const struct msg_task_input *item, uint64_t at,
                      uint64_t *line)
{
    char path[4097], bytes[LOOK_SIZE];
    snprintf(path, sizeof path, "%.*s", (int)item->path.count, (const char *)item->path.at);
    bool is_carried = input_is_carried(&attempt->scratch, item);
    int fd = is_carried ? -1 : input_descriptor(&attempt->scratch, path);
    if (fd < 0 && !is_carried) return false;
    uint64_t end = at, least = at > LOOK_BACK_MAX ? at - LOOK_BACK_MAX : 0;
    bool is_found = false;
    while (!is_found && end > least) {
        size_t count = end - least < LOOK_SIZE ? (size_t)(end - least) : LOOK_SIZE;
        if (!read_input(attempt, item, fd, end - count, bytes, count)) break;
        const char *newline = memrchr(bytes, '\n', count);
        is_found = newline != NULL;
        *line = is_found ? end - count + (size_t)(newline + 1 - bytes) : 0;
        end -= count;
    }
    if (fd >= 0) close(fd);
    if (end == 0 && !is_found) *line = 0;
    return is_found || end == 0;
}

static void of_map(const struct attempt *attempt, char *text, size_t size)
{
    const char *name = variable(attempt, "MR_INPUT"), *offset = variable(attempt, "MR_OFFSET");
    if (name != NULL && strcmp(name, "-") == 0) name = "standard input";
    uint64_t base = offset == NULL ? 0 : strtoull(offset, NULL, 10), line = 0;
    uint64_t read_size = attempt->place.read_size, last = read_size - 1;
    const struct msg_task_input *item = find(attempt, &last); /* the last byte that it took */
    size_t used = (size_t)snprintf(text, size, ", when it had read up to byte %llu of %.*s",
                                   (unsigned long long)(base + read_size), NAME_MAX_SHOWN,
                                   name == NULL ? "its input" : name);
    if (item == NULL || used >= size || !find_line(attempt, item, last, &line)) return;
    snprintf(text + used, size - used, "; the line there begins at byte %llu",
             (unsigned long long)(base + read_size - 1 - last + line));
}

static void of_records(const struct place *place, char *text, size_t size)
{
    char excerpt[EXCERPT_SIZE];
    struct slice key = slice_of(place->mark.text, place->mark.size);
    for (size_t i = 0; i < key.count; i++)
        if (key.at[i] == '\t' || key.at[i] == '\n') key.count = i;
    snprintf(text, size, ", when it had read %llu bytes of its records, behind the key %s",
             (unsigned long long)place->read_size, excerpt_of(key, excerpt));
}

void place_text(const struct attempt *attempt, char *text, size_t size)
{
    const struct place *place = &attempt->place;
    size_t used = strlen(text);
    if (!place->is_known || used >= size) return;
    if (place->read_size == 0) return;
    if (place->is_input) of_map(attempt, text + used, size - used);
    else of_records(place, text + used, size - used);
}
