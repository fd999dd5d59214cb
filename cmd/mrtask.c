/* mrtask [OPTIONS] DIR: one attempt of one task (mapreduce/task.h); with --serve, one after the
 * other (mapreduce/serving.h). Started by mrnode, not by people. */
#include "mapreduce/confine.h"
#include "mapreduce/serving.h"
#include "mapreduce/task.h"
#include "wire/seal.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_USAGE = 2
};

static const char help[] =
    "usage: mrtask [OPTIONS] DIR\n"
    "Runs the attempt that DIR/spec describes; writes DIR/output and DIR/result.\n"
    "Started by mrnode. Exit codes: 0 DIR/result is written, 1 it is not, 2 usage.\n"
    "      --serve                    instead: attempts from descriptor 0, until it closes\n"
    "      --confine auto|strict|off  what commands may open (auto: as far as the kernel can)\n"
    "      --user UID                 commands run as this user\n"
    "      --work DIR                 their directory (DIR/work)\n"
    "      --hide PATH                never theirs to see, repeatable\n"
    "      --read PATH, --write PATH  theirs to read, to write, repeatable\n"
    "  -h, --help                     this text\n"
    "      --version                  the version\n";

static int wrong(const char *text)
{
    fprintf(stderr, "mrtask: %s (mrtask --help)\n", text);
    return EXIT_USAGE;
}

static bool add(struct confine_paths *paths, const char *path)
{
    if (paths->count == CONFINE_PATHS_MAX || path[0] != '/') return false;
    paths->at[paths->count++] = path;
    return true;
}

static bool set_mode(struct confine *confine, const char *text)
{
    if (strcmp(text, "auto") == 0) confine->mode = CONFINE_AUTO;
    else if (strcmp(text, "strict") == 0) confine->mode = CONFINE_STRICT;
    else if (strcmp(text, "off") == 0) confine->mode = CONFINE_OFF;
    else return false;
    return true;
}

static bool set_user(struct confine *confine, const char *text)
{
    char *rest;
    unsigned long number = strtoul(text, &rest, 10);
    confine->user = (uid_t)number;
    return *text != '\0' && *rest == '\0' && number > 0 && number < UINT32_MAX;
}

int main(int count, char *arguments[])
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},        {"version", no_argument, NULL, 'V'},
        {"serve", no_argument, NULL, 's'},       {"confine", required_argument, NULL, 'c'},
        {"user", required_argument, NULL, 'u'},  {"work", required_argument, NULL, 'd'},
        {"hide", required_argument, NULL, 'x'},  {"read", required_argument, NULL, 'r'},
        {"write", required_argument, NULL, 'w'}, {0},
    };
    struct confine confine;
    const char *work = NULL;
    bool serves = false;
    confine_init(&confine);
    for (int option; (option = getopt_long(count, arguments, "h", options, NULL)) != -1;) {
        bool is_good = option != '?'; /* getopt_long said why */
        switch (option) {
        case 'h': return fputs(help, stdout) < 0;
        case 'V': return puts("mrtask " MR_VERSION) < 0;
        case '?': return EXIT_USAGE;
        case 's': serves = true; break;
        case 'c': is_good = set_mode(&confine, optarg); break;
        case 'u': is_good = set_user(&confine, optarg); break;
        case 'd': work = optarg; break;
        case 'x': is_good = add(&confine.hidden, optarg); break;
        case 'r': is_good = add(&confine.readable, optarg); break;
        case 'w': is_good = add(&confine.writable, optarg); break;
        }
        if (!is_good) return wrong("an option's value is not valid");
    }
    if (!serves && optind + 1 != count) return wrong("expects one directory");
    if (!seal_init()) {
        fputs("mrtask: libsodium cannot start: no entropy\n", stderr);
        return 1;
    }
    if (serves) return serving_run(&confine);
    struct task_order order = {
        .directory = arguments[optind], .commands = work, .confine = &confine};
    bool was_told;
    return task_run(&order, &was_told);
}
