// SPDX-License-Identifier: Apache-2.0
// Stages for the checks, see stage.h. Runs on the check's only thread.
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned stage_number;
static unsigned batch_number;

// Replace `mark` by `value` in `text`, which is malloc'ed and consumed.
static char *expand(char *text, const char *mark, const char *value)
{
    char *at = strstr(text, mark);
    if (at == NULL)
        return text;
    char *out = NULL;
    if (asprintf(&out, "%.*s%s%s", (int)(at - text), text, value, at + strlen(mark)) < 0)
        fail("out of memory");
    free(text);
    return out;
}

static struct bfr_fake *open_stage(const struct subject *subject)
{
    char name[32];
    snprintf(name, sizeof name, "c%ld-%u", (long)getpid(), stage_number);
    char **pairs = calloc(subject->pair_count + 1, sizeof *pairs);
    if (pairs == NULL)
        fail("out of memory");
    for (size_t i = 0; i < subject->pair_count; i++)
        pairs[i] = expand(expand(strdup(subject->pairs[i]), "{tmp}", subject->directory), "{stage}", name);

    struct bfr_err err = {.size = sizeof err};
    struct bfr_fake *fake = bfr_fake_new(subject->plugin, name, (const char *const *)pairs, subject->pair_count, &err);
    for (size_t i = 0; i < subject->pair_count; i++)
        free(pairs[i]);
    free(pairs);
    must(fake != NULL, "%s", err.text);
    return fake;
}

struct bfr_fake *stage_new(const struct subject *subject)
{
    stage_number++;
    return open_stage(subject);
}

struct bfr_fake *stage_again(const struct subject *subject)
{
    return open_stage(subject);
}

struct bfr_fake *stage_created(const struct subject *subject)
{
    struct bfr_fake *fake = stage_new(subject);
    struct bfr_err err = {.size = sizeof err};
    must(bfr_fake_create(fake, &err) == BFR_OK, "create: %s", err.text);
    return fake;
}

void stage_consumers(struct bfr_fake *fake, const struct bfr_plugin *plugin, uint32_t count)
{
    static const char *const names[] = {"one", "two", "three"};
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_queue_vtable *queue = plugin->vtable;
    must(queue->consumers(bfr_fake_self(fake), names, count, &err) == BFR_OK, "consumers: %s", err.text);
}

struct bfr_fake *stage_started(const struct subject *subject)
{
    struct bfr_fake *fake = stage_created(subject);
    if (subject->plugin->kind == BFR_KIND_QUEUE)
        stage_consumers(fake, subject->plugin, 1);
    struct bfr_err err = {.size = sizeof err};
    must(bfr_fake_start(fake, &err) == BFR_OK, "start: %s", err.text);
    return fake;
}

void stage_no_breach(struct bfr_fake *fake)
{
    const char *breach = bfr_fake_misuse(fake, 0);
    must(breach == NULL, "%s", breach);
}

void stage_finish(struct bfr_fake *fake)
{
    bfr_fake_destroy(fake);
    stage_no_breach(fake);
    size_t live = bfr_fake_live_batches(fake);
    must(live == 0, "%zu batches are still held after destroy", live);
    bfr_fake_free(fake);
}

void stage_close(const struct subject *subject, struct bfr_fake *fake)
{
    bfr_fake_drain(fake, stage_deadline(fake, subject->wait_ms));
    bfr_fake_stop(fake);
    stage_finish(fake);
}

const struct bfr_batch *stage_batch(struct bfr_fake *fake, const char *tenant, size_t size)
{
    char name[64];
    snprintf(name, sizeof name, "check-%ld-%u.ndjson.gz", (long)getpid(), ++batch_number);
    const struct bfr_batch *batch = bfr_fake_gzip_batch(fake, tenant, "checks", name, size);
    must(batch != NULL, "out of memory");
    return batch;
}

uint64_t stage_deadline(struct bfr_fake *fake, uint64_t from_now_ms)
{
    const struct bfr_host *host = bfr_fake_host(fake);
    return host->monotonic_ns(host) + from_now_ms * 1000000;
}
