/* The registry: every order in which a history can arrive gives the same answers and the same
 * digest (S1), nothing acknowledged is dropped, and a request made twice is one naming. */
#include "store/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    HISTORY_MAX = 7, /* 5040 orders */
    TEXT_SIZE = 2048,
};

/* One entry of a history. Entry i is stamped with time i + 1. */
struct saying {
    const char *name;     /* NULL: unnamed */
    uint8_t request;      /* 0: none */
    const char *replaces; /* digits: the entries it replaces */
};

struct history {
    const struct saying *sayings;
    size_t count;
    struct memory memory;
    struct names names;
};

static struct msg_stamp stamp_of(size_t entry)
{
    return (struct msg_stamp){entry + 1, {{(uint8_t)(entry % 3 + 1)}}, {1, 2}, entry + 1};
}

static enum error apply(struct history *history, size_t entry)
{
    const struct saying *saying = &history->sayings[entry];
    struct msg_stamp replaced[HISTORY_MAX];
    struct list replaces = {replaced, 0};
    for (const char *digit = saying->replaces; *digit != '\0'; digit++)
        replaced[replaces.count++] = stamp_of((size_t)(*digit - '0'));
    struct stamped stamped = {.stamp = stamp_of(entry)};
    struct id request = {{saying->request}};
    struct msg_unnamed unnamed = {request, replaces};
    if (saying->name == NULL) {
        stamped.kind = MSG_unnamed;
        stamped.fields = &unnamed;
        return names_apply(&history->names, &stamped);
    }
    struct msg_named named = {
        .name = slice_string(saying->name),
        .size = entry,
        .request = request,
        .replaces = replaces,
    };
    stamped.kind = MSG_named;
    stamped.fields = &named;
    return names_apply(&history->names, &stamped);
}

static void history_open(struct history *history, const struct saying *sayings, size_t count)
{
    *history = (struct history){.sayings = sayings, .count = count};
    memory_init(&history->memory, 1 << 20);
    names_init(&history->names, &history->memory);
}

static void history_close(struct history *history)
{
    names_deinit(&history->names);
    assert_int_equal(history->memory.used, 0);
}

/* All that can be asked: "text:entry:c " for each current naming (c: conflict), then by request. */
static void answer(const struct names *names, char text[TEXT_SIZE])
{
    size_t count = 0;
    bool is_conflict;
    char shown[NAME_TEXT_SIZE];
    const struct naming *naming = NULL;
    struct slice all = slice_string("");
    while ((naming = names_next(names, all, naming, &is_conflict, shown)) != NULL) {
        assert_ptr_equal(names_find(names, slice_string(shown)), naming);
        struct msg_stamp stamps[HISTORY_MAX];
        size_t rivals = names_current(names, slice_string(naming->name), stamps, HISTORY_MAX);
        assert_int_equal(is_conflict, rivals > 1);
        assert_true(count + sizeof shown < TEXT_SIZE);
        count += (size_t)snprintf(text + count, TEXT_SIZE - count, "%s:%llu%s ", shown,
                                  (unsigned long long)naming->size, is_conflict ? ":c" : "");
    }
    for (uint8_t request = 1; request < 10; request++) {
        struct id id = {{request}};
        naming = names_by_request(names, &id);
        if (naming != NULL)
            count += (size_t)snprintf(text + count, TEXT_SIZE - count, "r%u=%llu ", request,
                                      (unsigned long long)naming->size);
    }
    text[count] = '\0';
}

/* The next order of a[] in dictionary order; false behind the last (Knuth, TAOCP 4A, 7.2.1.2,
 * L). */
static bool next_order(size_t *a, size_t count)
{
    size_t j = count - 1, l = count - 1;
    while (j > 0 && a[j - 1] > a[j]) j--;
    if (j == 0) return false;
    while (a[l] < a[j - 1]) l--;
    size_t moved = a[j - 1];
    a[j - 1] = a[l];
    a[l] = moved;
    for (size_t low = j, high = count - 1; low < high; low++, high--) {
        moved = a[low];
        a[low] = a[high];
        a[high] = moved;
    }
    return true;
}

/* All orders agree; the answer is the expected one, or anything when it is NULL. */
static void check_all_orders(const struct saying *sayings, size_t count, const char *expected)
{
    size_t order[HISTORY_MAX];
    char first[TEXT_SIZE] = "", text[TEXT_SIZE];
    uint64_t digest = 0;
    for (size_t i = 0; i < count; i++) order[i] = i;
    bool is_first = true;
    do {
        struct history history;
        history_open(&history, sayings, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(apply(&history, order[i]), ERROR_NONE);
            assert_int_equal(apply(&history, order[i / 2]), ERROR_NONE); /* again: nothing */
        }
        answer(&history.names, text);
        if (is_first) {
            memcpy(first, text, sizeof first);
            digest = names_digest(&history.names);
        }
        is_first = false;
        assert_string_equal(text, first);
        assert_true(names_digest(&history.names) == digest);
        history_close(&history);
    } while (next_order(order, count));
    if (expected != NULL) assert_string_equal(first, expected);
}

/* "name@id" of an entry. */
static const char *at_id(const char *name, size_t entry, char text[NAME_TEXT_SIZE])
{
    struct msg_stamp stamp = stamp_of(entry);
    (void)snprintf(text, NAME_TEXT_SIZE, "%s@%08x", name, (unsigned)(stamp_hash(&stamp) >> 32));
    return text;
}

static void a_naming_answers_until_it_is_replaced(void **state)
{
    (void)state;
    static const struct saying sayings[] = {
        {"a", 1, ""}, {"b", 2, ""}, {"a", 3, "0"}, {NULL, 4, "1"}, {"c", 5, ""}, {"c", 6, "4"},
    };
    check_all_orders(sayings, 1, "a:0 r1=0 ");
    check_all_orders(sayings, 3, "a:2 b:1 r1=0 r2=1 r3=2 ");
    check_all_orders(sayings, 6, "a:2 c:5 r1=0 r2=1 r3=2 r5=4 r6=5 ");
}

static void concurrent_namings_all_survive(void **state)
{
    (void)state;
    static const struct saying sayings[] = {
        {"x", 0, ""}, {"x", 0, ""}, {"x", 0, "0"}, {"x", 0, "0"}, {"w", 0, ""},
    };
    char expected[TEXT_SIZE], second[NAME_TEXT_SIZE], third[NAME_TEXT_SIZE];
    (void)snprintf(expected, sizeof expected, "x:0:c %s:1:c ", at_id("x", 1, second));
    check_all_orders(sayings, 2, expected);
    (void)snprintf(expected, sizeof expected, "w:4 x:1:c %s:2:c %s:3:c ", at_id("x", 2, second),
                   at_id("x", 3, third));
    check_all_orders(sayings, 5, expected);
}

static void a_removal_ends_all_that_it_saw(void **state)
{
    (void)state;
    static const struct saying sayings[] = {
        {"x", 1, ""}, {"x", 2, ""}, {NULL, 3, "01"}, {"x", 4, ""}, {NULL, 5, "3"}, {"y", 6, "3"},
    };
    check_all_orders(sayings, 3, "r1=0 r2=1 ");
    check_all_orders(sayings, 4, "x:3 r1=0 r2=1 r4=3 ");
    check_all_orders(sayings, 6, "y:5 r1=0 r2=1 r4=3 r6=5 ");
}

/* A client asked at one peer, which was cut off, then at another. */
static void one_request_is_one_naming(void **state)
{
    (void)state;
    static const struct saying sayings[] = {
        {"x", 1, ""}, {"x", 1, ""}, {"x", 1, ""}, {"x", 2, "1"}, {"x", 3, ""}, {"x", 3, "3"},
    };
    check_all_orders(sayings, 3, "x:0 r1=0 ");
    check_all_orders(sayings, 4, "x:3 r1=0 r2=3 ");
    check_all_orders(sayings, 6, "x:4 r1=0 r2=3 r3=4 ");
}

/* Every history of four entries over two names, two requests and any replacing of former
 * entries. */
static void all_small_histories_converge(void **state)
{
    (void)state;
    static const char *const replaced[4][4] = {
        {"", "", "", ""},
        {"", "0", "", "0"},
        {"", "0", "1", "01"},
        {"", "2", "12", "01"},
    };
    static const char *const named[3] = {"a", "b", NULL};
    for (unsigned code = 0; code < 24 * 24 * 24; code++) {
        struct saying sayings[4] = {{"a", 1, ""}};
        unsigned rest = code;
        for (size_t i = 1; i < 4; i++, rest /= 24) {
            sayings[i].name = named[rest % 24 / 8];
            sayings[i].request = (uint8_t)(rest % 2 + 1);
            sayings[i].replaces = replaced[i][rest / 2 % 4];
        }
        check_all_orders(sayings, 4, NULL);
    }
}

static void a_page_starts_behind_the_page_before(void **state)
{
    (void)state;
    static const struct saying sayings[] = {
        {"in/b", 0, ""}, {"in/a", 0, ""}, {"in", 0, ""}, {"out", 0, ""}, {"in/a", 0, ""},
    };
    struct history history;
    char text[NAME_TEXT_SIZE];
    bool is_conflict;
    history_open(&history, sayings, 5);
    for (size_t i = 0; i < 5; i++) assert_int_equal(apply(&history, i), ERROR_NONE);
    const struct names *names = &history.names;
    struct slice prefix = slice_string("in/");
    const struct naming *naming = names_next(names, prefix, NULL, &is_conflict, text);
    assert_string_equal(text, "in/a");
    assert_true(is_conflict);
    struct naming gone = *naming; /* only its name and stamp are read */
    naming = names_next(names, prefix, &gone, &is_conflict, text);
    assert_int_equal(naming->size, 4);
    naming = names_next(names, prefix, naming, &is_conflict, text);
    assert_string_equal(text, "in/b");
    assert_false(is_conflict);
    assert_null(names_next(names, prefix, naming, &is_conflict, text));
    assert_null(names_next(names, slice_string("none"), NULL, &is_conflict, text));
    assert_null(names_find(names, slice_string("in/c")));
    assert_null(names_find(names, slice_string("in/b@00000000")));
    assert_null(names_find(names, slice_string("")));
    history_close(&history);
}

static void other_entries_are_ignored(void **state)
{
    (void)state;
    struct history history;
    struct msg_left left = {.cause = 1};
    struct stamped known = {stamp_of(0), MSG_left, &left}, unknown = {stamp_of(1), 127, NULL};
    history_open(&history, NULL, 0);
    uint64_t digest = names_digest(&history.names);
    assert_int_equal(names_apply(&history.names, &known), ERROR_NONE);
    assert_int_equal(names_apply(&history.names, &unknown), ERROR_NONE);
    assert_true(names_digest(&history.names) == digest);
    history_close(&history);
}

/* The n-th allocation fails, the entry is applied again: as if nothing had happened. */
static void any_allocation_may_fail(void **state)
{
    (void)state;
    static const struct saying sayings[] = {
        {"x", 1, "56"}, {"x", 1, ""}, {"x", 2, "13"}, {NULL, 0, "24"}, {"y", 3, ""}, {"z", 4, ""},
    };
    char expected[TEXT_SIZE] = "", text[TEXT_SIZE];
    uint64_t digest = 0;
    bool has_failed = true;
    for (uint64_t n = 0; has_failed || n == 1; n++) { /* 0: none fails */
        struct history history;
        history_open(&history, sayings, 6);
        history.memory.fail_after = n;
        has_failed = false;
        for (size_t i = 0; i < 6; i++) {
            uint64_t before = names_digest(&history.names);
            while (apply(&history, i) != ERROR_NONE) {
                has_failed = true;
                assert_true(names_digest(&history.names) == before);
            }
        }
        answer(&history.names, text);
        if (n == 0) memcpy(expected, text, sizeof expected);
        if (n == 0) digest = names_digest(&history.names);
        assert_string_equal(text, expected);
        assert_true(names_digest(&history.names) == digest);
        history_close(&history);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_naming_answers_until_it_is_replaced),
        cmocka_unit_test(concurrent_namings_all_survive),
        cmocka_unit_test(a_removal_ends_all_that_it_saw),
        cmocka_unit_test(one_request_is_one_naming),
        cmocka_unit_test(all_small_histories_converge),
        cmocka_unit_test(a_page_starts_behind_the_page_before),
        cmocka_unit_test(other_entries_are_ignored),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
