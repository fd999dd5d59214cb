/* A JSON writer. Names, logs and errors are a stranger's bytes: quotes, control characters and
 * broken UTF-8 (overlong forms, surrogates, beyond U+10FFFF: Unicode 3.9, table 3-7) must not make
 * a document that a reader refuses. Integers are written in full; a reader that keeps numbers as
 * doubles loses digits above 2^53, which no count of ours reaches. */
#include "ctl/json.h"

#include <assert.h>
#include <inttypes.h>

void json_begin(struct json *json, FILE *file) { *json = (struct json){.file = file}; }

void json_begin_line(struct json *json, FILE *file)
{
    *json = (struct json){.file = file, .is_line = true};
}

void json_end(struct json *json)
{
    assert(json->depth == 0 && !json->is_after_key);
    fputc('\n', json->file);
}

/* A comma when one is due; before every value and key. */
static void separate(struct json *json)
{
    if (json->is_after_key) {
        json->is_after_key = false;
        return;
    }
    if (json->depth == 0) return;
    bool ends_line = json->depth == 1 && !json->is_line;
    if (json->has_item[json->depth - 1]) fputs(ends_line ? ",\n " : ", ", json->file);
    json->has_item[json->depth - 1] = true;
}

void json_open(struct json *json, char bracket)
{
    assert(bracket == '[' || bracket == '{');
    assert(json->depth < JSON_DEPTH_MAX);
    separate(json);
    json->has_item[json->depth++] = false;
    fputc(bracket, json->file);
}

void json_close(struct json *json, char bracket)
{
    assert(bracket == ']' || bracket == '}');
    assert(json->depth > 0 && !json->is_after_key);
    json->depth--;
    fputc(bracket, json->file);
}

/* Bytes of the UTF-8 sequence at the front of text; 0 when it is not one. */
static size_t sequence_size(struct slice text)
{
    uint8_t first = text.at[0];
    if (first < 0x80) return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > text.count) return 0;
    for (size_t i = 1; i < size; i++)
        if ((text.at[i] & 0xc0) != 0x80) return 0;
    uint8_t second = text.at[1];
    bool is_overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool is_surrogate = first == 0xed && second > 0x9f;
    bool is_beyond = first == 0xf4 && second > 0x8f;
    return is_overlong || is_surrogate || is_beyond ? 0 : size;
}

static void escape(FILE *file, uint8_t c)
{
    switch (c) {
    case '"': fputs("\\\"", file); return;
    case '\\': fputs("\\\\", file); return;
    case '\n': fputs("\\n", file); return;
    case '\r': fputs("\\r", file); return;
    case '\t': fputs("\\t", file); return;
    }
    if (c < 0x20 || c == 0x7f) fprintf(file, "\\u%04x", c);
    else fputc(c, file);
}

static void quote(struct json *json, struct slice text)
{
    fputc('"', json->file);
    while (text.count > 0) {
        size_t size = sequence_size(text);
        if (size == 0) fputs("\\ufffd", json->file);
        if (size == 1) escape(json->file, text.at[0]);
        if (size > 1) fwrite(text.at, 1, size, json->file);
        if (size == 0) size = 1;
        text = slice_of(text.at + size, text.count - size);
    }
    fputc('"', json->file);
}

void json_key_bytes(struct json *json, struct slice key)
{
    assert(json->depth > 0 && !json->is_after_key);
    separate(json);
    quote(json, key);
    fputs(": ", json->file);
    json->is_after_key = true;
}

void json_key(struct json *json, const char *key) { json_key_bytes(json, slice_string(key)); }

void json_bytes(struct json *json, struct slice text)
{
    separate(json);
    quote(json, text);
}

void json_number(struct json *json, uint64_t value)
{
    separate(json);
    fprintf(json->file, "%" PRIu64, value);
}

void json_bool(struct json *json, bool value)
{
    separate(json);
    fputs(value ? "true" : "false", json->file);
}

void json_field_bytes(struct json *json, const char *key, struct slice text)
{
    json_key(json, key);
    json_bytes(json, text);
}

void json_field_text(struct json *json, const char *key, const char *text)
{
    json_field_bytes(json, key, slice_string(text));
}

void json_field_number(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_number(json, value);
}

void json_field_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_bool(json, value);
}
