/* Progress for people. On a terminal one line is drawn again in place; elsewhere (a log file, a
 * pipe) four lines a job are enough. Reduces follow maps, so the share done counts tasks of both
 * kinds alike. */
#include "ctl/progress.h"

#include "ctl/clock.h"
#include "ctl/quantity.h"

#include <stdio.h>
#include <unistd.h>

enum {
    BAR_WIDTH = 24,
    REDRAW_PERIOD = SECOND / 5,
};

void progress_init(struct progress *progress, bool is_quiet)
{
    *progress = (struct progress){.is_silent = is_quiet, .is_terminal = isatty(STDERR_FILENO) != 0};
}

void progress_clear(struct progress *progress)
{
    if (progress->has_bar) fputs("\r\033[K", stderr);
    progress->has_bar = false;
}

void progress_upload(struct progress *progress, uint64_t bytes, uint64_t total)
{
    char done[QUANTITY_TEXT_SIZE], all[QUANTITY_TEXT_SIZE];
    if (progress->is_silent || !progress->is_terminal) return;
    if (progress->has_bar && clock_now() - progress->shown < REDRAW_PERIOD) return;
    progress->shown = clock_now();
    progress->has_bar = true;
    quantity_size_text(bytes, done);
    quantity_size_text(total, all);
    fprintf(stderr, "\r\033[Kuploading %s%s%s", done, total > 0 ? " of " : "",
            total > 0 ? all : "");
}

static void draw_bar(struct progress *progress, const struct msg_job_row *row, uint64_t done,
                     uint64_t total, const char *elapsed)
{
    char bar[BAR_WIDTH + 1];
    size_t full = total == 0 ? 0 : (size_t)(done * BAR_WIDTH / total);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', full > BAR_WIDTH ? BAR_WIDTH : full);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r\033[K[%s] maps %u/%u reduces %u/%u running %u %s", bar, row->maps_done,
            row->maps, row->reduces_done, row->reduces, row->running, elapsed);
    progress->has_bar = true;
}

void progress_job(struct progress *progress, const struct msg_job_row *row)
{
    char elapsed[QUANTITY_TEXT_SIZE];
    uint64_t total = (uint64_t)row->maps + row->reduces;
    uint64_t done = (uint64_t)row->maps_done + row->reduces_done;
    if (progress->is_silent) return;
    quantity_duration_text(row->elapsed_ms, elapsed);
    if (progress->is_terminal) {
        draw_bar(progress, row, done, total, elapsed);
        return;
    }
    unsigned quarter = total == 0 ? 0 : (unsigned)(done * 4 / total);
    if (quarter <= progress->quarter) return;
    progress->quarter = quarter;
    fprintf(stderr, "%.*s: %u%% (maps %u/%u, reduces %u/%u) after %s\n", (int)row->name.count,
            (const char *)row->name.at, quarter * 25, row->maps_done, row->maps, row->reduces_done,
            row->reduces, elapsed);
}
