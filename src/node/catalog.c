/* The catalogue: which datasets there are, where their blocks lie, how many good copies each has.
 *
 * Names and lists of blocks are in the log and in manifests, the same at every node. Who holds a
 * block is known only to those who hold it too. So a node that is asked for copies asks in turn
 * (`holdings_query`): those living members who should hold the blocks it knows too few copies of.
 *
 *   ask_names --> the page's manifests are here --> all whom we asked have said --> say_names
 *                 (else fetched)                    (or PATIENCE is over)
 *
 * An answer pins nothing: a look is no promise. */
#include "node/manifests.h"
#include "node/smalls.h"
#include "node/state.h"
#include "node/tally.h"

#include <string.h>

enum {
    NAMES_PAGE = 128,
    NAMES_MAX = 512,              /* as msg_say_names: many namings of one name */
    BLOCKS_PAGE = 64,             /* with 16 holders each: 50 KiB */
    PATIENCE = SECOND,            /* for the answers: a stopped member is not waited for longer */
    ASKED_MIN = 8,                /* of the members; in small flocks all of them */
    ASKED_BEYOND = 2,             /* more than should hold it: holders of former days */
    QUERY_BLOCKS = 1024,          /* in a record, 41 KiB; as msg_holdings_query */
    SURVEY_BLOCKS_MAX = 16 << 10, /* in one page: half a TiB. Of more, what is known is told */
};

/* A page of the current namings, in the step's arena. */
struct page {
    const struct naming *namings[NAMES_MAX];
    const char *texts[NAMES_MAX];
    bool conflicts[NAMES_MAX];
    size_t count;
    bool more;
};

/* A place behind every naming of the name that the last page ended with; NULL: from the beginning.
 */
static const struct naming *names_place(struct node *node, struct slice after)
{
    if (after.count == 0 || after.count >= NAME_SIZE) return NULL;
    struct naming *place = arena_take(&node->actions->arena, sizeof *place);
    if (place == NULL) return NULL;
    const struct naming *named = names_find(&node->names, after);
    memset(place, 0, sizeof *place);
    if (named != NULL)
        memcpy(place->name, named->name, sizeof place->name); /* NAME@id is behind NAME */
    else memcpy(place->name, after.at, after.count);
    place->stamp.time = UINT64_MAX;
    return place;
}

/* NULL: the step's memory is used up, the client asks again. */
static struct page *page_make(struct node *node, const struct msg_ask_names *ask)
{
    struct arena *arena = &node->actions->arena;
    struct page *page = arena_take(arena, sizeof *page);
    char *text = arena_take(arena, NAME_TEXT_SIZE);
    if (page == NULL) return NULL;
    page->count = 0;
    page->more = false;
    bool is_conflict;
    const struct naming *naming = names_place(node, ask->after);
    while (text != NULL &&
           (naming = names_next(&node->names, ask->prefix, naming, &is_conflict, text)) != NULL) {
        /* A page ends where a name ends, so that the next one can begin behind it. */
        size_t last = page->count - 1;
        bool is_new = page->count == 0 || strcmp(naming->name, page->namings[last]->name) != 0;
        if ((page->count >= NAMES_PAGE && is_new) || page->count == NAMES_MAX) {
            page->more = true;
            break;
        }
        page->namings[page->count] = naming;
        page->conflicts[page->count] = is_conflict;
        page->texts[page->count++] = text;
        text = arena_take(arena, NAME_TEXT_SIZE);
    }
    return page;
}

static struct msg_name_row name_row(struct node *node, const struct page *page, size_t at)
{
    const struct naming *naming = page->namings[at];
    struct msg_name_row row = {.name = slice_string(page->texts[at]),
                               .manifest = naming->manifest,
                               .size = naming->size,
                               .replicas_wanted = naming->replicas,
                               .is_conflict = page->conflicts[at]};
    const struct msg_manifest *manifest = manifests_get(node, &naming->manifest);
    if (manifest == NULL) return row;
    row.blocks = manifest->blocks.count;
    row.replicas_min = UINT32_MAX;
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    for (uint32_t i = 0; i < row.blocks; i++) {
        if (manifests_is_range(&blocks[i])) continue;
        uint32_t copies = (uint32_t)keeper_copies(node, &blocks[i].block.digest);
        if (copies < row.replicas_min) row.replicas_min = copies;
    }
    if (row.replicas_min == UINT32_MAX) row.replicas_min = 0;
    return row;
}

static void say_page(struct node *node, const struct pending *pending, const struct page *page)
{
    const struct msg_ask_names *ask = pending->request;
    struct msg_name_row *rows = arena_take(&node->actions->arena, NAMES_MAX * sizeof *rows);
    if (rows == NULL) return;
    for (size_t i = 0; i < page->count; i++) rows[i] = name_row(node, page, i);
    struct msg_say_names reply = {
        .request = ask->request, .names = {rows, (uint32_t)page->count}, .more = page->more};
    links_send(node, pending->stream, &wire_say_names, &reply);
}

/* ---- who holds what ---- */

/* The questions of one survey, a list of blocks a member. */
struct survey {
    struct node *node;
    struct pending *pending;
    struct question {
        struct id peer;
        struct msg_block_ref *blocks;
        uint32_t count;
    } * questions;
    size_t questions_count;
    size_t blocks_count;
    bool is_short; /* a stream is not open yet, or the step is full: asked again at the next try */
};

static void question_send(struct survey *survey, struct question *question)
{
    struct node *node = survey->node;
    struct link *link = links_need(node, &question->peer);
    struct msg_holdings_query query = {.token = survey->pending->token,
                                       .blocks = {question->blocks, question->count}};
    if (link == NULL || !node_has_room(node) ||
        !links_send(node, link->stream, &wire_holdings_query, &query)) {
        survey->is_short = true;
    } else {
        survey->pending->outstanding++;
    }
    question->count = 0;
}

static void question_add(struct survey *survey, const struct id *peer,
                         const struct msg_block_ref *block)
{
    struct question *question = survey->questions;
    struct question *end = question + survey->questions_count;
    while (question < end && !id_equal(&question->peer, peer)) question++;
    if (question == end) {
        question->blocks =
            arena_take(&survey->node->actions->arena, QUERY_BLOCKS * sizeof *question->blocks);
        if (question->blocks == NULL) {
            survey->is_short = true;
            return;
        }
        question->peer = *peer;
        question->count = 0;
        survey->questions_count++;
    }
    question->blocks[question->count++] = *block;
    if (question->count == QUERY_BLOCKS) question_send(survey, question);
}

/* Asks for the block those who should hold it, when we know of too few copies. */
static void survey_block(struct survey *survey, const struct msg_block_ref *block, uint8_t replicas)
{
    struct node *node = survey->node;
    size_t living = living_staying(node);
    size_t wanted = replicas < living ? replicas : living, count;
    if (keeper_copies(node, &block->digest) >= wanted) return;
    if (survey->blocks_count++ >= SURVEY_BLOCKS_MAX) return;
    const struct msg_block_holder *holders = living_holders(node, &block->digest, NULL, 0, &count);
    size_t asked = wanted + ASKED_BEYOND < ASKED_MIN ? ASKED_MIN : wanted + ASKED_BEYOND;
    for (size_t i = 0; holders != NULL && i < count && i < asked; i++)
        question_add(survey, &holders[i].node, block);
}

/* True when it went out whole, or there was nothing to ask. */
static bool survey_page(struct node *node, struct pending *pending, const struct page *page)
{
    size_t living = members_living_count(&node->gossip.members);
    struct survey survey = {.node = node, .pending = pending};
    survey.questions = arena_take(&node->actions->arena, living * sizeof *survey.questions);
    if (survey.questions == NULL) return false;
    pending->token = node->token_next++;
    pending->outstanding = 0;
    for (size_t i = 0; i < page->count; i++) {
        const struct msg_manifest *manifest = manifests_get(node, &page->namings[i]->manifest);
        if (manifest == NULL) continue;
        const struct msg_manifest_block *blocks = manifest->blocks.at;
        for (uint32_t b = 0; b < manifest->blocks.count; b++)
            if (!manifests_is_range(&blocks[b]))
                survey_block(&survey, &blocks[b].block, page->namings[i]->replicas);
    }
    for (size_t i = 0; i < survey.questions_count; i++)
        if (survey.questions[i].count > 0) question_send(&survey, &survey.questions[i]);
    return !survey.is_short;
}

static bool manifests_are_here(struct node *node, const struct page *page)
{
    bool are_here = true;
    for (size_t i = 0; i < page->count; i++)
        are_here = manifests_get(node, &page->namings[i]->manifest) != NULL && are_here;
    return are_here;
}

bool catalog_names(struct node *node, struct pending *pending)
{
    const struct msg_ask_names *ask = pending->request;
    struct page *page = page_make(node, ask);
    if (page == NULL) return false;
    bool is_late = node->now - pending->since >= PATIENCE;
    if (ask->counts_copies && !is_late) {
        if (!manifests_are_here(node, page)) return false;
        if (pending->token == 0 || pending->is_short)
            pending->is_short = !survey_page(node, pending, page);
        if (pending->is_short || pending->outstanding > 0) return false;
    }
    say_page(node, pending, page);
    return true;
}

static void take_query(struct node *node, struct link *link, const struct msg_holdings_query *query)
{
    struct msg_block_ref *held =
        arena_take(&node->actions->arena, query->blocks.count * sizeof *held);
    if (held == NULL) return;
    const struct msg_block_ref *blocks = query->blocks.at;
    uint32_t count = 0;
    for (uint32_t i = 0; i < query->blocks.count; i++)
        if (keeper_tell_here(node, &blocks[i].digest, &link->peer)) held[count++] = blocks[i];
    struct msg_holdings reply = {.token = query->token, .blocks = {held, count}};
    links_send(node, link->stream, &wire_holdings, &reply);
}

static void take_holdings(struct node *node, struct link *link, const struct msg_holdings *holdings)
{
    if (tally_answer(node, link, holdings)) return;
    struct pending *pending = node->pendings;
    while (pending != NULL && (pending->token != holdings->token || pending->outstanding == 0))
        pending = pending->next;
    if (pending == NULL) return; /* too late, or never asked for: nothing is noted */
    const struct msg_block_ref *blocks = holdings->blocks.at;
    for (uint32_t i = 0; i < holdings->blocks.count; i++)
        keeper_note_copy(node, &blocks[i], &link->peer);
    pending->outstanding--;
    node->pending_next = node->now;
}

void catalog_message(struct node *node, struct link *link, const struct wire_message *message)
{
    if (message->type == MSG_holdings_query) take_query(node, link, message->fields);
    if (message->type == MSG_holdings) take_holdings(node, link, message->fields);
}

/* ---- where the bytes of a dataset are ---- */

/* Who may have a block: those known to have it first, then in the order in which it is placed. */
static struct list block_holders(struct node *node, const struct digest *digest)
{
    struct list none = {NULL, 0};
    size_t count;
    const struct msg_block_holder *order = living_holders(node, digest, NULL, 0, &count);
    struct msg_block_holder *holders =
        arena_take(&node->actions->arena, HOLDERS_MAX * sizeof *holders);
    if (holders == NULL || order == NULL) return none;
    uint32_t filled = 0;
    const struct block *block = keeper_find(node, digest);
    if (block != NULL && block->is_here)
        holders[filled++] = (struct msg_block_holder){node->id, node->address};
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < count && filled < HOLDERS_MAX; i++) {
            bool is_known = false;
            for (size_t c = 0; block != NULL && c < block->copies_count; c++)
                is_known = is_known || id_equal(&block->copies[c], &order[i].node);
            if (is_known == (pass == 0)) holders[filled++] = order[i];
        }
    return (struct list){holders, filled};
}

/* What the log carries of the page is written here first: then it can be fetched as any block. Who
 * waits for it goes on waiting while more and more of it is there: a disk may be slow. */
static bool are_on_disks(struct node *node, const struct msg_manifest *manifest, uint32_t first,
                         struct pending *pending)
{
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    uint32_t left = 0, i = first;
    for (; i < manifest->blocks.count && i < first + BLOCKS_PAGE; i++)
        if (blocks[i].block.size > 0 && smalls_find(node, &blocks[i].block.digest) != NULL)
            left += !keeper_materialise(node, &blocks[i].block);
    uint32_t here = 1 + (i - first) - left; /* and their list */
    if (here > pending->copies) {
        pending->copies = here;
        pending->moved = node->now;
    }
    return left == 0;
}

/* "@" and the digest of a list: that version of a dataset, whatever its name has now. */
static bool parse_version(struct slice name, struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    if (name.count != sizeof text || name.at[0] != '@') return false;
    memcpy(text, name.at + 1, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    return digest_parse(text, digest);
}

/* The one that has the name, or names this version; NULL: none does now. */
static const struct naming *find_naming(struct node *node, struct slice name)
{
    struct digest digest;
    const struct naming *found = names_find(&node->names, name);
    if (found != NULL || !parse_version(name, &digest)) return found;
    for (size_t i = 0; i < node->names.current_count; i++)
        if (digest_equal(&node->names.current[i]->manifest.digest, &digest))
            return node->names.current[i];
    return NULL;
}

/* Of a version that has been replaced, as long as its list is in memory: whoever reads it asks for
 * page after page. */
static bool find_replaced(struct node *node, struct slice name, struct msg_block_ref *list)
{
    struct digest digest;
    return parse_version(name, &digest) && manifests_known(node, &digest, list);
}

static uint64_t bytes_of(const struct msg_manifest *manifest)
{
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    uint64_t size = 0;
    for (uint32_t i = 0; i < manifest->blocks.count; i++) size += blocks[i].block.size;
    return size;
}

bool catalog_dataset(struct node *node, struct pending *pending)
{
    const struct msg_ask_dataset *ask = pending->request;
    uint64_t stream = pending->stream;
    struct msg_block_ref list;
    const struct naming *naming = find_naming(node, ask->name);
    if (naming != NULL) list = naming->manifest;
    if (naming == NULL && !find_replaced(node, ask->name, &list)) {
        control_error(node, stream, ask->request, CODE_NOT_FOUND,
                      "no dataset is named %.*s; see: mrctl ls", (int)ask->name.count,
                      (const char *)ask->name.at);
        return true;
    }
    const struct msg_manifest *manifest = manifests_get(node, &list);
    if (manifest == NULL) return false;
    struct msg_dataset_block *rows = arena_take(&node->actions->arena, BLOCKS_PAGE * sizeof *rows);
    if (rows == NULL || !are_on_disks(node, manifest, ask->first, pending)) return false;
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    uint32_t count = 0;
    for (uint32_t i = ask->first; i < manifest->blocks.count && count < BLOCKS_PAGE; i++, count++) {
        rows[count].block = blocks[i];
        rows[count].holders = block_holders(node, &blocks[i].block.digest);
    }
    struct msg_say_dataset reply = {.request = ask->request,
                                    .blocks_count = manifest->blocks.count,
                                    .size = naming != NULL ? naming->size : bytes_of(manifest),
                                    .blocks = {rows, count}};
    links_send(node, stream, &wire_say_dataset, &reply);
    return true;
}
