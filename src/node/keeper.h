/* The blocks that this node has or cares for, and who else has them (keeper.c). A part of
 * state.h. */
#ifndef NODE_KEEPER_H
#define NODE_KEEPER_H

struct block *keeper_find(const struct node *node, const struct digest *digest);
bool keeper_has(const struct node *node, const struct digest *digest);
/* Copies known to be on living members that do not leave, ours included. */
size_t keeper_copies(const struct node *node, const struct digest *digest);
/* Makes sure that `replicas` of the living get it: asks those that should hold it, at most once a
 * second each block. is_in_log: an entry wants it already (else those asked keep it an hour). */
void keeper_want(struct node *node, const struct msg_block_ref *block, uint8_t replicas,
                 bool is_in_log, const struct id *first);
/* What others have said of it counts no longer: who has it is asked anew. */
void keeper_forget_copies(struct block *block);
/* As keeper_want, at once, and nothing follows from who has said that he has it. */
void keeper_ask(struct node *node, struct block *block, uint8_t replicas, bool is_in_log,
                const struct id *first);
/* Every holder asked says it can't be had. */
bool keeper_is_lost(const struct node *node, const struct digest *digest);
/* This member says that it has the block. */
void keeper_note_copy(struct node *node, const struct msg_block_ref *block, const struct id *peer);
enum error keeper_stored(struct node *node, const struct msg_block_ref *block,
                         duration pin) MUST_USE;
void keeper_failed(struct node *node, const struct digest *digest, uint64_t size, enum error error);
/* A client has stored it, and has given up what it was for. */
void keeper_uploaded(struct node *node, const struct digest *digest);
/* Its bytes here are known to be right, as of now. */
void keeper_looked(struct node *node, const struct digest *digest);
void keeper_unwanted(struct node *node, const struct digest *digest, bool is_used);
/* An entry that references this dataset has just been written, for the client that stored it. */
void keeper_used(struct node *node, const struct msg_block_ref *manifest);
/* Gets it from whoever has it. */
void keeper_fetch(struct node *node, struct block *block);
/* Is it here? Who is told so hears of its end. */
bool keeper_tell_here(struct node *node, const struct digest *digest, const struct id *to);
/* It is not here any more: the driver deletes it, those that count on it are told. */
void keeper_drop(struct node *node, struct block *block);
/* This peer has no good copy any more. */
void keeper_lost_copy(struct node *node, struct block *block, const struct id *peer);
/* For how long a copy is kept that somebody was told of: an hour, unless configured. */
duration keeper_promise_length(const struct node *node);
/* Somebody counts on our copy: no surplus for so long. */
void keeper_promise(struct node *node, struct block *block);
/* It has been made anew: who refused it before may have it now. */
void keeper_made(struct node *node, const struct digest *digest);
void keeper_message(struct node *node, struct link *link, const struct wire_message *message);
void keeper_tick(struct node *node);
void keeper_forget_member(struct node *node, const struct id *id);
void keeper_close(struct node *node);

#endif
