/* ACTION_BLOCK_FETCH: blocks that the core wants to have here. */
#ifndef IO_BLOCKFETCH_H
#define IO_BLOCKFETCH_H

struct action;
struct loop;

/* EVENT_BLOCK_STORED or _FAILED follows, with the action's token: always one of them, or the core
 * would wait for it for ever. */
void blockfetch_start(struct loop *loop, const struct action *action);

#endif
