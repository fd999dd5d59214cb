/* mrnode: one node of the flock. Options and wiring only; the life of a node is in io/daemon.c.
 *
 * What the files mr.conf say becomes flags in front of the command line's: "--name=value". A name
 * that the command line has, or whose variable is set, is left out. */
#include "ctl/config.h"
#include "io/check.h"
#include "io/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_USAGE = 2
};

static bool is_given(int count, char *arguments[], const char *name)
{
    size_t size = strlen(name);
    const char *key_file = getenv("MR_KEY_FILE");
    if (strcmp(name, "key-file") == 0 && key_file != NULL && *key_file != '\0') return true;
    for (int i = 1; i < count; i++) {
        const char *word = arguments[i];
        if (strcmp(name, "dir") == 0 && strncmp(word, "-d", 2) == 0) return true;
        bool is_long = strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, size) == 0;
        if (is_long && (word[size + 2] == '\0' || word[size + 2] == '=')) return true;
    }
    return false;
}

/* The command line, behind what the files say. */
struct words {
    char **at; /* ours */
    int own;   /* so many behind the first are ours, too */
    int count;
};

static void words_free(struct words *words)
{
    for (int i = 0; i < words->own; i++) free(words->at[1 + i]);
    free(words->at);
}

/* The files' flags and the command line's in one array. False: no memory. */
static bool with_config(const struct config *config, int count, char *arguments[],
                        struct words *words)
{
    words->at = calloc((size_t)count + config->count + 1, sizeof *words->at);
    if (words->at == NULL) return false;
    words->at[words->count++] = arguments[0];
    for (size_t i = 0; i < config->count; i++) {
        const struct config_value *value = &config->values[i];
        if (is_given(count, arguments, value->name)) continue;
        size_t size = strlen(value->name) + strlen(value->value) + 4;
        char *word = malloc(size);
        if (word == NULL) return false;
        snprintf(word, size, "--%s=%s", value->name, value->value);
        words->at[words->count++] = word;
        words->own++;
    }
    for (int i = 1; i < count; i++) words->at[words->count++] = arguments[i];
    return true;
}

static bool wants_help(int count, char *arguments[])
{
    for (int i = 1; i < count; i++)
        if (strcmp(arguments[i], "-h") == 0 || strcmp(arguments[i], "--help") == 0 ||
            strcmp(arguments[i], "--version") == 0)
            return true;
    return false;
}

static int run(int count, char *arguments[])
{
    struct options options;
    switch (options_parse(count, arguments, &options)) {
    case OPTIONS_RUN:
        if (options.checked_store != NULL) return check_store(options.checked_store);
        return daemon_run(&options);
    case OPTIONS_SHOWN: return 0;
    case OPTIONS_WRONG: return EXIT_USAGE;
    }
    return EXIT_USAGE;
}

int main(int count, char *arguments[])
{
    static struct config config; /* large */
    struct words words = {0};
    if (wants_help(count, arguments)) return run(count, arguments);
    if (!config_read(&config, "mrnode", options_is_setting)) {
        fprintf(stderr, "mrnode: %s\n", config.why);
        return EXIT_USAGE;
    }
    bool has_memory = with_config(&config, count, arguments, &words);
    if (!has_memory) fputs("mrnode: out of memory\n", stderr);
    int code = has_memory ? run(words.count, words.at) : 1;
    words_free(&words);
    return code;
}
