/* A map attempt: input -> command -> records -> [combiner -> records] -> the segments of a
 * partitioned block; or, with no partitions, input -> command -> output. The combiner sees each
 * partition once, merged and sorted; what it prints is sorted again, for nobody promises that it
 * keeps the order. */
#include "mapreduce/assign.h"
#include "mapreduce/attempt.h"
#include "mapreduce/input.h"
#include "mapreduce/merge.h"
#include "mapreduce/records.h"
#include "mapreduce/sample.h"
#include "wire/kinds.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

struct mapper {
    struct attempt *attempt;
    struct partition partition;
    struct records records;
    struct input input;
};

/* A command printed more without a newline than a record may have. */
static enum error judge_records(struct mapper *mapper, const struct records *records,
                                const char *role, enum error error)
{
    struct verdict *verdict = &mapper->attempt->verdict;
    uint64_t number, offset;
    if (error != ERROR_INVALID || !records->is_too_large) return error;
    records_too_large(records, &number, &offset);
    *verdict = (struct verdict){.outcome = OUTCOME_OUTPUT_TOO_BIG};
    const char *more =
        records->record_max < RECORD_SIZE_MAX ? " give each task more memory (--mem)," : "";
    snprintf(verdict->text, sizeof verdict->text,
             "%srecord %llu of its output, from byte %llu of it on, is larger than %zu MiB: a "
             "record ends with a newline, and is sorted whole; print shorter ones,%s or leave out "
             "the reducer",
             role, (unsigned long long)number, (unsigned long long)offset,
             records->record_max >> 20, more);
    return error;
}

/* One partition through the combiner, into the output. */
static enum error combine(struct mapper *mapper, struct merge *merge, struct outflow output)
{
    struct attempt *attempt = mapper->attempt;
    struct records combined;
    records_init(&combined, &attempt->scratch, &attempt->shuffle.order, NULL, mapper->records.limit,
                 "combined");
    records_bound(&combined, attempt_memory_size(attempt));
    struct inflow in = {merge_next, merge};
    struct outflow out = {records_take, &combined};
    enum error error = filter_run(attempt, attempt->spec->combiner, false, "combiner", in, out);
    error = judge_records(mapper, &combined, "combiner: ", error);
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
        error = merge_open(&merge, records->order, parts, count, &records->runs, records->limit);
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

/* ---- from the command to the records ---- */

static enum error run_command(struct mapper *mapper, struct outflow out)
{
    struct inflow in = {input_next, &mapper->input};
    return filter_run(mapper->attempt, mapper->attempt->spec->command, true, NULL, in, out);
}

/* The command's whole output in a file, its last line ended. */
struct spool {
    struct scratch_file file;
    uint8_t last;
};

static enum error spool_take(void *context, struct slice bytes)
{
    struct spool *spool = context;
    if (bytes.count > 0) spool->last = bytes.at[bytes.count - 1];
    return scratch_write(&spool->file, bytes);
}

static enum error run_with_partitioner(struct mapper *mapper)
{
    struct attempt *attempt = mapper->attempt;
    struct spool spool = {.last = '\n'};
    scratch_file_init(&spool.file, &attempt->scratch, "mapped");
    enum error error = run_command(mapper, (struct outflow){spool_take, &spool});
    if (error == ERROR_NONE && spool.last != '\n') error = spool_take(&spool, slice_string("\n"));
    if (error == ERROR_NONE) error = scratch_flush(&spool.file);
    struct outflow out = {records_take, &mapper->records};
    if (error == ERROR_NONE && spool.file.size > 0)
        error =
            assign_run(attempt, attempt->shuffle.partitioner, &spool.file, &mapper->partition, out);
    if (spool.file.fd >= 0) (void)unlinkat(attempt->scratch.directory, spool.file.name, 0);
    scratch_file_deinit(&spool.file);
    return error;
}

/* Pieces of the input, through the command, and of what it makes a sample. */
static enum error run_for_sample(struct mapper *mapper)
{
    struct attempt *attempt = mapper->attempt;
    const struct msg_task_input *whole = attempt->spec->inputs.at;
    size_t pieces_max = (attempt->spec->inputs.count + 1) * (size_t)SAMPLE_PIECES, count = 0;
    struct msg_task_input *pieces = memory_take(&attempt->memory, pieces_max * sizeof *pieces);
    struct sample sample;
    if (pieces == NULL) return ERROR_MEMORY;
    enum error error = sample_init(&sample, &attempt->scratch, &mapper->partition.order,
                                   attempt->shuffle.fields, SAMPLE_KEYS_OF_MAP);
    for (uint32_t i = 0; i < attempt->spec->inputs.count && error == ERROR_NONE; i++) {
        size_t more;
        error = sample_choose(&attempt->scratch, &whole[i], pieces + count, &more);
        count += more;
    }
    input_deinit(&mapper->input);
    input_init(&mapper->input, &attempt->scratch, pieces, count);
    if (error == ERROR_NONE) error = run_command(mapper, (struct outflow){sample_take, &sample});
    if (error == ERROR_NONE) {
        sample_end(&sample);
        error = sample_pour(&sample, (struct outflow){records_take, &mapper->records});
    }
    sample_deinit(&sample);
    memory_put(&attempt->memory, pieces, pieces_max * sizeof *pieces);
    return error;
}

/* Before the command starts, which may write where the job's files are. */
static enum error read_ranges(struct mapper *mapper)
{
    struct attempt *attempt = mapper->attempt;
    char path[sizeof attempt->directory + sizeof RANGES_FILE + 1];
    snprintf(path, sizeof path, "%s/%s", attempt->directory, RANGES_FILE);
    return partition_read_ranges(&mapper->partition, attempt->scratch.directory, path,
                                 &attempt->scratch.trouble);
}

static enum error run_to_records(struct mapper *mapper)
{
    struct attempt *attempt = mapper->attempt;
    enum error error = ERROR_NONE;
    switch ((enum partition_kind)attempt->spec->partition) {
    case PARTITION_COMMAND: return run_with_partitioner(mapper);
    case PARTITION_SAMPLE: return run_for_sample(mapper);
    case PARTITION_RANGE: error = read_ranges(mapper); break;
    case PARTITION_HASH: break;
    }
    if (error != ERROR_NONE) return error == ERROR_INVALID ? ERROR_NOT_FOUND : error;
    return run_command(mapper, (struct outflow){records_take, &mapper->records});
}

static enum error run_partitioned(struct mapper *mapper)
{
    struct attempt *attempt = mapper->attempt;
    const struct msg_task_spec *spec = attempt->spec;
    const struct order *order = &attempt->shuffle.order;
    size_t limit = attempt_memory_size(attempt);
    if (spec->combiner.count > 0) limit /= 2; /* there is a second buffer, for what it prints */
    partition_init(&mapper->partition, &attempt->memory, order, spec->partitions,
                   attempt->shuffle.fields);
    records_init(&mapper->records, &attempt->scratch, order, &mapper->partition, limit, "runs");
    records_bound(&mapper->records, attempt_memory_size(attempt));
    enum error error = run_to_records(mapper);
    error = judge_records(mapper, &mapper->records, "", error);
    if (error == ERROR_NONE) error = write_segments(mapper);
    records_deinit(&mapper->records);
    partition_deinit(&mapper->partition);
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
        error = run_command(&mapper, (struct outflow){output_take, &attempt->output});
    }
    attempt->input_size = mapper.input.size;
    input_deinit(&mapper.input);
    return error;
}
