/* Hash, or binary search among the cuts (partition.h). A record equal to a cut belongs to the range
 * that the cut opens, so records of one key are never parted. */
#include "mapreduce/partition.h"

#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RANGES_SIZE_MAX = 64 << 20
}; /* 65,535 cuts of 1 KiB each */

void partition_init(struct partition *partition, struct memory *memory, const struct order *order,
                    uint32_t count, uint32_t fields)
{
    assert(count > 0 && fields > 0);
    *partition = (struct partition){
        .kind = PARTITION_HASH, .count = count, .fields = fields, .order = *order};
    partition->memory = memory;
    if (fields <= order->more_count) partition->order.more_count = (uint8_t)(fields - 1);
}

void partition_deinit(struct partition *partition)
{
    memory_put(partition->memory, partition->bytes, partition->bytes_size);
    memory_put(partition->memory, partition->cuts, partition->cuts_count * sizeof(uint8_t *));
    memory_put(partition->memory, partition->prefixes, partition->cuts_count * sizeof(uint64_t));
    partition->bytes = NULL;
    partition->cuts = NULL;
    partition->prefixes = NULL;
}

/* The whole file, and a newline behind it, if there was none. */
static enum error read_all(struct partition *partition, int fd, size_t size)
{
    partition->bytes_size = size + 1;
    partition->bytes = memory_take(partition->memory, partition->bytes_size);
    if (partition->bytes == NULL) return ERROR_MEMORY;
    for (size_t at = 0; at < size;) {
        ssize_t done = read(fd, partition->bytes + at, size - at);
        if (done < 0 && errno == EINTR) continue;
        if (done == 0) errno = ENODATA;
        if (done <= 0) return ERROR_NOT_FOUND;
        at += (size_t)done;
    }
    partition->bytes[size] = '\n';
    return ERROR_NONE;
}

static enum error list_cuts(struct partition *partition, size_t size)
{
    uint32_t count = 0;
    const uint8_t *end = partition->bytes + size;
    for (const uint8_t *at = partition->bytes; at < end; count++)
        at = (const uint8_t *)memchr(at, '\n', (size_t)(end - at) + 1) + 1;
    if (count >= partition->count) return ERROR_INVALID;
    if (count == 0) return ERROR_NONE;
    partition->cuts = memory_take(partition->memory, count * sizeof *partition->cuts);
    if (partition->cuts != NULL) partition->cuts_count = count;
    if (partition->cuts == NULL) return ERROR_MEMORY;
    partition->prefixes = memory_take(partition->memory, count * sizeof *partition->prefixes);
    if (partition->prefixes == NULL) return ERROR_MEMORY;
    const uint8_t *at = partition->bytes;
    for (uint32_t i = 0; i < count; i++) {
        partition->cuts[i] = at;
        partition->prefixes[i] = order_prefix(&partition->order, at, 0);
        at = (const uint8_t *)memchr(at, '\n', (size_t)(end - at) + 1) + 1;
    }
    return ERROR_NONE;
}

enum error partition_read_ranges(struct partition *partition, int directory, const char *name,
                                 struct trouble *trouble)
{
    struct stat stat;
    partition->kind = PARTITION_RANGE;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    enum error error = ERROR_NOT_FOUND;
    if (fd >= 0 && fstat(fd, &stat) == 0)
        error = stat.st_size > RANGES_SIZE_MAX ? ERROR_INVALID
                                               : read_all(partition, fd, (size_t)stat.st_size);
    if (error == ERROR_NOT_FOUND) (void)trouble_note(trouble, "read", name);
    if (fd >= 0) close(fd);
    return error == ERROR_NONE ? list_cuts(partition, (size_t)stat.st_size) : error;
}

/* Is this cut at or before the record? */
static bool is_reached(const struct partition *partition, uint32_t cut, const uint8_t *line,
                       uint64_t prefix)
{
    if (partition->prefixes[cut] != prefix) return partition->prefixes[cut] < prefix;
    if (order_is_exact(&partition->order, prefix)) return true;
    return order_compare(&partition->order, partition->cuts[cut], line, 0) <= 0;
}

static uint32_t range_of(const struct partition *partition, struct slice line)
{
    uint64_t prefix = order_prefix(&partition->order, line.at, 0);
    uint32_t low = 0, high = partition->cuts_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_reached(partition, middle, line.at, prefix)) low = middle + 1;
        else high = middle;
    }
    return low;
}

uint32_t partition_of(const struct partition *partition, struct slice line)
{
    if (partition->count == 1) return 0;
    if (partition->kind == PARTITION_COMMAND) return partition->given;
    if (partition->kind == PARTITION_RANGE) return range_of(partition, line);
    struct slice key = partition->fields == 1
                           ? order_key(&partition->order, line)
                           : order_fields(&partition->order, line, partition->fields);
    return (uint32_t)(hash64(key.at, key.count, 0) % partition->count);
}
