/* Members remembered between calls: without them, an mrctl whose -n machine has just died could ask
 * nobody. One small file for each key and -n address, an address a line:
 *
 *   $XDG_CACHE_HOME (else ~/.cache) /mr/peers-<key id>[-<address>]
 *
 * A file of an -n address holds only members learnt through that address: whoever names a node
 * means its flock. The file is a hint: it may be gone, old or garbage, and then it costs some
 * refused connections. */
#include "ctl/peers.h"

#include "ctl/keys.h"
#include "wire/frame.h"
#include "wire/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* False when there is no place for caches. */
static bool cache_path(char *path, size_t size, uint32_t key_id, const char *node)
{
    char name[CONNECTION_ADDRESS_SIZE] = "";
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool has_cache = cache != NULL && *cache == '/';
    if (!has_cache && (home == NULL || *home != '/')) return false;
    if (node != NULL) snprintf(name, sizeof name, "-%s", node);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '/' || (unsigned char)*c <= ' ') *c = '_';
    int count = snprintf(path, size, "%s%s/mr/peers-%08x%s", has_cache ? cache : home,
                         has_cache ? "" : "/.cache", (unsigned)key_id, name);
    return count > 0 && (size_t)count < size;
}

void peers_load(struct peers *peers, const struct crypto_key *key, const char *node)
{
    struct frame_key frame_key;
    char line[CONNECTION_ADDRESS_SIZE], host[CONNECTION_ADDRESS_SIZE], port[8];
    *peers = (struct peers){0};
    frame_key_init(&frame_key, &crypto_sodium, key);
    uint32_t key_id = frame_key.key_id;
    explicit_bzero(&frame_key, sizeof frame_key);
    if (!cache_path(peers->path, sizeof peers->path, key_id, node)) {
        peers->path[0] = '\0';
        return;
    }
    FILE *file = fopen(peers->path, "re");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (connection_parse(line, host, port)) peers_learn(peers, line);
    }
    fclose(file);
}

void peers_clear(struct peers *peers) { peers->count = 0; }

void peers_learn(struct peers *peers, const char *address)
{
    if (peers->count == PEERS_MAX) return;
    for (size_t i = 0; i < peers->count; i++)
        if (strcmp(peers->items[i], address) == 0) return;
    snprintf(peers->items[peers->count++], CONNECTION_ADDRESS_SIZE, "%s", address);
}

void peers_save(const struct peers *peers)
{
    char temporary[sizeof peers->path + 8];
    if (peers->path[0] == '\0' || !keys_make_parents(peers->path)) return;
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", peers->path);
    int fd = mkstemp(temporary); /* 0600 */
    if (fd < 0) return;
    FILE *file = fdopen(fd, "w");
    if (file == NULL) {
        close(fd);
        unlink(temporary);
        return;
    }
    for (size_t i = 0; i < peers->count; i++) fprintf(file, "%s\n", peers->items[i]);
    bool is_written = ferror(file) == 0;
    if (fclose(file) != 0 || !is_written || rename(temporary, peers->path) != 0) unlink(temporary);
}
