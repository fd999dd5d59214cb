#include "base/id.h"

#include <stddef.h>

static void hex(const uint8_t *bytes, size_t count, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * count] = '\0';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static bool unhex(const char *text, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < 2 * count; i++) {
        int value = digit(text[i]);
        if (value < 0) return false;
        bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : bytes[i / 2] | value);
    }
    return text[2 * count] == '\0';
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != 0) return false;
    return true;
}

bool id_is_zero(const struct id *id) { return all_zero(id->bytes, sizeof id->bytes); }

bool digest_is_zero(const struct digest *digest)
{
    return all_zero(digest->bytes, sizeof digest->bytes);
}

char *id_short(const struct id *id, char text[ID_SHORT_SIZE])
{
    hex(id->bytes, (ID_SHORT_SIZE - 1) / 2, text);
    return text;
}

char *id_text(const struct id *id, char text[ID_TEXT_SIZE])
{
    hex(id->bytes, sizeof id->bytes, text);
    return text;
}

char *digest_text(const struct digest *digest, char text[DIGEST_TEXT_SIZE])
{
    hex(digest->bytes, sizeof digest->bytes, text);
    return text;
}

bool id_parse(const char *text, struct id *id) { return unhex(text, id->bytes, sizeof id->bytes); }

bool digest_parse(const char *text, struct digest *digest)
{
    return unhex(text, digest->bytes, sizeof digest->bytes);
}
