/* All members in one list, and a question to one of them in particular. */
#ifndef CTL_ROSTER_H
#define CTL_ROSTER_H

#include "base/arena.h"
#include "ctl/session.h"

struct roster {
    struct msg_member_row *rows; /* borrow from arena */
    size_t count;
    struct arena arena;
    void *memory;
};

/* As the peer of the session sees them. An exit code, said; roster_deinit is due either way. */
int roster_init(struct roster *roster, struct session *session);
void roster_deinit(struct roster *roster);

/* The one that a name or the first digits of an id mean; NULL: said, *code says why. */
const struct msg_member_row *roster_find(const struct roster *roster, const char *word, int *code);

/* "draining" and "degraded" beside the states of the membership. */
const char *roster_state_text(const struct msg_member_row *row);

/* Asks this member itself. fields: a struct msg_ask_*, its number is filled in. EXIT_OK: *reply
 * borrows from *connection, which is to be closed. Else why says what happened, with the code of a
 * refusal. */
int roster_ask(struct session *session, const struct msg_member_row *row,
               const struct wire_schema *schema, void *fields, unsigned expects,
               struct connection **connection, struct wire_message *reply,
               char why[CONNECTION_WHY_SIZE]);

#endif
