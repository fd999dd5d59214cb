/* Word count three times over. A map writes each word as often as it occurs, the reduce merges such
 * segments line by line, the reference prints how often words occur in all inputs: so a task that
 * got other bytes than it should, or twice, has another result. */
#include "sim/model.h"

#include "base/hash.h"
#include "mapreduce/task.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HEAD_SIZE = 8,   /* "MRP1" and the count of partitions */
    LINE_MAX = 64,   /* a word and its count */
    VOCABULARY = 60, /* words that exist, w0 to w59: few, so that keys meet */
    WORDS_A_LINE = 8,
};

struct bytes {
    uint8_t *at;
    size_t count, capacity;
};

static void append(struct bytes *bytes, const void *at, size_t count)
{
    while (bytes->count + count > bytes->capacity) {
        bytes->capacity = bytes->capacity == 0 ? 256 : 2 * bytes->capacity;
        bytes->at = realloc(bytes->at, bytes->capacity);
        assert(bytes->at != NULL);
    }
    if (count > 0) memcpy(bytes->at + bytes->count, at, count);
    bytes->count += count;
}

enum model model_parse(struct slice command, uint32_t *percent)
{
    static const char flaky[] = "flaky:";
    *percent = 0;
    if (slice_equal(command, slice_string("wordcount"))) return MODEL_WORDCOUNT;
    if (slice_equal(command, slice_string("slow"))) return MODEL_SLOW;
    if (slice_equal(command, slice_string("poison"))) return MODEL_POISON;
    if (command.count <= sizeof flaky - 1) return MODEL_FAIL;
    if (memcmp(command.at, flaky, sizeof flaky - 1) != 0) return MODEL_FAIL;
    for (size_t i = sizeof flaky - 1; i < command.count; i++)
        *percent = 10 * *percent + (uint32_t)(command.at[i] - '0');
    return MODEL_FLAKY;
}

/* ---- words ---- */

/* The next word of the text; empty at its end. */
static struct slice next_word(struct slice *text)
{
    size_t start = 0;
    while (start < text->count && (text->at[start] == ' ' || text->at[start] == '\n')) start++;
    size_t end = start;
    while (end < text->count && text->at[end] != ' ' && text->at[end] != '\n') end++;
    struct slice word = slice_of(text->at + start, end - start);
    *text = slice_of(text->at + end, text->count - end);
    return word;
}

/* How often each word of the vocabulary occurs. */
struct counts {
    uint64_t of[VOCABULARY];
};

/* w0 to w59. */
static struct slice name_of(uint32_t rank, char text[4])
{
    size_t count = 0;
    text[count++] = 'w';
    if (rank >= 10) text[count++] = (char)('0' + rank / 10);
    text[count++] = (char)('0' + rank % 10);
    return slice_of(text, count);
}

static void count_words(struct counts *counts, struct slice text)
{
    for (struct slice word; (word = next_word(&text)).count > 0;) {
        uint32_t rank = 0;
        for (size_t i = 1; i < word.count; i++) rank = 10 * rank + (uint32_t)(word.at[i] - '0');
        assert(word.at[0] == 'w' && rank < VOCABULARY);
        counts->of[rank]++;
    }
}

/* The ranks in the order of their names: w0, w1, w10, w11, ... */
static void order_names(uint32_t ranks[VOCABULARY])
{
    size_t count = 0;
    for (uint32_t first = 0; first < 10; first++) {
        ranks[count++] = first;
        for (uint32_t rank = 10 * first; first > 0 && rank < 10 * first + 10; rank++)
            if (rank < VOCABULARY) ranks[count++] = rank;
    }
    assert(count == VOCABULARY);
}

static uint32_t partition_of(struct slice word, uint32_t partitions)
{
    return partitions == 0 ? 0 : (uint32_t)(hash64(word.at, word.count, 0) % partitions);
}

static void finish(const struct crypto *crypto, struct bytes *bytes, size_t digest_size,
                   uint64_t records, struct output *output)
{
    append(bytes, "", 1); /* never NULL */
    bytes->count--;
    *output = (struct output){.bytes = bytes->at, .size = bytes->count, .records = records};
    crypto->digest(slice_of(bytes->at, digest_size), &output->digest);
}

/* ---- map ---- */

static void store_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static void store_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static void add_line(struct bytes *bytes, struct slice word)
{
    append(bytes, word.at, word.count);
    append(bytes, "\t1\n", 3);
}

/* Each word as often as it occurs, in order. */
static uint64_t add_segment(struct bytes *bytes, const struct counts *counts, uint32_t part,
                            uint32_t partitions)
{
    uint32_t ranks[VOCABULARY];
    uint64_t lines = 0;
    char text[4];
    order_names(ranks);
    for (size_t i = 0; i < VOCABULARY; i++) {
        struct slice word = name_of(ranks[i], text);
        if (counts->of[ranks[i]] == 0 || partition_of(word, partitions) != part) continue;
        for (uint64_t n = 0; n < counts->of[ranks[i]]; n++, lines++) add_line(bytes, word);
    }
    return lines;
}

void model_map(const struct crypto *crypto, struct slice input, uint32_t partitions,
               struct output *output)
{
    struct bytes bytes = {0};
    uint64_t records = 0;
    if (partitions == 0) {
        for (struct slice word; (word = next_word(&input)).count > 0; records++)
            add_line(&bytes, word);
        finish(crypto, &bytes, bytes.count, records, output);
        return;
    }
    struct counts counts = {{0}};
    count_words(&counts, input);
    size_t index_size = HEAD_SIZE + (size_t)partitions * PARTITIONED_INDEX_ITEM;
    uint8_t *index = calloc(1, index_size);
    assert(index != NULL);
    memcpy(index, "MRP1", 4);
    store_u32(index + 4, partitions);
    append(&bytes, index, index_size);
    for (uint32_t part = 0; part < partitions; part++) {
        size_t start = bytes.count;
        records += add_segment(&bytes, &counts, part, partitions);
        uint8_t *item = bytes.at + HEAD_SIZE + (size_t)part * PARTITIONED_INDEX_ITEM;
        struct digest digest;
        crypto->digest(slice_of(bytes.at + start, bytes.count - start), &digest);
        store_u64(item, bytes.count - start);
        memcpy(item + 8, digest.bytes, sizeof digest.bytes);
    }
    free(index);
    finish(crypto, &bytes, index_size, records, output);
}

struct slice model_segment(struct slice block, uint32_t part)
{
    if (block.count < HEAD_SIZE || memcmp(block.at, "MRP1", 4) != 0) return (struct slice){0};
    uint32_t partitions = (uint32_t)(load_u64(block.at) >> 32);
    if (part >= partitions) return (struct slice){0};
    uint64_t at = HEAD_SIZE + (uint64_t)partitions * PARTITIONED_INDEX_ITEM;
    for (uint32_t i = 0; i <= part; i++) {
        uint64_t size = load_u64(block.at + HEAD_SIZE + (size_t)i * PARTITIONED_INDEX_ITEM);
        if (i == part && at + size <= block.count) return slice_of(block.at + at, (size_t)size);
        at += size;
    }
    return (struct slice){0};
}

/* ---- reduce ---- */

/* The key of the segment's first line, up to its TAB. */
static struct slice first_key(struct slice segment)
{
    const uint8_t *tab = memchr(segment.at, '\t', segment.count);
    return slice_of(segment.at, tab == NULL ? segment.count : (size_t)(tab - segment.at));
}

static struct slice behind_line(struct slice segment)
{
    const uint8_t *end = memchr(segment.at, '\n', segment.count);
    size_t line = end == NULL ? segment.count : (size_t)(end - segment.at) + 1;
    return slice_of(segment.at + line, segment.count - line);
}

static void print_count(struct bytes *bytes, struct slice word, uint64_t count)
{
    char text[LINE_MAX];
    int size = snprintf(text, sizeof text, "%llu ", (unsigned long long)count);
    append(bytes, text, (size_t)size);
    append(bytes, word.at, word.count);
    append(bytes, "\n", 1);
}

void model_reduce(const struct crypto *crypto, const struct slice *segments, size_t count,
                  struct output *output)
{
    struct bytes bytes = {0};
    uint64_t records = 0;
    struct slice *left = calloc(count + 1, sizeof *left);
    assert(left != NULL);
    for (size_t i = 0; i < count; i++) left[i] = segments[i];
    for (;;) {
        struct slice least = {0};
        for (size_t i = 0; i < count; i++) {
            if (left[i].count == 0) continue;
            struct slice key = first_key(left[i]);
            if (least.at == NULL || slice_compare(key, least) < 0) least = key;
        }
        if (least.at == NULL) break;
        uint64_t seen = 0;
        for (size_t i = 0; i < count; i++)
            for (; left[i].count > 0 && slice_equal(first_key(left[i]), least); seen++)
                left[i] = behind_line(left[i]);
        print_count(&bytes, least, seen);
        records++;
    }
    free(left);
    finish(crypto, &bytes, bytes.count, records, output);
}

/* ---- inputs and the reference ---- */

uint8_t *model_text(struct prng *prng, size_t size_wanted, size_t *size)
{
    struct bytes bytes = {0};
    for (unsigned words = 1; bytes.count < size_wanted; words++) {
        char text[4];
        /* Squared: some words are much more frequent than others. */
        uint64_t rank = prng_below(prng, VOCABULARY) * prng_below(prng, VOCABULARY) / VOCABULARY;
        struct slice word = name_of((uint32_t)rank, text);
        append(&bytes, word.at, word.count);
        append(&bytes, words % WORDS_A_LINE == 0 ? "\n" : " ", 1);
    }
    append(&bytes, "\n", 1);
    *size = bytes.count;
    return bytes.at;
}

void model_reference(const struct crypto *crypto, const struct slice *inputs, size_t count,
                     uint32_t part, uint32_t partitions, struct output *output)
{
    struct counts counts = {{0}};
    struct bytes bytes = {0};
    uint32_t ranks[VOCABULARY];
    uint64_t records = 0;
    char text[4];
    for (size_t i = 0; i < count; i++) count_words(&counts, inputs[i]);
    order_names(ranks);
    for (size_t i = 0; i < VOCABULARY; i++) {
        struct slice word = name_of(ranks[i], text);
        if (counts.of[ranks[i]] == 0 || partition_of(word, partitions) != part) continue;
        print_count(&bytes, word, counts.of[ranks[i]]);
        records++;
    }
    finish(crypto, &bytes, bytes.count, records, output);
}
