/* Blocks of the laboratory: content by digest, held once in the world, and which host has which on
 * its disk. Transfers take virtual time; a fetch tries its holders in order, as a driver does. */
#ifndef SIM_BLOCKS_H
#define SIM_BLOCKS_H

#include "base/map.h"
#include "sim/host.h"

/* Bytes that exist somewhere, or once did. */
struct content {
    struct digest digest;
    uint8_t *bytes;
    size_t size;
};

struct held_block {
    struct digest digest;
    const struct content *content;
    bool is_durable; /* survives a power cut */
    bool is_rotten;  /* the disk has other bytes now */
};

struct blocks {
    struct map contents; /* every content there ever was */
};

void blocks_init(struct blocks *blocks, struct memory *memory);
void blocks_deinit(struct blocks *blocks);
void blocks_host_init(struct world *world, struct host *host);
void blocks_host_deinit(struct world *world, struct host *host);

/* The content of these bytes, known by this digest (of its index, when partitioned). Takes bytes
 * (malloc). */
const struct content *blocks_content(struct world *world, const struct digest *digest,
                                     uint8_t *bytes, size_t size);
const struct content *blocks_find(const struct world *world, const struct digest *digest);

/* A good copy. */
bool blocks_has(const struct host *host, const struct digest *digest);
/* The bytes of its copy change, unnoticed. False: it has no good one. */
bool blocks_rot(struct world *world, struct host *host, const struct digest *digest);
void blocks_put(struct world *world, struct host *host, const struct content *content,
                bool is_durable);
/* A client has uploaded it: on disk, and the node is told (token 0). False: there is no room. */
bool blocks_upload(struct world *world, struct host *host, const struct content *content);
/* The client has given up what it uploaded that for. */
void blocks_unstore(struct world *world, struct host *host, const struct digest *digest);

/* Reads back all the disk holds into a node that starts. MEMORY. */
enum error blocks_host_load(struct host *host) MUST_USE;
void blocks_crash(struct world *world, struct host *host, enum crash_kind kind);

/* The host could read this block of that one now. */
bool blocks_is_reachable(const struct world *world, uint32_t reader, const struct address *holder,
                         const struct digest *digest);

/* Actions. */
void blocks_write(struct world *world, struct host *host, uint64_t token, struct slice bytes);
void blocks_read(struct world *world, struct host *host, uint64_t token,
                 const struct msg_block_ref *block);
void blocks_fetch(struct world *world, struct host *host, const struct action *action);
void blocks_drop(struct world *world, struct host *host, const struct digest *digest);
void blocks_check(struct world *world, struct host *host, const struct digest *digest);
/* HAPPEN_BLOCK, HAPPEN_FETCH. */
void blocks_happen(struct world *world, struct host *host, const struct happening *happening);

#endif
