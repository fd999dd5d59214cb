/* --sort as text: in which order a reducer sees its records. mrctl reads it, the job carries it (as
 * MR_SORT, when task_spec.sort is SORT_FIELDS), mrtask obeys it.
 *
 *   ORDER[,ORDER...]      of the first TAB-separated field, of the second, ...
 *   ORDER                 key | numeric | line | none, then :reverse, :numeric
 *
 * "key" compares bytes as LC_ALL=C sort, "numeric" values as sort -n; "line" is the whole record as
 * one key, TABs and all; "none" leaves the input's order. line and none stand alone. */
#ifndef WIRE_SORTING_H
#define WIRE_SORTING_H

#include "base/slice.h"
#include "wire/kinds.h"

enum {
    SORTING_FIELDS_MAX = 8
}; /* more were never seen in a sort command */

struct sorting_field {
    uint8_t kind; /* SORT_KEY, SORT_NUMERIC or SORT_NONE */
    bool is_reverse;
};

struct sorting {
    bool is_whole_line;
    uint32_t count; /* 1 to SORTING_FIELDS_MAX */
    struct sorting_field fields[SORTING_FIELDS_MAX];
};

/* NULL, or what is wrong with the text (static). */
const char *sorting_parse(struct slice text, struct sorting *sorting);

/* The number for task_spec.sort: SORT_FIELDS unless key, numeric or none alone says it all. */
enum sort_kind sorting_kind(const struct sorting *sorting);

#endif
