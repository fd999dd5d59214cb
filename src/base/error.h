/* Errors of the third kind: what the world does to us (docs/ARCHITECTURE.md, "Errors").
 * Bugs of ours are asserts; a stranger's bytes are refused with a reason (const char *). */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum error {
#define ERROR(name, text, hint) ERROR_##name,
#include "base/error.def"
#undef ERROR
};

/* A result nobody may ignore. */
#define MUST_USE __attribute__((warn_unused_result))

/* What happened, in words; a static string, never NULL. */
const char *error_text(enum error error);
/* What the reader of the message can do next; a static string, "" when there is nothing to say. */
const char *error_hint(enum error error);

/* What errno says of a file or a disk; 0: ERROR_NONE; one that no caller tells apart: other. */
enum error error_of_errno(int number, enum error other);

#endif
