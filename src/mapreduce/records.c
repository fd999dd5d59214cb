/* Collecting and spilling. The work per record is: find the newline, hash the key, copy, note an
 * entry. */
#include "mapreduce/records.h"

#include "mapreduce/merge.h"

#include <assert.h>
#include <unistd.h>

enum {
    ENTRY_COST = 2 * sizeof(struct sort_entry), /* one, and a spare one to sort it with */
    SIZE_MIN = 4096,                            /* of the buffer: a page */
    SIZE_STEP = 64 * 1024,
};

void records_init(struct records *records, struct scratch *scratch, const struct order *order,
                  const struct partition *partition, size_t limit, const char *runs_name)
{
    size_t offsets_max = UINT32_MAX - 2 * SIZE_MIN; /* entries hold offsets of 32 bits */
    if (limit > offsets_max) limit = offsets_max;
    if (limit < SIZE_MIN) limit = SIZE_MIN;
    *records = (struct records){
        .scratch = scratch,
        .order = order,
        .partition = partition,
        .partitions = partition == NULL ? 1 : partition->count,
        .limit = limit / SIZE_MIN * SIZE_MIN,
        .record_max = RECORD_SIZE_MAX,
    };
    scratch_file_init(&records->runs, scratch, runs_name);
}

static void forget_parts(struct records *records)
{
    memory_put(records->scratch->memory, records->parts,
               records->parts_capacity * sizeof *records->parts);
    records->parts = NULL;
    records->parts_count = records->parts_capacity = 0;
}

void records_deinit(struct records *records)
{
    memory_put(records->scratch->memory, records->memory, records->size);
    records->memory = NULL;
    forget_parts(records);
    if (records->runs.fd >= 0) (void)unlinkat(records->scratch->directory, records->runs.name, 0);
    scratch_file_deinit(&records->runs);
}

/* ---- sorting ---- */

static struct sort_entry *lowest_entry(const struct records *records)
{
    return (struct sort_entry *)(void *)(records->memory + records->size) - records->count;
}

/* Into the order of positions: entries were noted downwards. */
static void reverse(struct sort_entry *entries, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct sort_entry other = entries[i];
        entries[i] = entries[count - 1 - i];
        entries[count - 1 - i] = other;
    }
}

static void sort_lines(struct records *records)
{
    if (records->is_sorted) return;
    records->is_sorted = true;
    records->sorted = records->count == 0 ? NULL : lowest_entry(records);
    if (records->count == 0) return;
    reverse(records->sorted, records->count);
    sort_entries(records->order, records->memory, records->sorted, records->sorted - records->count,
                 records->count);
}

static struct slice line_at(const struct records *records, const struct sort_entry *entry)
{
    const uint8_t *at = records->memory + entry->offset;
    const uint8_t *end = memchr(at, '\n', records->used - entry->offset);
    assert(end != NULL);
    return slice_of(at, (size_t)(end - at) + 1);
}

/* ---- spilling ---- */

static enum error note_part(struct records *records, uint64_t offset)
{
    struct part *grown =
        memory_grow(records->scratch->memory, records->parts, &records->parts_capacity,
                    records->parts_count, sizeof *records->parts);
    if (grown == NULL) return ERROR_MEMORY;
    records->parts = grown;
    grown[records->parts_count++] = (struct part){
        .offset = offset,
        .size = records->runs.size - offset,
        .line_max = records->line_max,
    };
    return ERROR_NONE;
}

/* Leaves the open line alone in memory. */
static void forget_lines(struct records *records)
{
    size_t left = records->used - records->open;
    records->spilled_size += records->open;
    records->spilled_count += records->count;
    memmove(records->memory, records->memory + records->open, left);
    records->used = left;
    records->open = records->count = records->line_max = 0;
    records->is_sorted = false;
}

static enum error spill(struct records *records)
{
    sort_lines(records);
    const struct sort_entry *entry = records->sorted;
    const struct sort_entry *end = entry + records->count;
    enum error error = ERROR_NONE;
    for (uint32_t p = 0; p < records->partitions && error == ERROR_NONE; p++) {
        uint64_t offset = records->runs.size;
        for (; error == ERROR_NONE && entry < end && entry->partition == p; entry++)
            error = scratch_write(&records->runs, line_at(records, entry));
        if (error == ERROR_NONE) error = note_part(records, offset);
    }
    if (error == ERROR_NONE) error = scratch_flush(&records->runs);
    if (error == ERROR_NONE) forget_lines(records);
    return error;
}

/* ---- collecting ---- */

static size_t room(const struct records *records)
{
    return records->size - records->used - records->count * ENTRY_COST;
}

/* Entries lie at the top: they move with it. */
static enum error resize(struct records *records, size_t size)
{
    assert(size % SIZE_MIN == 0);
    size_t entries_size = records->count * sizeof(struct sort_entry);
    size_t old = records->size;
    if (size < old)
        memmove(records->memory + size - entries_size, records->memory + old - entries_size,
                entries_size);
    uint8_t *moved = memory_resize(records->scratch->memory, records->memory, old, size);
    if (moved == NULL) return ERROR_MEMORY;
    if (size > old && entries_size > 0)
        memmove(moved + size - entries_size, moved + old - entries_size, entries_size);
    records->memory = moved;
    records->size = size;
    return ERROR_NONE;
}

/* Room for so many more bytes of the open line and its entry: grow to the limit, then spill, then,
 * with nothing but the open line in memory, grow as it needs. */
static enum error make_room(struct records *records, size_t wanted)
{
    if (records->size > records->limit && records->count > 0) {
        enum error error = spill(records);
        bool fits = records->used + ENTRY_COST <= records->limit;
        if (error == ERROR_NONE && fits) error = resize(records, records->limit);
        if (error != ERROR_NONE) return error;
    }
    while (room(records) < wanted + ENTRY_COST) {
        enum error error;
        if (records->size < records->limit) {
            size_t larger = records->size == 0 ? SIZE_STEP : 2 * records->size;
            error = resize(records, larger < records->limit ? larger : records->limit);
        } else if (records->count > 0) {
            error = spill(records);
        } else {
            error =
                resize(records, records->size + records->size / 2 / SIZE_MIN * SIZE_MIN + SIZE_MIN);
        }
        if (error != ERROR_NONE) return error;
    }
    return ERROR_NONE;
}

/* The open line has got its newline. */
static void close_line(struct records *records)
{
    struct slice line = slice_of(records->memory + records->open, records->used - records->open);
    uint32_t partition = 0;
    if (records->partitions > 1) partition = partition_of(records->partition, line);
    assert(records->open <= UINT32_MAX);
    records->count++;
    *lowest_entry(records) = (struct sort_entry){
        .prefix = order_prefix(records->order, line.at, 0),
        .offset = (uint32_t)records->open,
        .partition = partition,
    };
    if (line.count > records->line_max) records->line_max = line.count;
    records->open = records->used;
}

enum error records_take(void *context, struct slice bytes)
{
    struct records *records = context;
    assert(!records->is_sorted);
    while (bytes.count > 0) {
        const uint8_t *newline = memchr(bytes.at, '\n', bytes.count);
        size_t count = newline == NULL ? bytes.count : (size_t)(newline - bytes.at) + 1;
        if (count > records->record_max - (records->used - records->open)) {
            records->is_too_large = true;
            return ERROR_INVALID;
        }
        if (room(records) < count + ENTRY_COST || records->size > records->limit) {
            enum error error = make_room(records, count);
            if (error != ERROR_NONE) return error;
        }
        memcpy(records->memory + records->used, bytes.at, count);
        records->used += count;
        if (newline != NULL) close_line(records);
        bytes = slice_of(bytes.at + count, bytes.count - count);
    }
    return ERROR_NONE;
}

void records_bound(struct records *records, size_t memory_size)
{
    size_t size = memory_size < RECORD_SIZE_FREE ? RECORD_SIZE_FREE : memory_size;
    records->record_max = size < RECORD_SIZE_MAX ? size : RECORD_SIZE_MAX;
}

void records_too_large(const struct records *records, uint64_t *number, uint64_t *offset)
{
    assert(records->is_too_large);
    *number = records->spilled_count + records->count + 1;
    *offset = records->spilled_size + records->open;
}

static enum error end_open_line(struct records *records)
{
    if (records->used == records->open) return ERROR_NONE;
    records->record_max++; /* its newline is not the command's */
    return records_take(records, slice_string("\n"));
}

enum error records_end_in_runs(struct records *records)
{
    enum error error = end_open_line(records);
    if (error == ERROR_NONE && records->count > 0) error = spill(records);
    if (error != ERROR_NONE) return error;
    memory_put(records->scratch->memory, records->memory, records->size);
    records->memory = NULL;
    records->size = records->used = records->open = 0;
    return ERROR_NONE;
}

enum error records_end(struct records *records)
{
    enum error error = end_open_line(records);
    if (error != ERROR_NONE) return error;
    if (records->parts_count > 0) return records_end_in_runs(records);
    sort_lines(records);
    return ERROR_NONE;
}

/* ---- giving back ---- */

enum error records_parts(const struct records *records, uint32_t partition, struct part **parts,
                         size_t *count)
{
    assert(records->count == 0 && partition < records->partitions);
    *count = records->parts_count / records->partitions;
    *parts = NULL;
    if (*count == 0) return ERROR_NONE;
    *parts = memory_take(records->scratch->memory, *count * sizeof **parts);
    if (*parts == NULL) return ERROR_MEMORY;
    for (size_t run = 0; run < *count; run++)
        (*parts)[run] = records->parts[run * records->partitions + partition];
    return ERROR_NONE;
}

static enum error pour_runs(struct records *records, uint32_t partition, struct outflow flow)
{
    struct part *parts;
    size_t count;
    enum error error = records_parts(records, partition, &parts, &count);
    if (error != ERROR_NONE) return error;
    struct merge merge;
    error = merge_open(&merge, records->order, parts, count, &records->runs, records->limit);
    struct slice bytes = {0};
    while (error == ERROR_NONE) {
        error = merge_next(&merge, &bytes);
        if (error != ERROR_NONE || bytes.count == 0) break;
        error = flow.take(flow.context, bytes);
    }
    merge_close(&merge);
    memory_put(records->scratch->memory, parts, count * sizeof *parts);
    return error;
}

/* Partitions come in their order, so the entries of the one asked for are at the front. */
static enum error pour_memory(struct records *records, uint32_t partition, struct outflow flow)
{
    while (records->count > 0 && records->sorted->partition < partition) {
        records->sorted++;
        records->count--;
    }
    while (records->count > 0 && records->sorted->partition == partition) {
        enum error error = flow.take(flow.context, line_at(records, records->sorted));
        if (error != ERROR_NONE) return error;
        records->sorted++;
        records->count--;
    }
    return ERROR_NONE;
}

enum error records_pour(struct records *records, uint32_t partition, struct outflow flow)
{
    assert(partition < records->partitions);
    if (records->parts_count > 0) return pour_runs(records, partition, flow);
    return pour_memory(records, partition, flow);
}
