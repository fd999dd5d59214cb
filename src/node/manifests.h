/* Manifests that are here, decoded: see manifests.c. */
#ifndef NODE_MANIFESTS_H
#define NODE_MANIFESTS_H

#include "node/state.h"

const struct msg_manifest *manifests_get(struct node *node, const struct msg_block_ref *block);
/* The list of this digest, when it is in memory here. */
bool manifests_known(struct node *node, const struct digest *digest, struct msg_block_ref *block);
/* Its bytes are here, and no list; or they are too many. */
bool manifests_is_none(struct node *node, const struct msg_block_ref *block);
/* Tells a client so. */
void manifests_say_none(struct node *node, uint64_t stream, uint64_t request,
                        const struct msg_block_ref *ref);
/* Not a block, but a range of a file that all nodes share. */
bool manifests_is_range(const struct msg_manifest_block *block);
bool manifests_has_shared(struct node *node, const struct msg_block_ref *ref);
/* What is said of this file of a manifest that is here; NULL: nothing. */
const struct msg_shared_file *manifests_shared(struct node *node, const struct msg_block_ref *ref,
                                               uint32_t file);
void manifests_read(struct node *node, const struct digest *digest, struct slice bytes);
void manifests_failed(struct node *node, const struct digest *digest);
void manifests_tick(struct node *node);
/* Its blocks are to be released (release_unreferenced) once it is here. */
void manifests_release(struct node *node, const struct digest *digest, instant seen);
void manifests_sweep(struct node *node);
void manifests_close(struct node *node);

#endif
