/* The wire engine. What holds for every message holds for those to come: the loops go over
 * wire_each, and a new message is tested by being described. What is particular (the encoding's
 * rules, one by one) follows by hand. */
#include "base/hash.h"
#include "wire/wire.h"

#include "wire_golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    ARENA_SIZE = 4 << 20,
    GOLDEN_ARENA_SIZE = 16 << 10, /* small: short lists */
    ROUNDS = 60,
};

/* Memory for one value in, one value out, and their encodings. */
struct bench {
    struct arena in;
    struct arena out;
    uint8_t *first;
    uint8_t *second;
};

static int open_bench(void **state)
{
    struct bench *bench = malloc(sizeof *bench);
    arena_init(&bench->in, malloc(ARENA_SIZE), ARENA_SIZE);
    arena_init(&bench->out, malloc(ARENA_SIZE), ARENA_SIZE);
    bench->first = malloc(ARENA_SIZE);
    bench->second = malloc(ARENA_SIZE);
    *state = bench;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *bench = *state;
    free(bench->in.base);
    free(bench->out.base);
    free(bench->first);
    free(bench->second);
    free(bench);
    return 0;
}

static void *arbitrary(struct bench *bench, const struct wire_schema *schema, struct prng *prng)
{
    arena_reset(&bench->in);
    void *message = arena_take(&bench->in, wire_struct_size(schema));
    assert_non_null(message);
    assert_true(wire_arbitrary(schema, message, prng, &bench->in));
    return message;
}

static struct slice encode(const struct wire_schema *schema, const void *message, uint8_t *bytes)
{
    struct writer writer = writer_of(bytes, ARENA_SIZE);
    assert_true(wire_encode(schema, message, &writer));
    assert_int_equal(writer.written + writer.left, ARENA_SIZE);
    return slice_of(bytes, writer.written);
}

/* The decoded value, or NULL when refused. */
static void *decode(struct bench *bench, const struct wire_schema *schema, struct slice bytes)
{
    arena_reset(&bench->out);
    void *message = arena_take(&bench->out, wire_struct_size(schema));
    const char *reason = wire_decode_all(schema, message, bytes, &bench->out);
    return reason == NULL ? message : NULL;
}

/* ---- every message ---- */

static void every_value_decodes_to_itself(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 1);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            struct slice once = encode(schema, arbitrary(bench, schema, &prng), bench->first);
            void *again = decode(bench, schema, once);
            if (again == NULL) fail_msg("%s: refused", wire_name(schema));
            assert_true(slice_equal(once, encode(schema, again, bench->second)));
        }
    }
}

/* From bytes of its own each time, so that a sanitizer sees a read behind them. */
static void every_truncation_is_refused(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 2);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        for (int round = 0; round < 4; round++) {
            struct slice whole = encode(schema, arbitrary(bench, schema, &prng), bench->first);
            for (size_t count = 0; count < whole.count && count < 3000; count++) {
                uint8_t *bytes = malloc(count + 1);
                memcpy(bytes + 1, whole.at, count);
                if (decode(bench, schema, slice_of(bytes + 1, count)) != NULL)
                    fail_msg("%s: %zu bytes of %zu", wire_name(schema), count, whole.count);
                free(bytes);
            }
        }
    }
}

static void bytes_behind_the_message_are_refused(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 3);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        struct slice whole = encode(schema, arbitrary(bench, schema, &prng), bench->first);
        bench->first[whole.count] = 0;
        assert_null(decode(bench, schema, slice_of(whole.at, whole.count + 1)));
    }
}

static void assert_refused_or_canonical(struct bench *bench, const struct wire_schema *schema,
                                        struct slice bytes)
{
    void *message = decode(bench, schema, bytes);
    if (message == NULL) return;
    if (!slice_equal(bytes, encode(schema, message, bench->second)))
        fail_msg("%s: two encodings of one value", wire_name(schema));
}

static void mutants_are_refused_or_canonical(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 4);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        for (int round = 0; round < 6; round++) {
            struct slice whole = encode(schema, arbitrary(bench, schema, &prng), bench->first);
            for (size_t at = 0; at < whole.count && at < 1500; at++) {
                const uint8_t masks[] = {1, 0x80, 0x7f, 0xff, (uint8_t)prng_next(&prng)};
                uint8_t before = bench->first[at];
                for (size_t m = 0; m < sizeof masks; m++) {
                    bench->first[at] = before ^ masks[m];
                    assert_refused_or_canonical(bench, schema, whole);
                }
                bench->first[at] = before;
            }
        }
    }
}

static void random_bytes_are_refused_or_canonical(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 5);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        for (int round = 0; round < 500; round++) {
            size_t count = (size_t)prng_below(&prng, 200);
            prng_fill(&prng, bench->first, count);
            for (size_t at = 0; at < count; at++)
                if (prng_below(&prng, 2) == 0) bench->first[at] &= 3;
            assert_refused_or_canonical(bench, schema, slice_of(bench->first, count));
        }
    }
}

static void packed_messages_say_what_they_are(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 6);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        if (wire_type(schema) == MSG_NONE) continue;
        assert_ptr_equal(wire_schema(wire_type(schema)), schema);
        void *message = arbitrary(bench, schema, &prng);
        struct slice packed = wire_pack_arena(schema, message, &bench->in);
        assert_int_equal(packed.count, wire_packed_size(schema, message));
        struct slice input = packed;
        struct wire_message unpacked;
        arena_reset(&bench->out);
        assert_null(wire_unpack(&input, &unpacked, &bench->out));
        assert_int_equal(input.count, 0);
        assert_int_equal(unpacked.type, wire_type(schema));
        assert_ptr_equal(unpacked.schema, schema);
        struct writer writer = writer_of(bench->second, ARENA_SIZE);
        assert_true(wire_pack(schema, unpacked.fields, &writer));
        assert_true(slice_equal(packed, slice_of(bench->second, writer.written)));
    }
}

static void packed_messages_follow_one_another(void **state)
{
    struct bench *bench = *state;
    struct writer writer = writer_of(bench->first, 1000);
    assert_true(wire_pack(&wire_nack, &(struct msg_nack){.sequence = 7}, &writer));
    assert_true(wire_pack(&wire_challenge, &(struct msg_challenge){.token = 9}, &writer));
    struct slice input = slice_of(bench->first, writer.written);
    struct wire_message message;
    arena_reset(&bench->out);
    assert_null(wire_unpack(&input, &message, &bench->out));
    assert_int_equal(message.type, MSG_nack);
    assert_null(wire_unpack(&input, &message, &bench->out));
    assert_int_equal(message.type, MSG_challenge);
    assert_true(((const struct msg_challenge *)message.fields)->token == 9);
    assert_non_null(wire_unpack(&input, &message, &bench->out));
}

static void a_full_writer_says_so_and_still_counts(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 7);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        void *message = arbitrary(bench, schema, &prng);
        struct slice whole = encode(schema, message, bench->first);
        for (size_t room = 0; room < whole.count && room < 300; room++) {
            memset(bench->second, 0xee, room + 1);
            struct writer writer = writer_of(bench->second, room);
            assert_false(wire_encode(schema, message, &writer));
            assert_int_equal(writer.written, whole.count);
            assert_int_equal(bench->second[room], 0xee);
        }
    }
}

static void copies_outlive_what_they_were_copied_from(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 8);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        void *message = arbitrary(bench, schema, &prng);
        struct slice whole = encode(schema, message, bench->first);
        arena_reset(&bench->out);
        void *copy = arena_take(&bench->out, wire_struct_size(schema));
        assert_true(wire_copy(schema, copy, message, &bench->out));
        memset(bench->in.base, 0xee, bench->in.used);
        assert_true(slice_equal(whole, encode(schema, copy, bench->second)));
    }
}

/* Each size of arena, from none to enough: refused, refused, ..., fits. */
static void too_small_an_arena_is_an_error_not_a_crash(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 9);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        void *message = arbitrary(bench, schema, &prng);
        struct slice whole = encode(schema, message, bench->first);
        void *copy = malloc(wire_struct_size(schema));
        bool decoded = false, copied = false;
        for (size_t size = 0; !decoded || !copied; size = size + 1 + size / 16) {
            struct arena small;
            uint8_t *own = malloc(size + 16);
            arena_init(&small, own, size);
            const char *reason = wire_decode_all(schema, copy, whole, &small);
            assert_true(!decoded || reason == NULL);
            decoded = reason == NULL;
            arena_reset(&small);
            bool fits = wire_copy(schema, copy, message, &small);
            assert_true(!copied || fits);
            copied = fits;
            free(own);
        }
        free(copy);
    }
}

static void arbitrary_values_fit_into_any_arena(void **state)
{
    (void)state;
    static _Alignas(16) uint8_t memory[20000];
    struct prng prng;
    prng_init(&prng, 10);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        void *message = malloc(wire_struct_size(schema));
        for (size_t size = 0; size < sizeof memory; size += 1 + size / 8) {
            struct arena arena;
            arena_init(&arena, memory, size);
            assert_true(wire_arbitrary(schema, message, &prng, &arena));
            struct writer writer = writer_of(NULL, 0);
            (void)wire_encode(schema, message, &writer);
            assert_true(writer.written > 0);
        }
        free(message);
    }
}

static void arbitrary_values_are_small_mostly_and_large_sometimes(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    unsigned small = 0, large = 0, longest = 0;
    prng_init(&prng, 11);
    for (int round = 0; round < 500; round++) {
        struct msg_log_vector *message = arbitrary(bench, &wire_log_vector, &prng);
        small += message->feeds.count <= 8;
        large += message->feeds.count > 100;
        if (message->feeds.count > longest) longest = message->feeds.count;
    }
    assert_true(small > 400 && large > 3 && longest <= 65536);
}

static void any_message_prints_into_any_room(void **state)
{
    struct bench *bench = *state;
    struct prng prng;
    prng_init(&prng, 12);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        static char whole[1 << 20], part[600];
        void *message = arbitrary(bench, schema, &prng);
        wire_print(schema, message, whole, sizeof whole);
        assert_true(strlen(whole) + 1 < sizeof whole);
        assert_memory_equal(whole, wire_name(schema), strlen(wire_name(schema)));
        assert_int_equal(whole[strlen(whole) - 1], '}');
        for (size_t size = 1; size < sizeof part; size++) {
            memset(part, 0xee, sizeof part);
            wire_print(schema, message, part, size);
            assert_int_equal((uint8_t)part[size < sizeof part ? size : 0], 0xee);
            size_t shown = strlen(part);
            assert_true(shown < size);
            assert_memory_equal(part, whole, shown);
            if (strlen(whole) >= size) assert_int_equal(shown, size - 1);
        }
    }
}

/* ---- golden bytes ---- */

static uint64_t hash_of_print(const struct wire_schema *schema, const void *message)
{
    static char text[1 << 16];
    wire_print(schema, message, text, sizeof text);
    return hash64(text, strlen(text), 0);
}

static const struct golden *find_golden(const char *name)
{
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        if (strcmp(goldens[i].name, name) == 0) return &goldens[i];
    return NULL;
}

/* What to add to wire_golden.h for a new message. */
static void print_golden(struct bench *bench, const struct wire_schema *schema)
{
    struct prng prng;
    struct arena arena;
    const char *name = wire_name(schema);
    prng_init(&prng, hash64(name, strlen(name), 0));
    arena_reset(&bench->in);
    void *message = arena_take(&bench->in, wire_struct_size(schema));
    void *memory = arena_take(&bench->in, GOLDEN_ARENA_SIZE);
    arena_init(&arena, memory, GOLDEN_ARENA_SIZE);
    assert_true(wire_arbitrary(schema, message, &prng, &arena));
    struct slice bytes = encode(schema, message, bench->first);
    uint64_t hash = hash_of_print(schema, message);
    printf("    {\"%s\", 0x%016llx,", name, (unsigned long long)hash);
    for (size_t i = 0; i < bytes.count; i++)
        printf("%s%02x", i % 44 == 0 ? (i == 0 ? "\n     \"" : "\"\n     \"") : "", bytes.at[i]);
    printf("\"},\n");
}

static void golden_bytes_mean_what_they_always_meant(void **state)
{
    struct bench *bench = *state;
    const struct wire_schema *schema;
    int missing = 0;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        const struct golden *golden = find_golden(wire_name(schema));
        if (golden == NULL) {
            print_golden(bench, schema);
            missing++;
            continue;
        }
        size_t count = strlen(golden->hex) / 2;
        for (size_t at = 0; at < count; at++) {
            unsigned value = 0;
            assert_int_equal(sscanf(golden->hex + 2 * at, "%2x", &value), 1);
            bench->first[at] = (uint8_t)value;
        }
        void *message = decode(bench, schema, slice_of(bench->first, count));
        if (message == NULL) fail_msg("%s: golden bytes refused", golden->name);
        assert_true(
            slice_equal(slice_of(bench->first, count), encode(schema, message, bench->second)));
        if (hash_of_print(schema, message) != golden->hash_of_print)
            fail_msg("%s: golden bytes mean something else", golden->name);
    }
    if (missing > 0) fail_msg("%d messages without golden bytes; the lines are above", missing);
    assert_null(wire_each(sizeof goldens / sizeof *goldens)); /* no line without its message */
}

/* ---- the rules of the encoding ---- */

static void a_ping_is_these_bytes(void **state)
{
    (void)state;
    uint8_t bytes[64];
    static const uint8_t wanted[] = {
        1,                               /* type */
        0xac, 0x02,                      /* 300 */
        0x80, 0x01,                      /* target, 128 */
        8,    7,    6, 5, 4, 3, 2, 1,    /* log_digest, little endian */
        0,    0,    0, 0, 0, 0, 0, 0x80, /* view_digest */
    };
    struct msg_ping ping = {
        .sequence = 300,
        .target = 128,
        .log_digest = 0x0102030405060708,
        .view_digest = UINT64_C(1) << 63,
    };
    struct writer writer = writer_of(bytes, sizeof bytes);
    assert_true(wire_pack(&wire_ping, &ping, &writer));
    assert_int_equal(writer.written, sizeof wanted);
    assert_memory_equal(bytes, wanted, sizeof wanted);
}

static void a_message_prints_as_a_line(void **state)
{
    (void)state;
    char text[500];
    struct msg_member_claim claim = {
        .node = {{0xab, 0xcd}},
        .boot = {3, 0x10},
        .state = 1,
        .address = address_ipv4(10, 0, 0, 1, 7437),
        .name = slice_string("anna"),
    };
    struct msg_rumors rumors = {.claims = {&claim, 1}};
    wire_print(&wire_rumors, &rumors, text, sizeof text);
    assert_string_equal(text, "rumors{claims=[member_claim{node=abcd0000 boot=3.0000000000000010 "
                              "refutations=0 state=1 cause=0 address=10.0.0.1:7437 slots=0 "
                              "name=\"anna\"}]}");
}

#define BYTES_OF(...)                                                                              \
    slice_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static const char *refusal(struct bench *bench, const struct wire_schema *schema,
                           struct slice bytes)
{
    arena_reset(&bench->out);
    void *message = arena_take(&bench->out, wire_struct_size(schema));
    size_t before = bench->out.used;
    const char *reason = wire_decode_all(schema, message, bytes, &bench->out);
    assert_int_equal(bench->out.used, before); /* no list was given memory */
    return reason != NULL ? reason : "accepted";
}

static void numbers_have_one_form(void **state)
{
    const struct wire_schema *nack = &wire_nack; /* one u64 */
    assert_string_equal(refusal(*state, nack, BYTES_OF(0)), "accepted");
    assert_string_equal(refusal(*state, nack, BYTES_OF(0x7f)), "accepted");
    assert_string_equal(refusal(*state, nack, BYTES_OF(0x80, 1)), "accepted");
    assert_string_equal(refusal(*state, nack, BYTES_OF(0x80, 0)),
                        "number not in its shortest form");
    assert_string_equal(refusal(*state, nack, BYTES_OF(0xff, 0x80, 0)),
                        "number not in its shortest form");
    assert_string_equal(refusal(*state, nack, BYTES_OF(0x80)), "cut short");
    assert_string_equal(
        refusal(*state, nack, BYTES_OF(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)),
        "accepted");
    assert_string_equal(
        refusal(*state, nack, BYTES_OF(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2)),
        "number too large");
    assert_string_equal(
        refusal(*state, nack, BYTES_OF(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0)),
        "number not in its shortest form");
    assert_string_equal(
        refusal(*state, nack,
                BYTES_OF(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0)),
        "number too large");
}

static void numbers_fit_their_kind(void **state)
{
    const struct wire_schema *range = &wire_task_range; /* u8, u32, u32 */
    assert_string_equal(refusal(*state, range, BYTES_OF(0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0)),
                        "accepted");
    assert_string_equal(refusal(*state, range, BYTES_OF(0, 0x80, 0x80, 0x80, 0x80, 0x10, 0)),
                        "number too large");
}

static void a_flag_is_zero_or_one(void **state)
{
    struct bench *bench = *state;
    uint8_t bytes[33] = {0};
    struct slice whole = slice_of(bytes, sizeof bytes);
    assert_string_equal(refusal(bench, &wire_block_held, whole), "accepted");
    bytes[32] = 1;
    assert_string_equal(refusal(bench, &wire_block_held, whole), "accepted");
    bytes[32] = 2;
    assert_string_equal(refusal(bench, &wire_block_held, whole), "flag neither 0 nor 1");
}

/* block_holder is an id and an address. */
static const char *address_refusal(struct bench *bench, const struct slice address)
{
    uint8_t bytes[64] = {0};
    memcpy(bytes + 16, address.at, address.count);
    return refusal(bench, &wire_block_holder, slice_of(bytes, 16 + address.count));
}

static void an_address_has_one_form(void **state)
{
    struct bench *bench = *state;
    uint8_t long_form[19] = {16};
    struct slice whole = slice_of(long_form, sizeof long_form);
    assert_string_equal(address_refusal(bench, BYTES_OF(4, 127, 0, 0, 1, 0, 80)), "accepted");
    assert_string_equal(address_refusal(bench, BYTES_OF(0, 0, 0)), "accepted");
    assert_string_equal(address_refusal(bench, BYTES_OF(0, 1, 2)), "accepted");
    assert_string_equal(address_refusal(bench, BYTES_OF(5, 0, 0, 0, 0, 0, 0, 0)),
                        "address of an unknown size");
    assert_string_equal(address_refusal(bench, BYTES_OF(4, 127, 0, 0, 1, 0)), "cut short");
    assert_string_equal(address_refusal(bench, whole), "no address in 16 bytes");
    long_form[16] = 1;
    assert_string_equal(address_refusal(bench, whole), "accepted");
    long_form[11] = long_form[12] = 0xff;
    assert_string_equal(address_refusal(bench, whole), "IPv4 address in 16 bytes");
}

static void lengths_are_believed_only_within_cap_and_bytes(void **state)
{
    struct bench *bench = *state;
    assert_string_equal(refusal(bench, &wire_chunk, BYTES_OF(0x81, 0x80, 4)),
                        "byte string longer than its cap");
    assert_string_equal(refusal(bench, &wire_chunk, BYTES_OF(0x80, 0x80, 4)), "cut short");
    assert_string_equal(refusal(bench, &wire_rumors, BYTES_OF(65)), "list longer than its cap");
    assert_string_equal(refusal(bench, &wire_rumors, BYTES_OF(64)),
                        "list longer than the bytes left");
    struct slice most = BYTES_OF(0, 0, 0xff, 0xff, 0xff, 0xff, 0xf);
    assert_string_equal(refusal(bench, &wire_log_vector, most), "list longer than its cap");
    /* Two claims of 33 bytes at least, in 65. */
    uint8_t bytes[66] = {2};
    assert_string_equal(refusal(bench, &wire_rumors, slice_of(bytes, sizeof bytes)),
                        "list longer than the bytes left");
}

static void unknown_types_are_refused(void **state)
{
    struct bench *bench = *state;
    struct wire_message message;
    const struct slice inputs[] = {BYTES_OF(0), BYTES_OF(31), BYTES_OF(0xff, 0x7f),
                                   BYTES_OF(0x81, 0x80, 4), BYTES_OF(0x81, 0x80, 0x80, 0x80, 0x10)};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct slice input = inputs[i];
        arena_reset(&bench->out);
        const char *reason = wire_unpack(&input, &message, &bench->out);
        assert_string_equal(reason, "unknown message type");
    }
    assert_null(wire_schema(MSG_NONE));
    assert_null(wire_schema(UINT16_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_decodes_to_itself),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(bytes_behind_the_message_are_refused),
        cmocka_unit_test(mutants_are_refused_or_canonical),
        cmocka_unit_test(random_bytes_are_refused_or_canonical),
        cmocka_unit_test(packed_messages_say_what_they_are),
        cmocka_unit_test(packed_messages_follow_one_another),
        cmocka_unit_test(a_full_writer_says_so_and_still_counts),
        cmocka_unit_test(copies_outlive_what_they_were_copied_from),
        cmocka_unit_test(too_small_an_arena_is_an_error_not_a_crash),
        cmocka_unit_test(arbitrary_values_fit_into_any_arena),
        cmocka_unit_test(arbitrary_values_are_small_mostly_and_large_sometimes),
        cmocka_unit_test(any_message_prints_into_any_room),
        cmocka_unit_test(golden_bytes_mean_what_they_always_meant),
        cmocka_unit_test(a_ping_is_these_bytes),
        cmocka_unit_test(a_message_prints_as_a_line),
        cmocka_unit_test(numbers_have_one_form),
        cmocka_unit_test(numbers_fit_their_kind),
        cmocka_unit_test(a_flag_is_zero_or_one),
        cmocka_unit_test(an_address_has_one_form),
        cmocka_unit_test(lengths_are_believed_only_within_cap_and_bytes),
        cmocka_unit_test(unknown_types_are_refused),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
