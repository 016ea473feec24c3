// SPDX-License-Identifier: Apache-2.0
// Promises of a stage: the life cycle in order, slots read by size, health asked at the right time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plugin_bench.h"

static void test_life_runs_in_order(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "life");
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_NEW);
    start(&bench);
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_STARTED);
    bfr_stage_drain(bench.stage, 42);
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_DRAINING);
    bfr_stage_stop(bench.stage);
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_STOPPED);
    bfr_stage_destroy(bench.stage);
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_DESTROYED);
    tear_down(&bench);
    assert_string_equal(script.calls, "create start drain stop destroy ");
}

static void test_free_ends_whatever_life_is_left(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "free-new");
    tear_down(&bench);
    assert_string_equal(script.calls, "");
    set_up(&bench, "free-created");
    create(&bench);
    tear_down(&bench);
    assert_string_equal(script.calls, "create destroy ");
    set_up(&bench, "free-started");
    start(&bench);
    tear_down(&bench);
    assert_string_equal(script.calls, "create start stop destroy ");
}

static void test_failed_start_is_followed_by_destroy_alone(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_err err = {.size = sizeof err};
    set_up(&bench, "main");
    create(&bench);
    script.start_status = BFR_EFAIL;
    script.error = "cannot lock '/x'; stop the other daemon";
    assert_int_equal(bfr_stage_start(bench.stage, &err), BFR_EFAIL);
    assert_string_equal(err.text,
                        "stage 'main' (plugin 'scripted'): start failed: cannot lock '/x'; stop the other daemon");
    tear_down(&bench);
    assert_string_equal(script.calls, "create start destroy ");
}

static void test_failure_without_a_reason_is_the_plugins_bug(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_err err = {.size = sizeof err};
    set_up(&bench, "mute");
    script.create_status = BFR_ENOMEM;
    assert_int_equal(bfr_stage_create(bench.stage, &err), BFR_ENOMEM);
    assert_string_equal(err.text,
                        "stage 'mute' (plugin 'scripted'): create failed: the plugin gave no reason (status 2), "
                        "which is a bug of plugin 'scripted' 3.1");
    tear_down(&bench);
    assert_string_equal(script.calls, "create ");
}

static void test_reload_reports_why_not(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_err err = {.size = sizeof err};
    set_up(&bench, "reload");
    start(&bench);
    assert_int_equal(bfr_stage_reload(bench.stage, &err), BFR_OK);
    script.error = "no such file";
    assert_int_equal(bfr_stage_reload(bench.stage, &err), BFR_EINVAL);
    assert_string_equal(err.text, "stage 'reload' (plugin 'scripted'): reload failed: no such file");
    tear_down(&bench);
}

// A plugin of another minor may have a shorter life table: what lies beyond its size is not called.
static void test_slots_beyond_a_tables_size_are_not_called(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_err err = {.size = sizeof err};
    struct bfr_health health;
    set_up(&bench, "short");
    struct bfr_life short_life = life;
    short_life.size = offsetof(struct bfr_life, reload);
    struct bfr_plugin short_plugin = plugin;
    short_plugin.life = &short_life;
    bfr_stage_free(bench.stage);
    bench.stage = bfr_stage_new(&short_plugin, "short", bench.values, &bench.env);
    start(&bench);
    assert_int_equal(bfr_stage_reload(bench.stage, &err), BFR_OK);
    bfr_stage_health(bench.stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_OK);
    assert_string_equal(health.reason, "");
    tear_down(&bench);
    assert_string_equal(script.calls, "create start stop destroy ");
}

static void test_health_is_asked_only_while_the_stage_runs(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_health health;
    set_up(&bench, "health");
    create(&bench);
    bfr_stage_health(bench.stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_FAILED);
    assert_string_equal(health.reason, "not running");
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_stage_start(bench.stage, &err), BFR_OK);
    script.health_state = BFR_HEALTH_DEGRADED;
    bfr_stage_health(bench.stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_DEGRADED);
    assert_int_equal(strlen(health.reason), sizeof health.reason - 1); // got its end
    bfr_stage_stop(bench.stage);
    bfr_stage_health(bench.stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_FAILED);
    tear_down(&bench);
}

static void test_a_stage_says_when_it_has_met_its_far_end(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "far");
    start(&bench);
    script.probed = false;
    assert_false(bfr_stage_probed(bench.stage));
    script.probed = true;
    assert_true(bfr_stage_probed(bench.stage));
    tear_down(&bench);
}

static void test_health_without_a_state_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_health health;
    set_up(&bench, "ill");
    start(&bench);
    script.health_state = 0;
    capture_begin(&bench.log);
    bfr_stage_health(bench.stage, &health);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "ill", "health without a valid state", "scripted");
    assert_int_equal(health.state, BFR_HEALTH_DEGRADED);
    tear_down(&bench);
}

static void test_tables_are_given_by_kind(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "kinds");
    assert_ptr_equal(bfr_stage_sink(bench.stage), &sink);
    assert_null(bfr_stage_queue(bench.stage));
    assert_null(bfr_stage_auth(bench.stage));
    assert_int_equal(bfr_stage_kind(bench.stage), BFR_KIND_SINK);
    assert_string_equal(bfr_stage_name(bench.stage), "kinds");
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_runs_in_order),
        cmocka_unit_test(test_free_ends_whatever_life_is_left),
        cmocka_unit_test(test_failed_start_is_followed_by_destroy_alone),
        cmocka_unit_test(test_failure_without_a_reason_is_the_plugins_bug),
        cmocka_unit_test(test_reload_reports_why_not),
        cmocka_unit_test(test_slots_beyond_a_tables_size_are_not_called),
        cmocka_unit_test(test_health_is_asked_only_while_the_stage_runs),
        cmocka_unit_test(test_a_stage_says_when_it_has_met_its_far_end),
        cmocka_unit_test(test_health_without_a_state_is_misuse),
        cmocka_unit_test(test_tables_are_given_by_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
