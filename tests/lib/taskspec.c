/* For tests that drive mrtask: writes specs, reads results.
 *
 *   taskspec write FILE key=value ...   kind=map|reduce command combiner partitions memory
 *                                       sort=key|numeric|none|fields timeout_ms output_max ok=3,4
 *                                       partition=hash|range|command|sample
 *                                       env=K=V input=PATH part=PATH:OFFSET:SIZE
 *                                       (env, input, part: any number of times)
 *   taskspec result FILE                prints key=value lines, the log last
 *   taskspec segments FILE              a partitioned block: verified; prints "offset size" lines
 *   taskspec records FILE               all its records, as they were before they were stored
 *   taskspec segment FILE               to stdout: these sorted lines as a segment
 *   taskspec digest FILE                of a file's bytes (of a partitioned block: of its name) */
#include "base/hash.h"
#include "mapreduce/squeeze.h"
#include "mapreduce/task.h"
#include "wire/kinds.h"
#include "wire/seal.h"
#include "wire/wire.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    INPUTS_MAX = 10000,
    TEXTS_MAX = 128
};

struct lists {
    struct msg_task_input inputs[INPUTS_MAX];
    struct msg_task_part parts[INPUTS_MAX];
    uint32_t parts_count;
    struct msg_text texts[TEXTS_MAX];
    uint8_t ok_exits[64];
};

static struct slice read_file(const char *path)
{
    struct stat stat_;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &stat_) != 0) err(1, "%s", path);
    size_t size = (size_t)stat_.st_size;
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL || fread(bytes, 1, size, file) != size) err(1, "%s", path);
    fclose(file);
    return slice_of(bytes, size);
}

/* ---- write ---- */

static uint64_t number(const char *text) { return strtoull(text, NULL, 10); }

static uint8_t sort_of(const char *text)
{
    if (strcmp(text, "numeric") == 0) return SORT_NUMERIC;
    if (strcmp(text, "fields") == 0) return SORT_FIELDS;
    return strcmp(text, "none") == 0 ? SORT_NONE : SORT_KEY;
}

static uint8_t partition_of_text(const char *text)
{
    if (strcmp(text, "range") == 0) return PARTITION_RANGE;
    if (strcmp(text, "command") == 0) return PARTITION_COMMAND;
    return strcmp(text, "sample") == 0 ? PARTITION_SAMPLE : PARTITION_HASH;
}

/* PATH (all of it) or PATH:OFFSET:SIZE. */
static void add_input(struct msg_task_spec *spec, struct lists *lists, char *text, bool is_part)
{
    if (spec->inputs.count == INPUTS_MAX) errx(2, "too many inputs");
    struct msg_task_input *input = &lists->inputs[spec->inputs.count++];
    spec->inputs.at = lists->inputs;
    *input = (struct msg_task_input){0};
    if (is_part) {
        char *size = strrchr(text, ':');
        *size++ = '\0';
        char *offset = strrchr(text, ':');
        *offset++ = '\0';
        input->offset = number(offset);
        input->size = number(size);
    } else {
        struct stat stat_;
        if (stat(text, &stat_) != 0) err(1, "%s", text);
        input->size = (uint64_t)stat_.st_size;
    }
    input->path = slice_string(text);
}

static void add_ok_exits(struct msg_task_spec *spec, struct lists *lists, char *text)
{
    size_t count = 0;
    for (char *word = strtok(text, ","); word != NULL && count < 64; word = strtok(NULL, ","))
        lists->ok_exits[count++] = (uint8_t)number(word);
    spec->ok_exits = slice_of(lists->ok_exits, count);
}

static bool set_number(struct msg_task_spec *spec, const char *key, const char *value)
{
    if (strcmp(key, "kind") == 0)
        spec->kind = strcmp(value, "reduce") == 0 ? TASK_REDUCE : TASK_MAP;
    else if (strcmp(key, "partitions") == 0) spec->partitions = (uint32_t)number(value);
    else if (strcmp(key, "sort") == 0) spec->sort = sort_of(value);
    else if (strcmp(key, "partition") == 0) spec->partition = partition_of_text(value);
    else if (strcmp(key, "memory") == 0) spec->memory_size = number(value);
    else if (strcmp(key, "timeout_ms") == 0) spec->timeout_ms = number(value);
    else if (strcmp(key, "output_max") == 0) spec->output_size_max = number(value);
    else return false;
    return true;
}

static void set(struct msg_task_spec *spec, struct lists *lists, const char *key, char *value)
{
    if (set_number(spec, key, value)) return;
    if (strcmp(key, "command") == 0) {
        spec->command = slice_string(value);
    } else if (strcmp(key, "combiner") == 0) {
        spec->combiner = slice_string(value);
    } else if (strcmp(key, "ok") == 0) {
        add_ok_exits(spec, lists, value);
    } else if (strcmp(key, "env") == 0 && spec->environment.count < TEXTS_MAX) {
        lists->texts[spec->environment.count++].text = slice_string(value);
        spec->environment.at = lists->texts;
    } else if (strcmp(key, "input") == 0 || strcmp(key, "part") == 0) {
        add_input(spec, lists, value, strcmp(key, "part") == 0);
    } else if (strcmp(key, "records") == 0 && lists->parts_count < INPUTS_MAX) {
        if (!digest_parse(value, &lists->parts[lists->parts_count++].records))
            errx(2, "%s is no digest", value);
    } else {
        errx(2, "%s=?", key);
    }
}

static int write_spec(const char *path, int count, char *arguments[])
{
    struct msg_task_spec spec = {0};
    struct lists *lists = calloc(1, sizeof *lists);
    if (lists == NULL) err(1, "memory");
    for (int i = 0; i < count; i++) {
        char *value = strchr(arguments[i], '=');
        if (value == NULL) errx(2, "%s: no =", arguments[i]);
        *value++ = '\0';
        set(&spec, lists, arguments[i], value);
    }
    struct msg_task_parts parts = {{lists->parts, lists->parts_count}};
    size_t size = wire_packed_size(&wire_task_spec, &spec);
    if (lists->parts_count > 0) size += wire_packed_size(&wire_task_parts, &parts);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) err(1, "memory");
    struct writer writer = writer_of(bytes, size);
    if (!wire_pack(&wire_task_spec, &spec, &writer)) errx(1, "pack");
    if (lists->parts_count > 0 && !wire_pack(&wire_task_parts, &parts, &writer)) errx(1, "pack");
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        err(1, "%s", path);
    free(bytes);
    free(lists);
    return 0;
}

/* ---- result ---- */

static void print_result(const struct msg_task_result *result)
{
    static const char *const outcomes[] = {"",          "done",          "exited", "signaled",
                                           "timed-out", "too-big",       "again",  "not-started",
                                           "disk",      "input-missing", "killed", "unreadable",
                                           "no-memory"};
    char digest[DIGEST_TEXT_SIZE];
    size_t known = sizeof outcomes / sizeof *outcomes;
    printf("outcome=%s\n", result->outcome < known ? outcomes[result->outcome] : "unknown");
    printf("status=%u\n", result->status);
    printf("text=%.*s\n", (int)result->text.count, (const char *)result->text.at);
    printf("digest=%s\n", digest_text(&result->output.digest, digest));
    printf("size=%llu\nrecords=%llu\ninput_size=%llu\nelapsed_ms=%llu\n",
           (unsigned long long)result->output.size, (unsigned long long)result->records,
           (unsigned long long)result->input_size, (unsigned long long)result->elapsed_ms);
    const struct msg_counter *counters = result->counters.at;
    for (uint32_t i = 0; i < result->counters.count; i++)
        printf("counter=%.*s,%.*s,%llu\n", (int)counters[i].group.count,
               (const char *)counters[i].group.at, (int)counters[i].name.count,
               (const char *)counters[i].name.at, (unsigned long long)counters[i].value);
    printf("log_size=%zu\nlog=", result->log.count);
    fwrite(result->log.at, 1, result->log.count, stdout);
    putchar('\n');
}

static int read_result(const char *path)
{
    struct slice input = read_file(path);
    const uint8_t *bytes = input.at;
    struct arena arena;
    size_t arena_size = 1 << 20;
    void *memory = aligned_alloc(16, arena_size);
    if (memory == NULL) err(1, "memory");
    arena_init(&arena, memory, arena_size);
    struct wire_message message;
    const char *why = wire_unpack(&input, &message, &arena);
    if (why == NULL && message.type != MSG_task_result) why = "not a result";
    if (why != NULL) errx(1, "%s: %s", path, why);
    print_result(message.fields);
    free(memory);
    free((void *)bytes);
    return 0;
}

/* ---- partitioned blocks ---- */

static uint64_t integer(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* How many partitions; 0 = plain bytes, or no whole index. */
static size_t partitions_of(struct slice block)
{
    if (block.count < 8 || memcmp(block.at, "MRP2", 4) != 0) return 0;
    size_t count = (size_t)integer(block.at + 4, 4);
    size_t item = PARTITIONED_INDEX_ITEM + PARTITIONED_STORED_ITEM;
    return count <= (block.count - 8) / item ? count : 0;
}

static size_t name_size(struct slice block)
{
    return 8 + partitions_of(block) * PARTITIONED_INDEX_ITEM;
}

/* A segment's records, checked in every way; freed by the caller. */
static uint8_t *unpack_segment(const char *path, struct slice segment, size_t size)
{
    struct squeeze squeeze = {0};
    uint8_t *records = malloc(size + 1);
    size_t used = 0, line = 0, line_max = 0;
    if (records == NULL || !squeeze_can_unpack(&squeeze)) err(1, "memory");
    size_t end = segment.count == 0 ? 0 : segment.count - SEGMENT_TAIL;
    for (size_t at = 0; at < end;) {
        struct page_head head;
        bool is_right =
            end - at >= PAGE_HEAD && squeeze_read_head(segment.at + at, &head) &&
            head.stored <= end - at - PAGE_HEAD && head.size <= size - used &&
            squeeze_unpack(&squeeze, &head, segment.at + at + PAGE_HEAD, records + used);
        if (!is_right) errx(1, "%s: page", path);
        at += PAGE_HEAD + head.stored;
        used += head.size;
    }
    for (size_t i = 0; i < used; i++) {
        if (++line > line_max) line_max = line;
        if (records[i] == '\n') line = 0;
    }
    squeeze_deinit(&squeeze);
    if (used != size) errx(1, "%s: size", path);
    if (end == 0) return records;
    bool is_tail_right =
        integer(segment.at + end, 8) == line_max && integer(segment.at + end + 8, 8) == size;
    if (!is_tail_right) errx(1, "%s: tail", path);
    return records;
}

static int list_segments(const char *path, bool wants_records)
{
    struct slice block = read_file(path);
    size_t count = partitions_of(block), name = name_size(block);
    size_t offset = name + count * PARTITIONED_STORED_ITEM;
    if (count == 0) errx(1, "%s: no partitioned block", path);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *item = block.at + 8 + i * PARTITIONED_INDEX_ITEM;
        const uint8_t *stored = block.at + name + i * PARTITIONED_STORED_ITEM;
        size_t size = (size_t)integer(item, 8), stored_size = (size_t)integer(stored, 8);
        if (stored_size > block.count - offset) errx(1, "%s: segment beyond the end", path);
        struct slice segment = slice_of(block.at + offset, stored_size);
        if (hash64(segment.at, segment.count, 0) != integer(stored + 8, 8))
            errx(1, "%s: XXH3", path);
        uint8_t *records = unpack_segment(path, segment, size);
        struct digest digest;
        crypto_sodium.digest(slice_of(records, size), &digest);
        if (memcmp(digest.bytes, item + 8, sizeof digest) != 0) errx(1, "%s: digest", path);
        if (wants_records) fwrite(records, 1, size, stdout);
        else printf("%zu %zu\n", offset, stored_size);
        free(records);
        offset += stored_size;
    }
    if (offset != block.count) errx(1, "%s: bytes behind the last segment", path);
    free((void *)block.at);
    return 0;
}

static int write_segment(const char *path)
{
    struct squeeze squeeze = {0};
    struct slice bytes = read_file(path);
    uint8_t *page = malloc(PAGE_HEAD + PAGE_SIZE_MAX), tail[SEGMENT_TAIL];
    size_t line = 0, line_max = 0;
    if (page == NULL) err(1, "memory");
    for (size_t at = 0; at < bytes.count;) {
        size_t count = bytes.count - at < PAGE_SIZE_MAX ? bytes.count - at : PAGE_SIZE_MAX;
        fwrite(page, 1, squeeze_pack(&squeeze, slice_of(bytes.at + at, count), page), stdout);
        at += count;
    }
    for (size_t i = 0; i < bytes.count; i++) {
        if (++line > line_max) line_max = line;
        if (bytes.at[i] == '\n') line = 0;
    }
    for (unsigned i = 0; i < 8; i++) tail[i] = (uint8_t)(line_max >> 8 * i);
    for (unsigned i = 0; i < 8; i++) tail[8 + i] = (uint8_t)(bytes.count >> 8 * i);
    if (bytes.count > 0) fwrite(tail, 1, sizeof tail, stdout);
    squeeze_deinit(&squeeze);
    free(page);
    free((void *)bytes.at);
    return 0;
}

static int print_digest(const char *path)
{
    struct slice block = read_file(path);
    const uint8_t *bytes = block.at;
    if (partitions_of(block) > 0) block.count = name_size(block);
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    crypto_sodium.digest(block, &digest);
    puts(digest_text(&digest, text));
    free((void *)bytes);
    return 0;
}

int main(int count, char *arguments[])
{
    const char *what = count >= 3 ? arguments[1] : "";
    if (strcmp(what, "write") == 0) return write_spec(arguments[2], count - 3, arguments + 3);
    if (strcmp(what, "result") == 0) return read_result(arguments[2]);
    if (strcmp(what, "segments") == 0) return list_segments(arguments[2], false);
    if (strcmp(what, "records") == 0) return list_segments(arguments[2], true);
    if (strcmp(what, "segment") == 0) return write_segment(arguments[2]);
    if (strcmp(what, "digest") == 0) return print_digest(arguments[2]);
    errx(2, "write|result|segments|records|segment|digest FILE");
}
