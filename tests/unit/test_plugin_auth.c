// SPDX-License-Identifier: Apache-2.0
// Promises of the tickets: a late verdict finds its asker once, and what a plugin says wrongly never becomes a denial.
#include "plugin_auth_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_stage_everybody_is_allowed),
        cmocka_unit_test(test_answer_at_once_is_passed_on),
        cmocka_unit_test(test_late_verdict_finds_its_asker_once),
        cmocka_unit_test(test_verdict_from_within_authorize_is_the_answer),
        cmocka_unit_test(test_two_answers_to_one_question_are_misuse),
        cmocka_unit_test(test_ticket_is_never_used_twice),
        cmocka_unit_test(test_ticket_that_was_never_given_is_misuse),
        cmocka_unit_test(test_short_verdict_is_read_by_its_size),
        cmocka_unit_test(test_verdict_without_a_decision_is_misuse_and_unknown),
        cmocka_unit_test(test_nonsense_is_unknown_never_a_denial),
        cmocka_unit_test(test_text_without_an_end_gets_one),
        cmocka_unit_test(test_stage_that_does_not_run_gives_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
