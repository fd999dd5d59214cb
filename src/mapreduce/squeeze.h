/* Pages: records on their way through disks and wires, compressed (zstd, level 1) and checked
 * (XXH3). The only place that knows of zstd.
 *
 *   segment:  page page ... page  | u64 line_max | u64 size |      (integers little endian)
 *   page:     u32 stored  u32 size  u64 XXH3 of the stored bytes  | stored bytes |
 *
 * A page holds up to PAGE_SIZE_MAX bytes of records, cut anywhere; stored = size: as they are, for
 * they would not shrink. Pages stand alone, so a merge of hundreds of segments needs one
 * decompressor and a page of memory for each, and rot is found before a byte of it is used. The
 * tail says how much memory the longest record takes. A segment without records has no bytes. */
#ifndef MAPREDUCE_SQUEEZE_H
#define MAPREDUCE_SQUEEZE_H

#include "base/slice.h"

enum {
    PAGE_SIZE_MAX = 64 << 10, /* of records; much less compresses worse, more costs merges memory */
    PAGE_HEAD = 16,
    SEGMENT_TAIL = 16,
};

/* Compressor and decompressor, each made at its first use. All zeros = neither. */
struct squeeze {
    void *packer;
    void *unpacker;
};

void squeeze_deinit(struct squeeze *squeeze);

/* A page of these records (1 to PAGE_SIZE_MAX bytes) into to (PAGE_HEAD + PAGE_SIZE_MAX bytes).
 * Returns its size; 0 without memory. */
size_t squeeze_pack(struct squeeze *squeeze, struct slice records, uint8_t *to);

/* What a page's head announces. */
struct page_head {
    uint32_t stored; /* bytes behind it */
    uint32_t size;   /* bytes of records */
    uint64_t check;
};

/* False: it is no page's head. */
bool squeeze_read_head(const uint8_t bytes[PAGE_HEAD], struct page_head *head);
/* Makes the decompressor; false without memory. Before squeeze_unpack. */
bool squeeze_can_unpack(struct squeeze *squeeze);
/* The records of a page into to (head->size bytes). False: these are not the bytes that were
 * written. */
bool squeeze_unpack(struct squeeze *squeeze, const struct page_head *head, const uint8_t *stored,
                    uint8_t *to);

#endif
