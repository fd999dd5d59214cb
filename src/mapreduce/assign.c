/* The map's whole output lies in a file, so the command reads it at its own pace, and we read it
 * once more behind: no pipe can wait for another one, whatever the command buffers. */
#include "mapreduce/assign.h"

#include "mapreduce/excerpt.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Where one of the two readers is. */
struct reader {
    struct scratch_file *spool;
    uint64_t offset;
    uint8_t *buffer; /* FLOW_SIZE */
};

struct assign {
    struct attempt *attempt;
    struct partition *partition;
    struct outflow out;
    struct reader feeding;
    struct reader giving;
    struct slice ready; /* of giving's buffer: not given yet */
    bool has_digits;
    bool is_bad;                     /* what it prints is no number below the count */
    uint64_t number;                 /* being read */
    uint8_t said[EXCERPT_BYTES + 1]; /* the line that it is read from, as far as it is read */
    size_t said_size;
    uint64_t records; /* given so far */
    uint64_t offset;  /* of the next one in the map's output */
};

/* An inflow's next. */
static enum error next_bytes(void *context, struct slice *bytes)
{
    struct reader *reader = context;
    uint64_t left = reader->spool->size - reader->offset;
    size_t wanted = left < FLOW_SIZE ? (size_t)left : FLOW_SIZE;
    *bytes = (struct slice){0};
    if (wanted == 0) return ERROR_NONE;
    ssize_t done;
    do done = pread(reader->spool->fd, reader->buffer, wanted, (off_t)reader->offset);
    while (done < 0 && errno == EINTR);
    if (done == 0) errno = ENODATA;
    if (done <= 0)
        return trouble_note(&reader->spool->scratch->trouble, "read", reader->spool->name);
    reader->offset += (uint64_t)done;
    *bytes = slice_of(reader->buffer, (size_t)done);
    return ERROR_NONE;
}

/* The next record goes where the number says. */
static enum error give_record(struct assign *assign)
{
    if (!assign->has_digits || assign->number >= assign->partition->count) assign->is_bad = true;
    assign->partition->given = (uint32_t)assign->number;
    if (!assign->is_bad) assign->said_size = 0;
    assign->has_digits = false;
    assign->number = 0;
    for (bool is_whole = false; !is_whole && !assign->is_bad;) {
        enum error error = ERROR_NONE;
        if (assign->ready.count == 0) error = next_bytes(&assign->giving, &assign->ready);
        if (error != ERROR_NONE) return error;
        struct slice *ready = &assign->ready;
        if (ready->count == 0) assign->is_bad = true; /* more numbers than records */
        if (ready->count == 0) break;
        const uint8_t *newline = memchr(ready->at, '\n', ready->count);
        is_whole = newline != NULL;
        size_t count = is_whole ? (size_t)(newline - ready->at) + 1 : ready->count;
        error = assign->out.take(assign->out.context, slice_of(ready->at, count));
        if (error != ERROR_NONE) return error;
        *ready = slice_of(ready->at + count, ready->count - count);
        assign->offset += count;
    }
    if (!assign->is_bad) assign->records++;
    return ERROR_NONE;
}

/* An outflow's take: what the command prints. */
static enum error take_numbers(void *context, struct slice bytes)
{
    struct assign *assign = context;
    for (size_t i = 0; i < bytes.count && !assign->is_bad; i++) {
        uint8_t byte = bytes.at[i];
        if (byte != '\n' && assign->said_size < sizeof assign->said)
            assign->said[assign->said_size++] = byte;
        if (byte == '\n') {
            enum error error = give_record(assign);
            if (error != ERROR_NONE) return error;
        } else if (byte >= '0' && byte <= '9' && assign->number < UINT32_MAX) {
            assign->number = assign->number * 10 + (byte - '0');
            assign->has_digits = true;
        } else {
            assign->is_bad = byte != ' ' || assign->number == UINT32_MAX;
        }
    }
    return ERROR_NONE;
}

static enum error judge(struct assign *assign)
{
    bool is_complete =
        assign->ready.count == 0 && assign->giving.offset == assign->feeding.spool->size;
    if (!assign->is_bad && is_complete) return ERROR_NONE;
    struct verdict *verdict = &assign->attempt->verdict;
    unsigned long long record = assign->records + 1, offset = assign->offset;
    char said[EXCERPT_SIZE];
    *verdict = (struct verdict){.outcome = OUTCOME_EXITED, .status = 1};
    assign->attempt->place.is_known = false; /* this one is exact */
    if (assign->is_bad && offset == assign->feeding.spool->size)
        snprintf(verdict->text, sizeof verdict->text,
                 "partitioner: it printed more than %llu lines, one for each record of the map's "
                 "output",
                 record - 1);
    else
        snprintf(
            verdict->text, sizeof verdict->text,
            "partitioner: record %llu of the map's output, at byte %llu of it, got %s; it must "
            "print a line for each record, with a number from 0 to %u",
            record, offset,
            assign->is_bad ? excerpt_of(slice_of(assign->said, assign->said_size), said)
                           : "nothing",
            assign->partition->count - 1);
    return ERROR_INVALID;
}

enum error assign_run(struct attempt *attempt, struct slice command, struct scratch_file *spool,
                      struct partition *partition, struct outflow out)
{
    struct memory *memory = &attempt->memory;
    struct assign assign = {.attempt = attempt, .partition = partition, .out = out};
    assert(spool->buffered == 0);
    partition->kind = PARTITION_COMMAND;
    uint8_t *buffers = memory_take(memory, (size_t)2 * FLOW_SIZE);
    if (buffers == NULL) return ERROR_MEMORY;
    assign.feeding = (struct reader){spool, 0, buffers};
    assign.giving = (struct reader){spool, 0, buffers + FLOW_SIZE};
    struct inflow in = {next_bytes, &assign.feeding};
    struct outflow numbers = {take_numbers, &assign};
    enum error error = filter_run(attempt, command, false, "partitioner", in, numbers);
    if (error == ERROR_NONE && assign.has_digits) error = give_record(&assign);
    if (error == ERROR_NONE) error = judge(&assign);
    memory_put(memory, buffers, (size_t)2 * FLOW_SIZE);
    return error;
}
