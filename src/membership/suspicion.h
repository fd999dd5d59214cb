/* How long a suspect has to answer. */
#ifndef MEMBERSHIP_SUSPICION_H
#define MEMBERSHIP_SUSPICION_H

#include "base/id.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Lifeguard's K: so many independent confirmations bring the deadline down to its least. The
     * paper finds three enough, and more slow in small flocks. */
    SUSPICION_CONFIRMATIONS_MAX = 3,
};

struct member;

/* What a member under accusation needs beside its state. */
struct suspicion {
    instant since;
    instant deadline;
    uint32_t confirmations;
    uint32_t witnesses;
    struct id from[SUSPICION_CONFIRMATIONS_MAX + 1]; /* who testified: the accuser and K more */
    /* gossip's own */
    struct member *next, *previous; /* suspects */
    instant probe_now;              /* evidence asks for a probe out of turn; 0 = none */
};

/* The confirmations that can come at all in a flock of so many living members (the suspect
 * included): the accuser and the suspect cannot confirm. */
uint32_t suspicion_confirmations_max(size_t living_count);

/* From the first accusation to the verdict, with so many independent confirmations (Dadgar,
 * Phillips, Currey 2017: "Local Health Aware Suspicion"). living_count: members held alive or
 * suspect, self included. */
duration suspicion_timeout(duration period, size_t living_count, uint32_t confirmations);

/* A new suspicion, from now on: nobody has testified yet. */
void suspicion_start(struct suspicion *suspicion, instant now, duration period,
                     size_t living_count);
/* This node says first hand that the suspect fails its probes. True when it is another witness than
 * those before, and counts; the deadline may come nearer. */
bool suspicion_confirm(struct suspicion *suspicion, const struct id *witness, duration period,
                       size_t living_count);
/* The node with this id has testified. */
bool suspicion_is_witness(const struct suspicion *suspicion, const struct id *id);
/* The verdict falls at this time at the latest. */
void suspicion_hasten(struct suspicion *suspicion, instant deadline);
/* We slept: what we did not hear is no evidence. Moves the suspicion later. */
void suspicion_delay(struct suspicion *suspicion, duration slept);

/* log2(n) in thousandths, n > 0, rounded down. */
uint32_t suspicion_log2_milli(size_t n);

#endif
