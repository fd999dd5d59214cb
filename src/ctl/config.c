/* Reading the files in their order (config.h). Standard library and inih alone: mrnode links this
 * file and nothing else of src/ctl. */
#include "ctl/config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reading {
    struct config *config;
    const char *section;
    bool (*is_known)(const char *name);
    unsigned file;
    char what[256]; /* wrong with the first bad line; "": nothing so far */
};

bool config_is_section(const char *name)
{
    return strcmp(name, "mrctl") == 0 || strcmp(name, "mrnode") == 0;
}

/* A name's values of earlier files go; those of this one stay. */
static void replace_earlier(struct config *config, const char *name, unsigned file)
{
    size_t kept = 0;
    for (size_t i = 0; i < config->count; i++) {
        const struct config_value *value = &config->values[i];
        bool goes = value->file != file && strcmp(value->name, name) == 0;
        if (!goes && kept++ != i) config->values[kept - 1] = *value;
    }
    config->count = kept;
}

static int bad(struct reading *reading, const char *format, const char *word)
{
    if (reading->what[0] == '\0') snprintf(reading->what, sizeof reading->what, format, word);
    return 0;
}

static int take(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    struct config *config = reading->config;
    if (*section == '\0') return bad(reading, "%.40s stands before any [mrctl] or [mrnode]", name);
    if (!config_is_section(section))
        return bad(reading, "[%.40s] is none of [mrctl] and [mrnode]", section);
    if (strcmp(section, reading->section) != 0) return 1;
    if (!reading->is_known(name))
        return bad(reading, "%.40s is no option that may stand here (its long name, without --)",
                   name);
    replace_earlier(config, name, reading->file);
    struct config_value *next = &config->values[config->count];
    if (config->count == CONFIG_VALUES_MAX || strlen(value) >= sizeof next->value)
        return bad(reading, "%.40s: too many values, or too long a one", name);
    *next = (struct config_value){.file = reading->file};
    snprintf(next->name, sizeof next->name, "%s", name);
    snprintf(next->value, sizeof next->value, "%s", value);
    config->count++;
    return 1;
}

static bool fail(struct config *config, const char *path, int line, const char *what)
{
    if (line > 0) snprintf(config->why, sizeof config->why, "%s:%d: %s", path, line, what);
    else snprintf(config->why, sizeof config->why, "%s: %s", path, what);
    return false;
}

static bool read_file(struct reading *reading)
{
    struct config *config = reading->config;
    const char *path = config->files[reading->file];
    struct stat status;
    FILE *file = *path == '\0' ? NULL : fopen(path, "re");
    if (file == NULL) {
        bool is_absent = *path == '\0' || errno == ENOENT || errno == ENOTDIR;
        return is_absent || fail(config, path, 0, strerror(errno));
    }
    bool is_safe = fstat(fileno(file), &status) == 0 && (status.st_mode & 022) == 0 &&
                   (status.st_uid == 0 || status.st_uid == geteuid());
    if (!is_safe) {
        fclose(file);
        return fail(config, path, 0,
                    "others may write it, or it is somebody else's; see: chmod go-w");
    }
    int line = ini_parse_file(file, take, reading);
    fclose(file);
    if (line == 0) return true;
    bool is_told = reading->what[0] != '\0';
    return fail(config, path, line,
                is_told ? reading->what : "expected: name = value, or [section]");
}

static void find_files(struct config *config)
{
    const char *home = getenv("HOME"), *base = getenv("XDG_CONFIG_HOME");
    snprintf(config->files[0], CONFIG_PATH_SIZE, "/etc/mr/mr.conf");
    if (base != NULL && *base == '/')
        snprintf(config->files[1], CONFIG_PATH_SIZE, "%s/mr/mr.conf", base);
    else if (home != NULL && *home != '\0')
        snprintf(config->files[1], CONFIG_PATH_SIZE, "%s/.config/mr/mr.conf", home);
    snprintf(config->files[2], CONFIG_PATH_SIZE, "./mr.conf");
}

bool config_read(struct config *config, const char *section, bool (*is_known)(const char *name))
{
    memset(config, 0, sizeof *config);
    find_files(config);
    for (unsigned i = 0; i < CONFIG_FILES; i++) {
        struct reading reading = {config, section, is_known, i, ""};
        if (!read_file(&reading)) return false;
    }
    return true;
}

const struct config_value *config_get(const struct config *config, const char *name)
{
    for (size_t i = config->count; i > 0; i--)
        if (strcmp(config->values[i - 1].name, name) == 0) return &config->values[i - 1];
    return NULL;
}
