// SPDX-License-Identifier: Apache-2.0
// The worker pool of bfr/blocking_sink.h in a fake host. A gate inside `store` holds the workers where a test wants
// them; nothing here depends on how fast anything is.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bfr/blocking_sink.h>
#include <bfr/testkit.h>

enum { WAIT_MS = 60000, WORKERS = 2, WINDOW = 2 * WORKERS };

struct stage {
    struct bfr_blocking_sink *pool; // first: the slots expect it there
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool gate_closed;
    unsigned inside; // workers held at the gate
    unsigned most;   // most of them at once
    unsigned began;
};

static void store(void *self, const struct bfr_batch *batch, struct bfr_result *out)
{
    struct stage *me = self;
    pthread_mutex_lock(&me->lock);
    me->began++;
    me->inside++;
    if (me->inside > me->most)
        me->most = me->inside;
    pthread_cond_broadcast(&me->news);
    while (me->gate_closed)
        pthread_cond_wait(&me->news, &me->lock);
    me->inside--;
    pthread_mutex_unlock(&me->lock);
    if (strcmp(batch->dataset, "outage") == 0)
        bfr_result_outage(out, "no route to %s", "there");
    if (strcmp(batch->dataset, "retry") == 0)
        bfr_result_retry(out, "try %d", 2);
    if (strcmp(batch->dataset, "reject") == 0)
        bfr_result_reject(out, BFR_REASON_CONFLICT, "other bytes");
    if (strcmp(batch->dataset, "fatal") == 0)
        bfr_result_fatal(out, "the bucket's name is not a name");
}

static void set_gate(struct stage *me, bool closed)
{
    pthread_mutex_lock(&me->lock);
    me->gate_closed = closed;
    pthread_cond_broadcast(&me->news);
    pthread_mutex_unlock(&me->lock);
}

static void wait_inside(struct stage *me, unsigned count)
{
    pthread_mutex_lock(&me->lock);
    while (me->inside != count)
        pthread_cond_wait(&me->news, &me->lock);
    pthread_mutex_unlock(&me->lock);
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct stage *me = calloc(1, sizeof *me);
    assert_non_null(me);
    pthread_mutex_init(&me->lock, NULL);
    pthread_cond_init(&me->news, NULL);
    me->pool = bfr_blocking_sink_new(host, WORKERS, store, me, err);
    assert_non_null(me->pool);
    *out_self = me;
    return BFR_OK;
}

static void destroy(void *self)
{
    struct stage *me = self;
    bfr_blocking_sink_free(me->pool);
    pthread_cond_destroy(&me->news);
    pthread_mutex_destroy(&me->lock);
    free(me);
}

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = bfr_blocking_sink_slot_start,
    .drain = bfr_blocking_sink_slot_drain,
    .stop = bfr_blocking_sink_slot_stop,
    .destroy = destroy,
};

static const struct bfr_sink_vtable sink = {sizeof sink, bfr_blocking_sink_slot_put, bfr_blocking_sink_slot_window};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, .kind = BFR_KIND_SINK, .name = "pool", .version = "1", .summary = "the pool under test",
    .life = &life,   .vtable = &sink,
};

static struct bfr_fake *start(struct stage **out)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_fake *fake = bfr_fake_new(&plugin, "pool", NULL, 0, &err);
    assert_non_null(fake);
    assert_int_equal(bfr_fake_create(fake, &err), BFR_OK);
    assert_int_equal(bfr_fake_start(fake, &err), BFR_OK);
    *out = bfr_fake_self(fake);
    return fake;
}

static void finish(struct bfr_fake *fake)
{
    bfr_fake_stop(fake);
    bfr_fake_destroy(fake);
    assert_null(bfr_fake_misuse(fake, 0));
    assert_int_equal(bfr_fake_live_batches(fake), 0);
    bfr_fake_free(fake);
}

// Put `count` batches at once; returns how many were taken.
static size_t put(struct bfr_fake *fake, const char *dataset, size_t count, uint64_t *tokens)
{
    const struct bfr_batch *batches[64];
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", i);
        batches[i] = bfr_fake_batch(fake, "acme", dataset, name, "x", 1);
    }
    size_t taken = bfr_fake_put(fake, batches, count, tokens);
    for (size_t i = 0; i < count; i++)
        bfr_fake_batch_release(fake, batches[i]);
    return taken;
}

static void test_takes_what_fits_and_calls_ready_when_there_is_room(void **state)
{
    (void)state;
    struct stage *me;
    struct bfr_fake *fake = start(&me);
    set_gate(me, true);
    assert_int_equal(put(fake, "ok", 64, NULL), WINDOW);
    wait_inside(me, WORKERS);
    assert_int_equal(put(fake, "ok", 1, NULL), 0); // busy or waiting ones take room alike
    assert_false(bfr_fake_wait_ready(fake, 0));
    set_gate(me, false);
    assert_true(bfr_fake_wait_ready(fake, WAIT_MS));
    assert_true(bfr_fake_wait_all(fake, WAIT_MS));
    assert_int_equal(put(fake, "ok", 1, NULL), 1);
    assert_true(bfr_fake_wait_all(fake, WAIT_MS));
    assert_int_equal(me->most, WORKERS);
    finish(fake);
}

static void test_does_not_call_ready_when_nothing_was_refused(void **state)
{
    (void)state;
    struct stage *me;
    struct bfr_fake *fake = start(&me);
    assert_int_equal(put(fake, "ok", WINDOW, NULL), WINDOW);
    assert_true(bfr_fake_wait_all(fake, WAIT_MS));
    bfr_fake_drain(fake, UINT64_MAX / 2);
    assert_false(bfr_fake_wait_ready(fake, 0));
    finish(fake);
}

static void test_reports_what_store_said(void **state)
{
    (void)state;
    static const struct {
        const char *dataset;
        struct bfr_fake_end end;
    } cases[] = {
        {"ok", {.outcome = BFR_STORED}},
        {"outage", {.outcome = BFR_RETRY, .flags = BFR_OUTAGE, .text = "no route to there"}},
        {"retry", {.outcome = BFR_RETRY, .text = "try 2"}},
        {"reject", {.outcome = BFR_REJECT, .reason = BFR_REASON_CONFLICT, .text = "other bytes"}},
        {"fatal", {.outcome = BFR_FATAL, .text = "the bucket's name is not a name"}},
    };
    struct stage *me;
    struct bfr_fake *fake = start(&me);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t token;
        struct bfr_fake_end end;
        assert_int_equal(put(fake, cases[i].dataset, 1, &token), 1);
        assert_true(bfr_fake_wait(fake, token, WAIT_MS, &end));
        assert_int_equal(end.outcome, cases[i].end.outcome);
        assert_int_equal(end.flags, cases[i].end.flags);
        assert_int_equal(end.reason, cases[i].end.reason);
        assert_string_equal(end.text, cases[i].end.text);
    }
    finish(fake);
}

static void test_drain_waits_for_all_and_keeps_its_deadline(void **state)
{
    (void)state;
    struct stage *me;
    struct bfr_fake *fake = start(&me);
    bfr_fake_clock_set(fake, 1000);
    set_gate(me, true);
    assert_int_equal(put(fake, "ok", WINDOW, NULL), WINDOW);
    wait_inside(me, WORKERS);
    bfr_fake_drain(fake, 1000); // at its deadline: returns with all of them open
    assert_int_equal(bfr_fake_open(fake), WINDOW);
    set_gate(me, false);
    bfr_fake_drain(fake, 1000 + UINT64_C(3600) * 1000000000);
    assert_int_equal(bfr_fake_open(fake), 0);
    finish(fake);
}

struct opener {
    struct stage *stage;
    struct bfr_fake *fake;
};

// Opens the gate once stop has given back what no worker had begun with.
static void *open_when_given_back(void *arg)
{
    struct opener *opener = arg;
    struct bfr_fake_end end;
    for (uint64_t token = WORKERS + 1; token <= WINDOW; token++)
        bfr_fake_wait(opener->fake, token, WAIT_MS, &end);
    set_gate(opener->stage, false);
    return NULL;
}

static void test_stop_gives_back_what_no_worker_began_and_waits_for_the_rest(void **state)
{
    (void)state;
    struct stage *me;
    struct bfr_fake *fake = start(&me);
    uint64_t tokens[WINDOW];
    set_gate(me, true);
    assert_int_equal(put(fake, "ok", WINDOW, tokens), WINDOW);
    wait_inside(me, WORKERS);
    struct opener opener = {me, fake};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_when_given_back, &opener), 0);
    bfr_fake_stop(fake);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < WINDOW; i++) {
        struct bfr_fake_end end;
        assert_true(bfr_fake_wait(fake, tokens[i], 0, &end));
        assert_int_equal(end.outcome, i < WORKERS ? BFR_STORED : BFR_RETRY);
        assert_int_equal(end.flags, i < WORKERS ? 0 : BFR_OUTAGE);
    }
    assert_int_equal(me->began, WORKERS);
    assert_int_equal(put(fake, "ok", 1, NULL), 0); // stopped: takes nothing
    bfr_fake_destroy(fake);
    assert_null(bfr_fake_misuse(fake, 0));
    bfr_fake_free(fake);
}

static void test_free_without_stop_leaves_no_thread(void **state)
{
    (void)state;
    struct bfr_err err = {.size = sizeof err};
    struct bfr_fake *fake = bfr_fake_new(&plugin, "a-rather-long-stage-name", NULL, 0, &err);
    struct stage stage = {.gate_closed = false};
    struct bfr_blocking_sink *pool = bfr_blocking_sink_new(bfr_fake_host(fake), 64, store, &stage, &err);
    assert_non_null(pool);
    assert_int_equal(bfr_blocking_sink_start(pool, &err), BFR_OK);
    bfr_blocking_sink_free(pool);
    bfr_blocking_sink_free(NULL);
    bfr_fake_free(fake);
}

static void test_refuses_a_senseless_number_of_workers(void **state)
{
    (void)state;
    struct bfr_err err = {.size = sizeof err};
    assert_null(bfr_blocking_sink_new(NULL, 0, store, NULL, &err));
    assert_non_null(strstr(err.text, "between 1 and 64"));
    assert_null(bfr_blocking_sink_new(NULL, 65, store, NULL, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_fits_and_calls_ready_when_there_is_room),
        cmocka_unit_test(test_does_not_call_ready_when_nothing_was_refused),
        cmocka_unit_test(test_reports_what_store_said),
        cmocka_unit_test(test_drain_waits_for_all_and_keeps_its_deadline),
        cmocka_unit_test(test_stop_gives_back_what_no_worker_began_and_waits_for_the_rest),
        cmocka_unit_test(test_free_without_stop_leaves_no_thread),
        cmocka_unit_test(test_refuses_a_senseless_number_of_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
