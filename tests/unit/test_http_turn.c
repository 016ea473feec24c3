// SPDX-License-Identifier: Apache-2.0
// The measure of a loop's turns: what it computed and what it only waited for are told apart, and nothing long is lost.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "http_turn.h"

#define MS UINT64_C(1000000)

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000 * MS + (uint64_t)time.tv_nsec;
}

static void compute(uint64_t ns)
{
    uint64_t until_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;

    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until_ns)
        ;
}

static void wait_ns(uint64_t ns)
{
    uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + ns;
    struct timespec moment = {0, 100000};

    while (clock_ns(CLOCK_MONOTONIC) < until_ns)
        nanosleep(&moment, NULL);
}

static void test_a_turn_that_computes_is_blocked_and_busy(void **state)
{
    struct bfr_turns turns = {0};
    struct bfr_turn turn = {0};
    uint64_t blocked_ns, busy_ns;
    (void)state;

    bfr_turn_enter(&turn);
    compute(5 * MS);
    bfr_turn_enter(&turn); // another callback of the same turn
    compute(5 * MS);
    bfr_turn_end(&turn, &turns);
    bfr_turns_read(&turns, &blocked_ns, &busy_ns);
    assert_true(blocked_ns >= 10 * MS && busy_ns >= 10 * MS && busy_ns <= blocked_ns);
}

static void test_a_turn_that_is_held_up_is_blocked_and_not_busy(void **state)
{
    struct bfr_turns turns = {0};
    struct bfr_turn turn = {0};
    uint64_t blocked_ns, busy_ns;
    (void)state;

    bfr_turn_enter(&turn);
    wait_ns(200 * MS);
    bfr_turn_end(&turn, &turns);
    bfr_turns_read(&turns, &blocked_ns, &busy_ns);
    assert_true(blocked_ns >= 200 * MS && busy_ns < blocked_ns / 2);
}

static void test_the_wait_between_turns_counts_for_neither(void **state)
{
    struct bfr_turns turns = {0};
    struct bfr_turn turn = {0};
    uint64_t blocked_ns, busy_ns;
    (void)state;

    bfr_turn_end(&turn, &turns); // woken for nothing of ours
    compute(20 * MS);
    bfr_turn_enter(&turn);
    compute(2 * MS);
    bfr_turn_end(&turn, &turns);
    bfr_turns_read(&turns, &blocked_ns, &busy_ns);
    assert_true(busy_ns >= 2 * MS && busy_ns < 20 * MS);
}

static void test_the_longest_is_told_to_every_reader_and_for_the_next_minute_too(void **state)
{
    struct bfr_turns turns = {0};
    struct bfr_turn turn = {0};
    uint64_t blocked_ns, busy_ns, again_ns;
    (void)state;

    bfr_turns_read(&turns, &blocked_ns, &busy_ns); // the minute begins
    bfr_turn_enter(&turn);
    compute(3 * MS);
    bfr_turn_end(&turn, &turns);
    bfr_turns_read(&turns, &blocked_ns, &busy_ns);
    bfr_turns_read(&turns, &again_ns, &busy_ns);
    assert_true(blocked_ns >= 3 * MS && again_ns == blocked_ns);
    for (int minutes = 1; minutes <= 2; minutes++) {
        atomic_fetch_sub(&turns.minute_ns, 60000 * MS);
        bfr_turns_read(&turns, &again_ns, &busy_ns);
        assert_int_equal(again_ns, minutes == 1 ? blocked_ns : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_turn_that_computes_is_blocked_and_busy),
        cmocka_unit_test(test_a_turn_that_is_held_up_is_blocked_and_not_busy),
        cmocka_unit_test(test_the_wait_between_turns_counts_for_neither),
        cmocka_unit_test(test_the_longest_is_told_to_every_reader_and_for_the_next_minute_too),
    };
    return cmocka_run_group_tests_name("turns of a loop", tests, NULL, NULL);
}
