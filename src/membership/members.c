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
 * Everything a member says of itself but its key is a stranger's: names are cleaned to visible
 * ASCII, for they end up in logs and on terminals. When the table is full, the one longest dead
 * makes room; when there is none, the newcomer is dropped and counted. */
#include "membership/members.h"

#include "base/hash.h"
#include "membership/precedence.h"

#include <assert.h>
#include <string.h>

enum error members_init(struct members *members, struct memory *memory)
{
    *members = (struct members){.memory = memory};
    map_init(&members->by_id, memory, offsetof(struct member, id), sizeof(struct id));
    return ERROR_NONE;
}

void members_deinit(struct members *members)
{
    size_t cursor = 0;
    for (struct member *member; (member = members_next(members, &cursor)) != NULL;)
        memory_put(members->memory, member, sizeof *member);
    map_deinit(&members->by_id);
    memory_put(members->memory, members->order, members->order_capacity * sizeof *members->order);
    *members = (struct members){.memory = members->memory};
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

/* A member's part in the digest of the view: who lives at which boot. Suspicion comes and goes, and
 * is no difference of views. */
static uint64_t view_part(const struct member *member)
{
    uint64_t parts[4] = {member->boot.counter, member->boot.random};
    memcpy(&parts[2], member->id.bytes, sizeof member->id.bytes);
    return member_is_living(member) ? hash64(parts, sizeof parts, 0) : 0;
}

static void log_move(const struct members *members, const struct member *member, unsigned before)
{
    char id[ID_SHORT_SIZE];
    trace_line(&members->trace, TRACE_INFO,
               "event=member name=%s id=%s state=%s from=%s cause=\"%s\"", member->name,
               id_short(&member->id, id), member_state_text(member->state),
               before == 0 ? "nothing" : member_state_text(before), cause_text(member->cause));
}

/* Visible ASCII stays, all else becomes '?': no escape sequence, no space that forges a field of a
 * log line. */
static void set_name(struct member *member, struct slice name)
{
    assert(name.count < sizeof member->name);
    for (size_t i = 0; i < name.count; i++) {
        bool is_visible = name.at[i] > ' ' && name.at[i] < 0x7f && name.at[i] != '"';
        member->name[i] = is_visible ? (char)name.at[i] : '?';
    }
    member->name[name.count] = '\0';
}

static void set_details(struct member *member, const struct msg_member_claim *claim)
{
    member->address = claim->address;
    member->slots = claim->slots;
    set_name(member, claim->name);
}

static void tell(struct members *members, instant now, struct member *member,
                 const struct member_change *change)
{
    const struct members_listener *listener = &members->listener;
    if (listener->changed != NULL) listener->changed(listener->context, now, member, change);
}

/* Holds a claim that won. before: the member's state, 0 = it is new. */
static void move(struct members *members, instant now, struct member *member,
                 const struct msg_member_claim *claim, unsigned before)
{
    struct member_change change = {
        .before = before,
        .is_boot_new = before == 0 || !boot_equal(&member->boot, &claim->boot),
        .is_address_new = !address_equal(&member->address, &claim->address),
    };
    assert(change.is_boot_new || is_allowed(before, claim->state));
    if (before != 0) {
        members->view_digest -= view_part(member);
        assert(members->state_counts[before] > 0);
        members->state_counts[before]--;
    }
    if (change.is_boot_new) member->log_digest = member->view_digest = 0;
    member->boot = claim->boot;
    member->refutations = claim->refutations;
    member->state = (enum member_state)claim->state;
    member->cause = (enum cause)claim->cause;
    set_details(member, claim);
    if (before != claim->state || change.is_boot_new) member->since = now;
    members->state_counts[member->state]++;
    members->view_digest += view_part(member);
    if (before != claim->state || change.is_boot_new) log_move(members, member, before);
    tell(members, now, member, &change);
}

/* ---- room ---- */

/* The dead or left one that has been so for the longest, and is no news any more; NULL when there
 * is none. */
static struct member *longest_gone(const struct members *members)
{
    struct member *oldest = NULL;
    for (size_t i = 0; i < members->order_count; i++) {
        struct member *member = members->order[i];
        if (member_is_living(member) || member->is_rumor) continue;
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

/* An empty entry, in its place; NULL when there is no room for it. */
static struct member *add(struct members *members, const struct id *id, struct prng *prng)
{
    if (!reserve(members)) return NULL;
    struct member *member = memory_take(members->memory, sizeof *member);
    if (member == NULL) return NULL;
    member->id = *id;
    if (map_add(&members->by_id, member) != ERROR_NONE) {
        memory_put(members->memory, member, sizeof *member);
        return NULL;
    }
    if (members->self == NULL) {
        members->self = member;
        return member;
    }
    /* At a random place: who stood there goes to the end (SWIM, section 4.3). */
    size_t place = (size_t)prng_below(prng, members->order_count + 1);
    members->order[members->order_count] = members->order[place];
    members->order[place] = member;
    members->order_count++;
    return member;
}

/* ---- claims ---- */

static bool are_details_equal(const struct member *member, const struct msg_member_claim *claim)
{
    struct member cleaned = {.slots = claim->slots, .address = claim->address};
    set_name(&cleaned, claim->name);
    return member->slots == cleaned.slots && address_equal(&member->address, &cleaned.address) &&
           strcmp(member->name, cleaned.name) == 0;
}

/* The claim says nothing new, but it is the member's own: it knows its address best. */
static void take_details(struct members *members, instant now, struct member *member,
                         const struct msg_member_claim *claim)
{
    if (are_details_equal(member, claim)) return;
    struct member_change change = {
        .before = member->state,
        .is_address_new = !address_equal(&member->address, &claim->address),
        .is_details_only = true,
    };
    set_details(member, claim);
    tell(members, now, member, &change);
}

enum members_verdict members_apply(struct members *members, instant now,
                                   const struct msg_member_claim *claim, bool is_own,
                                   struct prng *prng)
{
    bool is_self = members->self == NULL || id_equal(&claim->node, &members->self->id);
    assert(is_self || members_check(claim) == NULL); /* we need not know our own address */
    struct member *member = members_find(members, &claim->node);
    if (member == NULL) {
        member = add(members, &claim->node, prng);
        if (member == NULL) {
            members->dropped++;
            return MEMBERS_DROPPED;
        }
        move(members, now, member, claim, 0);
        return MEMBERS_WON;
    }
    struct precedence held = {member->boot, member->refutations, member->state};
    struct precedence said = {claim->boot, claim->refutations, (enum member_state)claim->state};
    int order = precedence_compare(&said, &held);
    if (order < 0) return MEMBERS_OLDER;
    if (order == 0) {
        if (is_own) take_details(members, now, member, claim);
        return MEMBERS_EQUAL;
    }
    move(members, now, member, claim, member->state);
    return MEMBERS_WON;
}

struct msg_member_claim member_claim(const struct member *member)
{
    return (struct msg_member_claim){
        .node = member->id,
        .boot = member->boot,
        .refutations = member->refutations,
        .state = (uint8_t)member->state,
        .cause = (uint8_t)member->cause,
        .address = member->address,
        .slots = member->slots,
        .name = slice_string(member->name),
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

static bool is_pickable(const struct member *member, const struct id *except, bool is_trusted,
                        struct member *const *picked, size_t picked_count)
{
    if (!member_is_living(member) || (is_trusted && member->state != MEMBER_ALIVE)) return false;
    if (except != NULL && id_equal(&member->id, except)) return false;
    for (size_t i = 0; i < picked_count; i++)
        if (picked[i] == member) return false;
    return true;
}

size_t members_pick(const struct members *members, struct prng *prng, const struct id *except,
                    bool is_trusted, struct member **picked, size_t count)
{
    size_t picked_count = 0;
    if (members->order_count == 0) return 0;
    /* Lots first: cheap and even, in a large table too. Then whoever stands behind a random
     * place. */
    for (size_t tries = 4 * count; tries > 0 && picked_count < count; tries--) {
        struct member *member = members->order[prng_below(prng, members->order_count)];
        if (is_pickable(member, except, is_trusted, picked, picked_count))
            picked[picked_count++] = member;
    }
    size_t start = (size_t)prng_below(prng, members->order_count);
    for (size_t i = 0; i < members->order_count && picked_count < count; i++) {
        struct member *member = members->order[(start + i) % members->order_count];
        if (is_pickable(member, except, is_trusted, picked, picked_count))
            picked[picked_count++] = member;
    }
    return picked_count;
}

void members_remove(struct members *members, struct member *member)
{
    assert(member != members->self && !member->is_rumor);
    assert(member->state != MEMBER_SUSPECT);
    members->view_digest -= view_part(member);
    members->state_counts[member->state]--;
    size_t place = 0;
    while (place < members->order_count && members->order[place] != member) place++;
    assert(place < members->order_count);
    members->order[place] = members->order[--members->order_count];
    struct member *removed = map_remove(&members->by_id, &member->id);
    assert(removed == member);
    (void)removed;
    memory_put(members->memory, member, sizeof *member);
}
