#include "wire/stamp.h"

#include "base/hash.h"

int stamp_compare(const struct msg_stamp *a, const struct msg_stamp *b)
{
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    int order = id_compare(&a->node, &b->node);
    if (order == 0) order = boot_compare(&a->boot, &b->boot);
    if (order != 0 || a->sequence == b->sequence) return order;
    return a->sequence < b->sequence ? -1 : 1;
}

uint64_t stamp_hash(const struct msg_stamp *stamp)
{
    uint64_t words[6] = {stamp->time, stamp->boot.counter, stamp->boot.random, stamp->sequence};
    memcpy(&words[4], stamp->node.bytes, sizeof stamp->node.bytes);
    return hash64(words, sizeof words, 0);
}
