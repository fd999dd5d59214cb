/* The table of members, and the one place where a member's state moves.
 *
 *   within a boot:           +--------------------------------+
 *                            v        refuted                 |
 *      (new) ---------->  ALIVE ----> SUSPECT ----> DEAD -----+
 *                            |           |            |
 *                            +-----------+------------+-----> LEFT   (final)
 *
 *   at a newer boot: any state, from any state. That is a restart, seen in full or in part.
 *
 * A claim comes in, precedence.c says whether it wins, move() holds it: it asserts that the table
 * of transitions allows the step, records when and why, logs one line and tells the listener. So
 * `mrctl members` can always say since when and why, and nobody else writes these fields.
 *
 * What a claim needs (its fact, a suspicion, a place among the gone) is taken before anything
 * changes, so a claim is held whole or, out of memory, dropped and counted; the next rumour brings
 * it again. When the table is full, the one longest gone makes room; when there is none, the
 * newcomer is dropped and counted. */
#include "membership/members.h"

#include "membership/precedence.h"
#include "membership/suspicion.h"

#include <assert.h>
#include <string.h>

/* Members come from chunks: one of the simulator's tables is one allocation, not ten thousand. */
struct member_chunk {
    struct member_chunk *next;
    size_t count;
    struct member members[];
};

enum {
    CHUNK_FIRST = 8, /* a small flock wastes little, */
    CHUNK_MAX = 256, /* a large one has few chunks: 20 KiB each */
};

void members_init(struct members *members, struct memory *memory, struct facts *facts)
{
    *members = (struct members){.memory = memory};
    map_init_behind(&members->by_id, memory, offsetof(struct fact, id), sizeof(struct id));
    facts_init(&members->own_facts, memory);
    members->facts = facts;
}

/* The store: a pointer to our own would not survive a copy of the table. */
static struct facts *store_of(struct members *members)
{
    return members->facts != NULL ? members->facts : &members->own_facts;
}

static size_t chunk_size(size_t count)
{
    return sizeof(struct member_chunk) + count * sizeof(struct member);
}

/* Room for so many more members, all free. */
static bool add_chunk(struct members *members, size_t count)
{
    struct member_chunk *chunk = memory_take(members->memory, chunk_size(count));
    if (chunk == NULL) return false;
    chunk->count = count;
    chunk->next = members->chunks;
    members->chunks = chunk;
    for (size_t i = count; i > 0; i--) {
        chunk->members[i - 1].rumor_next = members->free;
        members->free = &chunk->members[i - 1];
    }
    return true;
}

/* An empty one; NULL when out of memory. */
static struct member *take_member(struct members *members)
{
    if (members->free == NULL) {
        size_t last = members->chunks == NULL ? 0 : members->chunks->count;
        size_t count = last < CHUNK_FIRST ? CHUNK_FIRST : 2 * last;
        if (!add_chunk(members, count < CHUNK_MAX ? count : CHUNK_MAX)) return NULL;
    }
    struct member *member = members->free;
    members->free = member->rumor_next;
    *member = (struct member){.fact = NULL};
    return member;
}

static void put_member(struct members *members, struct member *member)
{
    member->rumor_next = members->free;
    members->free = member;
}

void members_deinit(struct members *members)
{
    struct memory *memory = members->memory;
    size_t cursor = 0;
    for (struct member *member; (member = members_next(members, &cursor)) != NULL;) {
        memory_put(memory, member->suspicion, sizeof *member->suspicion);
        facts_put(store_of(members), member->fact);
    }
    map_deinit(&members->by_id);
    facts_deinit(&members->own_facts);
    memory_put(memory, members->order, members->order_capacity * sizeof *members->order);
    memory_put(memory, members->gone, members->gone_capacity * sizeof *members->gone);
    for (struct member_chunk *chunk = members->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        memory_put(memory, chunk, chunk_size(chunk->count));
    }
    *members = (struct members){.memory = memory};
}

void members_listen(struct members *members, const struct members_listener *listener,
                    const struct trace *trace)
{
    members->listener = *listener;
    members->trace = *trace;
}

struct member *members_find(const struct members *members, const struct id *id)
{
    return map_get(&members->by_id, id);
}

struct member *members_next(const struct members *members, size_t *cursor)
{
    return map_next(&members->by_id, cursor);
}

size_t members_living_count(const struct members *members)
{
    return members->state_counts[MEMBER_ALIVE] + members->state_counts[MEMBER_SUSPECT];
}

const char *members_check(const struct msg_member_claim *claim)
{
    if (id_is_zero(&claim->node)) return "a claim about nobody";
    if (claim->state < MEMBER_ALIVE || claim->state > MEMBER_LEFT)
        return "a claim of an unknown state";
    if (claim->refutations > MEMBER_REFUTATIONS_MAX) return "a claim refuted too often to be true";
    if (claim->name.count == 0) return "a claim without a name";
    if (claim->name.count >= MEMBER_NAME_SIZE) return "a claim with too long a name";
    if (address_is_none(&claim->address) || claim->address.port == 0)
        return "a claim without an address";
    return NULL;
}

/* ---- the mover ---- */

/* May a member go from this state (0 = new) to that one within a boot? */
static bool is_allowed(unsigned from, unsigned to)
{
    static const bool allowed[MEMBER_LEFT + 1][MEMBER_LEFT + 1] = {
        /* to (new), alive, suspect, dead, left; a dead one may have refuted, and be accused anew */
        [0] = {false, true, true, true, true},
        [MEMBER_ALIVE] = {false, true, true, true, true},
        [MEMBER_SUSPECT] = {false, true, true, true, true},
        [MEMBER_DEAD] = {false, true, true, true, true},
        [MEMBER_LEFT] = {false, false, false, false, true},
    };
    return allowed[from][to];
}

static uint64_t view_part(const struct member *member)
{
    return member_is_living(member) ? member->fact->view_part : 0;
}

static void log_move(const struct members *members, const struct member *member, unsigned before)
{
    char id[ID_SHORT_SIZE];
    trace_line(&members->trace, TRACE_INFO,
               "event=member name=%s id=%s state=%s from=%s cause=\"%s\"", member->fact->name,
               id_short(&member->fact->id, id), member_state_text(member->state),
               before == 0 ? "nothing" : member_state_text(before), cause_text(member->cause));
}

static void tell(struct members *members, instant now, struct member *member,
                 const struct member_change *change)
{
    const struct members_listener *listener = &members->listener;
    if (listener->changed != NULL) listener->changed(listener->context, now, member, change);
}

static bool is_gone(unsigned state) { return state == MEMBER_DEAD || state == MEMBER_LEFT; }

/* Among the gone, or no more. There is a place for it (take_supplies). */
static void follow_gone(struct members *members, struct member *member, unsigned before)
{
    if (is_gone(before) == is_gone(member->state)) return;
    if (is_gone(member->state)) {
        assert(members->gone_count < members->gone_capacity);
        member->gone_place = (uint32_t)members->gone_count;
        members->gone[members->gone_count++] = member;
        return;
    }
    struct member *last = members->gone[--members->gone_count];
    members->gone[member->gone_place] = last;
    last->gone_place = member->gone_place;
}

/* What a claim needs to be held. */
struct supplies {
    const struct fact *fact;
    struct suspicion *suspicion; /* NULL: not needed, or there already */
};

/* Holds a claim that won. before: the member's state, 0 = it is new. Takes the supplies. */
static void move(struct members *members, instant now, struct member *member,
                 const struct msg_member_claim *claim, const struct supplies *supplies,
                 unsigned before)
{
    const struct fact *held = member->fact;
    struct member_change change = {
        .before = before,
        .is_boot_new = before == 0 || !boot_equal(&held->boot, &claim->boot),
        .is_address_new = before == 0 || !address_equal(&held->address, &claim->address),
    };
    assert(change.is_boot_new || is_allowed(before, claim->state));
    if (before != 0) {
        members->view_digest -= view_part(member);
        assert(members->state_counts[before] > 0);
        members->state_counts[before]--;
        facts_put(store_of(members), held);
    }
    if (change.is_boot_new) member->log_digest = member->view_digest = 0;
    member->fact = supplies->fact;
    if (supplies->suspicion != NULL) member->suspicion = supplies->suspicion;
    member->refutations = claim->refutations;
    member->state = claim->state;
    member->cause = claim->cause;
    /* A new boot of one we know is a restart, however we come to hear of it. */
    bool is_restart = before != 0 && change.is_boot_new && claim->state == MEMBER_ALIVE;
    if (is_restart && member->refutations == 0) member->cause = CAUSE_RESTARTED;
    if (before != claim->state || change.is_boot_new) member->since = now;
    members->state_counts[member->state]++;
    members->view_digest += view_part(member);
    follow_gone(members, member, before);
    if (before != claim->state || change.is_boot_new) log_move(members, member, before);
    tell(members, now, member, &change);
    if (member->state == MEMBER_SUSPECT || member->suspicion == NULL) return;
    memory_put(members->memory, member->suspicion, sizeof *member->suspicion);
    member->suspicion = NULL;
}

/* ---- room ---- */

/* The dead or left one that has been so for the longest, and is no news any more; NULL when there
 * is none. */
static struct member *longest_gone(const struct members *members)
{
    struct member *oldest = NULL;
    for (size_t i = 0; i < members->gone_count; i++) {
        struct member *member = members->gone[i];
        if (member->is_rumor) continue;
        if (oldest == NULL || member->since < oldest->since) oldest = member;
    }
    return oldest;
}

/* Makes room in the probe order for one more. */
static bool reserve(struct members *members)
{
    if (members->by_id.count >= MEMBERS_MAX) {
        struct member *gone = longest_gone(members);
        if (gone == NULL) return false;
        members_remove(members, gone);
    }
    struct member **order = memory_grow(members->memory, members->order, &members->order_capacity,
                                        members->order_count, sizeof *members->order);
    if (order == NULL) return false;
    members->order = order;
    return true;
}

/* At a random place: who stood there goes to the end (SWIM, section 4.3). There is room. */
static void place(struct members *members, struct member *member, struct prng *prng)
{
    size_t at = (size_t)prng_below(prng, members->order_count + 1);
    members->order[members->order_count] = members->order[at];
    members->order[at] = member;
    members->order_count++;
}

/* An entry with this fact, in its place; NULL when there is no room for it. Takes the fact. */
static struct member *add(struct members *members, const struct fact *fact, struct prng *prng)
{
    if (!reserve(members)) return NULL;
    struct member *member = take_member(members);
    if (member == NULL) return NULL;
    member->fact = fact;
    if (map_add(&members->by_id, member) != ERROR_NONE) {
        put_member(members, member);
        return NULL;
    }
    if (members->self == NULL) members->self = member;
    else place(members, member, prng);
    return member;
}

enum error members_seed(struct members *members, instant now, const struct fact *const *facts,
                        size_t count, struct prng *prng)
{
    assert(members->by_id.count == 1 && members->facts != NULL && count <= MEMBERS_MAX);
    size_t order_size = count * sizeof *members->order;
    struct member **order = memory_resize(members->memory, members->order,
                                          members->order_capacity * sizeof *order, order_size);
    if (order == NULL || !add_chunk(members, count)) return ERROR_MEMORY;
    members->order = order;
    members->order_capacity = count;
    if (map_reserve(&members->by_id, count) != ERROR_NONE) return ERROR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        if (id_equal(&facts[i]->id, &members->self->fact->id)) continue;
        struct member *member = add(members, facts[i], prng);
        if (member == NULL) return ERROR_MEMORY;
        facts_share(facts[i]);
        member->state = MEMBER_ALIVE;
        member->cause = CAUSE_JOINED;
        member->since = now;
        members->state_counts[MEMBER_ALIVE]++;
        members->view_digest += view_part(member);
    }
    for (size_t i = 0; i < members->order_count; i++)
        members->order[i]->view_digest = members->view_digest;
    return ERROR_NONE;
}

static void give_back(struct members *members, const struct supplies *supplies)
{
    facts_put(store_of(members), supplies->fact);
    memory_put(members->memory, supplies->suspicion, sizeof *supplies->suspicion);
}

/* Everything that holding this claim takes, lest it be held by half. member: NULL = it is new.
 * False, and nothing taken, when out of memory. */
static bool take_supplies(struct members *members, const struct member *member,
                          const struct msg_member_claim *claim, struct supplies *supplies)
{
    *supplies = (struct supplies){.fact = facts_take(store_of(members), claim)};
    if (supplies->fact == NULL) return false;
    bool has_all = true;
    if (claim->state == MEMBER_SUSPECT && (member == NULL || member->suspicion == NULL)) {
        supplies->suspicion = memory_take(members->memory, sizeof *supplies->suspicion);
        has_all = supplies->suspicion != NULL;
    }
    if (has_all && is_gone(claim->state)) {
        struct member **gone = memory_grow(members->memory, members->gone, &members->gone_capacity,
                                           members->gone_count, sizeof *members->gone);
        has_all = gone != NULL;
        if (has_all) members->gone = gone;
    }
    if (!has_all) give_back(members, supplies);
    return has_all;
}

/* ---- claims ---- */

/* The claim says nothing new, but it is the member's own: it knows its address best. */
static void take_details(struct members *members, instant now, struct member *member,
                         const struct msg_member_claim *claim)
{
    if (fact_has_details(member->fact, claim)) return;
    struct member_change change = {
        .before = member->state,
        .is_address_new = !address_equal(&member->fact->address, &claim->address),
        .is_details_only = true,
    };
    const struct fact *fact = facts_take(store_of(members), claim);
    if (fact == NULL) return; /* it will say so again */
    facts_put(store_of(members), member->fact);
    member->fact = fact;
    tell(members, now, member, &change);
}

/* The claim wins: holds it, unless there is no room for it. member: NULL = it is new. */
static enum members_verdict take_winner(struct members *members, instant now, struct member *member,
                                        const struct msg_member_claim *claim, struct prng *prng)
{
    struct supplies supplies;
    unsigned before = member == NULL ? 0 : member->state;
    if (take_supplies(members, member, claim, &supplies)) {
        if (member == NULL) member = add(members, supplies.fact, prng);
        if (member != NULL) {
            move(members, now, member, claim, &supplies, before);
            return MEMBERS_WON;
        }
        give_back(members, &supplies);
    }
    members->dropped++;
    return MEMBERS_DROPPED;
}

enum members_verdict members_apply(struct members *members, instant now,
                                   const struct msg_member_claim *claim, bool is_own,
                                   struct prng *prng)
{
    bool is_self = members->self == NULL || id_equal(&claim->node, &members->self->fact->id);
    assert(is_self || members_check(claim) == NULL); /* we need not know our own address */
    struct member *member = members_find(members, &claim->node);
    if (member == NULL) return take_winner(members, now, NULL, claim, prng);
    struct precedence held = {member->fact->boot, member->refutations,
                              (enum member_state)member->state};
    struct precedence said = {claim->boot, claim->refutations, (enum member_state)claim->state};
    int order = precedence_compare(&said, &held);
    if (order < 0) return MEMBERS_OLDER;
    if (order > 0) return take_winner(members, now, member, claim, prng);
    if (is_own) take_details(members, now, member, claim);
    return MEMBERS_EQUAL;
}

struct msg_member_claim member_claim(const struct member *member)
{
    const struct fact *fact = member->fact;
    return (struct msg_member_claim){
        .node = fact->id,
        .boot = fact->boot,
        .refutations = member->refutations,
        .state = member->state,
        .cause = member->cause,
        .address = fact->address,
        .slots = fact->slots,
        .name = slice_of(fact->name, fact->name_size),
    };
}

/* ---- order ---- */

void members_shuffle(struct members *members, struct prng *prng)
{
    for (size_t i = members->order_count; i > 1; i--) {
        size_t other = (size_t)prng_below(prng, i);
        struct member *member = members->order[other];
        members->order[other] = members->order[i - 1];
        members->order[i - 1] = member;
    }
}

static bool is_pickable(const struct member *member, const struct member *except, bool is_trusted,
                        struct member *const *picked, size_t picked_count)
{
    if (!member_is_living(member) || (is_trusted && member->state != MEMBER_ALIVE)) return false;
    if (member == except) return false;
    for (size_t i = 0; i < picked_count; i++)
        if (picked[i] == member) return false;
    return true;
}

size_t members_pick(const struct members *members, struct prng *prng, const struct id *except,
                    bool is_trusted, struct member **picked, size_t count)
{
    size_t picked_count = 0;
    if (members->order_count == 0) return 0;
    const struct member *excepted = except == NULL ? NULL : members_find(members, except);
    /* Lots first: cheap and even, in a large table too. Then whoever stands behind a random
     * place. */
    for (size_t tries = 4 * count; tries > 0 && picked_count < count; tries--) {
        struct member *member = members->order[prng_below(prng, members->order_count)];
        if (is_pickable(member, excepted, is_trusted, picked, picked_count))
            picked[picked_count++] = member;
    }
    size_t start = (size_t)prng_below(prng, members->order_count);
    for (size_t i = 0; i < members->order_count && picked_count < count; i++) {
        struct member *member = members->order[(start + i) % members->order_count];
        if (is_pickable(member, excepted, is_trusted, picked, picked_count))
            picked[picked_count++] = member;
    }
    return picked_count;
}

struct member *members_pick_dead(const struct members *members, struct prng *prng)
{
    if (members->state_counts[MEMBER_DEAD] == 0) return NULL;
    size_t at = (size_t)prng_below(prng, members->gone_count);
    while (members->gone[at]->state != MEMBER_DEAD) at = (at + 1) % members->gone_count;
    return members->gone[at];
}

void members_remove(struct members *members, struct member *member)
{
    assert(member != members->self && !member->is_rumor);
    assert(member->state != MEMBER_SUSPECT);
    members->view_digest -= view_part(member);
    members->state_counts[member->state]--;
    size_t at = 0;
    while (at < members->order_count && members->order[at] != member) at++;
    assert(at < members->order_count);
    members->order[at] = members->order[--members->order_count];
    struct member *removed = map_remove(&members->by_id, &member->fact->id);
    assert(removed == member);
    (void)removed;
    unsigned before = member->state;
    member->state = 0;
    follow_gone(members, member, before);
    facts_put(store_of(members), member->fact);
    put_member(members, member);
}
