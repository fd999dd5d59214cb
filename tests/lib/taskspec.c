/* For tests that drive mrtask: writes specs, reads results.
 *
 *   taskspec write FILE key=value ...   kind=map|reduce command combiner partitions memory
 *                                       sort=key|numeric|none timeout_ms output_max ok=3,4
 *                                       env=K=V input=PATH part=PATH:OFFSET:SIZE
 *                                       (env, input, part: any number of times)
 *   taskspec result FILE                prints key=value lines, the log last
 *   taskspec segments FILE              a partitioned block: verified; prints "offset size" lines
 *   taskspec digest FILE                of a file's bytes (of a partitioned block: of its index) */
#include "mapreduce/task.h"
#include "wire/kinds.h"
#include "wire/seal.h"
#include "wire/wire.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUTS_MAX = 10000, TEXTS_MAX = 128 };

struct lists {
    struct msg_task_input inputs[INPUTS_MAX];
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
    return strcmp(text, "none") == 0 ? SORT_NONE : SORT_KEY;
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
    size_t size = wire_packed_size(&wire_task_spec, &spec);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) err(1, "memory");
    struct writer writer = writer_of(bytes, size);
    if (!wire_pack(&wire_task_spec, &spec, &writer)) errx(1, "pack");
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
                                           "disk",      "input-missing", "killed"};
    char digest[DIGEST_TEXT_SIZE];
    printf("outcome=%s\nstatus=%u\n", outcomes[result->outcome % 11], result->status);
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

/* Size of the index; 0 = plain bytes. */
static size_t index_size(struct slice block)
{
    if (block.count < 8 || memcmp(block.at, "MRP1", 4) != 0) return 0;
    size_t size = 8 + (size_t)integer(block.at + 4, 4) * PARTITIONED_INDEX_ITEM;
    return size <= block.count ? size : 0;
}

static int list_segments(const char *path)
{
    struct slice block = read_file(path);
    size_t offset = index_size(block);
    if (offset == 0) errx(1, "%s: no partitioned block", path);
    for (size_t item = 8, end = offset; item < end; item += PARTITIONED_INDEX_ITEM) {
        size_t size = (size_t)integer(block.at + item, 8);
        if (size > block.count - offset) errx(1, "%s: segment beyond the end", path);
        struct digest digest;
        crypto_sodium.digest(slice_of(block.at + offset, size), &digest);
        if (memcmp(digest.bytes, block.at + item + 8, sizeof digest) != 0)
            errx(1, "%s: digest", path);
        printf("%zu %zu\n", offset, size);
        offset += size;
    }
    if (offset != block.count) errx(1, "%s: bytes behind the last segment", path);
    free((void *)block.at);
    return 0;
}

static int print_digest(const char *path)
{
    struct slice block = read_file(path);
    const uint8_t *bytes = block.at;
    if (index_size(block) > 0) block.count = index_size(block);
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
    if (strcmp(what, "segments") == 0) return list_segments(arguments[2]);
    if (strcmp(what, "digest") == 0) return print_digest(arguments[2]);
    errx(2, "write|result|segments|digest FILE");
}
