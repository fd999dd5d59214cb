/* What follows from what all of the roster say: how far they hold the log, what is final, who goes.
 * A part of state.h. */
#ifndef NODE_STABILITY_H
#define NODE_STABILITY_H

/* heard.c */
void heard_open(struct node *node);
void heard_close(struct node *node);
void heard_vector(struct node *node, const struct id *peer, const struct msg_log_vector *vector);
/* Entries of ours that this member lacks, as far as it has told. */
uint64_t heard_lag(const struct node *node, const struct member *member);
/* All that we hold is on the disk of somebody else who lives and stays. */
bool heard_elsewhere(const struct node *node);
/* The same of this one. */
bool heard_has_ours(const struct node *node, const struct id *peer);
/* Nobody else is there who stays. */
bool heard_is_last(const struct node *node);
/* At the start, with all that the disk has: are we a newcomer, who has never been in step? */
void heard_begin(struct node *node, bool has_seeds);
void heard_tick(struct node *node);
/* We are in step: we may author, and say so if we were a newcomer or evicted. */
void heard_caught_up(struct node *node);
/* Did we lack something of what a peer has said since our boot, and hold all of it by now? Then we
 * may author. vector: one that has just come from this peer; NULL: something came to our disk. */
void heard_catch_up(struct node *node, const struct id *peer, const struct msg_log_vector *vector);
/* Looks which whole vectors of the peers we hold by now. */
void heard_settle(struct node *node);
/* Has this peer said, in a vector that we hold all of, that the entry is on its disk, and since its
 * newest boot? */
bool heard_has(const struct node *node, const struct id *peer, const struct msg_stamp *entry);
/* The same of all entries up to these positions, which are in order of the feeds. */
bool heard_has_all(const struct node *node, const struct id *peer,
                   const struct msg_feed_position *positions, size_t count);

/* All that was said of what is on their disks is forgotten: it is asked for again. */
void heard_forget(struct node *node);

/* evict.c */
/* This node is off the roster: an entry says so. */
void evict_write(struct node *node, const struct id *id, enum cause cause);
void evict_message(struct node *node, struct link *link, const struct wire_message *message);
/* We hold what somebody of the roster held: if we were evicted, we say that we know. */
void evict_caught_up(struct node *node);
void evict_tick(struct node *node);
/* A member's state is another one. */
void evict_changed(struct node *node, const struct member *member);

/* final.c */
/* An `ended` of this job was folded. */
void final_ended(struct node *node, const struct id *id);
/* Evictions or returns were folded: other ends may count, and late ones. */
void final_reconsider(struct node *node);
void final_persisted(struct node *node, uint64_t token);
void final_tick(struct node *node);
instant final_deadline(const struct node *node);
/* Why the job is final, or not yet, into text. */
void final_text(const struct node *node, const struct job *job, char *text, size_t size);
void final_answer(struct node *node, uint64_t stream, const struct msg_ask_final *ask);
void final_close(struct node *node);

#endif
