/* Writing the output. The index is written last, in the hole left for it at the front, since sizes
 * and digests are known only then. */
#include "mapreduce/output.h"

#include "mapreduce/squeeze.h"
#include "mapreduce/task.h"

#include <assert.h>
#include <string.h>

enum {
    INDEX_HEAD = 8, /* "MRP2" and the number of partitions */
    PAGE_ROOM = PAGE_SIZE_MAX + PAGE_HEAD + PAGE_SIZE_MAX,
};

static void put_integer(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* The part of the index that names the block. */
static size_t named_size(const struct output *output)
{
    return INDEX_HEAD + (size_t)output->partitions * PARTITIONED_INDEX_ITEM;
}

static size_t index_size(const struct output *output)
{
    if (output->partitions == 0) return 0;
    return named_size(output) + (size_t)output->partitions * PARTITIONED_STORED_ITEM;
}

enum error output_init(struct output *output, struct scratch *scratch, uint32_t partitions)
{
    *output = (struct output){.partitions = partitions};
    scratch_file_init(&output->file, scratch, "output");
    seal_hasher_init(&output->hasher);
    if (partitions == 0) output->file.hasher = &output->hasher;
    if (partitions == 0) return ERROR_NONE;
    hash_stream_init(&output->check);
    output->file.size = output->segment_start = index_size(output);
    output->index = memory_take(scratch->memory, index_size(output));
    output->page = memory_take(scratch->memory, PAGE_ROOM);
    if (output->index == NULL || output->page == NULL) return ERROR_MEMORY;
    memcpy(output->index, "MRP2", 4);
    put_integer(output->index + 4, partitions, 4);
    return ERROR_NONE;
}

void output_deinit(struct output *output)
{
    struct memory *memory = output->file.scratch->memory;
    memory_put(memory, output->index, index_size(output));
    memory_put(memory, output->page, PAGE_ROOM);
    output->index = NULL;
    output->page = NULL;
    scratch_file_deinit(&output->file);
}

/* ---- segments ---- */

static enum error store(struct output *output, struct slice bytes)
{
    hash_stream_update(&output->check, bytes.at, bytes.count);
    return scratch_write(&output->file, bytes);
}

static enum error store_page(struct output *output)
{
    uint8_t *packed = output->page + PAGE_SIZE_MAX;
    if (output->page_size == 0) return ERROR_NONE;
    size_t size = squeeze_pack(&output->file.scratch->squeeze,
                               slice_of(output->page, output->page_size), packed);
    output->page_size = 0;
    return size == 0 ? ERROR_MEMORY : store(output, slice_of(packed, size));
}

static enum error page_take(struct output *output, struct slice bytes)
{
    seal_hasher_update(&output->hasher, bytes);
    output->segment_size += bytes.count;
    while (bytes.count > 0) {
        size_t room = PAGE_SIZE_MAX - output->page_size;
        size_t count = bytes.count < room ? bytes.count : room;
        memcpy(output->page + output->page_size, bytes.at, count);
        output->page_size += count;
        bytes = slice_of(bytes.at + count, bytes.count - count);
        enum error error = ERROR_NONE;
        if (output->page_size == PAGE_SIZE_MAX) error = store_page(output);
        if (error != ERROR_NONE) return error;
    }
    return ERROR_NONE;
}

static void measure_lines(struct output *output, struct slice bytes)
{
    const uint8_t *at = bytes.at, *end = bytes.at + bytes.count;
    for (const uint8_t *newline; (newline = memchr(at, '\n', (size_t)(end - at))) != NULL;) {
        output->newlines++;
        output->line_size += (uint64_t)(newline + 1 - at);
        if (output->line_size > output->line_max) output->line_max = output->line_size;
        output->line_size = 0;
        at = newline + 1;
    }
    output->line_size += (uint64_t)(end - at);
    output->is_in_line = end[-1] != '\n';
}

enum error output_take(void *context, struct slice bytes)
{
    struct output *output = context;
    if (bytes.count == 0) return ERROR_NONE;
    measure_lines(output, bytes);
    if (output->partitions > 0) return page_take(output, bytes);
    return scratch_write(&output->file, bytes);
}

enum error output_end_segment(struct output *output)
{
    assert(output->segments < output->partitions);
    uint8_t tail[SEGMENT_TAIL];
    enum error error = store_page(output);
    put_integer(tail, output->line_max, 8);
    put_integer(tail + 8, output->segment_size, 8);
    if (error == ERROR_NONE && output->segment_size > 0)
        error = store(output, slice_of(tail, sizeof tail));
    if (error != ERROR_NONE) return error;
    uint8_t *item = output->index + INDEX_HEAD + (size_t)output->segments * PARTITIONED_INDEX_ITEM;
    uint8_t *stored =
        output->index + named_size(output) + (size_t)output->segments * PARTITIONED_STORED_ITEM;
    struct digest digest;
    seal_hasher_final(&output->hasher, &digest);
    put_integer(item, output->segment_size, 8);
    memcpy(item + 8, digest.bytes, sizeof digest.bytes);
    put_integer(stored, output->file.size - output->segment_start, 8);
    put_integer(stored + 8, hash_stream_final(&output->check), 8);
    seal_hasher_init(&output->hasher);
    hash_stream_init(&output->check);
    output->segment_start = output->file.size;
    output->segment_size = output->line_max = output->line_size = 0;
    output->segments++;
    return ERROR_NONE;
}

enum error output_end(struct output *output, struct digest *digest)
{
    assert(output->segments == output->partitions);
    enum error error = scratch_flush(&output->file);
    if (error != ERROR_NONE) return error;
    if (output->partitions > 0) {
        seal_hasher_update(&output->hasher, slice_of(output->index, named_size(output)));
        error = scratch_write_at(&output->file, slice_of(output->index, index_size(output)), 0);
    }
    seal_hasher_final(&output->hasher, digest);
    return error;
}

bool output_end_small(struct output *output, size_t max, uint8_t *bytes, struct digest *digest)
{
    const struct scratch_file *file = &output->file;
    if (output->partitions > 0 || file->fd >= 0 || file->size > max) return false;
    assert(file->size == file->buffered);
    if (file->size > 0) memcpy(bytes, file->buffer, file->size);
    seal_hasher_update(&output->hasher, slice_of(bytes, file->size));
    seal_hasher_final(&output->hasher, digest);
    return true;
}

uint64_t output_records(const struct output *output)
{
    return output->newlines + output->is_in_line;
}
