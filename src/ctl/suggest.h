/* "Did you mean": the known word nearest to a mistyped one. */
#ifndef CTL_SUGGEST_H
#define CTL_SUGGEST_H

#include <stddef.h>

/* Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours,
 * one each (Damerau 1964). Words longer than 63 bytes count as far from everything (returns 64). */
size_t suggest_distance(const char *a, const char *b);

/* The best word so far: start with {word typed, NULL, 0} and offer every known word. */
struct suggest {
    const char *typed;
    const char *best; /* NULL: nothing is near enough */
    size_t distance;
};

/* Near enough: at most 2 edits, and at most a third of the typed word plus one; or the typed word
 * begins it. Borrows word. */
void suggest_offer(struct suggest *suggest, const char *word);

#endif
