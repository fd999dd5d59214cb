/* Any message as a line for people: name{field=value ...}. For logs, mrctl --debug and failing
 * tests; nothing parses it. Long byte strings and lists are shortened, since nobody reads the
 * thousandth member of a list in a log line; ids and digests show their first digits, which is how
 * people call them. */
#include "wire/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    SHOWN_BYTES_MAX = 64, /* of a byte string: a name fits */
    SHOWN_ITEMS_MAX = 8,  /* of a list: what a person takes in at a glance */
    SHOWN_DIGEST = 16,    /* hex digits */
};

/* Where text goes; `left` counts the NUL. */
struct text {
    char *at;
    size_t left;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(text->at, text->left, format, arguments);
    va_end(arguments);
    assert(wanted >= 0);
    size_t used = (size_t)wanted < text->left ? (size_t)wanted : text->left - 1;
    text->at += used;
    text->left -= used;
}

static void add_address(struct text *text, const struct address *address)
{
    char digits[ADDRESS_TEXT_SIZE];
    add(text, "%s", address_text(address, digits));
}

static void add_id(struct text *text, const struct id *id)
{
    char digits[ID_SHORT_SIZE];
    add(text, "%s", id_short(id, digits));
}

static void add_digest(struct text *text, const struct digest *digest)
{
    char digits[DIGEST_TEXT_SIZE];
    add(text, "%.*s", SHOWN_DIGEST, digest_text(digest, digits));
}

static bool is_printable(struct slice bytes)
{
    for (size_t i = 0; i < bytes.count; i++)
        if (bytes.at[i] < ' ' || bytes.at[i] > '~') return false;
    return true;
}

static void add_bytes(struct text *text, const struct slice *bytes)
{
    if (bytes->count == 0) add(text, "\"\"");
    else if (bytes->count > SHOWN_BYTES_MAX || !is_printable(*bytes))
        add(text, "<%zu bytes>", bytes->count);
    else add(text, "\"%.*s\"", (int)bytes->count, (const char *)bytes->at);
}

static void add_message(struct text *text, const struct wire_schema *schema, const void *message);

static void add_list(struct text *text, const struct wire_schema *record, const struct list *list)
{
    const uint8_t *item = list->at;
    add(text, "[");
    for (uint32_t i = 0; i < list->count && i < SHOWN_ITEMS_MAX; i++, item += record->struct_size) {
        if (i > 0) add(text, " ");
        add_message(text, record, item);
    }
    if (list->count > SHOWN_ITEMS_MAX)
        add(text, " and %" PRIu32 " more", list->count - SHOWN_ITEMS_MAX);
    add(text, "]");
}

static void add_field(struct text *text, const struct wire_field *field, const void *at)
{
    const struct boot *boot = at;
    switch (field->kind) {
    case WIRE_flag: add(text, "%s", schema_load(field->kind, at) != 0 ? "yes" : "no"); break;
    case WIRE_u8:
    case WIRE_u16:
    case WIRE_u32:
    case WIRE_u64: add(text, "%" PRIu64, schema_load(field->kind, at)); break;
    case WIRE_word: add(text, "%016" PRIx64, schema_load(field->kind, at)); break;
    case WIRE_id: add_id(text, at); break;
    case WIRE_digest: add_digest(text, at); break;
    case WIRE_address: add_address(text, at); break;
    case WIRE_boot: add(text, "%" PRIu64 ".%016" PRIx64, boot->counter, boot->random); break;
    case WIRE_bytes: add_bytes(text, at); break;
    case WIRE_item: add_message(text, field->record, at); break;
    case WIRE_list: add_list(text, field->record, at); break;
    }
}

static void add_message(struct text *text, const struct wire_schema *schema, const void *message)
{
    const struct wire_field *fields = schema->fields();
    add(text, "%s{", schema->name);
    for (size_t i = 0; i < schema->fields_count && text->left > 1; i++) {
        add(text, "%s%s=", i > 0 ? " " : "", fields[i].name);
        add_field(text, &fields[i], (const uint8_t *)message + fields[i].offset);
    }
    add(text, "}");
}

void wire_print(const struct wire_schema *schema, const void *message, char *text, size_t size)
{
    assert(size > 0);
    text[0] = '\0';
    add_message(&(struct text){text, size}, schema, message);
}
