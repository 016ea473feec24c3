// SPDX-License-Identifier: Apache-2.0
// The budget's rule: partial bodies may never fill it so far that none of them can be completed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_budget.h"

#define LIMIT   1000000u
#define LARGEST 300000u
#define STEP    50000u

static unsigned wakes;

static void count_wake(void *arg)
{
    (void)arg;
    wakes++;
}

static int set_up(void **state)
{
    wakes = 0;
    *state = bfr_budget_new(LIMIT, LARGEST, count_wake, NULL);
    return *state == NULL;
}

static int tear_down(void **state)
{
    bfr_budget_release(*state);
    return 0;
}

static void test_some_partial_body_can_always_be_completed(void **state)
{
    struct bfr_budget *budget = *state;
    uint64_t held[64] = {0};
    unsigned bodies = 0;
    while (bodies < 64) { // as many as are let in, each with one step
        held[bodies] = bfr_budget_take(budget, (struct bfr_want){STEP, LARGEST, false});
        if (held[bodies] != STEP)
            break;
        bodies++;
    }
    assert_true(bodies >= 2);
    assert_int_equal(held[bodies], LARGEST); // the first above the mark took all of it
    uint64_t rest = LARGEST - STEP;
    assert_int_equal(bfr_budget_take(budget, (struct bfr_want){STEP, rest, false}), 0);
    bfr_budget_give(budget, LARGEST); // it is complete and gone
    assert_int_equal(wakes, 1);
    for (unsigned i = 0; i < bodies; i++) { // and so are all the others, one after the other
        assert_int_equal(bfr_budget_take(budget, (struct bfr_want){rest, rest, true}), rest);
        bfr_budget_give(budget, LARGEST);
    }
    assert_int_equal(bfr_budget_used(budget), 0);
}

static void test_a_late_large_body_does_not_overtake_those_that_wait(void **state)
{
    struct bfr_budget *budget = *state;
    uint64_t filled = LIMIT - LARGEST;
    assert_int_equal(bfr_budget_take(budget, (struct bfr_want){filled, filled, false}), filled);
    bfr_budget_queue(budget, 1);
    struct bfr_want large = {STEP, LARGEST, false};
    assert_false(bfr_budget_has(budget, large));
    assert_int_equal(bfr_budget_take(budget, large), 0);
    assert_true(bfr_budget_has(budget, (struct bfr_want){1000, 1000, false})); // a small one may
    large.waited = true;
    assert_int_equal(bfr_budget_take(budget, large), LARGEST);
    bfr_budget_queue(budget, -1);
    bfr_budget_give(budget, LIMIT);
}

static void test_room_wakes_only_when_somebody_was_refused(void **state)
{
    struct bfr_budget *budget = *state;
    assert_int_equal(bfr_budget_take(budget, (struct bfr_want){LIMIT, LIMIT, false}), LIMIT);
    bfr_budget_give(budget, 1);
    assert_int_equal(wakes, 0);
    assert_false(bfr_budget_has(budget, (struct bfr_want){2, 2, false}));
    bfr_budget_give(budget, 1);
    bfr_budget_give(budget, 1);
    assert_int_equal(wakes, 1);
    bfr_budget_give(budget, LIMIT - 3);
}

static void test_what_is_read_back_finds_its_room_and_the_largest_body_too(void **state)
{
    struct bfr_budget *budget = *state;
    const struct bfr_want rest = {LARGEST, LARGEST, true};
    bfr_budget_reserve(budget, 250000);
    bfr_budget_force(budget, LIMIT - LARGEST); // senders', while nothing is read back
    assert_true(bfr_budget_has(budget, rest));
    bfr_budget_hold(budget, 100000);
    bfr_budget_give(budget, 100000);            // as much as came goes
    assert_false(bfr_budget_has(budget, rest)); // 150000 are kept free
    bfr_budget_give(budget, 150000);
    assert_true(bfr_budget_has(budget, rest));
    assert_int_equal(wakes, 1);
    bfr_budget_hold(budget, 150000);
    assert_true(bfr_budget_has(budget, rest)); // which were theirs
    assert_false(bfr_budget_has(budget, (struct bfr_want){LARGEST + 1, LARGEST + 1, true}));
    bfr_budget_let_go(budget, 250000);
    assert_int_equal(wakes, 2);
    bfr_budget_give(budget, LIMIT - LARGEST - 250000);
    bfr_budget_reserve(budget, 2 * LIMIT);
    bfr_budget_hold(budget, 1);
    bfr_budget_let_go(budget, 1);
    bfr_budget_hold(budget, LIMIT); // however much it may be
    bfr_budget_let_go(budget, LIMIT);
    assert_int_equal(bfr_budget_take(budget, rest), LARGEST);
    bfr_budget_give(budget, LARGEST);
    assert_int_equal(bfr_budget_used(budget), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_some_partial_body_can_always_be_completed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_late_large_body_does_not_overtake_those_that_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_room_wakes_only_when_somebody_was_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_read_back_finds_its_room_and_the_largest_body_too, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
