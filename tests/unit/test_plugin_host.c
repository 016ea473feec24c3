// SPDX-License-Identifier: Apache-2.0
// Promises of what a plugin asks of its host: options, posts, metrics, batches, the log and extensions; each misuse caught and
// named as that plugin's bug.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "batch_sample.h"
#include "plugin_bench.h"

static void test_getters_give_typed_values(void **state)
{
    (void)state;
    struct bench bench;
    size_t count = 7;
    set_up(&bench, "typed");
    const struct bfr_host *host = bench.host;
    capture_begin(&bench.log);
    assert_string_equal(host->config_string(host, "text"), "words");
    assert_string_equal(host->config_string(host, "path"), "");
    assert_false(host->config_has(host, "path"));
    assert_true(host->config_bool(host, "flag"));
    assert_int_equal(host->config_integer(host, "count"), 12);
    assert_int_equal(host->config_integer(host, "size"), 2048);
    assert_int_equal(host->config_integer(host, "pause"), 3000);
    assert_true(host->config_number(host, "share") == 0.5);
    (void)host->config_list(host, "list", &count);
    assert_int_equal(count, 0);
    capture_end(&bench.log);
    assert_silent(&bench.log, "typed");
    tear_down(&bench);
}

static void test_getter_of_an_unknown_name_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "unknown");
    capture_begin(&bench.log);
    assert_string_equal(bench.host->config_string(bench.host, "txet"), "");
    capture_end(&bench.log);
    assert_misuse(&bench.log, "unknown", "asks for an option that is not in its table", "scripted");
    tear_down(&bench);
}

static void test_getter_of_another_type_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    size_t count = 7;
    set_up(&bench, "types");
    const struct bfr_host *host = bench.host;
    capture_begin(&bench.log);
    assert_string_equal(host->config_string(host, "count"), "");
    capture_end(&bench.log);
    assert_misuse(&bench.log, "types", "asks for an option with the getter of another type", "scripted");
    capture_begin(&bench.log); // folded into the first line from here on
    assert_false(host->config_bool(host, "text"));
    assert_int_equal(host->config_integer(host, "share"), 0);
    assert_true(host->config_number(host, "count") == 0);
    assert_null(host->config_list(host, "text", &count)[0]);
    capture_end(&bench.log);
    assert_int_equal(count, 0);
    tear_down(&bench);
}

static void count_call(void *arg)
{
    (*(int *)arg)++;
}

static void test_post_runs_once_on_the_main_thread(void **state)
{
    (void)state;
    struct bench bench;
    int calls = 0;
    set_up(&bench, "post");
    start(&bench);
    assert_true(bench.host->post(bench.host, count_call, &calls));
    assert_false(bench.host->post(bench.host, count_call, &calls)); // this main loop takes one
    assert_int_equal(calls, 0);
    run_posted(&bench);
    assert_int_equal(calls, 1);
    tear_down(&bench);
    assert_int_equal(calls, 1);
}

// The main loop may come to it only after the plugin is gone.
static void test_post_never_runs_after_destroy(void **state)
{
    (void)state;
    struct bench bench;
    int calls = 0;
    set_up(&bench, "post-late");
    start(&bench);
    assert_true(bench.host->post(bench.host, count_call, &calls));
    bfr_stage_stop(bench.stage);
    assert_int_equal(calls, 1);
    tear_down(&bench);
    run_posted(&bench);
    assert_int_equal(calls, 1);
}

static void test_post_outside_of_work_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    int calls = 0;
    set_up(&bench, "post-early");
    create(&bench);
    capture_begin(&bench.log);
    assert_false(bench.host->post(bench.host, count_call, &calls));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "post-early", "post outside of start to stop", "scripted");
    assert_null(bench.posted);
    tear_down(&bench);
}

static struct bfr_metric *puts_metric, *bad_metric;

static void register_metrics(const struct bfr_host *host)
{
    puts_metric = host->metric_register(host, BFR_METRIC_COUNTER, "scripted_puts_total", "Puts", NULL);
}

static void register_bad_metric(const struct bfr_host *host)
{
    bad_metric = host->metric_register(host, BFR_METRIC_COUNTER, "Bad-Name", "h", NULL);
}

static void test_metrics_carry_the_products_prefix(void **state)
{
    (void)state;
    struct bench bench;
    size_t size = 0;
    set_up(&bench, "metrics");
    script.in_create = register_metrics;
    create(&bench);
    assert_non_null(puts_metric);
    bench.host->metric_add(bench.host, puts_metric, NULL, 2);
    bench.host->metric_add(bench.host, NULL, NULL, 2); // one that clashed: no figure, no harm
    char *page = bfr_metrics_render(bench.metrics, &size);
    assert_non_null(strstr(page, "\nbytefreezer_receiver_scripted_puts_total 2\n"));
    free(page);
    tear_down(&bench);
}

static void test_metric_after_create_or_with_a_bad_name_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "metric-bad");
    script.in_create = register_bad_metric;
    capture_begin(&bench.log);
    create(&bench);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "metric-bad", "metric with a bad type, name or help", "scripted");
    assert_null(bad_metric);
    capture_begin(&bench.log);
    assert_null(bench.host->metric_register(bench.host, BFR_METRIC_GAUGE, "late", "h", NULL));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "metric-bad", "metric registered after create", "scripted");
    tear_down(&bench);
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

static void hold_bytes(void *arg, uint64_t bytes)
{
    *(uint64_t *)arg += bytes;
}

static void let_go_bytes(void *arg, uint64_t bytes)
{
    *(uint64_t *)arg -= bytes;
}

static void test_a_body_that_a_stage_made_is_counted_until_its_last_holder_lets_go(void **state)
{
    (void)state;
    struct bench bench;
    bool freed = false;
    uint64_t held = 0;
    const struct bfr_span span = {(const uint8_t *)"abcdef", 6};
    struct bfr_batch source = batch_sample(&span, 1);
    set_up(&bench, "bodies");
    bench.env.hold = hold_bytes;
    bench.env.let_go = let_go_bytes;
    bench.env.memory_arg = &held;
    const struct bfr_batch *batch = bench.host->batch_make(bench.host, &source, set_true, &freed);
    assert_non_null(batch);
    assert_int_equal(held, 6);
    bench.host->batch_retain(bench.host, batch);
    bench.host->batch_release(bench.host, batch);
    assert_int_equal(held, 6);
    bench.host->batch_release(bench.host, batch);
    assert_true(freed);
    assert_int_equal(held, 0);
    source.span_count = 0; // an envelope alone
    batch = bench.host->batch_make(bench.host, &source, NULL, NULL);
    assert_int_equal(held, 0);
    bench.host->batch_release(bench.host, batch);
    tear_down(&bench);
}

static void test_batches_are_made_and_counted(void **state)
{
    (void)state;
    struct bench bench;
    bool freed = false;
    struct bfr_batch source = batch_sample(NULL, 0);
    set_up(&bench, "batches");
    const struct bfr_batch *batch = bench.host->batch_make(bench.host, &source, set_true, &freed);
    assert_non_null(batch);
    assert_string_equal(batch->tenant, "acme");
    bench.host->batch_retain(bench.host, batch);
    bench.host->batch_release(bench.host, batch);
    assert_false(freed);
    bench.host->batch_release(bench.host, batch);
    assert_true(freed);

    source.filename = NULL;
    capture_begin(&bench.log);
    assert_null(bench.host->batch_make(bench.host, &source, NULL, NULL));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "batches", "batch_make with a string that is NULL", "scripted");
    source.size = 8;
    capture_begin(&bench.log);
    assert_null(bench.host->batch_make(bench.host, &source, NULL, NULL));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "batches", "batch_make with a size shorter than ABI 1.0 has", "scripted");
    tear_down(&bench);
}

static void test_null_arguments_are_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "null-retain");
    start(&bench);
    capture_begin(&bench.log);
    bench.host->batch_retain(bench.host, NULL);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "null-retain", "batch_retain of NULL", "scripted");
    capture_begin(&bench.log);
    bench.host->log(bench.host, BFR_LOG_INFO, NULL, NULL);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "null-retain", "log without a message", "scripted");
    capture_begin(&bench.log);
    bench.host->complete(bench.host, NULL, 1);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "null-retain", "completions is NULL", "scripted");
    capture_begin(&bench.log);
    assert_false(bench.host->post(bench.host, NULL, NULL));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "null-retain", "post of NULL", "scripted");
    tear_down(&bench);
}

static void test_log_lines_carry_the_stage(void **state)
{
    (void)state;
    static const char *const fields[] = {"batch", "a b", NULL};
    struct bench bench;
    set_up(&bench, "speaker");
    capture_begin(&bench.log);
    bench.host->log(bench.host, BFR_LOG_WARN, "upload failed", fields);
    capture_end(&bench.log);
    assert_log_has(&bench.log, "level=warn inst=speaker msg=\"upload failed\" batch=\"a b\"");
    tear_down(&bench);
}

static void test_extensions_are_found_by_name(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "extension");
    assert_ptr_equal(bench.host->get_extension(bench.host, BFR_EXT_STATUS_1), &status_extension);
    assert_ptr_equal(bench.host->get_extension(bench.host, BFR_EXT_ACTIVITY_1), &activity_extension);
    assert_ptr_equal(bench.host->get_extension(bench.host, BFR_EXT_METRICS_1), &metrics_extension);
    assert_null(bench.host->get_extension(bench.host, "status/2"));
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_getters_give_typed_values),
        cmocka_unit_test(test_getter_of_an_unknown_name_is_misuse),
        cmocka_unit_test(test_getter_of_another_type_is_misuse),
        cmocka_unit_test(test_post_runs_once_on_the_main_thread),
        cmocka_unit_test(test_post_never_runs_after_destroy),
        cmocka_unit_test(test_post_outside_of_work_is_misuse),
        cmocka_unit_test(test_metrics_carry_the_products_prefix),
        cmocka_unit_test(test_metric_after_create_or_with_a_bad_name_is_misuse),
        cmocka_unit_test(test_batches_are_made_and_counted),
        cmocka_unit_test(test_a_body_that_a_stage_made_is_counted_until_its_last_holder_lets_go),
        cmocka_unit_test(test_null_arguments_are_misuse),
        cmocka_unit_test(test_log_lines_carry_the_stage),
        cmocka_unit_test(test_extensions_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
