// SPDX-License-Identifier: Apache-2.0
// The pure judges of a link: credit, retry, breaker.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "clock.h"
#include "pipe_breaker.h"
#include "pipe_credit.h"
#include "pipe_retry.h"

// --- credit

static uint32_t round_trip(struct bfr_credit *credit)
{
    for (uint32_t i = credit->window; i > 0; i--)
        bfr_credit_success(credit);
    return credit->window;
}

static void test_window_doubles_to_the_sinks_limit(void **state)
{
    struct bfr_credit credit;
    (void)state;
    bfr_credit_init(&credit, 12);
    assert_int_equal(credit.window, 1);
    assert_int_equal(round_trip(&credit), 2);
    assert_int_equal(round_trip(&credit), 4);
    assert_int_equal(round_trip(&credit), 8);
    assert_int_equal(round_trip(&credit), 12);
    assert_int_equal(round_trip(&credit), 12);
}

static void test_trouble_halves_once_per_burst_then_grows_by_one(void **state)
{
    struct bfr_credit credit;
    (void)state;
    bfr_credit_init(&credit, 32);
    while (credit.window < 32)
        bfr_credit_success(&credit);
    bfr_credit_trouble(&credit, 100, 131); // one of those in flight, 100 .. 131
    assert_int_equal(credit.window, 16);
    bfr_credit_trouble(&credit, 101, 131);
    bfr_credit_trouble(&credit, 131, 131);
    assert_int_equal(credit.window, 16);
    assert_int_equal(round_trip(&credit), 17);
    assert_int_equal(round_trip(&credit), 18);
    bfr_credit_trouble(&credit, 132, 140);
    assert_int_equal(credit.window, 9);
}

static void test_window_never_closes_and_ramps_after_an_outage(void **state)
{
    struct bfr_credit credit;
    (void)state;
    bfr_credit_init(&credit, 8);
    for (uint64_t token = 1; token < 10; token++)
        bfr_credit_trouble(&credit, token, token);
    assert_int_equal(credit.window, 1);
    bfr_credit_ramp(&credit);
    assert_int_equal(round_trip(&credit), 2);
    assert_int_equal(round_trip(&credit), 4);
    assert_int_equal(round_trip(&credit), 8);
}

// --- retry

static void test_retry_stays_within_the_exponential_bound(void **state)
{
    struct bfr_retry retry;
    static const uint64_t bounds_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
    (void)state;
    bfr_retry_init(&retry, 1000, 60000, 0, 42);
    for (uint32_t failures = 1; failures <= 9; failures++) {
        uint64_t bound = bounds_ms[failures - 1] * BFR_NS_PER_MS, lowest = UINT64_MAX, highest = 0;
        for (int i = 0; i < 2000; i++) {
            uint64_t delay = bfr_retry_delay(&retry, failures, 0);
            lowest = delay < lowest ? delay : lowest;
            highest = delay > highest ? delay : highest;
        }
        assert_true(lowest >= BFR_NS_PER_MS);
        assert_true(highest <= bound);
        // Full jitter uses the whole span.
        assert_true(lowest < bound / 20);
        assert_true(highest > bound - bound / 20);
    }
    assert_true(bfr_retry_delay(&retry, UINT32_MAX, 0) <= 60000 * BFR_NS_PER_MS);
}

static void test_retry_honours_what_the_far_end_asks(void **state)
{
    struct bfr_retry retry;
    (void)state;
    bfr_retry_init(&retry, 1000, 60000, 0, 42);
    for (int i = 0; i < 100; i++)
        assert_true(bfr_retry_delay(&retry, 1, 5000) >= 5000 * BFR_NS_PER_MS);
    assert_true(bfr_retry_delay(&retry, 1, UINT64_MAX) <= 60000 * BFR_NS_PER_MS); // nonsense is not obeyed
}

static void test_attempts_zero_means_never_give_up(void **state)
{
    struct bfr_retry retry;
    (void)state;
    bfr_retry_init(&retry, 1000, 60000, 0, 1);
    assert_false(bfr_retry_exhausted(&retry, UINT32_MAX));
    bfr_retry_init(&retry, 1000, 60000, 3, 1);
    assert_false(bfr_retry_exhausted(&retry, 2));
    assert_true(bfr_retry_exhausted(&retry, 3));
}

static void test_probe_interval_varies_by_a_quarter(void **state)
{
    struct bfr_retry retry;
    uint64_t lowest = UINT64_MAX, highest = 0;
    (void)state;
    bfr_retry_init(&retry, 1000, 60000, 0, 7);
    for (int i = 0; i < 2000; i++) {
        uint64_t around = bfr_retry_around(&retry, 1000);
        lowest = around < lowest ? around : lowest;
        highest = around > highest ? around : highest;
    }
    assert_in_range(lowest, 750, 770);
    assert_in_range(highest, 1230, 1250);
}

// --- breaker

enum { A = 1, B = 2, C = 3, X = 9 }; // batches
enum { T = 101, U = 102 };           // tenants
#define ALONE  false
#define OTHERS true

static void test_one_batch_never_opens_and_is_never_charged(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    for (int i = 0; i < 10; i++)
        assert_int_equal(bfr_breaker_outage(&breaker, A, T, ALONE), BFR_BLAME_FAR_END);
    assert_false(breaker.open);
}

static void test_two_batches_of_two_tenants_open(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    bfr_breaker_outage(&breaker, A, T, OTHERS);
    assert_false(breaker.open);
    bfr_breaker_outage(&breaker, B, U, OTHERS);
    assert_true(breaker.open);
}

static void test_two_batches_of_the_only_tenant_open(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    bfr_breaker_outage(&breaker, A, T, ALONE);
    bfr_breaker_outage(&breaker, B, T, ALONE);
    assert_true(breaker.open);
}

static void test_one_tenants_trouble_waits_for_the_others_result(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    bfr_breaker_outage(&breaker, A, T, OTHERS);
    bfr_breaker_outage(&breaker, B, T, OTHERS);
    assert_false(breaker.open);
    assert_false(bfr_breaker_answer(&breaker, C, true)); // the other tenant's batch is stored: no outage
    bfr_breaker_outage(&breaker, X, T, OTHERS);
    assert_false(breaker.open);
}

static void test_failing_batch_is_charged_once_another_was_stored(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    assert_int_equal(bfr_breaker_outage(&breaker, X, T, ALONE), BFR_BLAME_FAR_END);
    bfr_breaker_answer(&breaker, A, true);
    assert_int_equal(bfr_breaker_outage(&breaker, X, T, ALONE), BFR_BLAME_BATCH);
    assert_int_equal(bfr_breaker_outage(&breaker, X, T, ALONE), BFR_BLAME_BATCH);
    assert_false(breaker.open);
}

static void test_a_mere_answer_proves_nothing_against_a_batch(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    bfr_breaker_outage(&breaker, X, T, ALONE);
    bfr_breaker_answer(&breaker, A, false);
    assert_int_equal(bfr_breaker_outage(&breaker, X, T, ALONE), BFR_BLAME_FAR_END);
}

static void test_nothing_is_charged_while_open(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    bfr_breaker_outage(&breaker, X, T, ALONE);
    bfr_breaker_answer(&breaker, C, true); // X is at fault from here on
    bfr_breaker_outage(&breaker, A, T, ALONE);
    bfr_breaker_outage(&breaker, B, U, ALONE);
    assert_true(breaker.open);
    assert_int_equal(bfr_breaker_outage(&breaker, X, T, ALONE), BFR_BLAME_FAR_END);
}

static void test_fresh_evidence_of_an_outage_protects_a_suspect(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    bfr_breaker_outage(&breaker, X, T, OTHERS);
    bfr_breaker_answer(&breaker, C, true); // X is at fault from here on
    bfr_breaker_outage(&breaker, A, T, OTHERS);
    assert_false(breaker.open);
    assert_int_equal(bfr_breaker_outage(&breaker, X, T, OTHERS), BFR_BLAME_FAR_END);
}

static void test_own_success_clears_a_batch(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    bfr_breaker_outage(&breaker, X, T, ALONE);
    bfr_breaker_answer(&breaker, A, true);
    bfr_breaker_answer(&breaker, X, true);
    assert_true(bfr_breaker_clean(&breaker));
    assert_int_equal(bfr_breaker_outage(&breaker, X, T, ALONE), BFR_BLAME_FAR_END);
}

static void test_success_closes_and_says_so_once(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    bfr_breaker_outage(&breaker, A, T, ALONE);
    bfr_breaker_outage(&breaker, B, U, ALONE);
    assert_true(bfr_breaker_answer(&breaker, C, true));
    assert_false(breaker.open);
    assert_false(bfr_breaker_answer(&breaker, C, true));
}

static void test_more_suspects_than_places_forgets_the_oldest(void **state)
{
    struct bfr_breaker breaker;
    (void)state;
    bfr_breaker_init(&breaker);
    for (uint64_t batch = 1; batch <= BFR_BREAKER_SUSPECTS + 10; batch++)
        bfr_breaker_outage(&breaker, batch, T, OTHERS);
    bfr_breaker_answer(&breaker, UINT64_MAX, true);
    assert_int_equal(bfr_breaker_outage(&breaker, BFR_BREAKER_SUSPECTS, T, OTHERS), BFR_BLAME_BATCH);
    assert_int_equal(bfr_breaker_outage(&breaker, 1, T, OTHERS), BFR_BLAME_FAR_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_doubles_to_the_sinks_limit),
        cmocka_unit_test(test_trouble_halves_once_per_burst_then_grows_by_one),
        cmocka_unit_test(test_window_never_closes_and_ramps_after_an_outage),
        cmocka_unit_test(test_retry_stays_within_the_exponential_bound),
        cmocka_unit_test(test_retry_honours_what_the_far_end_asks),
        cmocka_unit_test(test_attempts_zero_means_never_give_up),
        cmocka_unit_test(test_probe_interval_varies_by_a_quarter),
        cmocka_unit_test(test_one_batch_never_opens_and_is_never_charged),
        cmocka_unit_test(test_two_batches_of_two_tenants_open),
        cmocka_unit_test(test_two_batches_of_the_only_tenant_open),
        cmocka_unit_test(test_one_tenants_trouble_waits_for_the_others_result),
        cmocka_unit_test(test_failing_batch_is_charged_once_another_was_stored),
        cmocka_unit_test(test_a_mere_answer_proves_nothing_against_a_batch),
        cmocka_unit_test(test_nothing_is_charged_while_open),
        cmocka_unit_test(test_fresh_evidence_of_an_outage_protects_a_suspect),
        cmocka_unit_test(test_own_success_clears_a_batch),
        cmocka_unit_test(test_success_closes_and_says_so_once),
        cmocka_unit_test(test_more_suspects_than_places_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
