// SPDX-License-Identifier: Apache-2.0
// The readers of process.h. Polls /proc where the kernel offers nothing to wait on.
#include "process.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void threads_list(struct threads *out)
{
    out->count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL && out->count < MAX_THREADS;)
        if (entry->d_name[0] != '.')
            out->ids[out->count++] = strtol(entry->d_name, NULL, 10);
    closedir(tasks);
}

bool threads_contain(const struct threads *threads, long id)
{
    for (size_t i = 0; i < threads->count; i++)
        if (threads->ids[i] == id)
            return true;
    return false;
}

static bool only_old_ones(const struct threads *before)
{
    struct threads now;
    threads_list(&now);
    for (size_t i = 0; i < now.count; i++)
        if (!threads_contain(before, now.ids[i]))
            return false;
    return true;
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool threads_gone(const struct threads *before, uint32_t timeout_ms)
{
    uint64_t deadline = now_ms() + timeout_ms;
    bool gone;
    while (!(gone = only_old_ones(before)) && now_ms() < deadline)
        pause_briefly();
    return gone;
}

static bool read_line(const char *path, const char *start, char *out, size_t room)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool found = false;
    while (!found && fgets(out, (int)room, file) != NULL)
        found = strncmp(out, start, strlen(start)) == 0;
    fclose(file);
    return found;
}

bool thread_named(long id, uint32_t timeout_ms)
{
    char own[64] = "", other[64] = "", path[64];
    read_line("/proc/self/comm", "", own, sizeof own);
    snprintf(path, sizeof path, "/proc/self/task/%ld/comm", id);
    uint64_t deadline = now_ms() + timeout_ms;
    while (read_line(path, "", other, sizeof other) && strcmp(own, other) == 0 && now_ms() < deadline)
        pause_briefly();
    return strcmp(own, other) != 0;
}

static void wait_asleep(const char *path, uint32_t timeout_ms)
{
    char line[128];
    uint64_t deadline = now_ms() + timeout_ms;
    while (read_line(path, "State:", line, sizeof line) && strstr(line, "(sleeping)") == NULL && now_ms() < deadline)
        pause_briefly();
}

int thread_open_signal(long id, uint32_t timeout_ms)
{
    static const int process_wide[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                                       SIGUSR2, SIGPIPE, SIGALRM, SIGCHLD, SIGWINCH};
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/self/task/%ld/status", id);
    wait_asleep(path, timeout_ms);
    if (!read_line(path, "SigBlk:", line, sizeof line))
        return 0; // it has ended meanwhile
    unsigned long long blocked = strtoull(line + strlen("SigBlk:"), NULL, 16);
    for (size_t i = 0; i < sizeof process_wide / sizeof *process_wide; i++)
        if ((blocked >> (process_wide[i] - 1) & 1) == 0)
            return process_wide[i];
    return 0;
}

size_t descriptors_count(void)
{
    size_t count = 0;
    DIR *descriptors = opendir("/proc/self/fd");
    if (descriptors == NULL)
        return 0;
    while (readdir(descriptors) != NULL)
        count++;
    closedir(descriptors);
    return count;
}
