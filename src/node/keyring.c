/* Rotating cluster keys (keyring.h). */
#include "node/keyring.h"

#include "node/state.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

enum {
    ASK_EVERY = SECOND,       /* a key that is missing: from one holder after the other */
    LOOK_EVERY = SECOND,      /* whether all have it */
    ANSWER_FOR = 10 * SECOND, /* an address that spoke under an older key */
    TRY_FIRST_EVERY = 4,      /* of datagrams to it, one goes under the first key */
    HEX_MIN = 4,              /* digits that name a key */
};

/* ---- the fold ---- */

static struct keyring_item *find_item(const struct keyring *ring, const struct digest *fingerprint)
{
    for (size_t i = 0; i < ring->items_count; i++)
        if (digest_equal(&ring->items[i].fingerprint, fingerprint)) return &ring->items[i];
    return NULL;
}

static enum error fold_keyed(struct node *node, const struct msg_stamp *stamp,
                             const struct msg_keyed *keyed)
{
    struct keyring *ring = &node->keyring;
    struct keyring_item *item = find_item(ring, &keyed->fingerprint);
    if (item == NULL) {
        struct keyring_item *items = memory_grow(&node->memory, ring->items, &ring->items_capacity,
                                                 ring->items_count, sizeof *items);
        if (items == NULL) return ERROR_MEMORY;
        ring->items = items;
        item = &items[ring->items_count++];
        *item = (struct keyring_item){.fingerprint = keyed->fingerprint, .since = node->now};
    }
    bool is_sends = keyed->act == KEY_SENDS;
    struct msg_stamp *last = is_sends ? &item->sends : &item->changed;
    if (!stamp_is_none(last) && stamp_compare(stamp, last) <= 0) return ERROR_NONE;
    *last = *stamp;
    if (!is_sends) item->is_dropped = keyed->act == KEY_DROPPED;
    return ERROR_NONE;
}

enum error keyring_fold(struct node *node, const struct stamped *entry)
{
    enum error error = ERROR_NONE;
    if (entry->fields == NULL) return error;
    if (entry->kind == MSG_keyed) {
        const struct msg_keyed *keyed = entry->fields;
        bool is_known = keyed->act >= KEY_ADDED && keyed->act <= KEY_DROPPED;
        if (is_known) error = fold_keyed(node, &entry->stamp, keyed);
    } else {
        const struct msg_key_held *held = entry->fields;
        struct roster_item *item = map_get(&node->roster, &entry->stamp.node);
        if (item != NULL && stamp_compare(&entry->stamp, &item->key_held) > 0) {
            item->key_held = entry->stamp;
            item->key = held->fingerprint;
        }
    }
    node->keyring.is_stale = true;
    return error;
}

uint64_t keyring_digest(const struct node *node)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < node->keyring.items_count; i++) {
        const struct keyring_item *item = &node->keyring.items[i];
        uint64_t words[] = {stamp_hash(&item->changed), stamp_hash(&item->sends), item->is_dropped};
        sum += hash64(words, sizeof words, hash64(&item->fingerprint, sizeof item->fingerprint, 7));
    }
    return sum;
}

void keyring_close(struct node *node)
{
    struct keyring *ring = &node->keyring;
    memory_put(&node->memory, ring->items, ring->items_capacity * sizeof *ring->items);
}

/* The key that is being brought to all, or was last: the newest that is not dropped. */
static const struct keyring_item *newest(const struct keyring *ring)
{
    const struct keyring_item *found = NULL;
    for (size_t i = 0; i < ring->items_count; i++) {
        const struct keyring_item *item = &ring->items[i];
        if (item->is_dropped || stamp_is_none(&item->changed)) continue;
        if (found == NULL || stamp_compare(&item->changed, &found->changed) > 0) found = item;
    }
    return found;
}

static const struct keyring_item *sender(const struct keyring *ring)
{
    const struct keyring_item *found = NULL;
    for (size_t i = 0; i < ring->items_count; i++) {
        const struct keyring_item *item = &ring->items[i];
        if (item->is_dropped || stamp_is_none(&item->sends)) continue;
        if (found == NULL || stamp_compare(&item->sends, &found->sends) > 0) found = item;
    }
    return found;
}

/* ---- the keys here ---- */

static void fingerprint_of(const struct node *node, size_t i, struct digest *fingerprint)
{
    const struct crypto_key *key = &node->keys[i].key;
    node->crypto->digest(slice_of(key->bytes, sizeof key->bytes), fingerprint);
}

/* Which of our keys it is; keys_count: none. */
static size_t find_key(const struct node *node, const struct digest *fingerprint)
{
    struct digest own;
    for (size_t i = 0; i < node->keys_count; i++) {
        fingerprint_of(node, i, &own);
        if (digest_equal(&own, fingerprint)) return i;
    }
    return node->keys_count;
}

/* The first key may be another: what is derived from it is derived again. */
static void keys_changed(struct node *node)
{
    frame_subkey(node->crypto, &node->keys[0], &node->id, &node->boot, &node->own_subkey);
    datagrams_rekey(node);
    node->keyring.is_on_disk = false;
    struct crypto_key *keys = arena_take(&node->actions->arena, KEYS_MAX * sizeof *keys);
    if (keys == NULL) return;
    for (size_t i = 0; i < node->keys_count; i++) keys[i] = node->keys[i].key;
    struct action *action = actions_push(node->actions, ACTION_KEYS_WRITE);
    action->keys_write.keys = keys;
    action->keys_write.count = node->keys_count;
}

static bool take_key(struct node *node, const struct digest *bytes)
{
    struct crypto_key key;
    if (node->keys_count == KEYS_MAX) return false;
    memcpy(key.bytes, bytes->bytes, sizeof key.bytes);
    frame_key_init(&node->keys[node->keys_count++], node->crypto, &key);
    trace_line(&node->trace, TRACE_INFO, "event=key_added keys=%zu", node->keys_count);
    keys_changed(node);
    return true;
}

static void drop_key(struct node *node, size_t at)
{
    memmove(&node->keys[at], &node->keys[at + 1],
            (node->keys_count - at - 1) * sizeof node->keys[0]);
    memset(&node->keys[--node->keys_count], 0, sizeof node->keys[0]);
    trace_line(&node->trace, TRACE_INFO, "event=key_dropped keys=%zu", node->keys_count);
    keys_changed(node);
}

static void send_with(struct node *node, size_t at)
{
    struct frame_key key = node->keys[at];
    memmove(&node->keys[1], &node->keys[0], at * sizeof key);
    node->keys[0] = key;
    trace_line(&node->trace, TRACE_INFO, "event=key_sends keys=%zu", node->keys_count);
    keys_changed(node);
}

/* ---- following the log ---- */

/* From a living member that said to have it; if there is none, from anybody. */
static void ask_for(struct node *node, const struct digest *fingerprint)
{
    size_t count;
    const struct schedule_node *living = living_nodes(node, &count);
    struct msg_key_ask ask = {.fingerprint = *fingerprint};
    if (node->now - node->keyring.asked < ASK_EVERY) return;
    node->keyring.asked = node->now;
    for (size_t i = 0; i < count; i++) {
        if (id_equal(&living[i].id, &node->id)) continue;
        struct link *link = links_to(node, &living[i].id);
        const struct roster_item *item = map_get(&node->roster, &living[i].id);
        bool is_holder = item != NULL && digest_equal(&item->key, fingerprint);
        if (link == NULL && is_holder) link = links_need(node, &living[i].id);
        if (link != NULL) links_send(node, link->stream, &wire_key_ask, &ask);
    }
}

static void follow(struct node *node)
{
    const struct keyring *ring = &node->keyring;
    for (size_t i = 0; i < ring->items_count; i++) {
        const struct keyring_item *item = &ring->items[i];
        size_t at = find_key(node, &item->fingerprint);
        bool is_here = at < node->keys_count;
        if (item->is_dropped && is_here && node->keys_count > 1) drop_key(node, at);
        else if (!item->is_dropped && !stamp_is_none(&item->changed) && !is_here)
            ask_for(node, &item->fingerprint);
    }
    const struct keyring_item *first = sender(ring);
    size_t at = first == NULL ? 0 : find_key(node, &first->fingerprint);
    if (at > 0 && at < node->keys_count) send_with(node, at);
}

static bool all_hold(struct node *node, const struct digest *fingerprint)
{
    size_t count;
    const struct schedule_node *living = living_nodes(node, &count);
    for (size_t i = 0; i < count; i++) {
        const struct roster_item *item = map_get(&node->roster, &living[i].id);
        if (item == NULL || !digest_equal(&item->key, fingerprint)) return false;
    }
    return true;
}

/* Says that we have it; and once all have, that it sends. */
static void advance(struct node *node)
{
    const struct keyring_item *item = newest(&node->keyring);
    const struct roster_item *self = map_get(&node->roster, &node->id);
    if (item == NULL || self == NULL || !node->may_author) return;
    bool is_here = find_key(node, &item->fingerprint) < node->keys_count;
    if (is_here && node->keyring.is_on_disk && !digest_equal(&self->key, &item->fingerprint)) {
        struct msg_key_held held = {.fingerprint = item->fingerprint};
        (void)!node_append(node, &wire_key_held, &held, NULL);
    }
    bool has_sent = !stamp_is_none(&item->sends) && stamp_compare(&item->sends, &item->changed) > 0;
    if (has_sent || !all_hold(node, &item->fingerprint)) return;
    if (!living_is_turn(node, &item->fingerprint, sizeof item->fingerprint, item->since)) return;
    struct msg_keyed keyed = {.act = KEY_SENDS, .fingerprint = item->fingerprint};
    (void)!node_append(node, &wire_keyed, &keyed, NULL);
}

/* Something is not as it should be in the end: then it is looked at every second. */
static bool is_unfinished(const struct node *node)
{
    const struct keyring *ring = &node->keyring;
    const struct keyring_item *item = newest(ring), *first = sender(ring);
    if (item == NULL) return false;
    if (first != item) return true;
    const struct roster_item *self = map_get(&node->roster, &node->id);
    return self == NULL || !digest_equal(&self->key, &item->fingerprint);
}

void keyring_tick(struct node *node)
{
    struct keyring *ring = &node->keyring;
    if (ring->items_count == 0 || (!ring->is_stale && node->now < ring->next)) return;
    ring->is_stale = false;
    follow(node);
    advance(node);
    ring->next = is_unfinished(node) ? node->now + LOOK_EVERY : INSTANT_NEVER;
}

instant keyring_deadline(const struct node *node)
{
    const struct keyring *ring = &node->keyring;
    if (ring->items_count == 0) return INSTANT_NEVER;
    return ring->is_stale ? node->now : ring->next;
}

/* ---- peers and the disk ---- */

void keyring_message(struct node *node, struct link *link, const struct wire_message *message)
{
    if (message->type == MSG_key_ask) {
        const struct msg_key_ask *ask = message->fields;
        size_t at = find_key(node, &ask->fingerprint);
        if (at == node->keys_count) return;
        struct msg_key_give give;
        memcpy(give.key.bytes, node->keys[at].key.bytes, sizeof give.key.bytes);
        links_send(node, link->stream, &wire_key_give, &give);
        return;
    }
    const struct msg_key_give *give = message->fields;
    struct digest fingerprint;
    node->crypto->digest(slice_of(give->key.bytes, sizeof give->key.bytes), &fingerprint);
    const struct keyring_item *item = find_item(&node->keyring, &fingerprint);
    bool is_wanted = item != NULL && !item->is_dropped && !stamp_is_none(&item->changed) &&
                     find_key(node, &fingerprint) == node->keys_count;
    if (!is_wanted) return; /* unasked, or twice */
    if (!take_key(node, &give->key))
        trace_line(&node->trace, TRACE_ERROR,
                   "event=key_refused text=\"%d keys are all there may be: mrctl keys drop\"",
                   KEYS_MAX);
    node->keyring.is_stale = true;
}

void keyring_written(struct node *node, const struct event *event)
{
    node->keyring.is_on_disk = event->keys_written.error == ERROR_NONE;
    node->keyring.is_stale = true;
}

void keyring_read(struct node *node, const struct event *event)
{
    size_t count = event->keys_read.count;
    if (count == 0 || count > KEYS_MAX) return;
    memset(node->keys, 0, sizeof node->keys);
    for (size_t i = 0; i < count; i++)
        frame_key_init(&node->keys[i], node->crypto, &event->keys_read.keys[i]);
    node->keys_count = count;
    frame_subkey(node->crypto, &node->keys[0], &node->id, &node->boot, &node->own_subkey);
    datagrams_rekey(node);
    node->keyring.is_on_disk = true;
    node->keyring.is_stale = true;
}

/* ---- mrctl ---- */

static void append(struct node *node, enum key_act act, const struct digest *fingerprint)
{
    struct msg_keyed keyed = {.act = (uint8_t)act, .fingerprint = *fingerprint};
    (void)!node_append(node, &wire_keyed, &keyed, NULL);
}

static void rotate(struct node *node, uint64_t stream, const struct msg_ask_rotate *ask)
{
    struct digest fingerprint;
    node->crypto->digest(slice_of(ask->key.bytes, sizeof ask->key.bytes), &fingerprint);
    const struct keyring_item *item = find_item(&node->keyring, &fingerprint);
    if (digest_is_zero(&ask->key) || (item != NULL && item->is_dropped)) {
        control_error(node, stream, ask->request, CODE_USAGE, "that key will not do");
        return;
    }
    if (find_key(node, &fingerprint) == node->keys_count && !take_key(node, &ask->key)) {
        control_error(node, stream, ask->request, CODE_CONFLICT,
                      "%d keys are accepted already: mrctl keys drop FINGERPRINT", KEYS_MAX);
        return;
    }
    if (item == NULL) append(node, KEY_ADDED, &fingerprint);
    struct msg_say_ok reply = {.request = ask->request, .text = slice_string("done")};
    links_send(node, stream, &wire_say_ok, &reply);
}

/* Members that are not known to have the newest key, dead ones too: whoever is on the roster and
 * has neither left nor been forgotten. */
static void fill_holders(struct node *node, const struct digest *fingerprint,
                         struct msg_key_row *row, char *names, size_t size)
{
    size_t cursor = 0, used = 0;
    for (const struct member *member; (member = members_next(&node->gossip.members, &cursor));) {
        bool is_gone = member->state == MEMBER_LEFT || member->cause == CAUSE_FORGOTTEN;
        if (is_gone) continue;
        const struct roster_item *item = map_get(&node->roster, &member->fact->id);
        row->members++;
        if (item != NULL && digest_equal(&item->key, fingerprint)) {
            row->holders++;
            continue;
        }
        int more =
            snprintf(names + used, size - used, "%s%s", used > 0 ? ", " : "", member->fact->name);
        if (more > 0 && (size_t)more < size - used) used += (size_t)more;
        else names[used] = '\0';
    }
    row->lacking = slice_of((const uint8_t *)names, used);
}

static void list(struct node *node, uint64_t stream, const struct msg_ask_keys *ask)
{
    enum {
        NAMES_SIZE = 1024
    };
    struct msg_key_row rows[KEYS_MAX + 1] = {0};
    uint32_t count = 0;
    const struct keyring_item *last = newest(&node->keyring);
    char *names = arena_take(&node->actions->arena, NAMES_SIZE);
    if (names == NULL) return;
    names[0] = '\0';
    for (size_t i = 0; i < node->keys_count; i++) {
        struct msg_key_row *row = &rows[count++];
        fingerprint_of(node, i, &row->fingerprint);
        row->sends = i == 0;
        if (last != NULL && digest_equal(&last->fingerprint, &row->fingerprint))
            fill_holders(node, &row->fingerprint, row, names, NAMES_SIZE);
    }
    struct msg_say_keys reply = {.request = ask->request, .keys = {rows, count}};
    links_send(node, stream, &wire_say_keys, &reply);
}

/* The key of ours whose fingerprint begins so; keys_count: none or several. */
static size_t find_prefix(const struct node *node, struct slice text)
{
    size_t found = node->keys_count, matches = 0;
    for (size_t i = 0; i < node->keys_count && text.count >= HEX_MIN; i++) {
        struct digest fingerprint;
        char hex[DIGEST_TEXT_SIZE];
        fingerprint_of(node, i, &fingerprint);
        (void)digest_text(&fingerprint, hex);
        if (text.count >= sizeof hex || memcmp(hex, text.at, text.count) != 0) continue;
        found = i;
        matches++;
    }
    return matches == 1 ? found : node->keys_count;
}

static void drop(struct node *node, uint64_t stream, const struct msg_ask_key_drop *ask)
{
    char names[512];
    struct msg_key_row row = {0};
    struct digest fingerprint, first;
    size_t at = find_prefix(node, ask->fingerprint);
    if (at == node->keys_count) {
        control_error(
            node, stream, ask->request, CODE_NOT_FOUND,
            "no key, or more than one, has a fingerprint that begins so: mrctl keys list");
        return;
    }
    fingerprint_of(node, at, &fingerprint);
    fingerprint_of(node, 0, &first);
    const struct keyring_item *last = newest(&node->keyring);
    if (at == 0 || last == NULL || !digest_equal(&last->fingerprint, &first)) {
        control_error(node, stream, ask->request, CODE_CONFLICT, "%s",
                      at == 0 ? "it is the key that sends: mrctl keys rotate first"
                              : "a rotation is under way, or none was made by mrctl keys rotate");
        return;
    }
    fill_holders(node, &first, &row, names, sizeof names);
    if (row.holders < row.members) {
        control_error(node, stream, ask->request, CODE_CONFLICT,
                      "it would lock out who has not got the new key yet: %s; start them, or mrctl "
                      "forget them",
                      names);
        return;
    }
    append(node, KEY_DROPPED, &fingerprint);
    struct msg_say_ok reply = {.request = ask->request, .text = slice_string("done")};
    links_send(node, stream, &wire_say_ok, &reply);
}

void keyring_asked(struct node *node, uint64_t stream, const struct wire_message *message)
{
    switch (message->type) {
    case MSG_ask_rotate: rotate(node, stream, message->fields); return;
    case MSG_ask_keys: list(node, stream, message->fields); return;
    case MSG_ask_key_drop: drop(node, stream, message->fields); return;
    }
}

/* ---- datagrams, while some have an older key only ---- */

static struct key_answer *find_answer(struct keyring *ring, const struct address *address)
{
    for (size_t i = 0; i < KEY_ANSWERS_MAX; i++)
        if (ring->answers[i].key_id != 0 && address_equal(&ring->answers[i].address, address))
            return &ring->answers[i];
    return NULL;
}

void keyring_heard(struct node *node, const struct address *from, const struct frame_key *key)
{
    struct keyring *ring = &node->keyring;
    if (node->keys_count == 1) return;
    struct key_answer *answer = find_answer(ring, from);
    if (key == &node->keys[0]) {
        if (answer != NULL) *answer = (struct key_answer){0};
        return;
    }
    if (answer == NULL) {
        answer = &ring->answers[ring->answers_next++ % KEY_ANSWERS_MAX];
        *answer = (struct key_answer){.address = *from};
    }
    answer->key_id = key->key_id;
    answer->until = node->now + ANSWER_FOR;
}

const struct frame_key *keyring_for(struct node *node, const struct address *to)
{
    struct key_answer *answer = node->keys_count == 1 ? NULL : find_answer(&node->keyring, to);
    if (answer == NULL || answer->until < node->now) return &node->keys[0];
    if (++answer->sent % TRY_FIRST_EVERY == 0) return &node->keys[0];
    for (size_t i = 0; i < node->keys_count; i++)
        if (node->keys[i].key_id == answer->key_id) return &node->keys[i];
    return &node->keys[0];
}
