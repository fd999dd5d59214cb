/* Rows in aligned columns for people: cells are kept until all are known, then printed. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include "base/slice.h"

#include <stdio.h>

struct table {
    size_t columns;
    unsigned right; /* bit i: column i is set to the right (numbers) */
    char **cells;
    size_t count;
    size_t capacity;
};

/* header: columns titles, NULL at the end, each copied; one that begins with '>' is set to the
 * right. */
void table_init(struct table *table, const char *const *header);
void table_deinit(struct table *table);
/* The next cell, row by row. Control characters become '?', an empty cell "-". */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_bytes(struct table *table, struct slice text);
/* All rows (whole ones: asserted), two spaces between columns, none at the end of a line. */
void table_print(const struct table *table, FILE *file);

#endif
