/* A map attempt: input -> command -> records -> [combiner -> records] -> the segments of a
 * partitioned block; or, with no partitions, input -> command -> output. The combiner sees each
 * partition once, merged and sorted; what it prints is sorted again, for nobody promises that it
 * keeps the order. */
#include "mapreduce/attempt.h"
#include "mapreduce/builtin.h"
#include "mapreduce/input.h"
#include "mapreduce/merge.h"
#include "mapreduce/records.h"
#include "wire/kinds.h"

#include <assert.h>

struct mapper {
    struct attempt *attempt;
    struct order order;
    struct records records;
    struct input input;
};

/* One partition through the combiner, into the output. */
static enum error combine(struct mapper *mapper, struct merge *merge, struct outflow output)
{
    struct attempt *attempt = mapper->attempt;
    struct records combined;
    records_init(&combined, &attempt->scratch, &mapper->order, 1, mapper->records.limit,
                 "combined");
    struct inflow in = {merge_next, merge};
    struct outflow out = {records_take, &combined};
    enum error error = filter_run(attempt, attempt->spec->combiner, false, "combiner", in, out);
    if (error == ERROR_NONE) error = records_end(&combined);
    if (error == ERROR_NONE) error = records_pour(&combined, 0, output);
    records_deinit(&combined);
    return error;
}

static enum error combine_partition(struct mapper *mapper, uint32_t partition,
                                    struct outflow output)
{
    struct records *records = &mapper->records;
    struct memory *memory = records->scratch->memory;
    struct part *parts;
    size_t count;
    enum error error = records_parts(records, partition, &parts, &count);
    if (error != ERROR_NONE) return error;
    size_t parts_size = count * sizeof *parts;
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) size += parts[i].size;
    if (size > 0) { /* nothing to combine needs no combiner */
        struct merge merge;
        error = merge_open(&merge, &mapper->order, parts, count, &records->runs, records->limit);
        if (error == ERROR_NONE) error = combine(mapper, &merge, output);
        merge_close(&merge);
    }
    memory_put(memory, parts, parts_size);
    return error;
}

static enum error write_segments(struct mapper *mapper)
{
    struct records *records = &mapper->records;
    bool has_combiner = mapper->attempt->spec->combiner.count > 0;
    struct outflow output = {output_take, &mapper->attempt->output};
    enum error error = has_combiner ? records_end_in_runs(records) : records_end(records);
    for (uint32_t p = 0; p < records->partitions && error == ERROR_NONE; p++) {
        if (has_combiner) error = combine_partition(mapper, p, output);
        else error = records_pour(records, p, output);
        if (error == ERROR_NONE) error = output_end_segment(&mapper->attempt->output);
    }
    return error;
}

static enum error run_partitioned(struct mapper *mapper)
{
    struct attempt *attempt = mapper->attempt;
    const struct msg_task_spec *spec = attempt->spec;
    size_t limit = attempt_memory_size(attempt);
    if (spec->combiner.count > 0) limit /= 2; /* there is a second buffer, for what it prints */
    mapper->order = (struct order){spec->sort, builtin_is_whole_line(spec->command)};
    records_init(&mapper->records, &attempt->scratch, &mapper->order, spec->partitions, limit,
                 "runs");
    struct inflow in = {input_next, &mapper->input};
    struct outflow out = {records_take, &mapper->records};
    enum error error = filter_run(attempt, spec->command, true, NULL, in, out);
    if (error == ERROR_NONE) error = write_segments(mapper);
    records_deinit(&mapper->records);
    return error;
}

enum error mapper_run(struct attempt *attempt)
{
    const struct msg_task_spec *spec = attempt->spec;
    assert(spec->kind == TASK_MAP);
    struct mapper mapper = {.attempt = attempt};
    input_init(&mapper.input, &attempt->scratch, spec->inputs.at, spec->inputs.count);
    enum error error;
    if (spec->partitions > 0) {
        error = run_partitioned(&mapper);
    } else {
        struct inflow in = {input_next, &mapper.input};
        struct outflow out = {output_take, &attempt->output};
        error = filter_run(attempt, spec->command, true, NULL, in, out);
    }
    attempt->input_size = mapper.input.size;
    input_deinit(&mapper.input);
    return error;
}
