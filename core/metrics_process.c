// SPDX-License-Identifier: Apache-2.0
// The standard process_* metrics, read from the kernel at each scrape on the scraper's thread. Keeps nothing.
#include "metrics_process.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "metrics.h"

static bool read_cpu_seconds(double *out)
{
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        return false;
    *out = (double)used.tv_sec + (double)used.tv_nsec / (double)BFR_NS_PER_S;
    return true;
}

// The first line of a file in /proc.
static bool read_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool got = fgets(out, (int)size, file) != NULL;
    fclose(file);
    return got;
}

// Field `number`, from 1, of a line of fields with one blank between them; NULL when there are fewer.
static const char *find_field(const char *line, int number)
{
    while (line != NULL && --number > 0) {
        line = strchr(line, ' ');
        if (line != NULL)
            line++;
    }
    return line;
}

// A field of /proc/self/statm, which counts pages.
static bool read_pages(int field, double *out)
{
    char line[256];
    const char *pages = read_line("/proc/self/statm", line, sizeof line) ? find_field(line, field) : NULL;
    if (pages == NULL)
        return false;
    *out = (double)strtoul(pages, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
    return true;
}

static bool read_virtual_bytes(double *out)
{
    return read_pages(1, out);
}

static bool read_resident_bytes(double *out)
{
    return read_pages(2, out);
}

static bool read_open_fds(double *out)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return false;
    double count = -1; // the directory's own
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += entry->d_name[0] != '.';
    closedir(directory);
    *out = count;
    return true;
}

static bool read_max_fds(double *out)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    *out = (double)limit.rlim_cur;
    return true;
}

// proc(5): field 22 of stat is the start in clock ticks since boot. The name in field 2 may hold anything, also blanks
// and parentheses, so fields are counted behind its last parenthesis: field 3 is the first there.
double bfr_process_start_seconds(void)
{
    char line[1024];
    const char *behind_name = read_line("/proc/self/stat", line, sizeof line) ? strrchr(line, ')') : NULL;
    const char *ticks = behind_name != NULL && behind_name[1] == ' ' ? find_field(behind_name + 2, 22 - 2) : NULL;
    if (ticks == NULL)
        return 0;
    struct timespec wall, boot;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / (double)BFR_NS_PER_S +
           (double)strtoull(ticks, NULL, 10) / (double)sysconf(_SC_CLK_TCK);
}

static const struct {
    uint32_t type;
    const char *name;
    const char *help;
    bool (*read)(double *out);
} figures[] = {
    {BFR_METRIC_COUNTER, "process_cpu_seconds_total", "User and system CPU time spent in seconds.", read_cpu_seconds},
    {BFR_METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory size in bytes.", read_resident_bytes},
    {BFR_METRIC_GAUGE, "process_virtual_memory_bytes", "Virtual memory size in bytes.", read_virtual_bytes},
    {BFR_METRIC_GAUGE, "process_open_fds", "Number of open file descriptors.", read_open_fds},
    {BFR_METRIC_GAUGE, "process_max_fds", "Maximum number of open file descriptors.", read_max_fds},
};

static void write_figure(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help,
                         double value)
{
    bfr_metrics_write_family(writer, type, name, help);
    bfr_metrics_write_value(writer, name, NULL, value);
}

void bfr_metrics_write_process(void *arg, struct bfr_metrics_writer *writer)
{
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        double value = 0;
        if (figures[i].read(&value))
            write_figure(writer, figures[i].type, figures[i].name, figures[i].help, value);
    }
    double start_seconds = *(const double *)arg;
    if (start_seconds > 0)
        write_figure(writer, BFR_METRIC_GAUGE, "process_start_time_seconds",
                     "Start time of the process since the Unix epoch in seconds.", start_seconds);
}
