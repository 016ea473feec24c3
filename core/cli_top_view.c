// SPDX-License-Identifier: Apache-2.0
// See cli_top_view.h. Every line is first made as plain text, then cut to the width by cli_text.c, which lets nothing of a name
// through that is no letter; colour is put around whole lines. Main thread.
#include "cli_top_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "cli_text.h"

#define LINE_BYTES_MAX 2048
#define BAR            20
#define TENANTS_MAX    200

enum tone { PLAIN = 1, TITLE, GOOD, WARN, BAD };

struct page {
    const struct bfr_top_view *view;
    FILE *out;
    unsigned lines;
};

// --- lines

static bool is_full(const struct page *page)
{
    unsigned kept = page->view->live ? 1 : 0; // the last line is that about the keys
    return page->view->height > 0 && page->lines + kept >= page->view->height;
}

static void put_line(struct page *page, enum tone tone, const char *text)
{
    static const char *const codes[] = {
        [PLAIN] = "", [TITLE] = "\x1b[1m", [GOOD] = "\x1b[32m", [WARN] = "\x1b[33m", [BAD] = "\x1b[31m"};
    bool coloured = page->view->color && tone != PLAIN;
    if (coloured)
        fputs(codes[tone], page->out);
    bfr_cli_text_fit(page->out, text, page->view->width);
    fputs(coloured ? "\x1b[0m\n" : "\n", page->out);
    page->lines++;
}

BFR_PRINTF(3, 4) static void line(struct page *page, enum tone tone, const char *format, ...)
{
    char text[LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args); // NOLINT(clang-analyzer-valist.Uninitialized): the line above begins it
    va_end(args);
    if (!is_full(page))
        put_line(page, tone, text);
}

// --- figures

struct text {
    char at[32];
};

static struct text as_bytes(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct text text;
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        bytes /= 1024;
    snprintf(text.at, sizeof text.at, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

static struct text as_count(double count)
{
    struct text text;
    if (count < 1e6)
        snprintf(text.at, sizeof text.at, "%.0f", count);
    else
        snprintf(text.at, sizeof text.at,
                 count < 1e9    ? "%.1fM"
                 : count < 1e12 ? "%.1fG"
                                : "%.3g",
                 count < 1e9    ? count / 1e6
                 : count < 1e12 ? count / 1e9
                                : count);
    return text;
}

static struct text as_time(double seconds)
{
    struct text text;
    unsigned long long s = seconds < 0 ? 0 : seconds > 1e12 ? 1000000000000ULL : (unsigned long long)seconds;
    if (s < 120)
        snprintf(text.at, sizeof text.at, "%llu s", s);
    else if (s < 7200)
        snprintf(text.at, sizeof text.at, "%llu min", s / 60);
    else if (s < 172800)
        snprintf(text.at, sizeof text.at, "%llu h %llu min", s / 3600, s / 60 % 60);
    else
        snprintf(text.at, sizeof text.at, "%llu d %llu h", s / 86400, s / 3600 % 24);
    return text;
}

static double number(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static const char *word(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

// A second; a counter that fell is that of a daemon that has been started again.
static double per_second(const struct bfr_top_view *view, double now, double earlier)
{
    return view->earlier == NULL || view->seconds <= 0 || now < earlier ? 0 : (now - earlier) / view->seconds;
}

static double rate(const struct bfr_top_view *view, const char *object, const char *row, const char *member)
{
    const json_t *now = json_object_get(json_object_get(view->stats, object), row);
    const json_t *earlier = json_object_get(json_object_get(view->earlier, object), row);
    return per_second(view, member == NULL ? json_number_value(now) : number(now, member),
                      member == NULL ? json_number_value(earlier) : number(earlier, member));
}

static const json_t *find(const json_t *list, const char *key, const char *value)
{
    json_t *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        if (strcmp(word(entry, key), value) == 0)
            return entry;
    }
    return NULL;
}

static struct text as_bar(double used, double limit)
{
    struct text text;
    double share = limit <= 0 ? 0 : used / limit;
    size_t filled = share >= 1 ? BAR : (size_t)(share * BAR);
    memset(text.at, '.', BAR);
    memset(text.at, '#', filled);
    text.at[BAR] = '\0';
    return text;
}

// --- parts

static enum tone tone_of(const char *status)
{
    return strcmp(status, "ok") == 0 ? GOOD : strcmp(status, "degraded") == 0 ? WARN : BAD;
}

static void draw_head(struct page *page)
{
    const struct bfr_top_view *view = page->view;
    const char *status = word(view->health, "status");
    if (view->trouble != NULL)
        line(page, BAD, "%s", view->trouble);
    if (view->trouble != NULL && view->stats != NULL)
        line(page, BAD, "What follows is %s old; trying again.", as_time(view->age_s).at);
    if (view->health == NULL) {
        line(page, TITLE, "bytefreezer-receiver at %s", view->place);
        return;
    }
    line(page, TITLE, "bytefreezer-receiver %s at %s, up %s", word(view->health, "version"), view->place,
         as_time(number(view->health, "uptime_seconds")).at);
    bool ready = json_is_true(json_object_get(view->health, "ready"));
    line(page, ready ? tone_of(status) : BAD, "%s, %s%s%s", status, ready ? "ready" : "NOT READY", ready ? "" : ": ",
         ready ? "" : word(view->health, "reason"));
}

static void draw_flow(struct page *page)
{
    const struct bfr_top_view *view = page->view;
    line(page, TITLE, "FLOW");
    line(page, PLAIN, "  accepted %s/s %s/s   stored %s/s %s/s",
         as_count(rate(view, "totals", "accepted", "batches")).at,
         as_bytes(rate(view, "totals", "accepted", "bytes")).at, as_count(rate(view, "totals", "stored", "batches")).at,
         as_bytes(rate(view, "totals", "stored", "bytes")).at);
    line(page, PLAIN, "  duplicates %s/s   connections %s   unaccounted %s",
         as_count(per_second(view, number(view->stats, "duplicates"), number(view->earlier, "duplicates"))).at,
         as_count(number(view->stats, "connections")).at, as_count(number(view->stats, "unaccounted_batches")).at);
    const char *reason;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(view->stats, "refused"), reason, count)
    {
        line(page, WARN, "  refused: %s %s/s, %s in all", reason, as_count(rate(view, "refused", reason, NULL)).at,
             as_count(json_number_value(count)).at);
    }
}

static void draw_stages(struct page *page)
{
    json_t *stage;
    size_t i;
    line(page, TITLE, "STAGES");
    json_array_foreach(json_object_get(page->view->health, "stages"), i, stage)
    {
        const char *status = word(stage, "status"), *reason = word(stage, "reason");
        line(page, tone_of(status), "  %-16s %-8s %-8s %s%s%s", word(stage, "name"), word(stage, "kind"), status,
             word(stage, "plugin"), reason[0] != '\0' ? ": " : "", reason);
    }
}

static void draw_queues(struct page *page)
{
    json_t *queue;
    size_t i;
    if (json_array_size(json_object_get(page->view->stats, "queues")) > 0)
        line(page, TITLE, "QUEUES               HELD      BYTES     OLDEST       DEAD  FILL");
    json_array_foreach(json_object_get(page->view->stats, "queues"), i, queue)
    {
        const json_t *held = json_object_get(queue, "held");
        double used = number(queue, "used_bytes"), limit = number(queue, "limit_bytes");
        line(page, PLAIN, "  %-14s %8s %10s %10s %10s  %s %s", word(queue, "name"),
             as_count(number(held, "batches")).at, as_bytes(number(held, "bytes")).at,
             as_time(number(queue, "oldest_age_seconds")).at,
             as_count(number(json_object_get(queue, "buried"), "batches")).at, as_bar(used, limit).at,
             as_bytes(limit).at);
    }
}

static void draw_sinks(struct page *page)
{
    const struct bfr_top_view *view = page->view;
    json_t *sink;
    size_t i;
    line(page, TITLE, "SINKS           IN FLIGHT   STORED/S   FAILED/S  BREAKER");
    json_array_foreach(json_object_get(view->stats, "sinks"), i, sink)
    {
        static const char *const outcomes[] = {"retry", "outage", "reject", "fatal"};
        const json_t *now = json_object_get(sink, "attempts");
        const json_t *earlier =
            json_object_get(find(json_object_get(view->earlier, "sinks"), "name", word(sink, "name")), "attempts");
        bool open = json_is_true(json_object_get(sink, "breaker_open"));
        double failed = 0;
        for (size_t k = 0; k < sizeof outcomes / sizeof outcomes[0]; k++)
            failed += per_second(view, number(now, outcomes[k]), number(earlier, outcomes[k]));
        line(page, open ? BAD : PLAIN, "  %-14s %8s %10s %10s  %s", word(sink, "name"),
             as_count(number(sink, "in_flight")).at,
             as_count(per_second(view, number(now, "stored"), number(earlier, "stored"))).at, as_count(failed).at,
             open ? "OPEN: unreachable, probed" : "closed");
    }
}

static void draw_room(struct page *page)
{
    const json_t *spool = json_object_get(page->view->stats, "spool");
    const json_t *memory = json_object_get(page->view->stats, "memory");
    const json_t *buried = json_object_get(json_object_get(page->view->stats, "totals"), "buried");
    const json_t *full = json_object_get(spool, "full_seconds");
    line(page, TITLE, "ROOM");
    if (json_object_size(spool) > 0) {
        double used = number(spool, "used_bytes"), limit = number(spool, "limit_bytes");
        line(page, json_is_number(full) ? WARN : PLAIN, "  spool  %s %s of %s, %s free on the disk%s%s",
             as_bar(used, limit).at, as_bytes(used).at, as_bytes(limit).at, as_bytes(number(spool, "free_bytes")).at,
             json_is_number(full) ? "; full in " : "", json_is_number(full) ? as_time(json_number_value(full)).at : "");
    }
    double used = number(memory, "used_bytes"), budget = number(memory, "budget_bytes");
    line(page, PLAIN, "  memory %s %s of %s for bodies; process %s", as_bar(used, budget).at, as_bytes(used).at,
         as_bytes(budget).at, as_bytes(number(memory, "resident_bytes")).at);
    double dead = number(buried, "batches");
    line(page, dead > 0 ? WARN : PLAIN, "  dead letters: %s, %s", as_count(dead).at,
         as_bytes(number(buried, "bytes")).at);
}

// --- tenants

struct tenant {
    const json_t *now;
    size_t rank; // in what the daemon said
    double batches_s, bytes_s;
};

static int busiest_first(const void *left, const void *right)
{
    const struct tenant *a = left, *b = right;
    if (a->bytes_s != b->bytes_s)
        return a->bytes_s < b->bytes_s ? 1 : -1;
    return a->rank < b->rank ? -1 : 1;
}

static size_t gather_tenants(const struct bfr_top_view *view, struct tenant *out)
{
    const json_t *list = json_object_get(view->stats, "tenants"), *before = json_object_get(view->earlier, "tenants");
    json_t *entry;
    size_t i, count = 0;
    json_array_foreach(list, i, entry)
    {
        if (count == TENANTS_MAX)
            break;
        const json_t *now = json_object_get(entry, "accepted");
        const json_t *earlier = json_object_get(find(before, "tenant_id", word(entry, "tenant_id")), "accepted");
        out[count++] = (struct tenant){entry, i, per_second(view, number(now, "batches"), number(earlier, "batches")),
                                       per_second(view, number(now, "bytes"), number(earlier, "bytes"))};
    }
    qsort(out, count, sizeof out[0], busiest_first);
    return count;
}

static void draw_tenants(struct page *page)
{
    struct tenant tenants[TENANTS_MAX];
    size_t count = gather_tenants(page->view, tenants);
    if (count == 0)
        return;
    line(page, TITLE, " ACCEPTED/S    BYTES/S       HELD       DEAD  TENANT");
    for (size_t i = 0; i < count && !is_full(page); i++) {
        const json_t *held = json_object_get(tenants[i].now, "held"), *dead = json_object_get(tenants[i].now, "buried");
        line(page, PLAIN, " %10s %10s %10s %10s  %s", as_count(tenants[i].batches_s).at,
             as_bytes(tenants[i].bytes_s).at, as_count(number(held, "batches")).at,
             as_count(number(dead, "batches")).at, word(tenants[i].now, "tenant_id"));
    }
}

char *bfr_top_view_draw(const struct bfr_top_view *view)
{
    char *text = NULL;
    size_t size = 0;
    struct page page = {.view = view, .out = open_memstream(&text, &size)};
    if (page.out == NULL)
        return NULL;
    draw_head(&page);
    if (view->stats != NULL && view->health != NULL) {
        draw_flow(&page);
        draw_stages(&page);
        draw_queues(&page);
        draw_sinks(&page);
        draw_room(&page);
        draw_tenants(&page);
    }
    if (view->live)
        put_line(&page, TITLE, "q quits");
    bool good = ferror(page.out) == 0;
    if (fclose(page.out) == 0 && good)
        return text;
    free(text);
    return NULL;
}
