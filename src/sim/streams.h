/* Streams of the laboratory: ordered, reliable records with a delay, as TCP under the channel of
 * wire/channel.h would give them. The handshake is abstracted: both ends learn the true party of
 * the other side.
 *
 *   opener (even id)  --accept-->  acceptor (odd id): EVENT_STREAM_OPENED
 *   EVENT_STREAM_OPENED  <--one delay later--
 *
 * An end that crashes is noticed by the other: at once (a killed process) or after a while (a power
 * cut, a partition). */
#ifndef SIM_STREAMS_H
#define SIM_STREAMS_H

#include "base/map.h"
#include "base/prng.h"
#include "base/slice.h"
#include "base/time.h"
#include "wire/channel.h"

#include <stdbool.h>

struct world;
struct happening;
struct host;

/* One end. party: a host's index, or hosts_count + a client's. */
struct stream_end {
    struct {
        uint64_t id; /* as the node (or client) knows it; 0 = not there yet */
        uint64_t party;
    } key;
    struct stream *stream;
    bool is_attached; /* it still wants events */
};

struct stream_record {
    struct stream_record *next;
    instant arrives;
    bool is_goodbye;
    size_t count;
    uint8_t bytes[];
};

/* What is on its way to one end. */
struct stream_pipe {
    struct stream_record *first, *last;
    size_t size;
    instant arrived_last;
    bool is_head_due; /* a HAPPEN_STREAM_HEAD is out */
};

enum stream_state {
    STREAM_CONNECTING,
    STREAM_OPEN,
    STREAM_BROKEN, /* both ends will be told, or have been */
};

struct stream {
    uint64_t number;
    enum stream_state state;
    enum channel_purpose purpose;
    struct stream_end ends[2];   /* 0: the opener */
    struct stream_pipe pipes[2]; /* towards that end */
    struct stream *next, *previous;
};

struct streams {
    struct map by_number;
    struct map by_end;
    struct stream *all; /* newest first */
    uint64_t number_last;
    uint64_t odd_next;
};

void streams_init(struct streams *streams, struct memory *memory);
void streams_deinit(struct streams *streams);

void streams_open(struct world *world, uint32_t party, uint64_t id, const struct address *to,
                  enum channel_purpose purpose);
/* Copies. Ignored when the stream is gone. */
void streams_send(struct world *world, uint32_t party, uint64_t id, struct slice bytes);
/* Orderly, after what was sent. */
void streams_close(struct world *world, uint32_t party, uint64_t id);
/* This party is gone: all its streams end. is_silent: nobody tells the others before a while. */
void streams_crash(struct world *world, uint32_t party, bool is_silent);
/* Breaks a random stream between nodes; false when there is none. */
bool streams_cut_one(struct world *world, struct prng *prng);
/* Breaks streams across links that have been cut too long. */
void streams_sweep(struct world *world);
/* One of the HAPPEN_STREAM_ kinds. */
void streams_happen(struct world *world, const struct happening *happening);

#endif
