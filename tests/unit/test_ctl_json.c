/* The JSON that scripts read: well-formed whatever a name or a log holds. */
#include "ctl/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The bytes as a JSON string. Owned by the caller. */
static char *quoted(struct slice bytes)
{
    char *text = NULL;
    size_t size;
    struct json json;
    FILE *file = open_memstream(&text, &size);
    json_begin(&json, file);
    json_bytes(&json, bytes);
    json_end(&json);
    fclose(file);
    assert_int_equal(text[size - 1], '\n');
    text[size - 1] = '\0';
    return text;
}

static void check(const char *bytes, size_t count, const char *expected)
{
    char *text = quoted(slice_of(bytes, count));
    assert_string_equal(text, expected);
    free(text);
}

static void special_characters_are_escaped(void **state)
{
    (void)state;
    check("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    check("\n\r\t\0\x1f\x7f", 6, "\"\\n\\r\\t\\u0000\\u001f\\u007f\"");
    check("", 0, "\"\"");
}

static void good_utf8_passes(void **state)
{
    (void)state;
    check("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6\"");
    check("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10,
          "\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"");
}

static void bad_utf8_becomes_replacement_characters(void **state)
{
    (void)state;
    check("a\x80z", 3, "\"a\\ufffdz\""); /* a lone continuation */
    check("\xc3", 1, "\"\\ufffd\"");     /* cut off */
    check("\xe2\x82z", 3, "\"\\ufffd\\ufffdz\"");
    check("\xc0\xaf", 2, "\"\\ufffd\\ufffd\""); /* overlong */
    check("\xe0\x80\xaf", 3, "\"\\ufffd\\ufffd\\ufffd\"");
    check("\xf0\x80\x80\xaf", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    check("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");            /* a surrogate */
    check("\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* beyond U+10FFFF */
    check("\xff\xfe", 2, "\"\\ufffd\\ufffd\"");
}

static void documents_nest(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    struct json json;
    FILE *file = open_memstream(&text, &size);
    json_begin(&json, file);
    json_open(&json, '[');
    for (unsigned i = 0; i < 2; i++) {
        json_open(&json, '{');
        json_field_number(&json, "n", i == 0 ? 0 : UINT64_MAX);
        json_field_bool(&json, "b", i == 0);
        json_key(&json, "list");
        json_open(&json, '[');
        json_number(&json, 1);
        json_number(&json, 2);
        json_close(&json, ']');
        json_field_text(&json, "t", "x");
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_end(&json);
    fclose(file);
    assert_string_equal(
        text, "[{\"n\": 0, \"b\": true, \"list\": [1, 2], \"t\": \"x\"},\n"
              " {\"n\": 18446744073709551615, \"b\": false, \"list\": [1, 2], \"t\": \"x\"}]\n");
    free(text);
}

static void an_empty_array_is_one_line(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    struct json json;
    FILE *file = open_memstream(&text, &size);
    json_begin(&json, file);
    json_open(&json, '[');
    json_close(&json, ']');
    json_end(&json);
    fclose(file);
    assert_string_equal(text, "[]\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_characters_are_escaped),
        cmocka_unit_test(good_utf8_passes),
        cmocka_unit_test(bad_utf8_becomes_replacement_characters),
        cmocka_unit_test(documents_nest),
        cmocka_unit_test(an_empty_array_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
