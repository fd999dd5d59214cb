/* The cluster's keys on disk (keyfile.h). The file is replaced whole: a crash leaves the old one or
 * the new one. */
#include "io/keyfile.h"

#include "io/loop.h"
#include "io/stream.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

bool keyfile_init(struct keyfile *keyfile, struct loop *loop, const char *path,
                  struct crypto_key *keys, size_t *count)
{
    *keyfile = (struct keyfile){.loop = loop, .keys = keys, .count = count};
    return file_path(keyfile->path, "%s", path);
}

static void use(struct keyfile *keyfile, const struct crypto_key *keys, size_t count)
{
    memcpy(keyfile->keys, keys, count * sizeof *keys);
    *keyfile->count = count;
    streams_set_keys(keyfile->loop->streams, count);
}

static void run_write(struct chore *chore)
{
    struct keyfile *keyfile = (struct keyfile *)chore;
    keyfile->error = identity_put_keys(keyfile->path, keyfile->written, keyfile->written_count);
}

static void start(struct keyfile *keyfile);

static void done_write(struct chore *chore)
{
    struct keyfile *keyfile = (struct keyfile *)chore;
    keyfile->is_busy = false;
    sodium_memzero(keyfile->written, sizeof keyfile->written);
    if (keyfile->is_stale) {
        start(keyfile);
        return;
    }
    if (keyfile->error != ERROR_NONE)
        trace_line(&keyfile->loop->trace, TRACE_ERROR,
                   "event=key_file_failed file=%s because=\"%s\"", keyfile->path,
                   error_text(keyfile->error));
    struct event event = {.kind = EVENT_KEYS_WRITTEN};
    event.keys_written.error = keyfile->error;
    loop_feed(keyfile->loop, &event);
}

static void start(struct keyfile *keyfile)
{
    keyfile->is_busy = true;
    keyfile->is_stale = false;
    memcpy(keyfile->written, keyfile->keys, *keyfile->count * sizeof *keyfile->keys);
    keyfile->written_count = *keyfile->count;
    chore_start(&keyfile->loop->uv, &keyfile->chore, run_write, done_write);
}

void keyfile_write(struct keyfile *keyfile, const struct action *action)
{
    use(keyfile, action->keys_write.keys, action->keys_write.count);
    if (keyfile->is_busy) keyfile->is_stale = true;
    else start(keyfile);
}

void keyfile_read(struct keyfile *keyfile)
{
    struct crypto_key keys[IDENTITY_KEYS_MAX];
    size_t count;
    struct why why;
    enum identity_found found = identity_keys(keyfile->path, keys, &count, &why);
    if (found != IDENTITY_FOUND) {
        trace_line(&keyfile->loop->trace, TRACE_ERROR, "event=key_file_failed because=\"%s\"",
                   found == IDENTITY_ABSENT ? "there is no key file any more" : why.text);
        return;
    }
    use(keyfile, keys, count);
    trace_line(&keyfile->loop->trace, TRACE_INFO, "event=keys_read keys=%zu", count);
    struct event event = {.kind = EVENT_KEYS_READ};
    event.keys_read.keys = keys;
    event.keys_read.count = count;
    loop_feed(keyfile->loop, &event);
    sodium_memzero(keys, sizeof keys);
}
