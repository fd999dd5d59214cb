/* Suggestions for typos. Four mistakes in five are one insertion, deletion, substitution or swap of
 * neighbours (Damerau, "A technique for computer detection and correction of spelling errors", CACM
 * 1964), so a swap costs one, not two. */
#include "ctl/suggest.h"

#include <string.h>

enum {
    WORD_MAX = 63
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t suggest_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 2];
    size_t a_count = strlen(a), b_count = strlen(b);
    if (a_count > WORD_MAX || b_count > WORD_MAX) return WORD_MAX + 1;
    for (size_t j = 0; j <= b_count; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_count; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_count; j++) {
            now[j] = least(before[j], now[j - 1]) + 1;
            now[j] = least(now[j], before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[a_count % 3][b_count];
}

void suggest_offer(struct suggest *suggest, const char *word)
{
    size_t typed_count = strlen(suggest->typed);
    size_t distance = suggest_distance(suggest->typed, word);
    if (typed_count >= 2 && strncmp(word, suggest->typed, typed_count) == 0)
        distance = least(distance, 1);
    if (distance > 2 || distance > typed_count / 3 + 1) return;
    if (suggest->best != NULL && distance >= suggest->distance) return;
    suggest->best = word;
    suggest->distance = distance;
}
