/* What a log is made of, for log.c (entries and batches), loading.c (the disk's), compact.c
 * (what is cut) and adopt.c (snapshots that come in) alone. */
#ifndef STORE_LOG_STATE_H
#define STORE_LOG_STATE_H

#include "store/log.h"
#include "store/snapshot.h"

/* An entry appended, not committed. Its encoded fields are in log.open_bytes, in the same order. */
struct open_entry {
    uint64_t time;
    uint8_t kind;
    size_t size;
};

struct log {
    struct log_config config;
    struct memory *memory;
    struct feeds feeds;
    struct lamport clock;
    uint64_t token; /* the last one given to ports.persist */
    struct open_entry *open;
    size_t open_count;
    size_t open_capacity;
    uint8_t *open_bytes;
    size_t open_size;
    size_t open_bytes_capacity;
    bool is_delivering; /* ports.entry is being called: no other batch now */
    struct intake intake;
    struct log_counters counters;
};

/* Gives a batch's entries to the port; no other batch meanwhile. */
void log_deliver(struct log *log, const struct content *content);
/* Keeps a batch that was read, unfolded and comes next in its feed. NULL when out of memory. */
const struct batch *log_keep(struct log *log, const struct content *content,
                             const struct msg_log_batch *message, uint64_t token);
/* Both say it and return the reason. */
const char *log_found_fork(struct log *log, struct log_feed *feed);
const char *log_found_usurper(struct log *log, const struct boot *boot);
void log_count_refusal(struct log *log, const char *reason, const struct id *from);

#endif
