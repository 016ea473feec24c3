// SPDX-License-Identifier: Apache-2.0
// Promises of the tickets: a late verdict finds its asker once, a cancelled question is never answered, and what a
// plugin says wrongly never becomes a denial. The auth plugin is linked in and does what each test sets it to.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>

#include "plugin_auth.h"
#include "test_plugin_support.h"

static struct script {
    const struct bfr_host *host;
    uint32_t decision;           // returned by authorize
    struct bfr_verdict out;      // written by authorize unless its size is 0
    struct bfr_verdict early;    // given through host->verdict from within authorize unless its size is 0
    atomic_uint_fast64_t ticket; // of the last question
    atomic_uint_fast64_t cancelled;
    struct belt *belt; // of the storm
} script;

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)err;
    script.host = host;
    *out_self = &script;
    return BFR_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static void carry(struct belt *belt, uint64_t ticket);

static uint32_t authorize(void *self, const struct bfr_request *request, uint64_t ticket, struct bfr_verdict *out)
{
    (void)self;
    (void)request;
    if (script.belt != NULL) {
        carry(script.belt, ticket);
        return BFR_LATER;
    }
    script.ticket = ticket;
    if (script.out.size != 0)
        memcpy(out, &script.out, script.out.size);
    if (script.early.size != 0)
        script.host->verdict(script.host, ticket, &script.early);
    return script.decision;
}

static void cancel(void *self, uint64_t ticket)
{
    (void)self;
    script.cancelled = ticket;
}

static const struct bfr_life life = {.size = sizeof life, .create = create, .destroy = destroy};
static const struct bfr_auth_vtable table = {.size = sizeof table, .authorize = authorize, .cancel = cancel};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, .kind = BFR_KIND_AUTH, .name = "doorman", .version = "1.0", .summary = "Says what it is told",
    .life = &life,   .vtable = &table};

// One asker, and what it was told.
struct asker {
    struct bfr_question question; // first
    atomic_uint answers;
    struct bfr_verdict verdict;
};

static void on_verdict(struct bfr_question *question, const struct bfr_verdict *verdict)
{
    struct asker *asker = (struct asker *)question;
    asker->verdict = *verdict;
    asker->answers++;
}

struct bench {
    struct bfr_stage_env env;
    struct bfr_stage *stage;
    struct bfr_auth *auth;
    struct asker asker;
    struct bfr_verdict out;
    struct capture log;
};

static void set_up_with(struct bench *bench, const char *name, const struct bfr_plugin *with)
{
    struct bfr_err err = {.size = sizeof err};
    memset(bench, 0, sizeof *bench);
    memset(&script, 0, sizeof script);
    bench->env.clock = &bfr_clock_system;
    bench->stage = bfr_stage_new(with, name, NULL, &bench->env);
    assert_non_null(bench->stage);
    bench->auth = bfr_auth_new(bench->stage);
    assert_non_null(bench->auth);
    assert_int_equal(bfr_stage_create(bench->stage, &err), BFR_OK);
    assert_int_equal(bfr_stage_start(bench->stage, &err), BFR_OK);
    bench->asker.question.on_verdict = on_verdict;
}

static void set_up(struct bench *bench, const char *name)
{
    set_up_with(bench, name, &plugin);
}

static void tear_down(struct bench *bench)
{
    bfr_stage_stop(bench->stage);
    bfr_auth_free(bench->auth);
    bfr_stage_free(bench->stage);
}

static const struct bfr_request request = {
    .size = sizeof request, .tenant = "acme", .dataset = "fw", .authorization = {NULL, 0}, .peer = "192.0.2.1"};

static uint32_t ask(struct bench *bench)
{
    return bfr_auth_ask(bench->auth, &request, &bench->asker.question, &bench->out);
}

static struct bfr_verdict verdict_of(uint32_t decision)
{
    struct bfr_verdict verdict = {.size = sizeof verdict, .decision = decision};
    if (decision == BFR_DENY)
        verdict.deny = BFR_DENY_FOREIGN;
    if (decision == BFR_ALLOW)
        strcpy(verdict.account, "a1");
    return verdict;
}

static void answer(uint64_t ticket, uint32_t decision)
{
    const struct bfr_verdict verdict = verdict_of(decision);
    script.host->verdict(script.host, ticket, &verdict);
}

static void test_without_a_stage_everybody_is_allowed(void **state)
{
    (void)state;
    struct asker asker = {.question = {.on_verdict = on_verdict}};
    struct bfr_verdict out;
    struct bfr_auth *auth = bfr_auth_new(NULL);
    assert_int_equal(bfr_auth_ask(auth, &request, &asker.question, &out), BFR_ALLOW);
    assert_int_equal(out.decision, BFR_ALLOW);
    assert_string_equal(out.account, "");
    assert_false(bfr_auth_cancel(auth, &asker.question));
    bfr_auth_free(auth);
}

static void test_answer_at_once_is_passed_on(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "at-once");
    script.decision = BFR_ALLOW;
    script.out = verdict_of(BFR_ALLOW);
    assert_int_equal(ask(&bench), BFR_ALLOW);
    assert_string_equal(bench.out.account, "a1");
    script.decision = BFR_DENY;
    script.out = verdict_of(BFR_DENY);
    assert_int_equal(ask(&bench), BFR_DENY);
    assert_int_equal(bench.out.deny, BFR_DENY_FOREIGN);
    script.decision = BFR_UNKNOWN;
    script.out = verdict_of(BFR_UNKNOWN);
    script.out.retry_after_s = 7;
    assert_int_equal(ask(&bench), BFR_UNKNOWN);
    assert_int_equal(bench.out.retry_after_s, 7);
    assert_int_equal(bench.asker.answers, 0);
    assert_false(bfr_auth_cancel(bench.auth, &bench.asker.question));
    tear_down(&bench);
}

static void test_late_verdict_finds_its_asker_once(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "late");
    script.decision = BFR_LATER;
    assert_int_equal(ask(&bench), BFR_LATER);
    assert_int_equal(bench.asker.answers, 0);
    answer(script.ticket, BFR_ALLOW);
    assert_int_equal(bench.asker.answers, 1);
    assert_string_equal(bench.asker.verdict.account, "a1");
    capture_begin(&bench.log);
    answer(script.ticket, BFR_DENY); // the first one counts, the second is ignored
    capture_end(&bench.log);
    assert_silent(&bench.log, "late");
    assert_int_equal(bench.asker.answers, 1);
    assert_int_equal(bench.asker.verdict.decision, BFR_ALLOW);
    assert_false(bfr_auth_cancel(bench.auth, &bench.asker.question));
    tear_down(&bench);
}

static void test_verdict_from_within_authorize_is_the_answer(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "within");
    script.decision = BFR_LATER;
    script.early = verdict_of(BFR_DENY);
    assert_int_equal(ask(&bench), BFR_DENY);
    assert_int_equal(bench.out.decision, BFR_DENY);
    assert_int_equal(bench.asker.answers, 0);
    answer(script.ticket, BFR_ALLOW);
    assert_int_equal(bench.asker.answers, 0);
    tear_down(&bench);
}

static void test_two_answers_to_one_question_are_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "twice");
    script.decision = BFR_ALLOW;
    script.out = verdict_of(BFR_ALLOW);
    script.early = verdict_of(BFR_DENY);
    capture_begin(&bench.log);
    assert_int_equal(ask(&bench), BFR_ALLOW);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "twice", "a question answered twice, through verdict and by authorize", "doorman");
    assert_int_equal(bench.asker.answers, 0);
    tear_down(&bench);
}

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

static void test_ticket_is_never_used_twice(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "tickets");
    script.decision = BFR_UNKNOWN;
    script.out = verdict_of(BFR_UNKNOWN);
    uint64_t last = 0;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(ask(&bench), BFR_UNKNOWN);
        assert_true(script.ticket > last);
        last = script.ticket;
    }
    tear_down(&bench);
}

static void test_ticket_that_was_never_given_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "invented");
    capture_begin(&bench.log);
    answer(1, BFR_ALLOW);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "invented", "verdict for a ticket that was never given", "doorman");
    tear_down(&bench);
}

// Built against headers in which the verdict ended earlier.
static void test_short_verdict_is_read_by_its_size(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "short");
    const uint32_t early_form[3] = {sizeof early_form, BFR_DENY, BFR_DENY_TOKEN};
    struct bfr_verdict *verdict = malloc(sizeof early_form); // the sanitizer sees every byte read behind it
    assert_non_null(verdict);
    memcpy(verdict, early_form, sizeof early_form);
    script.decision = BFR_LATER;
    assert_int_equal(ask(&bench), BFR_LATER);
    script.host->verdict(script.host, script.ticket, verdict);
    free(verdict);
    assert_int_equal(bench.asker.answers, 1);
    assert_int_equal(bench.asker.verdict.size, sizeof bench.asker.verdict);
    assert_int_equal(bench.asker.verdict.deny, BFR_DENY_TOKEN);
    assert_int_equal(bench.asker.verdict.retry_after_s, 0);
    assert_string_equal(bench.asker.verdict.text, "");
    tear_down(&bench);
}

static void test_verdict_without_a_decision_is_misuse_and_unknown(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "cut");
    const struct bfr_verdict verdict = {.size = 4, .decision = BFR_DENY};
    script.decision = BFR_LATER;
    assert_int_equal(ask(&bench), BFR_LATER);
    capture_begin(&bench.log);
    script.host->verdict(script.host, script.ticket, &verdict);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "cut", "verdict with a size that ends before its decision", "doorman");
    assert_int_equal(bench.asker.verdict.decision, BFR_UNKNOWN);
    tear_down(&bench);
}

// What cannot be understood is 503 to the sender, who tries again; a denial would make it throw the batch away.
static void test_nonsense_is_unknown_never_a_denial(void **state)
{
    (void)state;
    static const struct {
        const char *stage;
        uint32_t returned;
        struct bfr_verdict out;
        const char *breach;
    } cases[] = {
        {"n0", 0, {.size = sizeof cases->out}, "verdict with an unknown decision"},
        {"n9", 9, {.size = sizeof cases->out}, "verdict with an unknown decision"},
        {"n-two", BFR_DENY, {.size = sizeof cases->out, .decision = BFR_ALLOW}, "verdict with an unknown decision"},
        {"n-deny",
         BFR_DENY,
         {.size = sizeof cases->out, .decision = BFR_DENY},
         "verdict that denies without a known reason"},
        {"n-dot",
         BFR_ALLOW,
         {.size = sizeof cases->out, .account = ".x"},
         "verdict with an account that is no valid id"},
        {"n-slash",
         BFR_ALLOW,
         {.size = sizeof cases->out, .account = "a/b"},
         "verdict with an account that is no valid id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench bench;
        set_up(&bench, cases[i].stage);
        script.decision = cases[i].returned;
        script.out = cases[i].out;
        capture_begin(&bench.log);
        assert_int_equal(ask(&bench), BFR_UNKNOWN);
        capture_end(&bench.log);
        assert_misuse(&bench.log, cases[i].stage, cases[i].breach, "doorman");
        assert_int_equal(bench.out.decision, BFR_UNKNOWN);
        assert_string_equal(bench.out.account, "");
        tear_down(&bench);
    }
}

static void test_text_without_an_end_gets_one(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "endless");
    script.decision = BFR_DENY;
    script.out = verdict_of(BFR_DENY);
    memset(script.out.text, 'x', sizeof script.out.text);
    memset(script.out.account, 'x', sizeof script.out.account);
    assert_int_equal(ask(&bench), BFR_DENY);
    assert_int_equal(strlen(bench.out.text), sizeof bench.out.text - 1);
    assert_int_equal(strlen(bench.out.account), sizeof bench.out.account - 1);
    tear_down(&bench);
}

static void test_stage_that_does_not_run_gives_unknown(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "stopped");
    bfr_stage_stop(bench.stage);
    assert_int_equal(ask(&bench), BFR_UNKNOWN);
    assert_int_equal(script.ticket, 0);
    bfr_auth_free(bench.auth);
    bfr_stage_free(bench.stage);
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

static void carry(struct belt *belt, uint64_t ticket)
{
    pthread_mutex_lock(&belt->lock);
    while (belt->count == BELT)
        pthread_cond_wait(&belt->changed, &belt->lock);
    belt->tickets[(belt->first + belt->count++) % BELT] = ticket;
    pthread_cond_broadcast(&belt->changed);
    pthread_mutex_unlock(&belt->lock);
}

// 0 when the belt has stopped.
static uint64_t take(struct belt *belt)
{
    uint64_t ticket = 0;
    pthread_mutex_lock(&belt->lock);
    while (belt->count == 0 && !belt->closed)
        pthread_cond_wait(&belt->changed, &belt->lock);
    if (belt->count > 0) {
        ticket = belt->tickets[belt->first];
        belt->first = (belt->first + 1) % BELT;
        belt->count--;
        pthread_cond_broadcast(&belt->changed);
    }
    pthread_mutex_unlock(&belt->lock);
    return ticket;
}

static void *answer_all(void *arg)
{
    uint64_t ticket;
    while ((ticket = take(arg)) != 0) {
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
    struct belt belt = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    pthread_t askers[ASKERS], answerers[ANSWERERS];
    set_up(&bench, "storm");
    script.belt = &belt;
    for (int i = 0; i < ANSWERERS; i++)
        assert_int_equal(pthread_create(&answerers[i], NULL, answer_all, &belt), 0);
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
        cmocka_unit_test(test_without_a_stage_everybody_is_allowed),
        cmocka_unit_test(test_answer_at_once_is_passed_on),
        cmocka_unit_test(test_late_verdict_finds_its_asker_once),
        cmocka_unit_test(test_verdict_from_within_authorize_is_the_answer),
        cmocka_unit_test(test_two_answers_to_one_question_are_misuse),
        cmocka_unit_test(test_cancelled_question_is_never_answered),
        cmocka_unit_test(test_plugin_without_cancel_is_not_told),
        cmocka_unit_test(test_ticket_is_never_used_twice),
        cmocka_unit_test(test_ticket_that_was_never_given_is_misuse),
        cmocka_unit_test(test_short_verdict_is_read_by_its_size),
        cmocka_unit_test(test_verdict_without_a_decision_is_misuse_and_unknown),
        cmocka_unit_test(test_nonsense_is_unknown_never_a_denial),
        cmocka_unit_test(test_text_without_an_end_gets_one),
        cmocka_unit_test(test_stage_that_does_not_run_gives_unknown),
        cmocka_unit_test(test_cancel_waits_for_a_verdict_that_is_being_delivered),
        cmocka_unit_test(test_cancel_from_within_the_delivery_returns),
        cmocka_unit_test(test_every_question_ends_exactly_once_in_a_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
