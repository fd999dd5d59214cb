/* mrctl: asks a flock. Options and wiring only; the commands are in src/ctl.
 *
 * Signals: a closed stdout is an ordinary error (no SIGPIPE), so that a command can end quietly and
 * still clean up. ^C ends the program with 130; the waits that have something to say first catch it
 * themselves (session_catch_interrupts). */
#include "ctl/commands.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "wire/seal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void interrupted(int number)
{
    (void)number;
    _exit(EXIT_INTERRUPTED);
}

static void set_signals(void)
{
    struct sigaction on_interrupt = {.sa_handler = interrupted};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&on_interrupt.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGINT, &on_interrupt, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

int main(int argc, char **argv)
{
    struct options options;
    set_signals();
    if (!seal_init()) { /* a third of the speed without it, and its absence is nowhere else seen */
        notice_line("libsodium can't start: no entropy in this system");
        return EXIT_JOB_FAILED;
    }
    int code = options_parse(&options, argc, argv, commands_table);
    if (code == EXIT_OK && options.is_version) {
        printf("mrctl %s\n", MR_VERSION);
        code = commands_flush();
    } else if (code == EXIT_OK && options.is_help) {
        options_help(options.command, commands_table, stdout);
        code = commands_flush();
    } else if (code == EXIT_OK) {
        code = options.command->run(&options);
    }
    options_deinit(&options);
    return code;
}
