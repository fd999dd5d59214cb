/* Commands that a shell would only hand on: a path and plain words, split at blanks. They are
 * executed without one, which halves the cost of a small task. */
#ifndef MAPREDUCE_PLAIN_H
#define MAPREDUCE_PLAIN_H

enum {
    PLAIN_SIZE = 4096, /* of such a command; a longer one is no small task */
    PLAIN_WORDS = 64,
};

struct plain {
    char text[PLAIN_SIZE];
    char *words[PLAIN_WORDS + 1]; /* in text; NULL at the end */
};

/* words[0] is NULL when the command needs a shell: its first word is no path ("/" in it), or it
 * holds anything but letters, digits, blanks and ./_-+,:@%=^ (a "=" in the first word is an
 * assignment). */
void plain_split(struct plain *plain, const char *command);

#endif
