/* How long a suspect has to answer. */
#ifndef MEMBERSHIP_SUSPICION_H
#define MEMBERSHIP_SUSPICION_H

#include "membership/members.h"

enum {
    /* Lifeguard's K: so many independent confirmations bring the deadline down to its least. The
     * paper finds three enough, and more slow in small flocks. */
    SUSPICION_CONFIRMATIONS_MAX = 3,
};

/* The confirmations that can come at all in a flock of so many living members (the suspect
 * included): the accuser and the suspect cannot confirm. */
uint32_t suspicion_confirmations_max(size_t living_count);

/* From the first accusation to the verdict, with so many independent confirmations (Dadgar,
 * Phillips, Currey 2017: "Local Health Aware Suspicion"). living_count: members held alive or
 * suspect, self included. */
duration suspicion_timeout(duration period, size_t living_count, uint32_t confirmations);

/* A new suspicion of this member, from now on: nobody has testified yet. */
void suspicion_start(struct member *member, instant now, duration period, size_t living_count);
/* This node says first hand that the member fails its probes. True when it is another witness than
 * those before, and counts; the deadline may come nearer. */
bool suspicion_confirm(struct member *member, const struct id *witness, duration period,
                       size_t living_count);
/* The node with this id has testified. */
bool suspicion_is_witness(const struct member *member, const struct id *id);
/* The verdict falls at this time at the latest. */
void suspicion_hasten(struct member *member, instant deadline);
/* We slept: what we did not hear is no evidence. Moves the suspicion later. */
void suspicion_delay(struct member *member, duration slept);

/* log2(n) in thousandths, n > 0, rounded down. */
uint32_t suspicion_log2_milli(size_t n);

#endif
