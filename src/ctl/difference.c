/* The flock tells that two outputs differ by their digests; in what they do is found here, where
 * bytes may be looked at: both are blocks of the dataset JOB.differing, one behind the other. Which
 * blocks, the line of the story says: it names the first digits of both digests. */
#include "ctl/difference.h"

#include "ctl/download.h"
#include "ctl/exits.h"
#include "ctl/notice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SHOWN_MAX = 60, /* bytes of a record: enough to know it by */
    NAME_SIZE = 96,
    PREFIX_SIZE = 13,      /* of a digest's text, as the story shows it */
    BYTES_MAX = 256 << 20, /* more is not fetched for a look */
};

/* What one line of a story says. */
struct hint {
    unsigned attempts[2];
    char digests[2][PREFIX_SIZE];
    char dataset[NAME_SIZE];
};

static bool read_hint(struct slice text, struct hint *hint)
{
    char line[512];
    if (text.count >= sizeof line) return false;
    memcpy(line, text.at, text.count);
    line[text.count] = '\0';
    return sscanf(line,
                  "attempt %u: its output %12[0-9a-f] differs from %12[0-9a-f] of attempt %u: see"
                  " %95s",
                  &hint->attempts[0], hint->digests[0], hint->digests[1], &hint->attempts[1],
                  hint->dataset) == 5;
}

/* Where the block whose digest begins so lies in the dataset. False: not on its first page. */
static bool find_block(const struct msg_say_dataset *page, const char *prefix, uint64_t *offset,
                       uint64_t *size)
{
    const struct msg_dataset_block *blocks = page->blocks.at;
    *offset = 0;
    for (uint32_t i = 0; i < page->blocks.count; i++) {
        char digest[DIGEST_TEXT_SIZE];
        const struct msg_block_ref *block = &blocks[i].block.block;
        *size = block->size;
        if (strncmp(digest_text(&block->digest, digest), prefix, PREFIX_SIZE - 1) == 0) return true;
        *offset += block->size;
    }
    return false;
}

static void show_record(FILE *file, unsigned attempt, struct slice rest)
{
    const uint8_t *end = rest.count > 0 ? memchr(rest.at, '\n', rest.count) : NULL;
    size_t count = end == NULL ? rest.count : (size_t)(end - rest.at);
    fprintf(file, "  attempt %u: ", attempt);
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++) {
        bool is_plain = (rest.at[i] >= 0x20 && rest.at[i] != 0x7f) || rest.at[i] == '\t';
        fputc(is_plain ? rest.at[i] : '?', file);
    }
    fprintf(file, "%s\n", rest.count == 0 ? "(ends here)" : count > SHOWN_MAX ? "..." : "");
}

/* From the beginning of the first line in which they differ. */
static void compare(FILE *file, const struct hint *hint, struct slice one, struct slice other)
{
    size_t at = 0, line = 0;
    unsigned long long number = 1;
    size_t least = one.count < other.count ? one.count : other.count;
    for (; at < least && one.at[at] == other.at[at]; at++)
        if (one.at[at] == '\n') {
            line = at + 1;
            number++;
        }
    fprintf(file, "the first record that differs is %llu:\n", number);
    show_record(file, hint->attempts[0], slice_of(one.at + line, one.count - line));
    show_record(file, hint->attempts[1], slice_of(other.at + line, other.count - line));
}

static void show(struct session *session, const struct hint *hint, FILE *file)
{
    struct msg_ask_dataset ask = {.name = slice_string(hint->dataset)};
    struct wire_message reply;
    uint64_t offsets[2], sizes[2];
    if (session_call(session, &wire_ask_dataset, &ask, MSG_say_dataset, &reply) != EXIT_OK) return;
    const struct msg_say_dataset *page = reply.fields;
    for (int i = 0; i < 2; i++)
        if (!find_block(page, hint->digests[i], &offsets[i], &sizes[i])) return;
    uint64_t size = offsets[0] + sizes[0] > offsets[1] + sizes[1] ? offsets[0] + sizes[0]
                                                                  : offsets[1] + sizes[1];
    if (page->size > BYTES_MAX || size == 0) return;
    int fd = memfd_create("mrctl-difference", MFD_CLOEXEC);
    if (fd < 0 || download_dataset(session, hint->dataset, fd) != EXIT_OK) {
        if (fd >= 0) close(fd);
        return;
    }
    uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes != MAP_FAILED && lseek(fd, 0, SEEK_END) >= (off_t)size)
        compare(file, hint, slice_of(bytes + offsets[0], sizes[0]),
                slice_of(bytes + offsets[1], sizes[1]));
    if (bytes != MAP_FAILED) munmap(bytes, size);
    close(fd);
}

void difference_show(struct session *session, const struct msg_story_line *lines, uint32_t count,
                     FILE *file)
{
    struct hint hint;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_hint(lines[i].text, &hint)) continue;
        show(session, &hint, file); /* the lines are gone now */
        return;
    }
}
