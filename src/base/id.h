/* Identities: 128 bits for nodes, jobs and requests; 256 bits (BLAKE2b) for content. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct id {
    uint8_t bytes[16];
};

struct digest {
    uint8_t bytes[32];
};

enum {
    ID_SHORT_SIZE = 9,     /* 8 hex digits and a NUL: enough for people */
    ID_TEXT_SIZE = 33,     /* all of an id */
    DIGEST_TEXT_SIZE = 65, /* all of a digest */
};

/* Eight bytes as a number that has their order: what compilers make one load and one swap of. */
static inline uint64_t id_word(const uint8_t at[8])
{
    return (uint64_t)at[0] << 56 | (uint64_t)at[1] << 48 | (uint64_t)at[2] << 40 |
           (uint64_t)at[3] << 32 | (uint64_t)at[4] << 24 | (uint64_t)at[5] << 16 |
           (uint64_t)at[6] << 8 | at[7];
}

/* The order of their bytes, as memcmp's; without a call, since sorted tables live on it. */
static inline int id_compare(const struct id *a, const struct id *b)
{
    uint64_t x = id_word(a->bytes), y = id_word(b->bytes);
    if (x == y) {
        x = id_word(a->bytes + 8);
        y = id_word(b->bytes + 8);
    }
    return (x > y) - (x < y);
}

static inline bool id_equal(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static inline int digest_compare(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* The id of all zeros: nobody, nothing. */
bool id_is_zero(const struct id *id);
bool digest_is_zero(const struct digest *digest);

/* First 8 hex digits into text (ID_SHORT_SIZE); returns text. */
char *id_short(const struct id *id, char text[ID_SHORT_SIZE]);
char *id_text(const struct id *id, char text[ID_TEXT_SIZE]);
char *digest_text(const struct digest *digest, char text[DIGEST_TEXT_SIZE]);

/* Parses exactly 32 (64) lower-case hex digits; false when text is anything else. */
bool id_parse(const char *text, struct id *id);
bool digest_parse(const char *text, struct digest *digest);

#endif
