// SPDX-License-Identifier: Apache-2.0
// Checks on the life cycle that hold for every kind: what create may do, what a failed create leaves, threads, two
// stages at once.
#include "check.h"

#include <string.h>

#include "alloc_fault.h"
#include "process.h"
#include "stage.h"

static void create_only_builds(const struct subject *subject)
{
    struct threads before;
    threads_list(&before);
    stage_finish(stage_created(subject)); // what libraries open once and keep

    size_t descriptors = descriptors_count();
    struct bfr_fake *fake = stage_created(subject);
    must(threads_gone(&before, 0), "create started a thread; that belongs into start");
    must(descriptors_count() == descriptors, "create left a descriptor open; that belongs into start");
    bfr_fake_destroy(fake);
    must(descriptors_count() == descriptors, "destroy left a descriptor open");
    stage_no_breach(fake);
    bfr_fake_free(fake);
}

// The host's own allocations, made while the plugin is inside create, are not to fail.
static struct bfr_host plain;

static void quiet_log(const struct bfr_host *host, uint32_t level, const char *message, const char *const *fields)
{
    alloc_fault_pause();
    plain.log(host, level, message, fields);
    alloc_fault_resume();
}

static struct bfr_metric *quiet_register(const struct bfr_host *host, uint32_t type, const char *name, const char *help,
                                         const char *const *label_names)
{
    alloc_fault_pause();
    struct bfr_metric *metric = plain.metric_register(host, type, name, help, label_names);
    alloc_fault_resume();
    return metric;
}

// One create in which the nth allocation fails; destroyed again if it succeeds. Returns the blocks left behind.
static long create_once(const struct subject *subject, unsigned nth, bool *out_hit)
{
    struct bfr_fake *fake = stage_new(subject);
    struct bfr_host *table = (struct bfr_host *)(uintptr_t)bfr_fake_host(fake);
    plain = *table;
    table->log = quiet_log;
    table->metric_register = quiet_register;

    struct bfr_err err = {.size = sizeof err};
    void *self = NULL;
    alloc_fault_begin(nth);
    uint32_t status = subject->plugin->life->create(table, &self, &err);
    if (status == BFR_OK)
        subject->plugin->life->destroy(self);
    long left = alloc_fault_end(out_hit);
    must(status == BFR_OK || self == NULL, "create failed and wrote *out_self all the same");
    must(status == BFR_OK || err.text[0] != '\0', "create failed without memory and said nothing in err->text");
    bfr_fake_free(fake);
    return left;
}

// Every allocation of create is made to fail once. A library may keep what it allocates the first time; so a balance
// counts only when it shows again.
static void failed_create_leaves_nothing(const struct subject *subject)
{
    if (!alloc_fault_available())
        skip("allocations cannot be made to fail in this build");
    bool hit = true;
    create_once(subject, 0, &hit);
    must(create_once(subject, 0, &hit) <= 0, "create and destroy leave memory behind");
    hit = true;
    for (unsigned nth = 1; hit && nth < 10000; nth++) {
        long left = create_once(subject, nth, &hit);
        if (left > 0)
            left = create_once(subject, nth, &hit);
        must(left <= 0, "create left %ld blocks behind when its allocation %u failed", left, nth);
    }
}

static void judge_threads(const struct subject *subject, const struct threads *before)
{
    struct threads now;
    threads_list(&now);
    for (size_t i = 0; i < now.count; i++) {
        if (threads_contain(before, now.ids[i]))
            continue;
        must(thread_named(now.ids[i], subject->wait_ms), "a thread of it has no name of its own");
        int signal = thread_open_signal(now.ids[i], subject->wait_ms);
        must(signal == 0, "a thread of it would take signal %d (%s); block all before pthread_create", signal,
             strsignal(signal));
    }
}

static void stop_ends_the_threads(const struct subject *subject)
{
    struct threads before;
    threads_list(&before);
    struct bfr_fake *fake = stage_started(subject);
    judge_threads(subject, &before);
    bfr_fake_drain(fake, stage_deadline(fake, subject->wait_ms));
    bfr_fake_stop(fake);
    must(threads_gone(&before, subject->wait_ms), "a thread of it still runs after stop");
    stage_finish(fake);
}

static void destroy_may_follow_create(const struct subject *subject)
{
    stage_finish(stage_created(subject));
}

static void drain_ends_early(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    uint64_t deadline = stage_deadline(fake, 3 * (uint64_t)subject->wait_ms);
    bfr_fake_drain(fake, deadline);
    must(stage_deadline(fake, 0) < deadline, "drain waited for its deadline with nothing to do");
    stage_close(subject, fake);
}

static void life_repeats(const struct subject *subject)
{
    struct threads before;
    threads_list(&before);
    stage_close(subject, stage_started(subject)); // what libraries open once and keep
    size_t descriptors = descriptors_count();
    for (int round = 0; round < 3; round++)
        stage_close(subject, stage_started(subject));
    must(threads_gone(&before, subject->wait_ms), "threads pile up");
    must(descriptors_count() <= descriptors, "descriptors pile up");
}

static void stages_are_independent(const struct subject *subject)
{
    struct bfr_fake *first = stage_started(subject);
    struct bfr_fake *second = stage_started(subject);
    must(bfr_fake_self(first) != bfr_fake_self(second) || bfr_fake_self(first) == NULL, "two stages got the same self");
    stage_close(subject, first);
    struct bfr_health health;
    bfr_fake_health(second, &health); // must still be alive
    stage_close(subject, second);
}

static void health_and_reload_answer(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    struct bfr_health health;
    struct bfr_err err = {.size = sizeof err};
    bfr_fake_health(fake, &health);
    must(bfr_fake_reload(fake, &err) == BFR_OK, "reload with unchanged options: %s", err.text);
    stage_close(subject, fake);
}

const struct check life_checks[] = {
    {"life: create only builds", create_only_builds},
    {"life: a failed create leaves nothing", failed_create_leaves_nothing},
    {"life: destroy may follow create", destroy_may_follow_create},
    {"life: threads are named, take no signal, end with stop", stop_ends_the_threads},
    {"life: drain returns early when idle", drain_ends_early},
    {"life: it can be gone through again and again", life_repeats},
    {"life: two stages at once", stages_are_independent},
    {"life: health and reload", health_and_reload_answer},
    {NULL, NULL},
};
