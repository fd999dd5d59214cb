/* keygen, keys: the cluster's keys. Shown are fingerprints only. A rotation is the flock's own
 * business (node/keyring.h): here the new key is drawn, handed to one node over the sealed stream,
 * and the wait is for the moment when all send with it. */
#include "ctl/commands.h"

#include "base/plural.h"
#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/keys.h"
#include "ctl/notice.h"
#include "ctl/session.h"
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROTATE_PAUSE = 200 * MILLISECOND,
    ROTATE_TELL_AFTER = 3 * SECOND, /* then it is said who is waited for */
    ROTATE_LIMIT = 60 * SECOND,     /* without --timeout */
};

int mrctl_keygen(const struct options *options)
{
    bool has_file = options->arguments.count > 0 && strcmp(options->arguments.items[0], "-") != 0;
    return keys_generate(has_file ? options->arguments.items[0] : NULL);
}

/* ---- keys list ---- */

static int list_keys(const struct options *options)
{
    static const char *const header[] = {"FINGERPRINT", "USE", NULL};
    struct crypto_key keys[KEYS_MAX];
    struct table table;
    struct json json;
    char text[KEYS_FINGERPRINT_SIZE];
    size_t count;
    int code = keys_read(options->key_file, keys, &count);
    if (code != EXIT_OK) return code;
    table_init(&table, header);
    json_begin(&json, stdout);
    if (options->output == OUTPUT_JSON) json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        const char *use = i == 0 ? "sends and accepts" : "accepts";
        keys_fingerprint(&keys[i], text);
        table_cell(&table, "%s", text);
        table_cell(&table, "%s", use);
        if (options->output != OUTPUT_JSON) continue;
        json_open(&json, '{');
        json_field_text(&json, "fingerprint", text);
        json_field_bool(&json, "sends", i == 0);
        json_close(&json, '}');
    }
    explicit_bzero(keys, sizeof keys);
    if (options->output == OUTPUT_JSON) {
        json_close(&json, ']');
        json_end(&json);
    } else {
        table_print(&table, stdout);
    }
    table_deinit(&table);
    return commands_flush();
}

/* ---- keys rotate ---- */

/* Our own file gets it too, first, unless it is the nodes' and has it already. */
static int adopt(const struct options *options, const struct crypto_key *key)
{
    struct crypto_key keys[KEYS_MAX + 1];
    size_t count;
    int code = keys_read(options->key_file, keys + 1, &count);
    if (code != EXIT_OK) return code;
    bool is_first = memcmp(keys[1].bytes, key->bytes, sizeof key->bytes) == 0;
    size_t kept = 1;
    keys[0] = *key;
    for (size_t i = 1; i <= count; i++)
        if (memcmp(keys[i].bytes, key->bytes, sizeof key->bytes) != 0) keys[kept++] = keys[i];
    if (kept > KEYS_MAX) kept = KEYS_MAX;
    if (!is_first) code = keys_put(options->key_file, keys, kept);
    explicit_bzero(keys, sizeof keys);
    return code;
}

static const struct msg_key_row *find_row(const struct msg_say_keys *say, const char *fingerprint)
{
    const struct msg_key_row *rows = say->keys.at;
    for (uint32_t i = 0; i < say->keys.count; i++) {
        char text[DIGEST_TEXT_SIZE];
        if (strncmp(digest_text(&rows[i].fingerprint, text), fingerprint,
                    KEYS_FINGERPRINT_SIZE - 1) == 0)
            return &rows[i];
    }
    return NULL;
}

static void tell(const char *fingerprint, const struct msg_key_row *row)
{
    notice_line("key %s: %u of %s have it%s%.*s", fingerprint, row->holders,
                plural(row->members, "member").text, row->lacking.count > 0 ? "; not yet: " : "",
                (int)row->lacking.count, (const char *)row->lacking.at);
}

/* Until the peer sends with it. */
static int await(struct session *session, const char *fingerprint)
{
    const struct connection_config *config = session_connections(session);
    instant begun = clock_now(), told = begun,
            limit = instant_min(config->deadline, begun + ROTATE_LIMIT);
    for (;;) {
        struct msg_ask_keys ask = {0};
        struct wire_message reply;
        int code = session_call(session, &wire_ask_keys, &ask, MSG_say_keys, &reply);
        if (code != EXIT_OK) return code;
        const struct msg_key_row *row = find_row(reply.fields, fingerprint);
        bool is_over = row != NULL && row->sends;
        bool is_telling = row != NULL && clock_now() - told >= ROTATE_TELL_AFTER;
        if (row != NULL && (is_telling || (is_over && row->holders < row->members)))
            tell(fingerprint, row);
        if (is_telling) told = clock_now();
        if (is_over && row->holders < row->members)
            notice_line("they get it when they are back; the old key is accepted until: mrctl keys "
                        "drop");
        if (is_over) return EXIT_OK;
        if (clock_now() >= limit) {
            notice_line("not all living members have the key yet; the rotation goes on without us");
            return EXIT_TIMED_OUT;
        }
        clock_sleep(ROTATE_PAUSE);
    }
}

static int rotate(const struct options *options)
{
    struct session *session;
    struct msg_ask_rotate ask = {0};
    struct wire_message reply;
    struct crypto_key key;
    char fingerprint[KEYS_FINGERPRINT_SIZE];
    int code = session_open(&session, options);
    if (code != EXIT_OK) return code;
    keys_random(key.bytes, sizeof key.bytes);
    memcpy(ask.key.bytes, key.bytes, sizeof ask.key.bytes);
    keys_fingerprint(&key, fingerprint);
    code = session_call(session, &wire_ask_rotate, &ask, MSG_say_ok, &reply);
    if (code == EXIT_OK) code = await(session, fingerprint);
    if (code == EXIT_OK) code = adopt(options, &key);
    explicit_bzero(&ask, sizeof ask);
    explicit_bzero(&key, sizeof key);
    session_close(session);
    if (code != EXIT_OK) return code;
    printf("%s\n", fingerprint);
    return commands_flush();
}

/* ---- keys drop ---- */

/* Out of our own file, too. */
static int forget(const struct options *options, const char *prefix)
{
    struct crypto_key keys[KEYS_MAX];
    size_t count, kept = 0;
    int code = keys_read(options->key_file, keys, &count);
    if (code != EXIT_OK) return code;
    for (size_t i = 0; i < count; i++) {
        char text[KEYS_FINGERPRINT_SIZE];
        keys_fingerprint(&keys[i], text);
        if (strncmp(text, prefix, strlen(prefix)) != 0) keys[kept++] = keys[i];
    }
    if (kept > 0 && kept < count) code = keys_put(options->key_file, keys, kept);
    explicit_bzero(keys, sizeof keys);
    return code;
}

static int drop(const struct options *options, const char *prefix)
{
    struct session *session;
    struct msg_ask_key_drop ask = {.fingerprint = slice_string(prefix)};
    struct wire_message reply;
    if (strlen(prefix) >= KEYS_FINGERPRINT_SIZE) {
        notice_line("a fingerprint has at most 16 digits: mrctl keys list");
        return EXIT_USAGE;
    }
    int code = session_open(&session, options);
    if (code != EXIT_OK) return code;
    code = session_call(session, &wire_ask_key_drop, &ask, MSG_say_ok, &reply);
    session_close(session);
    return code == EXIT_OK ? forget(options, prefix) : code;
}

int mrctl_keys(const struct options *options)
{
    const char *const *words = options->arguments.items;
    size_t count = options->arguments.count;
    if (count == 1 && strcmp(words[0], "list") == 0) return list_keys(options);
    if (count == 1 && strcmp(words[0], "rotate") == 0) return rotate(options);
    if (count == 2 && strcmp(words[0], "drop") == 0) return drop(options, words[1]);
    notice_line("keys takes: list, rotate, drop FINGERPRINT");
    return EXIT_USAGE;
}
