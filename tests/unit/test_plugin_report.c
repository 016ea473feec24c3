// SPDX-License-Identifier: Apache-2.0
// Promises of what a plugin reports: completions and readiness reach the stage's user while the stage works, and each report
// that breaks the rules is caught and named as that plugin's bug.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "plugin_bench.h"

static void test_completions_from_start_to_the_end_of_stop_are_passed_on(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "window");
    script.in_start = complete_stored;
    script.in_stop = complete_stored;
    capture_begin(&bench.log);
    start(&bench);
    assert_int_equal(bench.completions, 1);
    bfr_stage_drain(bench.stage, 42);
    complete_stored(bench.host);
    assert_int_equal(bench.completions, 2);
    bfr_stage_stop(bench.stage);
    capture_end(&bench.log);
    assert_int_equal(bench.completions, 3);
    assert_silent(&bench.log, "window");
    tear_down(&bench);
}

static void test_completion_before_start_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "early");
    script.in_create = complete_stored;
    capture_begin(&bench.log);
    create(&bench);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "early", "completion before start", "scripted");
    assert_int_equal(bench.completions, 0);
    tear_down(&bench);
}

static void test_completion_after_stop_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "late");
    start(&bench);
    bfr_stage_stop(bench.stage);
    capture_begin(&bench.log);
    complete_stored(bench.host);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "late", "completion after stop", "scripted");
    assert_int_equal(bench.completions, 0);
    tear_down(&bench);
}

static void test_misuse_ends_a_debug_build(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "abort");
    bench.env.abort_on_misuse = true;
    start(&bench);
    bfr_stage_stop(bench.stage);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL); // cmocka and sanitizers have handlers of their own
        close(STDERR_FILENO);
        complete_stored(bench.host);
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(WTERMSIG(result), SIGABRT);
    tear_down(&bench);
}

// A delivery whose end nobody can understand is tried again: never lost, never held for ever.
static void test_unknown_outcome_is_misuse_and_counts_as_retry(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "garbled");
    start(&bench);
    const struct bfr_completion good = completion_of(BFR_STORED);
    struct bfr_completion bad = completion_of(5);
    bad.token = 10;
    const struct bfr_completion *const list[] = {&good, &bad};
    capture_begin(&bench.log);
    bench.host->complete(bench.host, list, 2);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "garbled", "completion with an unknown outcome", "scripted");
    assert_int_equal(bench.completions, 2);
    assert_int_equal(bench.last.token, 10);
    assert_int_equal(bench.last.outcome, BFR_RETRY);
    assert_int_equal(bench.last.flags, 0);
    tear_down(&bench);
}

static void test_good_completions_after_a_bad_one_still_count(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "middle");
    start(&bench);
    const struct bfr_completion good = completion_of(BFR_REJECT);
    const struct bfr_completion *const list[] = {&good, NULL, &good};
    capture_begin(&bench.log);
    bench.host->complete(bench.host, list, 3);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "middle", "completion is NULL", "scripted");
    assert_int_equal(bench.completions, 2);
    assert_int_equal(bench.last.outcome, BFR_REJECT);
    tear_down(&bench);
}

static void test_short_completion_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "cut");
    start(&bench);
    struct bfr_completion bad = completion_of(BFR_STORED);
    bad.size = offsetof(struct bfr_completion, text); // the token is there: the delivery gets its end
    capture_begin(&bench.log);
    complete(bench.host, &bad);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "cut", "completion with a size shorter than ABI 1.0 has", "scripted");
    assert_int_equal(bench.completions, 1);
    assert_int_equal(bench.last.outcome, BFR_RETRY);
    assert_int_equal(bench.last.token, 9);
    bad.size = 4; // not even a token
    capture_begin(&bench.log);
    complete(bench.host, &bad);
    capture_end(&bench.log);
    assert_int_equal(bench.completions, 1);
    tear_down(&bench);
}

static void test_put_that_takes_too_much_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "greedy");
    start(&bench);
    const struct bfr_delivery delivery = {.size = sizeof delivery};
    const struct bfr_delivery *const list[] = {&delivery, &delivery};
    script.put_result = 1;
    assert_int_equal(bfr_stage_put(bench.stage, list, 2), 1);
    script.put_result = 3;
    capture_begin(&bench.log);
    assert_int_equal(bfr_stage_put(bench.stage, list, 2), 2);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "greedy", "put returned more than it was offered", "scripted");
    tear_down(&bench);
}

static void test_reports_that_nobody_uses_are_misuse(void **state)
{
    (void)state;
    const struct bfr_verdict verdict = {.size = sizeof verdict, .decision = BFR_ALLOW};
    struct bench bench;
    set_up_unhooked(&bench, "unused");
    start(&bench);
    capture_begin(&bench.log);
    bench.host->ready(bench.host);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "unused", "ready from a stage that gets no batches", "scripted");
    capture_begin(&bench.log);
    bench.host->verdict(bench.host, 1, &verdict);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "unused", "verdict from a stage that nobody asks", "scripted");
    capture_begin(&bench.log);
    complete_stored(bench.host);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "unused", "completion from a stage that gets no batches", "scripted");
    tear_down(&bench);
}

static void test_ready_reaches_the_user_only_while_running(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "ready");
    start(&bench);
    bench.host->ready(bench.host);
    assert_int_equal(bench.readies, 1);
    bfr_stage_stop(bench.stage);
    capture_begin(&bench.log);
    bench.host->ready(bench.host);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "ready", "ready outside of start to stop", "scripted");
    assert_int_equal(bench.readies, 1);
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completions_from_start_to_the_end_of_stop_are_passed_on),
        cmocka_unit_test(test_completion_before_start_is_misuse),
        cmocka_unit_test(test_completion_after_stop_is_misuse),
        cmocka_unit_test(test_misuse_ends_a_debug_build),
        cmocka_unit_test(test_unknown_outcome_is_misuse_and_counts_as_retry),
        cmocka_unit_test(test_good_completions_after_a_bad_one_still_count),
        cmocka_unit_test(test_short_completion_is_misuse),
        cmocka_unit_test(test_put_that_takes_too_much_is_misuse),
        cmocka_unit_test(test_reports_that_nobody_uses_are_misuse),
        cmocka_unit_test(test_ready_reaches_the_user_only_while_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
