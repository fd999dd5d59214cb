/* Counts for people: "1 node", "3 nodes", "2 copies". */
#ifndef BASE_PLURAL_H
#define BASE_PLURAL_H

#include <stdint.h>

enum {
    PLURAL_TEXT_SIZE = 64
};

struct plural {
    char text[PLURAL_TEXT_SIZE];
};

/* The count and the word, which is given for one; for use within one expression:
 * notice_line("%s", plural(count, "node").text). Of y behind a consonant becomes ies, else an s is
 * added. A word may have others before it ("second copy"). */
struct plural plural(uint64_t count, const char *word);

#endif
