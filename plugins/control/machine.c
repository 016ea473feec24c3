// SPDX-License-Identifier: Apache-2.0
// See machine.h. Read from the kernel at each call, by one thread at a time.
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void put(json_t *out, const char *key, uint64_t value)
{
    json_object_set_new(out, key, json_integer((json_int_t)value));
}

static void put_real(json_t *out, const char *key, double value)
{
    json_object_set_new(out, key, json_real(value));
}

// Blocks that are kept for root count as used by nobody and available to nobody.
static void put_disk(json_t *out, const char *directory)
{
    struct statvfs disk = {.f_frsize = 0};
    if (directory[0] == '\0' || statvfs(directory, &disk) != 0)
        (void)statvfs("/", &disk);
    uint64_t total = (uint64_t)disk.f_blocks * disk.f_frsize, used = total - (uint64_t)disk.f_bfree * disk.f_frsize;
    put(out, "disk_total_bytes", total);
    put(out, "disk_used_bytes", used);
    put(out, "disk_available_bytes", (uint64_t)disk.f_bavail * disk.f_frsize);
    put_real(out, "disk_used_percent", percent(used, total));
}

static void put_memory(json_t *out)
{
    uint64_t total = 0, available = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "MemTotal:", 9) == 0)
            total = strtoull(line + 9, NULL, 10);
        if (strncmp(line, "MemAvailable:", 13) == 0)
            available = strtoull(line + 13, NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    total *= 1024;
    available *= 1024;
    uint64_t used = total > available ? total - available : 0;
    put(out, "mem_total_bytes", total);
    put(out, "mem_used_bytes", used);
    put(out, "mem_available_bytes", available);
    put_real(out, "mem_used_percent", percent(used, total));
}

// proc(5), /proc/stat: user nice system idle iowait irq softirq steal, in ticks since boot.
static struct machine read_processors(void)
{
    uint64_t ticks[8] = {0};
    char line[512] = "";
    struct machine now = {0, 0, 0};
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return now;
    char *at = fgets(line, sizeof line, file) != NULL && strncmp(line, "cpu ", 4) == 0 ? line + 4 : line;
    for (size_t i = 0; i < 8; i++)
        ticks[i] = strtoull(at, &at, 10);
    fclose(file);
    for (size_t i = 0; i < 8; i++)
        now.total += ticks[i];
    now.idle = ticks[3];
    now.iowait = ticks[4];
    return now;
}

// Since the last look; the first time since boot.
static void put_processors(json_t *out, struct machine *machine)
{
    struct machine now = read_processors();
    uint64_t total = now.total > machine->total ? now.total - machine->total : 0;
    uint64_t idle = now.idle > machine->idle ? now.idle - machine->idle : 0;
    uint64_t iowait = now.iowait > machine->iowait ? now.iowait - machine->iowait : 0;
    uint64_t busy = total > idle + iowait ? total - idle - iowait : 0;
    *machine = now;
    put_real(out, "cpu_used_percent", percent(busy, total));
    put_real(out, "cpu_iowait_percent", percent(iowait < total ? iowait : total, total));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    put(out, "cpu_cores", cores > 0 ? (uint64_t)cores : 1);
}

static void put_load(json_t *out)
{
    double load[3] = {0, 0, 0};
    (void)!getloadavg(load, 3);
    put_real(out, "load_avg_1", load[0]);
    put_real(out, "load_avg_5", load[1]);
    put_real(out, "load_avg_15", load[2]);
}

json_t *bfr_machine_metrics(struct machine *machine, const char *directory, int64_t wall_ns)
{
    json_t *out = json_object();
    time_t seconds = (time_t)(wall_ns / 1000000000);
    struct tm utc;
    char text[32] = "";
    if (out == NULL)
        return NULL;
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_object_set_new(out, "timestamp", json_integer((json_int_t)seconds));
    json_object_set_new(out, "last_health_check", json_string(text));
    put_disk(out, directory);
    put_memory(out);
    put_processors(out, machine);
    put_load(out);
    return out;
}
