/* Configuration files, of mrctl and of mrnode: the long names of options, without the dashes.
 *
 *   /etc/mr/mr.conf  <  ~/.config/mr/mr.conf  <  ./mr.conf  <  MR_*  <  flags
 *
 *   [mrctl]                      [mrnode]
 *   node = 10.0.0.7:7437         listen = 0.0.0.0
 *   replicas = 2                 slots = 4
 *
 * A later file's value replaces an earlier one's; of a name that may be repeated, all those of one
 * file. A file that others may write is refused: it decides which key is used, and what tasks may
 * do. */
#ifndef CTL_CONFIG_H
#define CTL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum {
    CONFIG_VALUES_MAX = 128,
    CONFIG_PATH_SIZE = 4096,
    CONFIG_FILES = 3,
    CONFIG_WHY_SIZE = CONFIG_PATH_SIZE + 512,
};

struct config_value {
    char name[32];
    char value[1024];
    unsigned file; /* which of config.files */
};

struct config {
    char files[CONFIG_FILES][CONFIG_PATH_SIZE]; /* as looked for; "": there is none to look for */
    struct config_value values[CONFIG_VALUES_MAX];
    size_t count;
    char why[CONFIG_WHY_SIZE];
};

/* Reads this section ("mrctl", "mrnode") of the files there are; others' are passed over. is_known:
 * may this name stand there? False: why says which file, which line and what is wrong. */
bool config_read(struct config *config, const char *section, bool (*is_known)(const char *name));
/* A line "[section]" of those that there are. */
bool config_is_section(const char *name);
/* The last value of this name; NULL. */
const struct config_value *config_get(const struct config *config, const char *name);

#endif
