/* zstd and XXH3 around pages (squeeze.h). What is read comes from disks: every size is checked, and
 * zstd itself checks the rest. */
#include "mapreduce/squeeze.h"

#include "base/hash.h"

#include <assert.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    LEVEL = 1
}; /* the network and the disk are the narrower place, not by much */

static void put_integer(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t integer(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

void squeeze_deinit(struct squeeze *squeeze)
{
    ZSTD_freeCCtx(squeeze->packer);
    ZSTD_freeDCtx(squeeze->unpacker);
    *squeeze = (struct squeeze){0};
}

size_t squeeze_pack(struct squeeze *squeeze, struct slice records, uint8_t *to)
{
    assert(records.count > 0 && records.count <= PAGE_SIZE_MAX);
    if (squeeze->packer == NULL) squeeze->packer = ZSTD_createCCtx();
    if (squeeze->packer == NULL) return 0;
    uint8_t *body = to + PAGE_HEAD;
    /* Room for one byte less than the records: what does not fit has not shrunk. */
    size_t stored = ZSTD_compressCCtx(squeeze->packer, body, records.count - 1, records.at,
                                      records.count, LEVEL);
    if (ZSTD_getErrorCode(stored) == ZSTD_error_memory_allocation) return 0;
    if (ZSTD_isError(stored)) {
        stored = records.count;
        memcpy(body, records.at, stored);
    }
    put_integer(to, stored, 4);
    put_integer(to + 4, records.count, 4);
    put_integer(to + 8, hash64(body, stored, 0), 8);
    return PAGE_HEAD + stored;
}

bool squeeze_read_head(const uint8_t bytes[PAGE_HEAD], struct page_head *head)
{
    head->stored = (uint32_t)integer(bytes, 4);
    head->size = (uint32_t)integer(bytes + 4, 4);
    head->check = integer(bytes + 8, 8);
    return head->size > 0 && head->size <= PAGE_SIZE_MAX && head->stored > 0 &&
           head->stored <= head->size;
}

bool squeeze_can_unpack(struct squeeze *squeeze)
{
    if (squeeze->unpacker == NULL) squeeze->unpacker = ZSTD_createDCtx();
    return squeeze->unpacker != NULL;
}

bool squeeze_unpack(struct squeeze *squeeze, const struct page_head *head, const uint8_t *stored,
                    uint8_t *to)
{
    if (hash64(stored, head->stored, 0) != head->check) return false;
    if (head->stored == head->size) {
        memcpy(to, stored, head->size);
        return true;
    }
    assert(squeeze->unpacker != NULL);
    return ZSTD_decompressDCtx(squeeze->unpacker, to, head->size, stored, head->stored) ==
           head->size;
}
