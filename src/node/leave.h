/* How a node leaves (leave.c). */
#ifndef NODE_LEAVE_H
#define NODE_LEAVE_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct node;
struct block;
struct pending;
struct wire_message;

enum leave_state {
    LEAVE_STAYS,
    LEAVE_HANDS_OVER, /* it has said that it leaves; what it holds goes elsewhere */
    LEAVE_PARTS,      /* the members are told goodbye */
    LEAVE_GONE,
};

/* What is here and needed, and whether it is elsewhere: of one look at all blocks. */
struct leave_look {
    uint32_t blocks;     /* that a name, a job or a client needs */
    uint32_t lacking;    /* of them, those that have not all their copies elsewhere */
    uint32_t alone;      /* those of which no other copy is known */
    uint64_t alone_size; /* in bytes */
    uint64_t largest;    /* of the lacking ones that somebody may take */
    uint64_t copies;     /* elsewhere, of all of them */
};

struct leave {
    enum leave_state state;
    bool is_hurried;   /* asked to go at once */
    bool is_all_known; /* as of the last sweep: it knows of each block whether it is needed */
    instant asked;
    instant log_asked; /* when peers were last asked what of ours they hold */
    instant next;      /* when it is looked at again */
    instant moved;     /* when there last were more copies elsewhere than before */
    struct leave_look look;
};

/* Gives its work back, says that it leaves, hands over what it holds, says goodbye; then
 * ACTION_STOP. is_now: it goes without waiting for copies; may be asked while it leaves. */
void leave_begin(struct node *node, bool is_now);
void leave_tick(struct node *node);
instant leave_deadline(const struct node *node);
/* At each sweep, of a block here that nothing in the log references: true when a client may need
 * it and nobody else has it; then somebody is asked to. */
bool leave_settle(struct node *node, struct block *block);
/* A client waits for the end of it (MSG_ask_leave): true once it has been told. */
bool leave_answer(struct node *node, const struct pending *pending);
/* Who leaves writes nothing new, which nobody might ever hear: true when this request would, and
 * the client has been told to ask another one. */
bool leave_refuses(struct node *node, uint64_t stream, const struct wire_message *message);
/* The same of one that waits, and for which nothing is written yet. */
bool leave_interrupts(struct node *node, struct pending *pending);

#endif
