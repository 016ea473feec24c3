// SPDX-License-Identifier: Apache-2.0
// A pump never misses a wake-up, keeps its own time, and is gone when stop returns.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipe_pump.h"

struct work {
    struct bfr_pump *pump;
    _Atomic int turns;
    _Atomic uint64_t wanted; // set by the test before it wakes
    _Atomic uint64_t done;   // what the last turn saw in `wanted`
    uint64_t pause_ns;       // how far away the next turn is due; UINT64_MAX: only when woken
    _Atomic int signals_blocked;
};

static uint64_t turn(void *arg)
{
    struct work *work = arg;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    atomic_store(&work->signals_blocked, sigismember(&mask, SIGTERM));
    atomic_store(&work->done, atomic_load(&work->wanted));
    atomic_fetch_add(&work->turns, 1);
    return work->pause_ns == UINT64_MAX ? UINT64_MAX : bfr_clock_now(&bfr_clock_system) + work->pause_ns;
}

static void start(struct work *work)
{
    struct bfr_err err = {.size = sizeof err};
    work->pump = bfr_pump_new("a-name-longer-than-a-thread-may-have", &bfr_clock_system, turn, work);
    assert_non_null(work->pump);
    assert_int_equal(bfr_pump_start(work->pump, &err), BFR_OK);
}

static void finish(struct work *work)
{
    bfr_pump_stop(work->pump);
    int turns = atomic_load(&work->turns);
    bfr_pump_wake(work->pump); // harmless now
    bfr_pump_stop(work->pump);
    assert_int_equal(atomic_load(&work->turns), turns);
    bfr_pump_free(work->pump);
}

static void test_every_wake_up_is_followed_by_a_turn_that_sees_its_cause(void **state)
{
    struct work work = {.pause_ns = UINT64_MAX};
    (void)state;
    start(&work);
    for (uint64_t i = 1; i <= 20000; i++) {
        atomic_store(&work.wanted, i);
        bfr_pump_wake(work.pump);
        if (i % 64 != 0) // bursts in between
            continue;
        while (atomic_load(&work.done) < i)
            sched_yield(); // a lost wake-up hangs here
    }
    assert_true(atomic_load(&work.turns) <= 20001);
    assert_true(work.signals_blocked);
    finish(&work);
}

static void test_held_wake_ups_rouse_the_pump_when_they_are_let_go(void **state)
{
    struct work work = {.pause_ns = UINT64_MAX};
    (void)state;
    start(&work);
    for (uint64_t i = 1; i <= 5000; i++) {
        bfr_pump_hold();
        atomic_store(&work.wanted, i);
        bfr_pump_wake(work.pump);
        bfr_pump_wake(work.pump);
        bfr_pump_let_go();
        while (atomic_load(&work.done) < i)
            sched_yield(); // a lost wake-up hangs here
    }
    assert_true(atomic_load(&work.turns) <= 10001);
    finish(&work);
}

static void test_stop_does_not_wait_for_wake_ups_that_are_held(void **state)
{
    struct work work = {.pause_ns = UINT64_MAX};
    (void)state;
    start(&work);
    while (atomic_load(&work.turns) < 1)
        sched_yield();
    bfr_pump_hold();
    bfr_pump_wake(work.pump);
    bfr_pump_stop(work.pump);
    bfr_pump_let_go();
    bfr_pump_free(work.pump);
}

static void test_due_time_needs_no_wake_up(void **state)
{
    struct work work = {.pause_ns = 100000};
    (void)state;
    start(&work);
    while (atomic_load(&work.turns) < 50)
        sched_yield();
    finish(&work);
}

static void test_wake_up_before_start_is_kept(void **state)
{
    struct work work = {.pause_ns = UINT64_MAX};
    struct bfr_err err = {.size = sizeof err};
    (void)state;
    work.pump = bfr_pump_new("p", &bfr_clock_system, turn, &work);
    bfr_pump_wake(work.pump);
    bfr_pump_stop(work.pump); // never ran: nothing to stop
    assert_int_equal(bfr_pump_start(work.pump, &err), BFR_OK);
    while (atomic_load(&work.turns) < 1)
        sched_yield();
    finish(&work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_wake_up_is_followed_by_a_turn_that_sees_its_cause),
        cmocka_unit_test(test_held_wake_ups_rouse_the_pump_when_they_are_let_go),
        cmocka_unit_test(test_stop_does_not_wait_for_wake_ups_that_are_held),
        cmocka_unit_test(test_due_time_needs_no_wake_up),
        cmocka_unit_test(test_wake_up_before_start_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
