/* mrnode: one node of the flock. Options and wiring only; the life of a node is in io/daemon.c. */
#include "io/check.h"
#include "io/daemon.h"

enum { EXIT_USAGE = 2 };

int main(int count, char *arguments[])
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
