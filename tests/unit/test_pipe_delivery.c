// SPDX-License-Identifier: Apache-2.0
// Each delivery ends exactly once, whatever the stage does, and a stage that breaks that is named.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "fake_clock.h"
#include "fake_sink.h"
#include "pipe_delivery.h"

struct fixture {
    struct fake_clock clock;
    struct bfr_metrics *metrics;
    struct bfr_stage_env env;
    char name[16];
    struct bfr_stage *stage;
    struct fake_sink *sink;
    _Atomic uint64_t tokens;
    struct bfr_deliveries *table;
    struct bfr_slot *done; // newest first
    size_t done_count;
};

static void on_done(void *arg, struct bfr_slot *list, size_t count)
{
    struct fixture *f = arg;
    f->done_count += count;
    while (list != NULL) {
        struct bfr_slot *slot = list;
        list = slot->next;
        slot->next = f->done;
        f->done = slot;
    }
}

static void on_complete(void *arg, const struct bfr_completion *const *completions, size_t count)
{
    struct fixture *f = arg;
    bfr_deliveries_complete(f->table, completions, count);
}

static void on_ready(void *arg)
{
    (void)arg;
}

// Every fixture's stage has a name of its own: the log folds repeats of one stage.
static void open_fixture(struct fixture *f, size_t limit)
{
    static int serial;
    struct bfr_err err = {.size = sizeof err};
    memset(f, 0, sizeof *f);
    fake_clock_init(&f->clock);
    f->metrics = bfr_metrics_new();
    f->env = (struct bfr_stage_env){.clock = &f->clock.clock, .metrics = f->metrics};
    snprintf(f->name, sizeof f->name, "main-%d", serial++);
    f->stage = bfr_stage_new(&fake_sink_plugin, f->name, NULL, &f->env);
    f->table = bfr_deliveries_new(f->stage, &f->tokens, limit, on_done, f);
    const struct bfr_stage_hooks hooks = {.on_complete = on_complete, .on_ready = on_ready, .arg = f};
    bfr_stage_hook(f->stage, &hooks);
    assert_int_equal(bfr_stage_create(f->stage, &err), BFR_OK);
    assert_int_equal(bfr_stage_start(f->stage, &err), BFR_OK);
    f->sink = bfr_stage_self(f->stage);
}

static void close_fixture(struct fixture *f)
{
    bfr_stage_free(f->stage);
    bfr_deliveries_free(f->table);
    bfr_metrics_free(f->metrics);
}

static const struct bfr_batch any_batch = {.size = sizeof any_batch, .tenant = "t", .dataset = "d", .filename = "f"};

static struct bfr_slot *open_one(struct fixture *f)
{
    struct bfr_slot *slot;
    assert_int_equal(bfr_deliveries_open(f->table, &slot, 1), 1);
    slot->view.batch = &any_batch;
    return slot;
}

static size_t put_one(struct fixture *f)
{
    struct bfr_slot *slot = open_one(f);
    size_t taken = bfr_deliveries_put(f->table, &slot, 1, 0);
    if (taken == 0)
        bfr_deliveries_recycle(f->table, slot);
    return taken;
}

static void test_completion_inside_put_counts(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, 10);
    assert_int_equal(put_one(&f), 1);
    assert_int_equal(f.done_count, 1);
    assert_int_equal(f.done->outcome, BFR_STORED);
    assert_int_equal(bfr_deliveries_count(f.table), 1);
    bfr_deliveries_recycle(f.table, f.done);
    assert_int_equal(bfr_deliveries_count(f.table), 0);
    close_fixture(&f);
}

static void test_what_is_not_taken_stays_the_callers(void **state)
{
    struct fixture f;
    struct bfr_slot *slots[3];
    (void)state;
    open_fixture(&f, 10);
    f.sink->take_max = 1;
    assert_int_equal(bfr_deliveries_open(f.table, slots, 3), 3);
    for (int i = 0; i < 3; i++)
        slots[i]->view.batch = &any_batch;
    uint64_t refused = slots[2]->token;
    assert_int_equal(bfr_deliveries_put(f.table, slots, 3, 0), 1);
    assert_null(slots[0]);
    assert_non_null(slots[1]);
    assert_non_null(slots[2]);
    // A completion of one that was not taken finds nothing.
    struct capture capture = capture_begin();
    fake_sink_complete_token(f.sink, refused, &(struct fake_answer){.outcome = BFR_STORED});
    char *log = capture_end(&capture);
    assert_non_null(strstr(log, "not open"));
    free(log);
    assert_int_equal(f.done_count, 1);
    slots[1]->next = slots[2];
    slots[2]->next = f.done;
    bfr_deliveries_recycle(f.table, slots[1]);
    assert_int_equal(bfr_deliveries_count(f.table), 0);
    close_fixture(&f);
}

static void test_second_completion_is_the_plugins_bug(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, 10);
    f.sink->twice = true;
    struct capture capture = capture_begin();
    put_one(&f);
    char *log = capture_end(&capture);
    assert_non_null(strstr(log, f.name));
    assert_non_null(strstr(log, "second or late completion"));
    free(log);
    assert_int_equal(f.done_count, 1);
    bfr_deliveries_recycle(f.table, f.done);
    close_fixture(&f);
}

static void test_completed_though_not_taken_stands(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, 10);
    f.sink->lie = true;
    struct capture capture = capture_begin();
    assert_int_equal(put_one(&f), 1);
    char *log = capture_end(&capture);
    assert_non_null(strstr(log, "put did not take"));
    free(log);
    assert_int_equal(f.done_count, 1);
    bfr_deliveries_recycle(f.table, f.done);
    close_fixture(&f);
}

static void test_tokens_are_never_used_twice(void **state)
{
    struct fixture f;
    uint64_t last = 0;
    (void)state;
    open_fixture(&f, 10);
    for (int i = 0; i < 3000; i++) {
        struct bfr_slot *slot = open_one(&f);
        assert_true(slot->token >> 20 > last >> 20); // the sequence number grows, whichever slot it is
        last = slot->token;
        bfr_deliveries_recycle(f.table, slot);
    }
    close_fixture(&f);
}

// One delivery through the sink and back, which is on hold.
static void pass_one(struct fixture *f)
{
    assert_int_equal(put_one(f), 1);
    f->done = NULL;
    fake_sink_complete(f->sink, BFR_STORED, 0);
    bfr_deliveries_recycle(f->table, f->done);
}

static void test_stale_struct_names_nothing_for_a_long_time(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, 10);
    f.sink->answer.outcome = FAKE_SINK_HOLD;
    struct bfr_slot *slot = open_one(&f);
    const struct bfr_delivery *kept_too_long = &slot->view;
    bfr_deliveries_put(f.table, &slot, 1, 0);
    fake_sink_complete(f.sink, BFR_STORED, 0);
    bfr_deliveries_recycle(f.table, f.done);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(put_one(&f), 1);
        assert_true(kept_too_long->token == 0); // not handed out again while this one is open
        f.done = NULL;
        fake_sink_complete(f.sink, BFR_STORED, 0);
        bfr_deliveries_recycle(f.table, f.done);
    }
    struct capture capture = capture_begin();
    fake_sink_complete_token(f.sink, kept_too_long->token, &(struct fake_answer){.outcome = BFR_STORED});
    char *log = capture_end(&capture);
    assert_non_null(strstr(log, "second or late completion"));
    free(log);
    close_fixture(&f);
}

static void test_old_token_does_not_complete_the_slots_next_delivery(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, 10);
    f.sink->answer.outcome = FAKE_SINK_HOLD;
    pass_one(&f);
    uint64_t old = f.sink->last_token, index = old & 0xfffff;
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(put_one(&f), 1);
        if ((f.sink->last_token & 0xfffff) == index)
            break; // the slot is out again
        f.done = NULL;
        fake_sink_complete(f.sink, BFR_STORED, 0);
        bfr_deliveries_recycle(f.table, f.done);
    }
    assert_true((f.sink->last_token & 0xfffff) == index);
    size_t before = f.done_count;
    fake_sink_complete_token(f.sink, old, &(struct fake_answer){.outcome = BFR_STORED});
    assert_int_equal(f.done_count, before);
    f.done = NULL;
    fake_sink_complete(f.sink, BFR_STORED, 0);
    assert_int_equal(f.done_count, before + 1);
    bfr_deliveries_recycle(f.table, f.done);
    close_fixture(&f);
}

static void test_limit_holds(void **state)
{
    struct fixture f;
    struct bfr_slot *slots[10];
    (void)state;
    open_fixture(&f, 3);
    assert_int_equal(bfr_deliveries_open(f.table, slots, 10), 3);
    assert_int_equal(bfr_deliveries_open(f.table, slots + 3, 1), 0);
    slots[0]->next = NULL;
    bfr_deliveries_recycle(f.table, slots[0]);
    assert_int_equal(bfr_deliveries_open(f.table, slots, 10), 1);
    for (int i = 0; i < 3; i++) {
        slots[i]->next = NULL;
        bfr_deliveries_recycle(f.table, slots[i]);
    }
    close_fixture(&f);
}

static void test_abort_hands_back_what_never_came_and_refuses_it_later(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, 10);
    f.sink->answer.outcome = FAKE_SINK_HOLD;
    f.sink->mute = true;
    put_one(&f);
    put_one(&f);
    uint64_t token = f.sink->last_token;
    struct bfr_slot *list = bfr_deliveries_abort(f.table);
    assert_non_null(list);
    assert_non_null(list->next);
    assert_int_equal(list->outcome, BFR_RETRY);
    struct capture capture = capture_begin();
    fake_sink_complete_token(f.sink, token, &(struct fake_answer){.outcome = BFR_STORED});
    char *log = capture_end(&capture);
    assert_non_null(strstr(log, "after stop"));
    free(log);
    assert_int_equal(f.done_count, 0);
    bfr_deliveries_recycle(f.table, list);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completion_inside_put_counts),
        cmocka_unit_test(test_what_is_not_taken_stays_the_callers),
        cmocka_unit_test(test_second_completion_is_the_plugins_bug),
        cmocka_unit_test(test_completed_though_not_taken_stands),
        cmocka_unit_test(test_tokens_are_never_used_twice),
        cmocka_unit_test(test_stale_struct_names_nothing_for_a_long_time),
        cmocka_unit_test(test_old_token_does_not_complete_the_slots_next_delivery),
        cmocka_unit_test(test_limit_holds),
        cmocka_unit_test(test_abort_hands_back_what_never_came_and_refuses_it_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
