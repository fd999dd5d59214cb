/* The members (roster.h). One list of rows is enough for all commands that go over them; what is
 * asked of one member goes to its own address, for no other can answer it. */
#include "ctl/roster.h"

#include "ctl/exits.h"
#include "ctl/notice.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_MAX = 16384,        /* as many members as a flock can have */
    MEMBERS_SIZE = 16 << 20, /* their names; untouched pages cost nothing */
    ASK_SILENCE = 5 * SECOND,
};

int roster_init(struct roster *roster, struct session *session)
{
    struct msg_ask_members ask = {0};
    struct wire_message reply;
    unsigned moves = session_moves(session);
    roster->count = 0;
    roster->memory = malloc(MEMBERS_SIZE);
    roster->rows = malloc(ROWS_MAX * sizeof *roster->rows);
    if (roster->memory == NULL || roster->rows == NULL) notice_no_memory();
    arena_init(&roster->arena, roster->memory, MEMBERS_SIZE);
    session_ask(session, &wire_ask_members, &ask, SESSION_PATIENCE);
    for (bool more = true; more;) {
        int code = session_reply(session, MSG_say_members, &reply);
        if (code != EXIT_OK) return session_complain(session, code);
        const struct msg_say_members *say = reply.fields;
        const struct msg_member_row *items = say->members.at;
        if (session_moves(session) != moves) { /* another peer: it begins anew */
            moves = session_moves(session);
            roster->count = 0;
            arena_reset(&roster->arena);
        }
        for (uint32_t i = 0; i < say->members.count && roster->count < ROWS_MAX; i++)
            if (wire_copy(&wire_member_row, &roster->rows[roster->count], &items[i],
                          &roster->arena))
                roster->count++;
        more = say->more;
    }
    return EXIT_OK;
}

void roster_deinit(struct roster *roster)
{
    free(roster->rows);
    free(roster->memory);
}

const struct msg_member_row *roster_find(const struct roster *roster, const char *word, int *code)
{
    const struct msg_member_row *found = NULL;
    size_t matches = 0, size = strlen(word);
    char id[ID_TEXT_SIZE];
    for (size_t i = 0; i < roster->count; i++) {
        const struct msg_member_claim *claim = &roster->rows[i].claim;
        bool is_id = size >= 4 && strncmp(id_text(&claim->node, id), word, size) == 0;
        if (!is_id && !slice_equal(claim->name, slice_string(word))) continue;
        found = &roster->rows[i];
        matches++;
    }
    *code = matches == 1 ? EXIT_OK : matches == 0 ? EXIT_NOT_FOUND : EXIT_USAGE;
    if (matches == 0) notice_line("no member is named %s; see: mrctl members", word);
    if (matches > 1) notice_line("%zu members are meant by %s: say the id", matches, word);
    return matches == 1 ? found : NULL;
}

const char *roster_state_text(const struct msg_member_row *row)
{
    if (row->claim.state == MEMBER_ALIVE && row->claim.slots == 0) return "draining";
    return member_state_text(row->claim.state);
}

static int receive(struct connection *connection, unsigned expects, struct wire_message *reply,
                   char why[CONNECTION_WHY_SIZE])
{
    for (;;) {
        enum arrival arrival = connection_receive(connection, ASK_SILENCE, reply);
        if (arrival != ARRIVAL_OK) {
            snprintf(why, CONNECTION_WHY_SIZE, "%s",
                     arrival == ARRIVAL_SILENT ? "it does not answer" : "the connection ended");
            return EXIT_NO_PEER;
        }
        if (reply->type == expects) return EXIT_OK;
        if (reply->type != MSG_say_error) continue;
        const struct msg_say_error *error = reply->fields;
        snprintf(why, CONNECTION_WHY_SIZE, "%.*s", (int)error->text.count,
                 (const char *)error->text.at);
        return error->code != 0 ? error->code : EXIT_JOB_FAILED;
    }
}

int roster_ask(struct session *session, const struct msg_member_row *row,
               const struct wire_schema *schema, void *fields, unsigned expects,
               struct connection **connection, struct wire_message *reply,
               char why[CONNECTION_WHY_SIZE])
{
    char address[ADDRESS_TEXT_SIZE];
    *connection = NULL;
    *(uint64_t *)fields = 1; /* every request begins with its number */
    (void)address_text(&row->claim.address, address);
    if (connection_open(session_connections(session), address, CHANNEL_CLIENT, connection, why) !=
        ARRIVAL_OK)
        return EXIT_NO_PEER;
    int code = EXIT_NO_PEER;
    snprintf(why, CONNECTION_WHY_SIZE, "the connection ended");
    if (connection_send(*connection, schema, fields) == ARRIVAL_OK)
        code = receive(*connection, expects, reply, why);
    if (code == EXIT_OK) return EXIT_OK;
    connection_close(*connection);
    *connection = NULL;
    return code;
}
