/* A reduce attempt: sorted segments -> merge -> command -> output. */
#include "mapreduce/attempt.h"
#include "mapreduce/merge.h"
#include "wire/kinds.h"

#include <assert.h>
#include <unistd.h>

/* What the map said of these records; NULL: it is not known. */
static const struct digest *records_of(const struct attempt *attempt, size_t input)
{
    static const struct digest unknown;
    if (attempt->parts == NULL) return NULL;
    const struct digest *records = &attempt->parts[input].records;
    return digest_equal(records, &unknown) ? NULL : records;
}

static enum error merge_and_run(struct attempt *attempt, struct part *parts, size_t count)
{
    const struct msg_task_spec *spec = attempt->spec;
    struct scratch_file runs;
    scratch_file_init(&runs, &attempt->scratch, "runs");
    struct merge merge;
    enum error error = merge_open(&merge, &attempt->shuffle.order, parts, count, &runs,
                                  attempt_memory_size(attempt));
    if (error == ERROR_NONE) {
        struct inflow in = {merge_next, &merge};
        struct outflow out = {output_take, &attempt->output};
        error = filter_run(attempt, spec->command, false, NULL, in, out);
    }
    merge_close(&merge);
    if (runs.fd >= 0) (void)unlinkat(attempt->scratch.directory, runs.name, 0);
    scratch_file_deinit(&runs);
    return error;
}

enum error reducer_run(struct attempt *attempt)
{
    const struct msg_task_spec *spec = attempt->spec;
    assert(spec->kind == TASK_REDUCE);
    const struct msg_task_input *inputs = spec->inputs.at;
    size_t count = spec->inputs.count;
    size_t parts_size = (count + 1) * sizeof(struct part); /* one more: never of size 0 */
    struct part *parts = memory_take(&attempt->memory, parts_size);
    if (parts == NULL) return ERROR_MEMORY;
    enum error error = ERROR_NONE;
    for (size_t i = 0; i < count && error == ERROR_NONE; i++) {
        parts[i] = (struct part){.path = inputs[i].path,
                                 .offset = inputs[i].offset,
                                 .size = inputs[i].size,
                                 .records = records_of(attempt, i)};
        error = source_measure(&attempt->scratch, &parts[i]);
        attempt->input_size += inputs[i].size;
    }
    if (error == ERROR_NONE) error = merge_and_run(attempt, parts, count);
    memory_put(&attempt->memory, parts, parts_size);
    return error;
}
