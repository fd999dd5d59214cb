/* Reading results (results.h): all of them into a file without a name, which is mapped; a bag's
 * output may be larger than memory. */
#include "ctl/results.h"

#include "ctl/download.h"
#include "ctl/exits.h"
#include "ctl/notice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIELDS_SIZE = 4096
}; /* of one decoded frame: its bytes are borrowed */

static int no_bag(const char *dataset)
{
    notice_line("%s is not the result of a bag of tasks (run -t)", dataset);
    return EXIT_USAGE;
}

/* The next frame; false at the end, and at what is none (*is_good). */
static bool next_frame(struct slice *bytes, struct wire_message *message, bool *is_good)
{
    static _Alignas(16) uint8_t memory[FIELDS_SIZE];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    if (bytes->count == 0) return false;
    *is_good = wire_unpack(bytes, message, &arena) == NULL && message->type >= MSG_line_begun &&
               message->type <= MSG_line_again;
    return *is_good;
}

static bool walk(struct slice bytes, void *context,
                 void (*visit)(void *context, const struct result *result))
{
    struct result result = {0};
    struct wire_message message;
    bool is_good = true;
    while (next_frame(&bytes, &message, &is_good)) {
        if (message.type == MSG_line_begun)
            result = (struct result){.begun = *(const struct msg_line_begun *)message.fields};
        if (message.type == MSG_line_begun || message.type == MSG_line_again) {
            result.frames = slice_of(bytes.at, 0);
            result.size = 0;
        }
        if (message.type == MSG_line_bytes) {
            const struct msg_line_bytes *piece = message.fields;
            result.frames.count = (size_t)(bytes.at - result.frames.at);
            if (piece->descriptor == 1) result.size += piece->bytes.count;
        }
        if (message.type != MSG_line_ended) continue;
        result.ended = *(const struct msg_line_ended *)message.fields;
        visit(context, &result);
    }
    return is_good;
}

static int open_spool(void)
{
    char path[4096];
    const char *directory = getenv("TMPDIR");
    if (directory == NULL || *directory == '\0') directory = "/tmp";
    snprintf(path, sizeof path, "%s/mrctl.XXXXXX", directory);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) (void)unlink(path);
    else notice_line("cannot make a temporary file: %s", strerror(errno));
    return fd;
}

static int unreadable(void)
{
    notice_line("cannot read the results: %s", strerror(errno));
    return EXIT_JOB_FAILED;
}

int results_each(struct session *session, const char *dataset, const struct list *parts,
                 void *context, void (*visit)(void *context, const struct result *result))
{
    struct stat status;
    int fd = open_spool();
    if (fd < 0) return EXIT_JOB_FAILED;
    int code =
        parts == NULL ? download_dataset(session, dataset, fd) : download_parts(session, parts, fd);
    if (code == EXIT_OK && fstat(fd, &status) != 0) code = unreadable();
    if (code == EXIT_OK && status.st_size > 0) {
        size_t size = (size_t)status.st_size;
        void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED) code = unreadable();
        else if (!walk(slice_of(at, size), context, visit)) code = no_bag(dataset);
        if (at != MAP_FAILED) munmap(at, size);
    }
    close(fd);
    return code;
}

static void print_tagged(struct slice bytes, const char *tag, bool *is_in_line, FILE *file)
{
    while (bytes.count > 0) {
        const uint8_t *newline = memchr(bytes.at, '\n', bytes.count);
        size_t count = newline == NULL ? bytes.count : (size_t)(newline - bytes.at) + 1;
        if (!*is_in_line) fprintf(file, "%s\t", tag);
        fwrite(bytes.at, 1, count, file);
        *is_in_line = newline == NULL;
        bytes = slice_of(bytes.at + count, bytes.count - count);
    }
}

void results_print(const struct result *result, uint8_t descriptor, const char *tag, FILE *file)
{
    struct slice bytes = result->frames;
    struct wire_message message;
    bool is_good = true, is_in_line = false;
    while (next_frame(&bytes, &message, &is_good)) {
        const struct msg_line_bytes *piece = message.fields;
        if (message.type != MSG_line_bytes || piece->descriptor != descriptor) continue;
        if (tag == NULL) fwrite(piece->bytes.at, 1, piece->bytes.count, file);
        else print_tagged(piece->bytes, tag, &is_in_line, file);
    }
}
