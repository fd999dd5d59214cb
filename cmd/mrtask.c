/* mrtask DIR: one attempt of one task (mapreduce/task.h). Started by mrnode and mrctl, not by
 * people. */
#include "mapreduce/task.h"
#include "wire/seal.h"

#include <getopt.h>
#include <stdio.h>

enum { EXIT_USAGE = 2 };

static const char help[] =
    "usage: mrtask DIR\n"
    "Runs the attempt that DIR/spec describes; writes DIR/output and DIR/result.\n"
    "Started by mrnode. Exit codes: 0 DIR/result is written, 1 it is not, 2 usage.\n"
    "  -h, --help     this text\n"
    "      --version  the version\n";

int main(int count, char *arguments[])
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    for (int option; (option = getopt_long(count, arguments, "h", options, NULL)) != -1;) {
        if (option == 'h') return fputs(help, stdout) < 0;
        if (option == 'v') return puts("mrtask " MR_VERSION) < 0;
        return EXIT_USAGE; /* getopt_long said why */
    }
    if (optind + 1 != count) {
        fputs("mrtask: expects one directory (mrtask --help)\n", stderr);
        return EXIT_USAGE;
    }
    if (!seal_init()) {
        fputs("mrtask: libsodium cannot start: no entropy\n", stderr);
        return 1;
    }
    return task_run(arguments[optind]);
}
