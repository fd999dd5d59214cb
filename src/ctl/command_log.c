/* log, events: the replicated log's entries in total order. -f goes on with what comes; what came
 * late, from the other side of a healed partition, is printed when it comes. events has also what
 * the peer saw become of members (node/sightings.c), where the log's clock stood then. When the
 * peer dies another one goes on from the same positions; it may not have heard yet of what the
 * first one told (feeds, the job itself), so positions that it doesn't know are kept for when it
 * does. */
#include "ctl/commands.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/notice.h"
#include "wire/kinds.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    POSITIONS_MAX = 65536, /* as ask_log */
    LOOK_EVERY_MS = 250,
    UNKNOWN_LIMIT = 30 * SECOND, /* after a fail-over, for the log to bring the job there */
    SIGHTINGS_MAX = 128,         /* as say_sightings */
    LINE_SIZE = 512,
};

/* What the peer saw, as a line of its own. */
struct sighting {
    uint64_t time;
    char text[LINE_SIZE];
};

struct reading {
    const struct options *options;
    struct msg_ask_log ask;
    struct msg_feed_position *behind;
    bool has_page;    /* a peer has answered: the job exists */
    instant answered; /* the last one */
    /* of events, of all jobs: */
    bool has_sightings;
    struct id seer;
    char seer_name[65];
    uint64_t seen;                            /* the peer's sightings up to here have come */
    uint64_t seen_time;                       /* of the last one that was printed */
    unsigned seen_moves;                      /* of the session, when they were last asked for */
    struct sighting sightings[SIGHTINGS_MAX]; /* not printed yet */
    size_t sightings_count;
};

static void print_json(const struct msg_log_line *line)
{
    struct json json;
    char node[ID_TEXT_SIZE];
    json_begin_line(&json, stdout);
    json_open(&json, '{');
    json_field_number(&json, "time", line->stamp.time);
    json_field_text(&json, "node", id_text(&line->stamp.node, node));
    json_field_bytes(&json, "node_name", line->author_name);
    json_field_number(&json, "boot", line->stamp.boot.counter);
    json_field_number(&json, "sequence", line->stamp.sequence);
    json_field_number(&json, "kind", line->kind);
    json_field_bytes(&json, "text", line->text);
    json_close(&json, '}');
    json_end(&json);
}

/* ---- what the peer saw ---- */

static void clean_name(struct slice name, char text[65])
{
    size_t count = name.count < 64 ? name.count : 64;
    for (size_t i = 0; i < count; i++)
        text[i] = name.at[i] >= ' ' && name.at[i] < 0x7f ? (char)name.at[i] : '?';
    text[count] = '\0';
}

static void print_sighting(const struct reading *reading, const struct sighting *sighting)
{
    struct json json;
    char node[ID_TEXT_SIZE];
    if (reading->options->output != OUTPUT_JSON) {
        printf("%8llu %-12s %s\n", (unsigned long long)sighting->time, reading->seer_name,
               sighting->text);
        return;
    }
    json_begin_line(&json, stdout);
    json_open(&json, '{');
    json_field_number(&json, "time", sighting->time);
    json_field_text(&json, "node", id_text(&reading->seer, node));
    json_field_text(&json, "node_name", reading->seer_name);
    json_field_number(&json, "kind", 0);
    json_field_text(&json, "text", sighting->text);
    json_close(&json, '}');
    json_end(&json);
}

/* Those from before this time. */
static void print_sightings(struct reading *reading, uint64_t time)
{
    size_t count = 0;
    while (count < reading->sightings_count && reading->sightings[count].time < time) {
        reading->seen_time = reading->sightings[count].time;
        print_sighting(reading, &reading->sightings[count++]);
    }
    reading->sightings_count -= count;
    memmove(reading->sightings, reading->sightings + count,
            reading->sightings_count * sizeof *reading->sightings);
}

static void tell_sighting(const struct msg_sighting_row *row, char text[LINE_SIZE])
{
    char id[ID_SHORT_SIZE], name[65], was[32] = "";
    clean_name(row->node_name, name);
    if (row->before != 0) snprintf(was, sizeof was, " (was %s)", member_state_text(row->before));
    snprintf(text, LINE_SIZE, "saw %s %s %s%s: %s", name, id_short(&row->node, id),
             member_state_text(row->state), was, cause_text(row->cause));
}

/* Asks for what is new. Of another peer than before: what it saw since. */
static int read_sightings(struct session *session, struct reading *reading)
{
    struct wire_message reply;
    bool has_moved = session_moves(session) != reading->seen_moves;
    struct msg_ask_sightings ask = {.behind = has_moved ? 0 : reading->seen};
    session_ask(session, &wire_ask_sightings, &ask, SESSION_PATIENCE);
    int code = session_reply(session, MSG_say_sightings, &reply);
    if (code != EXIT_OK) return session_complain(session, code);
    const struct msg_say_sightings *say = reply.fields;
    const struct msg_sighting_row *rows = say->rows.at;
    has_moved = has_moved || session_moves(session) != reading->seen_moves;
    for (uint32_t i = 0; i < say->rows.count; i++) {
        bool is_old = has_moved && rows[i].time <= reading->seen_time;
        if (is_old || reading->sightings_count == SIGHTINGS_MAX) continue;
        struct sighting *sighting = &reading->sightings[reading->sightings_count++];
        sighting->time = rows[i].time;
        tell_sighting(&rows[i], sighting->text);
    }
    reading->seer = say->node;
    clean_name(say->node_name, reading->seer_name);
    reading->seen = say->last;
    reading->seen_moves = session_moves(session);
    return EXIT_OK;
}

/* ---- the log ---- */

static void print_line(const struct reading *reading, const struct msg_log_line *line)
{
    char node[ID_SHORT_SIZE];
    if (reading->options->output == OUTPUT_JSON) {
        print_json(line);
        return;
    }
    struct slice name = line->author_name;
    if (name.count == 0) name = slice_string(id_short(&line->stamp.node, node));
    printf("%8llu %-12.*s ", (unsigned long long)line->stamp.time, (int)name.count,
           (const char *)name.at);
    for (size_t i = 0; i < line->text.count; i++) {
        uint8_t byte = line->text.at[i];
        putchar(byte >= ' ' && byte != 0x7f ? byte : '?');
    }
    putchar('\n');
}

static bool is_same_feed(const struct msg_feed_position *a, const struct msg_feed_position *b)
{
    return id_equal(&a->node, &b->node) && boot_equal(&a->boot, &b->boot);
}

/* How far the page brings us. What this peer holds comes first, in its order, so that most are
 * found at once. */
static void advance(struct reading *reading, const struct list *list)
{
    const struct msg_feed_position *news = list->at;
    uint32_t known = reading->ask.behind.count, count = known;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t at = i;
        bool is_there = i < known && is_same_feed(&reading->behind[i], &news[i]);
        for (uint32_t j = 0; !is_there && j < known; j++) {
            is_there = is_same_feed(&reading->behind[j], &news[i]);
            at = j;
        }
        if (is_there) reading->behind[at] = news[i];
        else if (count < POSITIONS_MAX) reading->behind[count++] = news[i];
    }
    reading->ask.behind = (struct list){reading->behind, count};
}

/* One page: prints it and moves on. */
static int read_page(struct session *session, struct reading *reading, bool *has_more)
{
    struct wire_message reply;
    session_ask(session, &wire_ask_log, &reading->ask, SESSION_PATIENCE);
    int code = session_reply(session, MSG_say_log, &reply);
    bool is_late = code == EXIT_NOT_FOUND && reading->has_page && session_moves(session) > 0 &&
                   clock_now() - reading->answered < UNKNOWN_LIMIT;
    if (is_late) {
        clock_sleep(LOOK_EVERY_MS * MILLISECOND);
        *has_more = true;
        return EXIT_OK;
    }
    if (code != EXIT_OK) return session_complain(session, code);
    reading->has_page = true;
    reading->answered = clock_now();
    const struct msg_say_log *say = reply.fields;
    const struct msg_log_line *lines = say->lines.at;
    for (uint32_t i = 0; i < say->lines.count; i++) {
        print_sightings(reading, lines[i].stamp.time);
        print_line(reading, &lines[i]);
    }
    advance(reading, &say->behind);
    *has_more = say->more;
    return EXIT_OK;
}

static int read_all(struct session *session, struct reading *reading)
{
    bool has_more = true;
    for (;;) {
        int code = reading->has_sightings ? read_sightings(session, reading) : EXIT_OK;
        if (code == EXIT_OK) code = read_page(session, reading, &has_more);
        if (code != EXIT_OK) return code;
        if (!has_more) print_sightings(reading, UINT64_MAX);
        bool is_written = fflush(stdout) == 0 && ferror(stdout) == 0;
        if (!is_written) return commands_flush();
        if (has_more) continue;
        if (!reading->options->is_follow) return EXIT_OK;
        if (clock_now() >= session_connections(session)->deadline) return EXIT_TIMED_OUT;
        /* A reader that hangs up ends it, also while nothing comes. */
        struct pollfd reader = {.fd = STDOUT_FILENO};
        if (poll(&reader, 1, LOOK_EVERY_MS) > 0) return EXIT_OK;
    }
}

static int show(const struct options *options, bool events_only)
{
    struct session *session;
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL) notice_no_memory();
    reading->options = options;
    reading->has_sightings = events_only && options->job == NULL;
    reading->behind = calloc(POSITIONS_MAX, sizeof *reading->behind);
    if (reading->behind == NULL) notice_no_memory();
    reading->ask.events_only = events_only;
    if (options->job != NULL) reading->ask.job = slice_string(options->job);
    int code = session_open(&session, options);
    if (code == EXIT_OK) code = read_all(session, reading);
    session_close(session);
    free(reading->behind);
    free(reading);
    return code;
}

int mrctl_log(const struct options *options) { return show(options, false); }

int mrctl_events(const struct options *options) { return show(options, true); }
