/* A map's input: the parts of files named in the spec, one behind the other. */
#ifndef MAPREDUCE_INPUT_H
#define MAPREDUCE_INPUT_H

#include "mapreduce/scratch.h"
#include "wire/wire.h"

#include <stdbool.h>

struct input {
    struct scratch *scratch;
    const struct msg_task_input *items;
    size_t count;
    size_t next;     /* the item to open next */
    int fd;          /* of the item being read, -1 = none */
    bool is_carried; /* it came with the assignment: no file */
    uint64_t offset;
    uint64_t left;
    uint64_t size;  /* bytes read so far, of all */
    uint64_t given; /* of them, given away last: taken when more is asked for */
    uint8_t *buffer;
};

/* Borrows scratch and items. Opens nothing yet. */
void input_init(struct input *input, struct scratch *scratch, const struct msg_task_input *items,
                size_t count);
void input_deinit(struct input *input);

/* Its bytes came with the assignment (scratch.carried): there is no file. */
bool input_is_carried(const struct scratch *scratch, const struct msg_task_input *item);

/* A descriptor of this item's file, from which to pread; -1 with errno. The shared input (shared.h)
 * was opened before the walls went up: it is never opened again by its name. */
int input_descriptor(const struct scratch *scratch, const char *path);

/* An inflow's next, context = the input. ERROR_NOT_FOUND when a file cannot be read or is too short
 * (noted), ERROR_MEMORY. */
enum error input_next(void *input, struct slice *bytes) MUST_USE;

#endif
