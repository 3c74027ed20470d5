#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Before that, nothing is shown. */
#define PATIENCE_MS 1000
#define INTERVAL_MS 200

#define BAR_COLUMNS 30

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *unit, bool quiet)
{
    progress->unit = unit;
    progress->wanted = !quiet && isatty(STDERR_FILENO) == 1;
    progress->shown = false;
    progress->begin_ms = now_ms();
    progress->next_ms = progress->begin_ms + PATIENCE_MS;
}

void progress_text(char text[PROGRESS_TEXT_MAX], const char *unit, uint64_t done, uint64_t total,
                   uint64_t count, int64_t elapsed_ms)
{
    size_t len = 0;
    text[0] = '\0';
    if (total > 0) {
        uint64_t within = done < total ? done : total;
        int filled = (int) ((double) within / (double) total * BAR_COLUMNS);
        static const char full[] = "##############################";
        len = (size_t) snprintf(text, PROGRESS_TEXT_MAX, "[%.*s%*s] %3d%%", filled, full,
                                BAR_COLUMNS - filled, "",
                                (int) ((double) within / (double) total * 100));
    }
    if (unit != NULL) {
        (void) snprintf(text + len, PROGRESS_TEXT_MAX - len, "%s%" PRIu64 " %s, %.0f/s",
                        len > 0 ? "  " : "", count, unit,
                        (double) count * 1000 / (double) (elapsed_ms > 0 ? elapsed_ms : 1));
    } else {
        (void) snprintf(text + len, PROGRESS_TEXT_MAX - len, "%s%.1f MB", len > 0 ? "  " : "",
                        (double) done / 1e6);
    }
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total, uint64_t count)
{
    if (!progress->wanted) {
        return;
    }
    int64_t now = now_ms();
    if (now < progress->next_ms) {
        return;
    }
    char text[PROGRESS_TEXT_MAX];
    progress_text(text, progress->unit, done, total, count, now - progress->begin_ms);
    (void) fprintf(stderr, "\r\033[K%s", text);
    (void) fflush(stderr);
    progress->shown = true;
    progress->next_ms = now + INTERVAL_MS;
}

int64_t progress_end(struct progress *progress)
{
    if (progress->shown) {
        (void) fputs("\r\033[K", stderr);
        (void) fflush(stderr);
    }
    int64_t elapsed = now_ms() - progress->begin_ms;
    return elapsed > 0 ? elapsed : 1;
}
