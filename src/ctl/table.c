/* Aligned tables. Widths count characters of UTF-8, not bytes, so a name with an accent does not
 * shift its row. A cell never holds a control character: a hostile name cannot draw on the reader's
 * terminal or fake a row. */
#include "ctl/table.h"

#include "ctl/notice.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

enum {
    COLUMNS_MAX = 16
};

void table_init(struct table *table, const char *const *header)
{
    *table = (struct table){0};
    while (header[table->columns] != NULL) table->columns++;
    assert(table->columns > 0 && table->columns <= COLUMNS_MAX);
    for (size_t i = 0; header[i] != NULL; i++) {
        bool is_right = header[i][0] == '>';
        if (is_right) table->right |= 1u << i;
        table_cell(table, "%s", header[i] + is_right);
    }
}

void table_deinit(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

/* Takes text. Out of memory ends the program: there is no answer without its rows. */
static void push(struct table *table, char *text)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 64 : 2 * table->capacity;
        table->cells = realloc(table->cells, table->capacity * sizeof *table->cells);
    }
    if (table->cells == NULL || text == NULL) notice_no_memory();
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    table->cells[table->count++] = text;
}

void table_cell(struct table *table, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int count = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (count == 0) {
        free(text);
        text = strdup("-");
    }
    push(table, count < 0 ? NULL : text);
}

void table_bytes(struct table *table, struct slice text)
{
    push(table, text.count == 0 ? strdup("-") : strndup((const char *)text.at, text.count));
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void pad(FILE *file, size_t count)
{
    while (count-- > 0) fputc(' ', file);
}

void table_print(const struct table *table, FILE *file)
{
    size_t widths[COLUMNS_MAX] = {0};
    assert(table->count % table->columns == 0);
    for (size_t i = 0; i < table->count; i++) {
        size_t width = width_of(table->cells[i]);
        if (width > widths[i % table->columns]) widths[i % table->columns] = width;
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        bool is_last = column + 1 == table->columns;
        bool is_right = (table->right >> column & 1) != 0;
        size_t space = widths[column] - width_of(table->cells[i]);
        if (is_right) pad(file, space);
        fputs(table->cells[i], file);
        if (!is_right && !is_last) pad(file, space);
        fputs(is_last ? "\n" : "  ", file);
    }
}
