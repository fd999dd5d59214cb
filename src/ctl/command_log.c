/* log, events: the replicated log's entries in total order. -f goes on with what comes; what came
 * late, from the other side of a healed partition, is printed when it comes. When the peer dies
 * another one goes on from the same positions; it may not have heard yet of what the first one told
 * (feeds, the job itself), so positions that it doesn't know are kept for when it does. */
#include "ctl/commands.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/notice.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    POSITIONS_MAX = 65536, /* as ask_log */
    LOOK_EVERY_MS = 250,
    UNKNOWN_LIMIT = 30 * SECOND, /* after a fail-over, for the log to bring the job there */
};

struct reading {
    const struct options *options;
    struct msg_ask_log ask;
    struct msg_feed_position *behind;
    bool has_page;    /* a peer has answered: the job exists */
    instant answered; /* the last one */
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
    for (uint32_t i = 0; i < say->lines.count; i++) print_line(reading, &lines[i]);
    advance(reading, &say->behind);
    *has_more = say->more;
    return EXIT_OK;
}

static int read_all(struct session *session, struct reading *reading)
{
    bool has_more = true;
    for (;;) {
        int code = read_page(session, reading, &has_more);
        if (code != EXIT_OK) return code;
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
    struct reading reading = {.options = options};
    reading.behind = calloc(POSITIONS_MAX, sizeof *reading.behind);
    if (reading.behind == NULL) notice_no_memory();
    reading.ask.events_only = events_only;
    if (options->job != NULL) reading.ask.job = slice_string(options->job);
    int code = session_open(&session, options);
    if (code == EXIT_OK) code = read_all(session, &reading);
    session_close(session);
    free(reading.behind);
    return code;
}

int mrctl_log(const struct options *options) { return show(options, false); }

int mrctl_events(const struct options *options) { return show(options, true); }
