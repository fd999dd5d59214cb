/* The built-ins: small state machines over chunks, as bytes may be cut anywhere. */
#include "mapreduce/builtin.h"

#include "mapreduce/excerpt.h"

#include <assert.h>
#include <stdio.h>

enum {
    EMIT_SIZE = 64 * 1024
};

/* What a built-in works with: where its output gathers, and (sums) the key at hand. */
struct work {
    struct scratch *scratch;
    struct outflow out;
    size_t used;
    uint8_t *gathered; /* EMIT_SIZE */
    bool is_in_word;
    uint8_t *line; /* an unfinished line */
    size_t line_size;
    size_t line_capacity;
    uint8_t *key;
    size_t key_size;
    size_t key_capacity;
    bool has_key;
    uint64_t sum;
    uint64_t record; /* the number of the one at hand, from 1 on */
    uint64_t offset; /* where it begins, in all that came in */
    char *why;       /* BUILTIN_WHY_SIZE: what is wrong with it */
};

bool builtin_is_meant(struct slice command) { return command.count > 0 && command.at[0] == '@'; }

bool builtin_is_whole_line(struct slice command)
{
    return slice_equal(command, slice_string("@sort"));
}

static enum error flush(struct work *work)
{
    struct slice bytes = slice_of(work->gathered, work->used);
    work->used = 0;
    return bytes.count == 0 ? ERROR_NONE : work->out.take(work->out.context, bytes);
}

static enum error emit(struct work *work, struct slice bytes)
{
    while (bytes.count > 0) {
        if (work->used == EMIT_SIZE) {
            enum error error = flush(work);
            if (error != ERROR_NONE) return error;
        }
        size_t room = EMIT_SIZE - work->used;
        size_t part = bytes.count < room ? bytes.count : room;
        memcpy(work->gathered + work->used, bytes.at, part);
        work->used += part;
        bytes = slice_of(bytes.at + part, bytes.count - part);
    }
    return ERROR_NONE;
}

/* ---- @cat, @sort ---- */

static enum error copy_bytes(struct work *work, struct slice bytes)
{
    return work->out.take(work->out.context, bytes);
}

static enum error copy_end(struct work *work)
{
    (void)work;
    return ERROR_NONE;
}

/* ---- @true ---- */

static enum error ignore_bytes(struct work *work, struct slice bytes)
{
    (void)work;
    (void)bytes;
    return ERROR_NONE;
}

/* ---- @wordcount, map ---- */

static bool is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

static enum error end_word(struct work *work)
{
    if (!work->is_in_word) return ERROR_NONE;
    work->is_in_word = false;
    return emit(work, slice_string("\t1\n"));
}

static enum error count_bytes(struct work *work, struct slice bytes)
{
    enum error error = ERROR_NONE;
    for (size_t at = 0; at < bytes.count && error == ERROR_NONE;) {
        size_t end = at;
        while (end < bytes.count && !is_space(bytes.at[end])) end++;
        if (end > at) work->is_in_word = true;
        error = emit(work, slice_of(bytes.at + at, end - at));
        if (end < bytes.count && error == ERROR_NONE) error = end_word(work);
        at = end + 1;
    }
    return error;
}

/* ---- @wordcount, reduce ---- */

static enum error append(struct work *work, uint8_t **bytes, size_t *size, size_t *capacity,
                         struct slice more)
{
    if (more.count > *capacity - *size) {
        size_t larger = 2 * (*size + more.count);
        uint8_t *moved = memory_resize(work->scratch->memory, *bytes, *capacity, larger);
        if (moved == NULL) return ERROR_MEMORY;
        *bytes = moved;
        *capacity = larger;
    }
    if (more.count > 0) memcpy(*bytes + *size, more.at, more.count);
    *size += more.count;
    return ERROR_NONE;
}

static bool parse_value(struct slice text, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < text.count; i++) {
        unsigned digit = text.at[i] - (unsigned)'0';
        if (digit > 9 || *value > (UINT64_MAX - digit) / 10) return false;
        *value = *value * 10 + digit;
    }
    return text.count > 0;
}

static enum error end_key(struct work *work)
{
    if (!work->has_key) return ERROR_NONE;
    work->has_key = false;
    char text[32];
    int size = snprintf(text, sizeof text, "\t%llu\n", (unsigned long long)work->sum);
    enum error error = emit(work, slice_of(work->key, work->key_size));
    return error == ERROR_NONE ? emit(work, slice_of(text, (size_t)size)) : error;
}

static enum error refuse(struct work *work, struct slice key, struct slice value, const char *what)
{
    char texts[2][EXCERPT_SIZE];
    snprintf(work->why, BUILTIN_WHY_SIZE,
             "@wordcount: record %llu, at byte %llu of the sorted records, has the key %s and the "
             "value %s: %s; it sums lines of KEY TAB NUMBER",
             (unsigned long long)work->record, (unsigned long long)work->offset,
             excerpt_of(key, texts[0]), excerpt_of(value, texts[1]), what);
    return ERROR_INVALID;
}

/* A line, its newline not in it. */
static enum error sum_line(struct work *work, struct slice line)
{
    struct slice key = line, text = slice_string("1");
    uint64_t value = 1;
    work->record++;
    const uint8_t *tab = line.count == 0 ? NULL : memchr(line.at, '\t', line.count);
    if (tab != NULL) {
        key.count = (size_t)(tab - line.at);
        text = slice_of(tab + 1, line.count - key.count - 1);
        if (!parse_value(text, &value))
            return refuse(work, key, text, "that is no number from 0 to 2^64 - 1");
    }
    if (!work->has_key || !slice_equal(key, slice_of(work->key, work->key_size))) {
        enum error error = end_key(work);
        work->key_size = 0;
        if (error == ERROR_NONE)
            error = append(work, &work->key, &work->key_size, &work->key_capacity, key);
        if (error != ERROR_NONE) return error;
        work->has_key = true;
        work->sum = 0;
    }
    if (value > UINT64_MAX - work->sum)
        return refuse(work, key, text, "with it the sum is above 2^64 - 1");
    work->sum += value;
    work->offset += line.count + 1;
    return ERROR_NONE;
}

static enum error sum_bytes(struct work *work, struct slice bytes)
{
    for (const uint8_t *newline; (newline = memchr(bytes.at, '\n', bytes.count)) != NULL;) {
        struct slice line = slice_of(bytes.at, (size_t)(newline - bytes.at));
        bytes = slice_of(newline + 1, bytes.count - line.count - 1);
        enum error error = ERROR_NONE;
        if (work->line_size > 0) {
            error = append(work, &work->line, &work->line_size, &work->line_capacity, line);
            line = slice_of(work->line, work->line_size);
            work->line_size = 0;
        }
        if (error == ERROR_NONE) error = sum_line(work, line);
        if (error != ERROR_NONE) return error;
        if (bytes.count == 0) return ERROR_NONE;
    }
    return append(work, &work->line, &work->line_size, &work->line_capacity, bytes);
}

static enum error sum_end(struct work *work)
{
    enum error error = ERROR_NONE;
    if (work->line_size > 0) error = sum_line(work, slice_of(work->line, work->line_size));
    return error == ERROR_NONE ? end_key(work) : error;
}

/* ---- running one ---- */

struct builtin {
    const char *name;
    enum error (*map)(struct work *work, struct slice bytes); /* bytes.count > 0 */
    enum error (*map_end)(struct work *work);
    enum error (*reduce)(struct work *work, struct slice bytes);
    enum error (*reduce_end)(struct work *work);
};

static const struct builtin builtins[] = {
    {"@cat", copy_bytes, copy_end, copy_bytes, copy_end},
    {"@sort", copy_bytes, copy_end, copy_bytes, copy_end},
    {"@true", ignore_bytes, copy_end, ignore_bytes, copy_end},
    {"@wordcount", count_bytes, end_word, sum_bytes, sum_end},
};

static enum error run(struct work *work, const struct builtin *builtin, bool is_map,
                      struct inflow in)
{
    for (;;) {
        struct slice bytes;
        enum error error = watch_check(work->scratch->watch);
        if (error == ERROR_NONE) error = in.next(in.context, &bytes);
        if (error != ERROR_NONE) return error;
        if (bytes.count == 0) break;
        error = is_map ? builtin->map(work, bytes) : builtin->reduce(work, bytes);
        if (error != ERROR_NONE) return error;
    }
    enum error error = is_map ? builtin->map_end(work) : builtin->reduce_end(work);
    return error == ERROR_NONE ? flush(work) : error;
}

enum error builtin_run(struct slice command, bool is_map, struct scratch *scratch, struct inflow in,
                       struct outflow out, char why[BUILTIN_WHY_SIZE])
{
    const struct builtin *builtin = NULL;
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (slice_equal(command, slice_string(builtins[i].name))) builtin = &builtins[i];
    snprintf(why, BUILTIN_WHY_SIZE,
             "there is no such built-in: @cat, @sort, @true and @wordcount are");
    if (builtin == NULL) return ERROR_INVALID;
    struct work work = {.scratch = scratch, .out = out, .why = why};
    work.gathered = memory_take(scratch->memory, EMIT_SIZE);
    enum error error = work.gathered == NULL ? ERROR_MEMORY : run(&work, builtin, is_map, in);
    memory_put(scratch->memory, work.gathered, EMIT_SIZE);
    memory_put(scratch->memory, work.line, work.line_capacity);
    memory_put(scratch->memory, work.key, work.key_capacity);
    return error;
}
