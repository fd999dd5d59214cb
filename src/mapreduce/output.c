/* Writing the output. The index is written last, in the hole left for it at the front, since sizes
 * and digests are known only then. */
#include "mapreduce/output.h"

#include "mapreduce/task.h"

#include <assert.h>

enum { INDEX_HEAD = 8 }; /* "MRP1" and the number of partitions */

static void put_integer(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static size_t index_size(const struct output *output)
{
    if (output->partitions == 0) return 0;
    return INDEX_HEAD + (size_t)output->partitions * PARTITIONED_INDEX_ITEM;
}

enum error output_init(struct output *output, struct scratch *scratch, uint32_t partitions)
{
    *output = (struct output){.partitions = partitions};
    scratch_file_init(&output->file, scratch, "output");
    seal_hasher_init(&output->hasher);
    output->file.hasher = &output->hasher;
    if (partitions == 0) return ERROR_NONE;
    output->file.size = output->segment_start = index_size(output);
    output->index = memory_take(scratch->memory, index_size(output));
    if (output->index == NULL) return ERROR_MEMORY;
    memcpy(output->index, "MRP1", 4);
    put_integer(output->index + 4, partitions, 4);
    return ERROR_NONE;
}

void output_deinit(struct output *output)
{
    memory_put(output->file.scratch->memory, output->index, index_size(output));
    output->index = NULL;
    scratch_file_deinit(&output->file);
}

enum error output_take(void *context, struct slice bytes)
{
    struct output *output = context;
    if (bytes.count == 0) return ERROR_NONE;
    uint64_t newlines = 0;
    for (size_t i = 0; i < bytes.count; i++) newlines += bytes.at[i] == '\n';
    output->newlines += newlines;
    output->is_in_line = bytes.at[bytes.count - 1] != '\n';
    return scratch_write(&output->file, bytes);
}

enum error output_end_segment(struct output *output)
{
    assert(output->segments < output->partitions);
    enum error error = scratch_flush(&output->file);
    if (error != ERROR_NONE) return error;
    struct digest digest;
    seal_hasher_final(&output->hasher, &digest);
    seal_hasher_init(&output->hasher);
    uint8_t *item = output->index + INDEX_HEAD + (size_t)output->segments * PARTITIONED_INDEX_ITEM;
    put_integer(item, output->file.size - output->segment_start, 8);
    memcpy(item + 8, digest.bytes, sizeof digest.bytes);
    output->segment_start = output->file.size;
    output->segments++;
    return ERROR_NONE;
}

enum error output_end(struct output *output, struct digest *digest)
{
    assert(output->segments == output->partitions);
    enum error error = scratch_flush(&output->file);
    if (error != ERROR_NONE) return error;
    if (output->partitions > 0) {
        struct slice index = slice_of(output->index, index_size(output));
        seal_hasher_update(&output->hasher, index);
        error = scratch_write_at(&output->file, index, 0);
    }
    seal_hasher_final(&output->hasher, digest);
    return error;
}

uint64_t output_records(const struct output *output)
{
    return output->newlines + output->is_in_line;
}
