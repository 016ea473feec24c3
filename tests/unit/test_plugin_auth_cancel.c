// SPDX-License-Identifier: Apache-2.0
// Promises of the tickets: a cancelled question is never answered, and each ends exactly once, whatever comes together.
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "plugin_auth_fixture.h"

static void test_cancelled_question_is_never_answered(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "cancelled");
    script.decision = BFR_LATER;
    assert_int_equal(ask(&bench), BFR_LATER);
    assert_true(bfr_auth_cancel(bench.auth, &bench.asker.question));
    assert_int_equal(script.cancelled, script.ticket);
    capture_begin(&bench.log);
    answer(script.ticket, BFR_ALLOW);
    capture_end(&bench.log);
    assert_silent(&bench.log, "cancelled");
    assert_int_equal(bench.asker.answers, 0);
    assert_false(bfr_auth_cancel(bench.auth, &bench.asker.question));
    tear_down(&bench);
}

static void test_plugin_without_cancel_is_not_told(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_auth_vtable short_table = table;
    short_table.size = offsetof(struct bfr_auth_vtable, cancel);
    struct bfr_plugin short_plugin = plugin;
    short_plugin.vtable = &short_table;
    set_up_with(&bench, "no-cancel", &short_plugin);
    script.decision = BFR_LATER;
    assert_int_equal(ask(&bench), BFR_LATER);
    assert_true(bfr_auth_cancel(bench.auth, &bench.asker.question));
    assert_int_equal(script.cancelled, 0);
    tear_down(&bench);
}

// A delivery that takes its time, so that cancel meets it.
struct slow {
    struct bfr_question question; // first
    sem_t entered, go;
    atomic_bool left;
};

static void on_slow_verdict(struct bfr_question *question, const struct bfr_verdict *verdict)
{
    struct slow *slow = (struct slow *)question;
    (void)verdict;
    sem_post(&slow->entered);
    sem_wait(&slow->go);
    slow->left = true;
}

static void *deliver(void *arg)
{
    (void)arg;
    answer(script.ticket, BFR_ALLOW);
    return NULL;
}

static void *let_go(void *arg)
{
    struct slow *slow = arg;
    for (int i = 0; i < 1000; i++)
        sched_yield(); // gives a cancel that does not wait every chance to return too early
    sem_post(&slow->go);
    return NULL;
}

static void test_cancel_waits_for_a_verdict_that_is_being_delivered(void **state)
{
    (void)state;
    struct bench bench;
    struct slow slow = {.question = {.on_verdict = on_slow_verdict}};
    pthread_t deliverer, releaser;
    set_up(&bench, "slow");
    sem_init(&slow.entered, 0, 0);
    sem_init(&slow.go, 0, 0);
    script.decision = BFR_LATER;
    assert_int_equal(bfr_auth_ask(bench.auth, &request, &slow.question, &bench.out), BFR_LATER);
    assert_int_equal(pthread_create(&deliverer, NULL, deliver, NULL), 0);
    sem_wait(&slow.entered);
    assert_int_equal(pthread_create(&releaser, NULL, let_go, &slow), 0);
    assert_false(bfr_auth_cancel(bench.auth, &slow.question));
    assert_true(slow.left);
    pthread_join(releaser, NULL);
    pthread_join(deliverer, NULL);
    sem_destroy(&slow.go);
    sem_destroy(&slow.entered);
    tear_down(&bench);
}

// From inside its own delivery there is nothing to wait for.
struct selfish {
    struct bfr_question question; // first
    struct bfr_auth *auth;
    bool cancelled;
};

static void on_selfish_verdict(struct bfr_question *question, const struct bfr_verdict *verdict)
{
    struct selfish *selfish = (struct selfish *)question;
    (void)verdict;
    selfish->cancelled = bfr_auth_cancel(selfish->auth, question);
}

static void test_cancel_from_within_the_delivery_returns(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "selfish");
    struct selfish selfish = {{.on_verdict = on_selfish_verdict}, bench.auth, true};
    script.decision = BFR_LATER;
    assert_int_equal(bfr_auth_ask(bench.auth, &request, &selfish.question, &bench.out), BFR_LATER);
    answer(script.ticket, BFR_ALLOW);
    assert_false(selfish.cancelled);
    tear_down(&bench);
}

// The storm: askers that ask and often cancel, answerers that answer every ticket twice.
enum { ASKERS = 3, ANSWERERS = 2, QUESTIONS = 3000, BELT = 64 };

// Tickets on their way from authorize to the answerers.
struct belt {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t tickets[BELT];
    size_t first, count;
    bool closed;
};

static struct belt belt = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void carry(uint64_t ticket)
{
    pthread_mutex_lock(&belt.lock);
    while (belt.count == BELT)
        pthread_cond_wait(&belt.changed, &belt.lock);
    belt.tickets[(belt.first + belt.count++) % BELT] = ticket;
    pthread_cond_broadcast(&belt.changed);
    pthread_mutex_unlock(&belt.lock);
}

// 0 when the belt has stopped.
static uint64_t take(void)
{
    uint64_t ticket = 0;
    pthread_mutex_lock(&belt.lock);
    while (belt.count == 0 && !belt.closed)
        pthread_cond_wait(&belt.changed, &belt.lock);
    if (belt.count > 0) {
        ticket = belt.tickets[belt.first];
        belt.first = (belt.first + 1) % BELT;
        belt.count--;
        pthread_cond_broadcast(&belt.changed);
    }
    pthread_mutex_unlock(&belt.lock);
    return ticket;
}

static void *answer_all(void *arg)
{
    uint64_t ticket;
    (void)arg;
    while ((ticket = take()) != 0) {
        answer(ticket, BFR_ALLOW);
        answer(ticket, BFR_DENY);
    }
    return NULL;
}

// Every question ends in exactly one way; its memory is given back at once, so a verdict that came later would be seen.
static void *ask_many(void *arg)
{
    struct bfr_auth *auth = arg;
    uintptr_t wrong = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        struct bfr_verdict out;
        struct asker *asker = calloc(1, sizeof *asker);
        asker->question.on_verdict = on_verdict;
        uint32_t decision = bfr_auth_ask(auth, &request, &asker->question, &out);
        if (decision == BFR_LATER) {
            while (i % 2 == 0 && asker->answers == 0)
                sched_yield();
            bool cancelled = bfr_auth_cancel(auth, &asker->question);
            wrong += asker->answers != (cancelled ? 0 : 1);
            wrong += !cancelled && asker->verdict.decision != BFR_ALLOW;
        } else {
            wrong += decision != BFR_ALLOW || asker->answers != 0;
        }
        free(asker);
    }
    return (void *)wrong;
}

static void test_every_question_ends_exactly_once_in_a_storm(void **state)
{
    (void)state;
    struct bench bench;
    pthread_t askers[ASKERS], answerers[ANSWERERS];
    set_up(&bench, "storm");
    script.pass_on = carry;
    for (int i = 0; i < ANSWERERS; i++)
        assert_int_equal(pthread_create(&answerers[i], NULL, answer_all, NULL), 0);
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&askers[i], NULL, ask_many, bench.auth), 0);
    for (int i = 0; i < ASKERS; i++) {
        void *wrong = NULL;
        pthread_join(askers[i], &wrong);
        assert_null(wrong);
    }
    pthread_mutex_lock(&belt.lock);
    belt.closed = true;
    pthread_cond_broadcast(&belt.changed);
    pthread_mutex_unlock(&belt.lock);
    for (int i = 0; i < ANSWERERS; i++)
        pthread_join(answerers[i], NULL);
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancelled_question_is_never_answered),
        cmocka_unit_test(test_plugin_without_cancel_is_not_told),
        cmocka_unit_test(test_cancel_waits_for_a_verdict_that_is_being_delivered),
        cmocka_unit_test(test_cancel_from_within_the_delivery_returns),
        cmocka_unit_test(test_every_question_ends_exactly_once_in_a_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
