// SPDX-License-Identifier: Apache-2.0
// Letters that a sink's dry spell made come back by themselves when it ends; others do not. Stepped by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_rig.h"

// What the sink answers to batches whose name begins with "bad"; the others get the rig's `answer`.
static struct fake_answer decide(void *arg, const struct bfr_delivery *delivery)
{
    const struct rig *rig = arg;
    if (strncmp(delivery->batch->filename, "bad", 3) == 0)
        return (struct fake_answer){.outcome = BFR_RETRY};
    return rig->sinks[0]->answer;
}

static void open_rig(struct rig *rig)
{
    rig_init(rig);
    rig->settings.retry.attempts = 2;
    rig_open(rig);
    rig->sinks[0]->decide = decide;
    rig->sinks[0]->decide_arg = rig;
}

static void send(struct rig *rig, const char *name)
{
    struct rig_sender sender;
    rig_send(rig, &sender, "t", name, name);
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    rig_settle(rig);
}

static void pass_minutes(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++)
        rig_advance_ms(rig, 60000);
}

static double recovered(struct rig *rig)
{
    return rig_metric(rig, "redriven_total{by=\"recovery\"}");
}

// Letters of a time in which nothing is stored.
static void refuse_all(struct rig *rig, int count)
{
    char name[32];
    rig->sinks[0]->answer.outcome = BFR_RETRY;
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "good-%d", i);
        send(rig, name);
    }
    pass_minutes(rig, 20);
    assert_int_equal(rig_total(rig).buried_batches, count);
}

static void test_letters_of_a_dry_spell_come_back_when_it_ends(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    send(&rig, "before");
    refuse_all(&rig, 5);
    assert_int_equal(rig.queues[0]->redrives, 0);
    rig.sinks[0]->answer.outcome = BFR_STORED;
    pass_minutes(&rig, 5);
    assert_int_equal(rig_total(&rig).buried_batches, 5); // not before something is stored
    send(&rig, "after");
    pass_minutes(&rig, 5);
    assert_int_equal(rig_total(&rig).buried_batches, 0);
    assert_int_equal(rig_total(&rig).stored_batches, 7);
    assert_int_equal(recovered(&rig), 5);
    assert_int_equal(rig_metric(&rig, "redriven_total{by=\"request\"}"), 0);
    assert_string_equal(rig.queues[0]->last_consumer, "sink0");
    assert_int_equal(rig.queues[0]->last_filter.reason, BFR_REASON_ATTEMPTS);
    assert_int_equal(bfr_pipeline_unaccounted(rig.pipeline), 0);
    rig_close(&rig);
    assert_int_equal(rig.lost, 0);
}

static void test_a_letter_comes_back_by_itself_once(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    rig.sinks[0]->answer.outcome = BFR_RETRY;
    send(&rig, "bad");
    pass_minutes(&rig, 20);
    rig.sinks[0]->answer.outcome = BFR_STORED;
    send(&rig, "after");
    pass_minutes(&rig, 20);
    assert_int_equal(recovered(&rig), 1);
    assert_int_equal(rig_total(&rig).buried_batches, 1); // alone in a spell, but at fault: buried again
    rig.sinks[0]->answer.outcome = BFR_RETRY;
    send(&rig, "good");
    pass_minutes(&rig, 20);
    rig.sinks[0]->answer.outcome = BFR_STORED;
    send(&rig, "last");
    pass_minutes(&rig, 20);
    assert_int_equal(recovered(&rig), 2); // `good`; not `bad` again
    assert_int_equal(rig_total(&rig).buried_batches, 1);
    assert_int_equal(rig_total(&rig).stored_batches, 3);
    rig_close(&rig);
}

static void test_a_batch_that_fails_while_others_are_stored_stays_a_letter(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    send(&rig, "bad");
    send(&rig, "good-1");
    pass_minutes(&rig, 20);
    send(&rig, "good-2");
    pass_minutes(&rig, 20);
    assert_int_equal(rig_total(&rig).buried_batches, 1);
    assert_int_equal(rig_total(&rig).stored_batches, 2);
    assert_int_equal(recovered(&rig), 0);
    rig_close(&rig);
}

static void test_what_is_rejected_in_a_dry_spell_stays_a_letter(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_REJECT, .reason = BFR_REASON_REJECTED};
    send(&rig, "rejected");
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_RETRY};
    send(&rig, "refused");
    pass_minutes(&rig, 20);
    assert_int_equal(rig_total(&rig).buried_batches, 2);
    rig.sinks[0]->answer.outcome = BFR_STORED;
    send(&rig, "after");
    pass_minutes(&rig, 5);
    assert_int_equal(recovered(&rig), 1);
    assert_int_equal(rig_total(&rig).buried_batches, 1);
    assert_int_equal(rig_total(&rig).stored_batches, 2);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters_of_a_dry_spell_come_back_when_it_ends),
        cmocka_unit_test(test_a_letter_comes_back_by_itself_once),
        cmocka_unit_test(test_a_batch_that_fails_while_others_are_stored_stays_a_letter),
        cmocka_unit_test(test_what_is_rejected_in_a_dry_spell_stays_a_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
