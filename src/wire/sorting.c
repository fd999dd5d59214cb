/* Reading --sort (sorting.h). */
#include "wire/sorting.h"

/* Cuts text at the first mark: what precedes it is returned, the rest stays (nothing, if there is
 * no mark). */
static struct slice cut(struct slice *text, char mark)
{
    const uint8_t *at = text->count == 0 ? NULL : memchr(text->at, mark, text->count);
    struct slice head = *text;
    if (at != NULL) head.count = (size_t)(at - text->at);
    size_t taken = at == NULL ? text->count : head.count + 1;
    *text = slice_of(text->at + taken, text->count - taken);
    return head;
}

static bool is(struct slice word, const char *text)
{
    return slice_equal(word, slice_string(text));
}

static const char *parse_field(struct slice text, struct sorting_field *field, bool *is_line)
{
    struct slice word = cut(&text, ':');
    *field = (struct sorting_field){.kind = SORT_KEY};
    *is_line = is(word, "line");
    if (is(word, "numeric")) field->kind = SORT_NUMERIC;
    else if (is(word, "none")) field->kind = SORT_NONE;
    else if (!is(word, "key") && !*is_line)
        return "an order is key, numeric, line or none, with :reverse";
    while (text.count > 0) {
        word = cut(&text, ':');
        if (is(word, "reverse")) field->is_reverse = true;
        else if (is(word, "numeric") && *is_line) field->kind = SORT_NUMERIC;
        else return "behind an order stands :reverse (behind line :numeric, too)";
    }
    if (field->kind == SORT_NONE && field->is_reverse) return "none has no reverse";
    return NULL;
}

const char *sorting_parse(struct slice text, struct sorting *sorting)
{
    *sorting = (struct sorting){0};
    if (text.count == 0) return "an order is missing";
    for (bool has_more = true; has_more;) {
        if (sorting->count == SORTING_FIELDS_MAX) return "at most 8 fields are compared";
        has_more = memchr(text.at, ',', text.count) != NULL;
        bool is_line;
        struct sorting_field *field = &sorting->fields[sorting->count++];
        const char *why = parse_field(cut(&text, ','), field, &is_line);
        if (why != NULL) return why;
        sorting->is_whole_line |= is_line;
        bool stands_alone = sorting->is_whole_line || sorting->fields[0].kind == SORT_NONE ||
                            field->kind == SORT_NONE;
        if (stands_alone && (has_more || sorting->count > 1)) return "line and none stand alone";
    }
    return NULL;
}

enum sort_kind sorting_kind(const struct sorting *sorting)
{
    bool is_plain =
        sorting->count == 1 && !sorting->is_whole_line && !sorting->fields[0].is_reverse;
    return is_plain ? (enum sort_kind)sorting->fields[0].kind : SORT_FIELDS;
}
