/* Facts, found by the member's id and counted by their holders.
 *
 *   by_id: id -> fact (boot 7, address A) -> fact (boot 8, address A)     of one member, some hold
 *                     3 holders                9,996 holders              the old life still
 *
 * A chain is as long as there are different things held of one member: one or two. In a node of its
 * own it is always one, but while a claim replaces another.
 *
 * Everything a member says of itself is a stranger's: names are cleaned to visible ASCII, for they
 * end up in logs and on terminals. */
#include "membership/facts.h"

#include "base/hash.h"

#include <assert.h>

void facts_init(struct facts *facts, struct memory *memory)
{
    *facts = (struct facts){.memory = memory};
    map_init(&facts->by_id, memory, offsetof(struct fact, id), sizeof(struct id));
}

void facts_deinit(struct facts *facts)
{
    assert(facts->by_id.count == 0);
    map_deinit(&facts->by_id);
}

/* Visible ASCII stays, all else becomes '?': no escape sequence, no space that forges a field of a
 * log line. */
static char clean(uint8_t byte)
{
    bool is_visible = byte > ' ' && byte < 0x7f && byte != '"';
    return is_visible ? (char)byte : '?';
}

bool fact_has_details(const struct fact *fact, const struct msg_member_claim *claim)
{
    if (fact->slots != claim->slots || fact->name_size != claim->name.count) return false;
    if (!address_equal(&fact->address, &claim->address)) return false;
    for (size_t i = 0; i < claim->name.count; i++)
        if (fact->name[i] != clean(claim->name.at[i])) return false;
    return true;
}

/* A member's part in the digest of a view: who lives at which boot. Suspicion comes and goes, and
 * is no difference of views. */
static uint64_t view_part(const struct fact *fact)
{
    uint64_t parts[4] = {fact->boot.counter, fact->boot.random};
    memcpy(&parts[2], fact->id.bytes, sizeof fact->id.bytes);
    return hash64(parts, sizeof parts, 0);
}

static void fill(struct fact *fact, const struct msg_member_claim *claim)
{
    assert(claim->name.count < sizeof fact->name);
    fact->id = claim->node;
    fact->boot = claim->boot;
    fact->address = claim->address;
    fact->slots = claim->slots;
    fact->name_size = (uint8_t)claim->name.count;
    for (size_t i = 0; i < claim->name.count; i++) fact->name[i] = clean(claim->name.at[i]);
    fact->view_part = view_part(fact);
}

const struct fact *facts_take(struct facts *facts, const struct msg_member_claim *claim)
{
    struct fact *first = map_get(&facts->by_id, &claim->node);
    for (struct fact *fact = first; fact != NULL; fact = fact->next)
        if (boot_equal(&fact->boot, &claim->boot) && fact_has_details(fact, claim))
            return facts_share(fact);
    struct fact *fact = memory_take(facts->memory, sizeof *fact);
    if (fact == NULL) return NULL;
    fill(fact, claim);
    fact->holders = 1;
    if (first != NULL) {
        fact->next = first->next;
        first->next = fact;
    } else if (map_add(&facts->by_id, fact) != ERROR_NONE) {
        memory_put(facts->memory, fact, sizeof *fact);
        return NULL;
    }
    return fact;
}

const struct fact *facts_share(const struct fact *fact)
{
    struct fact *held = (struct fact *)fact; /* only the count of holders changes */
    assert(held->holders > 0 && held->holders < UINT32_MAX);
    held->holders++;
    return fact;
}

/* Takes it out of the chain of its id. */
static void unlink_fact(struct facts *facts, struct fact *fact)
{
    struct fact *first = map_get(&facts->by_id, &fact->id);
    if (first != fact) {
        while (first->next != fact) first = first->next;
        first->next = fact->next;
        return;
    }
    (void)map_remove(&facts->by_id, &fact->id);
    if (fact->next == NULL) return;
    enum error error = map_add(&facts->by_id, fact->next); /* there is room: its place */
    assert(error == ERROR_NONE);
    (void)error;
}

void facts_put(struct facts *facts, const struct fact *fact)
{
    struct fact *held = (struct fact *)fact;
    assert(held->holders > 0);
    if (--held->holders > 0) return;
    unlink_fact(facts, held);
    memory_put(facts->memory, held, sizeof *held);
}
