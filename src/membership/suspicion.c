/* A suspicion's deadline (Lifeguard: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness
 * for More Accurate Failure Detection", 2017: "Local Health Aware Suspicion").
 *
 * One accuser may itself be the sick one: slow, or cut off. So a suspicion begins with a long
 * timeout, and each independent accuser makes it shorter:
 *
 *   timeout = max(Min, Max - (Max - Min) * log(C + 1) / log(K + 1))
 *   Min = alpha * max(1, log100(n)) * period       Max = beta * Min
 *
 *   Max |*
 *       |    *                      C: witnesses but the first, who have seen
 *       |         *                    a probe of their own fail
 *   Min |              *  *  *      K: how many such are enough, 3
 *       +--0----1----2----3-> C
 *
 * A witness counts by what it saw, never by what it passes on: else one sick accuser's rumour would
 * confirm itself. The table of witnesses has K + 1 places, of which the first is the accuser.
 *
 * The paper has log10. Here the accused hears from its accusers themselves, not by a rumour that
 * takes log(n) rounds, so half of it is enough.
 *
 * No floating point: the same on every machine, and the simulator's digests depend on it. */
#include "membership/suspicion.h"

#include <assert.h>

enum {
    ALPHA = 4, /* periods that a refutation needs there and back with some loss; as in memberlist */
    BETA = 6,  /* the paper's best trade of false positives against latency */
    LOG2_OF_100_MILLI = 6644,
};

uint32_t suspicion_log2_milli(size_t n)
{
    assert(n > 0);
    uint32_t whole = 0;
    while ((n >> whole) > 1) whole++;
    /* The fraction, bit by bit: square the mantissa, and see whether it passed 2 (Knuth, TAOCP 1,
     * 1.2.2). */
    uint64_t mantissa = whole <= 32 ? (uint64_t)n << (32 - whole) : (uint64_t)n >> (whole - 32);
    uint32_t fraction = 0;
    for (unsigned bit = 0; bit < 10; bit++) {
        mantissa = (mantissa >> 16) * (mantissa >> 16);
        fraction <<= 1;
        if (mantissa < (uint64_t)2 << 32) continue;
        mantissa >>= 1;
        fraction |= 1;
    }
    return 1000 * whole + 1000 * fraction / 1024;
}

uint32_t suspicion_confirmations_max(size_t living_count)
{
    size_t others = living_count > 2 ? living_count - 2 : 0;
    return others < SUSPICION_CONFIRMATIONS_MAX ? (uint32_t)others : SUSPICION_CONFIRMATIONS_MAX;
}

/* log(c + 1) / log(k + 1) in thousandths. */
static uint32_t share_milli(uint32_t c, uint32_t k)
{
    enum {
        K = SUSPICION_CONFIRMATIONS_MAX
    };
    static const uint32_t shares[K + 1][K + 1] = {
        {1000, 1000, 1000, 1000}, /* nobody can confirm: wait no longer than the least */
        {0, 1000, 1000, 1000},
        {0, 631, 1000, 1000},
        {0, 500, 792, 1000},
    };
    assert(k <= K);
    return shares[k][c < K ? c : K];
}

duration suspicion_timeout(duration period, size_t living_count, uint32_t confirmations)
{
    assert(period > 0);
    uint32_t log2_milli = suspicion_log2_milli(living_count > 0 ? living_count : 1);
    uint32_t log100_milli = 1000 * log2_milli / LOG2_OF_100_MILLI;
    if (log100_milli < 1000) log100_milli = 1000;
    duration least = ALPHA * period * (duration)log100_milli / 1000;
    duration most = BETA * least;
    uint32_t share = share_milli(confirmations, suspicion_confirmations_max(living_count));
    return most - (most - least) * (duration)share / 1000;
}

void suspicion_start(struct suspicion *suspicion, instant now, duration period, size_t living_count)
{
    suspicion->since = now;
    suspicion->confirmations = 0;
    suspicion->witnesses = 0;
    suspicion->deadline = now + suspicion_timeout(period, living_count, 0);
}

bool suspicion_is_witness(const struct suspicion *suspicion, const struct id *id)
{
    for (uint32_t i = 0; i < suspicion->witnesses; i++)
        if (id_equal(&suspicion->from[i], id)) return true;
    return false;
}

bool suspicion_confirm(struct suspicion *suspicion, const struct id *witness, duration period,
                       size_t living_count)
{
    enum {
        PLACES = sizeof suspicion->from / sizeof *suspicion->from
    };
    if (suspicion->witnesses == PLACES) return false;
    if (suspicion_is_witness(suspicion, witness)) return false;
    suspicion->from[suspicion->witnesses++] = *witness;
    suspicion->confirmations = suspicion->witnesses - 1;
    duration timeout = suspicion_timeout(period, living_count, suspicion->confirmations);
    suspicion_hasten(suspicion, suspicion->since + timeout);
    return true;
}

void suspicion_hasten(struct suspicion *suspicion, instant deadline)
{
    suspicion->deadline = instant_min(suspicion->deadline, deadline);
}

void suspicion_delay(struct suspicion *suspicion, duration slept)
{
    assert(slept >= 0);
    suspicion->since += slept;
    suspicion->deadline += slept;
}
