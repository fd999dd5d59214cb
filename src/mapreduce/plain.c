/* Splitting plain commands (plain.h). Every byte that any shell gives a meaning is refused, so
 * there is no quoting to get wrong. */
#include "mapreduce/plain.h"

#include <stdbool.h>
#include <string.h>

static bool is_plain(const char *command, size_t size)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "./_-+,:@%=^ ";
    return size < PLAIN_SIZE && strspn(command, good) == size;
}

void plain_split(struct plain *plain, const char *command)
{
    size_t size = strlen(command), count = 0;
    plain->words[0] = NULL;
    if (!is_plain(command, size)) return;
    memcpy(plain->text, command, size + 1);
    for (char *at = plain->text; *at != '\0';) {
        while (*at == ' ') *at++ = '\0';
        if (*at == '\0') break;
        if (count == PLAIN_WORDS) {
            count = 0;
            break;
        }
        plain->words[count++] = at;
        while (*at != ' ' && *at != '\0') at++;
    }
    plain->words[count] = NULL;
    if (count == 0) return;
    bool is_path = strchr(plain->words[0], '/') != NULL && strchr(plain->words[0], '=') == NULL;
    if (!is_path) plain->words[0] = NULL;
}
