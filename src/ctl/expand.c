/* Replacement strings (expand.h). The words between quotes of the command are not looked at: as
 * with GNU parallel, '{}' within quotes is replaced too, and the quoting of the argument then adds
 * to the user's own. */
#include "ctl/expand.h"

#include "ctl/notice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *at;
    size_t count, capacity;
};

static void put(struct text *text, const char *at, size_t count)
{
    if (text->count + count + 1 > text->capacity) {
        text->capacity = 2 * (text->count + count + 64);
        text->at = realloc(text->at, text->capacity);
        if (text->at == NULL) notice_no_memory();
    }
    memcpy(text->at + text->count, at, count);
    text->count += count;
    text->at[text->count] = '\0';
}

/* As one word of the shell: plain characters as they are, anything else within single quotes. */
static void put_quoted(struct text *text, const char *at, size_t count)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "./_-+,:@%=^";
    bool is_plain = count > 0;
    for (size_t i = 0; i < count && is_plain; i++)
        is_plain = at[i] != '\0' && strchr(good, at[i]) != NULL;
    if (is_plain) {
        put(text, at, count);
        return;
    }
    put(text, "'", 1);
    for (size_t i = 0; i < count; i++)
        if (at[i] == '\'') put(text, "'\\''", 4);
        else put(text, at + i, 1);
    put(text, "'", 1);
}

/* Which part of the argument a replacement means. */
struct part {
    const char *at;
    size_t count;
};

static struct part without_extension(struct part part)
{
    for (size_t i = part.count; i > 0 && part.at[i - 1] != '/'; i--)
        if (part.at[i - 1] == '.' && i > 1 && part.at[i - 2] != '/')
            return (struct part){part.at, i - 1};
    return part;
}

static struct part base_of(const char *argument)
{
    const char *slash = strrchr(argument, '/');
    const char *base = slash == NULL ? argument : slash + 1;
    return (struct part){base, strlen(base)};
}

static struct part directory_of(const char *argument)
{
    const char *slash = strrchr(argument, '/');
    if (slash == NULL) return (struct part){".", 1};
    return (struct part){argument, slash == argument ? 1 : (size_t)(slash - argument)};
}

static const struct replacement {
    const char *text;
    char kind;
} replacements[] = {{"{}", 'a'},   {"{.}", '.'},  {"{/}", '/'},
                    {"{//}", 'd'}, {"{/.}", 'b'}, {"{#}", '#'}};

static const struct replacement *replacement_at(const char *at)
{
    for (size_t i = 0; i < sizeof replacements / sizeof *replacements; i++)
        if (strncmp(at, replacements[i].text, strlen(replacements[i].text)) == 0)
            return &replacements[i];
    return NULL;
}

static struct part part_of(char kind, const char *argument)
{
    struct part whole = {argument, strlen(argument)};
    switch (kind) {
    case '.': return without_extension(whole);
    case '/': return base_of(argument);
    case 'd': return directory_of(argument);
    case 'b': return without_extension(base_of(argument));
    default: return whole;
    }
}

static void put_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    put(text, digits + at, sizeof digits - at);
}

char *expand_command(const char *command, const char *argument, uint64_t sequence)
{
    struct text text = {0};
    bool has_any = false;
    put(&text, "", 0);
    if (strcmp(command, "{}") == 0) {
        put(&text, argument, strlen(argument));
        return text.at;
    }
    while (*command != '\0') {
        const struct replacement *found = *command == '{' ? replacement_at(command) : NULL;
        if (found == NULL) {
            put(&text, command++, 1);
            continue;
        }
        struct part part = part_of(found->kind, argument);
        if (found->kind == '#') put_number(&text, sequence);
        else put_quoted(&text, part.at, part.count);
        command += strlen(found->text);
        has_any = true;
    }
    if (!has_any) {
        put(&text, " ", 1);
        put_quoted(&text, argument, strlen(argument));
    }
    return text.at;
}
