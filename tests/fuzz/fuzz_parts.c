/* What comes from other machines of a map's output: the index with which a part is announced, and
 * the pages of the part itself. The first byte says what the rest is:
 *
 *   0  [part][has an offset][index]       a reply to a fetch: partitioned_check, then what is
 * expected of it 1  [segment]                          read as it is 2  { [size, 2 bytes][bytes] }
 * ...     pages with right checksums around these "compressed" bytes, and a tail: so that what lies
 * behind the checksums is met, too 3  as 2, two segments that are merged
 *
 * What must hold: nothing is read beyond its end, sums agree, no memory is left, and all lines that
 * come are lines. */
#include "base/hash.h"
#include "io/expect.h"
#include "io/partitioned.h"
#include "mapreduce/merge.h"
#include "wire/kinds.h"
#include "wire/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BUDGET = 64 << 20,
    SEGMENT_MAX = 1 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool holds)
{
    if (!holds) abort();
}

/* ---- an index ---- */

static void try_index(const uint8_t *bytes, size_t count)
{
    if (count < 2) return;
    struct msg_fetch_reply reply = {.index = slice_of(bytes + 2, count - 2)};
    struct expect expect = {.part = bytes[0] == 255 ? PART_WHOLE : bytes[0], .block_size = 7};
    uint64_t size;
    size_t pieces_count = 0;
    struct slice index = reply.index;
    if (index.count >= PARTITIONED_HEAD && partitioned_check(index, &size) == NULL) {
        crypto_sodium.digest(partitioned_name(index), &expect.digest);
        reply.size = expect.part == PART_WHOLE ? size
                     : expect.part < partitioned_count(index)
                         ? partitioned_segment(index, expect.part).size
                         : 0;
    }
    if (bytes[1] != 0 && reply.size > bytes[1]) {
        expect.offset = bytes[1];
        reply.size -= bytes[1];
    }
    struct sink_piece *pieces = expect_pieces(&expect, &reply, &pieces_count, &size);
    if (pieces == NULL) return;
    uint64_t sum = 0;
    for (size_t i = 0; i < pieces_count; i++) sum += pieces[i].size;
    require(sum == size && reply.size == size - expect.offset);
    free(pieces);
}

/* ---- segments ---- */

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* Pages whose checksums are right; returns the segment's size. */
static size_t make_segment(const uint8_t *bytes, size_t count, uint8_t *to)
{
    size_t used = 0;
    uint64_t records = 0, line_max = 0;
    while (count >= 4) {
        size_t size = bytes[0] | (size_t)bytes[1] << 8, stored = bytes[2] | (size_t)bytes[3] << 8;
        bytes += 4;
        count -= 4;
        if (stored > count) stored = count;
        if (used + PAGE_HEAD + stored + SEGMENT_TAIL > SEGMENT_MAX) break;
        put(to + used, stored, 4);
        put(to + used + 4, size, 4);
        put(to + used + 8, hash64(bytes, stored, 0), 8);
        if (stored > 0) memcpy(to + used + PAGE_HEAD, bytes, stored);
        used += PAGE_HEAD + stored;
        records += size;
        line_max = size;
        bytes += stored;
        count -= stored;
    }
    if (count > 0) records += bytes[0] - 128u; /* a tail that lies */
    put(to + used, line_max, 8);
    put(to + used + 8, records, 8);
    return used + SEGMENT_TAIL;
}

static int file_of(const uint8_t *bytes, size_t count, char path[64])
{
    int file = memfd_create("segment", MFD_CLOEXEC);
    require(file >= 0 && write(file, bytes, count) == (ssize_t)count);
    snprintf(path, 64, "/proc/self/fd/%d", file);
    return file;
}

static void merge_all(struct scratch *scratch, struct part *parts, size_t count)
{
    static const struct order order;
    struct scratch_file runs;
    struct merge merge;
    struct slice lines;
    scratch_file_init(&runs, scratch, "runs");
    enum error error = ERROR_NONE;
    for (size_t i = 0; i < count && error == ERROR_NONE; i++)
        error = source_measure(scratch, &parts[i]);
    if (error == ERROR_NONE) {
        error = merge_open(&merge, &order, parts, count, &runs, 1 << 20);
        while (error == ERROR_NONE) {
            error = merge_next(&merge, &lines);
            if (error != ERROR_NONE || lines.count == 0) break;
            require(lines.at[lines.count - 1] == '\n');
        }
        merge_close(&merge);
    }
    if (runs.fd >= 0) (void)unlinkat(scratch->directory, runs.name, 0);
    scratch_file_deinit(&runs);
}

static void try_segments(const uint8_t *bytes, size_t count, int how)
{
    static uint8_t made[SEGMENT_MAX];
    struct memory memory;
    struct watch watch = {.signals = -1, .deadline = INSTANT_NEVER};
    struct scratch scratch = {.memory = &memory, .watch = &watch, .directory = -1};
    struct part parts[2];
    char paths[2][64];
    int files[2];
    size_t files_count = how == 3 ? 2 : 1;
    memory_init(&memory, BUDGET);
    for (size_t i = 0; i < files_count; i++) {
        size_t half = files_count == 1 ? count : i == 0 ? count / 2 : count - count / 2;
        const uint8_t *from = i == 0 ? bytes : bytes + count / 2;
        size_t size = how == 1 ? half : make_segment(from, half, made);
        files[i] = file_of(how == 1 ? from : made, size, paths[i]);
        parts[i] = (struct part){.path = slice_string(paths[i]), .size = size};
    }
    merge_all(&scratch, parts, files_count);
    for (size_t i = 0; i < files_count; i++) close(files[i]);
    squeeze_deinit(&scratch.squeeze);
    require(memory.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0 || count > SEGMENT_MAX / 2) return 0;
    if (bytes[0] % 4 == 0) try_index(bytes + 1, count - 1);
    else try_segments(bytes + 1, count - 1, bytes[0] % 4);
    return 0;
}
