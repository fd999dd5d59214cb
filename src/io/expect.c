/* Expected pieces (expect.h). A plain block is one piece with the digest that was asked for. Of a
 * partitioned one the index comes first: its records' part must have the digest asked for; what it
 * says of how the segments are stored is this holder's own (each compressor has its way), so a
 * segment's checksum vouches for the transfer, and its records for themselves when they are read.
 */
#include "io/expect.h"

#include "base/hash.h"
#include "io/partitioned.h"
#include "wire/kinds.h"
#include "wire/seal.h"

#include <stdlib.h>

static struct sink_piece *of_index(const struct expect *expect, struct slice index, size_t *count,
                                   uint64_t *size)
{
    struct digest digest;
    if (partitioned_check(index, size) != NULL) return NULL;
    crypto_sodium.digest(partitioned_name(index), &digest);
    if (!digest_equal(&digest, &expect->digest)) return NULL;
    uint32_t segments = partitioned_count(index);
    bool is_whole = expect->part == PART_WHOLE;
    if (!is_whole && expect->part >= segments) return NULL;
    struct sink_piece *pieces = calloc((size_t)segments + 1, sizeof *pieces);
    if (pieces == NULL) return NULL;
    *count = 1;
    pieces[0] = (struct sink_piece){
        .size = index.count, .check = hash64(index.at, index.count, 0), .has_check = true};
    uint32_t from = is_whole ? 0 : expect->part, to = is_whole ? segments : expect->part + 1;
    for (uint32_t i = from; i < to; i++) {
        struct segment segment = partitioned_segment(index, i);
        pieces[is_whole ? (*count)++ : 0] =
            (struct sink_piece){.size = segment.size, .check = segment.check, .has_check = true};
        if (!is_whole) *size = segment.size;
    }
    return pieces;
}

static struct sink_piece *of_plain(const struct expect *expect, size_t *count, uint64_t *size)
{
    if (expect->part != PART_WHOLE) return NULL;
    struct sink_piece *pieces = malloc(sizeof *pieces);
    if (pieces == NULL) return NULL;
    *pieces = (struct sink_piece){.size = expect->block_size, .digest = expect->digest};
    *count = 1;
    *size = expect->block_size;
    return pieces;
}

struct sink_piece *expect_pieces(const struct expect *expect, const struct msg_fetch_reply *reply,
                                 size_t *count, uint64_t *size)
{
    struct sink_piece *pieces = reply->index.count > 0 ? of_index(expect, reply->index, count, size)
                                                       : of_plain(expect, count, size);
    bool is_right =
        pieces != NULL && expect->offset <= *size && reply->size == *size - expect->offset;
    if (is_right) return pieces;
    free(pieces);
    return NULL;
}
