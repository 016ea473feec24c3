// SPDX-License-Identifier: Apache-2.0
// What a sender is told, when, and what happens to room and books on each way a batch can take through the front.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake_rig.h"

static void test_ack_memory_answers_when_first_queue_took_it(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    struct bfr_ledger_row total = rig_total(&rig);
    assert_int_equal(total.accepted_batches, 1);
    assert_int_equal(total.held_batches, 1);
    rig_settle(&rig);
    total = rig_total(&rig);
    assert_int_equal(total.stored_batches, 1);
    assert_int_equal(total.stored_bytes, RIG_BODY_BYTES);
    assert_int_equal(total.held_batches, 0);
    assert_int_equal(rig.sinks[0]->taken, 1);
    rig_close(&rig);
    assert_int_equal(rig.lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ack_memory_answers_when_first_queue_took_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
