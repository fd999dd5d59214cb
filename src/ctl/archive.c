/* A tar archive as POSIX has it (ustar): for each member a header of one block of 512 bytes with
 * numbers in octal, its bytes, zeros up to a whole block; two blocks of zeros at the end. Owner and
 * group are left at 0 and without names: who made it is nobody's business. */
#include "ctl/archive.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    BLOCK = 512
};

struct header {
    char name[ARCHIVE_NAME_SIZE];
    char mode[8], owner[8], group[8];
    char size[12], time[12], sum[8];
    char type;
    char linked[100];
    char magic[6], version[2];
    char owner_name[32], group_name[32];
    char major[8], minor[8];
    char prefix[155];
    char rest[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static void octal(char *field, size_t size, uint64_t value)
{
    char text[32];
    int count = snprintf(text, sizeof text, "%0*" PRIo64, (int)size - 1, value);
    assert(count == (int)size - 1);
    memcpy(field, text, size);
}

void archive_add(struct archive *archive, const char *name, struct slice content)
{
    static const uint8_t zeros[BLOCK];
    struct header header = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    unsigned sum = 0;
    assert(strlen(name) < ARCHIVE_NAME_SIZE);
    memcpy(header.name, name, strlen(name));
    octal(header.mode, sizeof header.mode, 0600);
    octal(header.owner, sizeof header.owner, 0);
    octal(header.group, sizeof header.group, 0);
    octal(header.size, sizeof header.size, content.count);
    octal(header.time, sizeof header.time, archive->time);
    memset(header.sum, ' ', sizeof header.sum); /* so it counts in the sum itself */
    const uint8_t *bytes = (const uint8_t *)&header;
    for (size_t i = 0; i < sizeof header; i++) sum += bytes[i];
    octal(header.sum, sizeof header.sum - 1, sum);
    (void)fwrite(&header, sizeof header, 1, archive->file);
    if (content.count > 0) (void)fwrite(content.at, content.count, 1, archive->file);
    size_t over = content.count % BLOCK;
    if (over > 0) (void)fwrite(zeros, BLOCK - over, 1, archive->file);
}

void archive_end(struct archive *archive)
{
    static const uint8_t zeros[2 * BLOCK];
    (void)fwrite(zeros, sizeof zeros, 1, archive->file);
}
