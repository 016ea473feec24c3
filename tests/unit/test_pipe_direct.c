// SPDX-License-Identifier: Apache-2.0
// Without a queue: a batch goes from its sender to all sinks at once, and nothing of one that fails is kept.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_rig.h"

static void open_direct(struct rig *rig, size_t sinks)
{
    rig_init(rig);
    rig->settings.ack = BFR_ACK_SINK;
    rig->queue_count = 0;
    rig->sink_count = sinks;
    rig_open(rig);
}

static void test_without_a_queue_accepted_when_all_sinks_confirmed(void **state)
{
    struct rig rig;
    struct rig_sender first, second;
    (void)state;
    open_direct(&rig, 2);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig_send(&rig, &first, "t", "a.gz", "one");
    rig_send(&rig, &second, "t", "a.gz", "one");
    rig_settle(&rig);
    assert_int_equal(rig.sinks[1]->taken, 1);
    assert_int_equal(first.answers + second.answers, 0);
    assert_int_equal(rig_total(&rig).accepted_batches, 0);
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    assert_int_equal(first.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(second.answer, BFR_ANSWER_DUPLICATE);
    assert_int_equal(rig_total(&rig).accepted_batches, 1);
    assert_int_equal(rig_total(&rig).stored_batches, 1);
    rig_close(&rig);
}

static void test_without_a_queue_nothing_failed_is_kept(void **state)
{
    static const struct {
        struct fake_answer says;
        uint32_t answer;
    } cases[] = {
        {{.outcome = BFR_RETRY}, BFR_ANSWER_BUSY},
        {{.outcome = BFR_RETRY, .flags = BFR_OUTAGE}, BFR_ANSWER_BUSY},
        {{.outcome = BFR_REJECT, .reason = BFR_REASON_REJECTED}, BFR_ANSWER_BUSY},
        {{.outcome = BFR_REJECT, .reason = BFR_REASON_CONFLICT}, BFR_ANSWER_CONFLICT},
        {{.outcome = BFR_RETRY, .reason = BFR_REASON_CONFLICT}, BFR_ANSWER_BUSY}, // a reason counts with REJECT alone
        {{.outcome = BFR_FATAL}, BFR_ANSWER_BUSY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        struct rig_sender sender;
        open_direct(&rig, 2);
        rig.sinks[1]->answer = cases[i].says;
        rig_send(&rig, &sender, "t", "a.gz", "one");
        rig_settle(&rig);
        assert_int_equal(sender.answer, cases[i].answer);
        assert_int_equal(rig_total(&rig).accepted_batches + rig_total(&rig).buried_batches, 0);
        rig.sinks[1]->answer = (struct fake_answer){.outcome = BFR_STORED};
        rig_send(&rig, &sender, "t", "a.gz", "two"); // the key is free
        rig_settle(&rig);
        bool dead = cases[i].says.outcome == BFR_FATAL;
        assert_int_equal(sender.answer, dead ? BFR_ANSWER_BUSY : BFR_ANSWER_ACCEPTED);
        rig_close(&rig);
    }
}

static void test_without_a_queue_the_sinks_limit_holds(void **state)
{
    struct rig rig;
    struct rig_sender senders[10];
    char name[16];
    (void)state;
    open_direct(&rig, 1);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%d.gz", i);
        rig_send(&rig, &senders[i], "t", name, "one");
    }
    rig_settle(&rig);
    assert_int_equal(rig.sinks[0]->in_flight, 8);
    assert_int_equal(rig.sinks[0]->puts, 1); // what came together is put together
    assert_int_equal(senders[7].answers, 0);
    assert_int_equal(senders[8].answer, BFR_ANSWER_BUSY);
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    assert_int_equal(rig_total(&rig).accepted_batches, 8);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_queue_accepted_when_all_sinks_confirmed),
        cmocka_unit_test(test_without_a_queue_nothing_failed_is_kept),
        cmocka_unit_test(test_without_a_queue_the_sinks_limit_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
