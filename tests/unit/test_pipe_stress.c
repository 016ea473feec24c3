// SPDX-License-Identifier: Apache-2.0
// Real pumps, four senders, sinks that answer anything from threads of their own: the ledger balances at every look,
// every waiter is answered exactly once or never, and at the end nothing is missing. Meant for the thread sanitizer.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_rig.h"
#include "log.h"

#define SENDERS      4
#define BATCHES      600 // of each sender
#define STOP_TIME_MS 60000

// Decided by the delivery's token: any mixture, and another one for the next attempt.
static struct fake_answer mixed(void *arg, const struct bfr_delivery *delivery)
{
    uint64_t dice = delivery->token * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    (void)arg;
    switch (dice % 20) {
    case 0:
        return (struct fake_answer){.outcome = BFR_REJECT, .reason = BFR_REASON_REJECTED};
    case 1:
    case 2:
        return (struct fake_answer){.outcome = BFR_RETRY};
    case 3:
    case 4:
        return (struct fake_answer){.outcome = BFR_RETRY, .flags = BFR_OUTAGE};
    case 5:
        return (struct fake_answer){.outcome = BFR_RETRY, .retry_after_ms = 2};
    default:
        return (struct fake_answer){.outcome = BFR_STORED};
    }
}

struct stress {
    struct rig rig;
    atomic_bool over;
    _Atomic int unbalanced, looks;
};

struct load {
    struct stress *stress;
    int number;
    struct rig_sender senders[BATCHES];
    bool abandoned[BATCHES];
};

static bool look(void *arg, const struct bfr_ledger_row *row)
{
    struct stress *stress = arg;
    uint64_t in = row->recovered_batches + row->accepted_batches;
    uint64_t out = row->stored_batches + row->held_batches + row->buried_batches + row->purged_batches;
    uint64_t in_bytes = row->recovered_bytes + row->accepted_bytes;
    uint64_t out_bytes = row->stored_bytes + row->held_bytes + row->buried_bytes + row->purged_bytes;
    if (in != out || in_bytes != out_bytes || row->held_batches > SENDERS * BATCHES)
        atomic_fetch_add(&stress->unbalanced, 1);
    atomic_fetch_add(&stress->looks, 1);
    return true;
}

static void *watch_the_books(void *arg)
{
    struct stress *stress = arg;
    const char *reason;
    while (!atomic_load(&stress->over)) {
        size_t size;
        bfr_pipeline_ledger(stress->rig.pipeline, look, stress);
        (void)bfr_pipeline_ready(stress->rig.pipeline, &reason);
        free(bfr_metrics_render(stress->rig.metrics, &size));
        sched_yield();
    }
    return NULL;
}

// Senders come in pairs that post the same names with the same bytes, so half of what they send are duplicates.
static void *send_all(void *arg)
{
    struct load *load = arg;
    struct rig *rig = &load->stress->rig;
    for (int i = 0; i < BATCHES; i++) {
        char tenant[16], name[32];
        snprintf(tenant, sizeof tenant, "t%d", i % 5);
        snprintf(name, sizeof name, "%d-%d.gz", load->number / 2, i);
        rig_send(rig, &load->senders[i], tenant, name, name);
        if (i % 7 == 0)
            load->abandoned[i] = bfr_intake_abandon(rig->pipeline, &load->senders[i].waiter);
    }
    return NULL;
}

static int wrongly_answered(const struct load *load)
{
    int wrong = 0;
    for (int i = 0; i < BATCHES; i++)
        wrong += load->senders[i].answers != (load->abandoned[i] ? 0 : 1);
    return wrong;
}

static void set_up(struct stress *stress, uint32_t ack, size_t queues, size_t sinks)
{
    struct rig *rig = &stress->rig;
    rig_init(rig);
    rig->settings.ack = ack;
    rig->settings.retry.initial_ms = 1;
    rig->settings.retry.max_ms = 4;
    rig->settings.retry.attempts = 6;
    rig->settings.retry.probe_interval_ms = 1;
    rig->settings.dedup.max_entries = 100000;
    rig->queue_plugins[1] = &fake_queue_stable;
    rig->queue_count = queues;
    rig->sink_count = sinks;
    rig->pumps = true;
    rig_create(rig);
    for (size_t i = 0; i < sinks; i++) {
        rig->sinks[i]->threaded = true;
        rig->sinks[i]->decide = mixed;
    }
    rig_start(rig);
}

// Returns the total of the books after everything has been sent and the pipeline has stopped.
static struct bfr_ledger_row run(struct stress *stress, uint32_t ack, size_t queues, size_t sinks)
{
    static struct load loads[SENDERS];
    pthread_t threads[SENDERS], watcher;
    memset(stress, 0, sizeof *stress);
    memset(loads, 0, sizeof loads);
    set_up(stress, ack, queues, sinks);
    assert_int_equal(pthread_create(&watcher, NULL, watch_the_books, stress), 0);
    for (int i = 0; i < SENDERS; i++) {
        loads[i].stress = stress;
        loads[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &loads[i]), 0);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    rig_stop(&stress->rig, STOP_TIME_MS);
    atomic_store(&stress->over, true);
    pthread_join(watcher, NULL);
    assert_int_equal(stress->unbalanced, 0);
    assert_true(stress->looks > 0);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(wrongly_answered(&loads[i]), 0);
    for (size_t i = 0; i < queues; i++)
        assert_int_equal(stress->rig.queues[i]->reserved_bytes, 0);
    return rig_total(&stress->rig);
}

static void test_memory_queue(void **state)
{
    static struct stress stress;
    (void)state;
    struct bfr_ledger_row total = run(&stress, BFR_ACK_MEMORY, 1, 1);
    assert_int_equal(total.accepted_batches, SENDERS / 2 * BATCHES); // each name once
    assert_int_equal(total.held_batches, 0);
    assert_int_equal(total.stored_batches + total.buried_batches, total.accepted_batches);
    assert_true(total.stored_batches > 0 && total.buried_batches > 0);
    assert_int_equal(stress.rig.lost, total.buried_batches); // letters in a volatile queue
    rig_close(&stress.rig);
}

static void test_memory_and_stable_queue_with_two_sinks(void **state)
{
    static struct stress stress;
    (void)state;
    struct bfr_ledger_row total = run(&stress, BFR_ACK_DISK, 2, 2);
    assert_int_equal(total.accepted_batches, SENDERS / 2 * BATCHES);
    assert_int_equal(stress.rig.lost, 0); // what is not stored is in the stable queue
    assert_int_equal(fake_queue_held(stress.rig.queues[0]), 0);
    assert_int_equal(fake_queue_held(stress.rig.queues[1]), total.held_batches);
    assert_int_equal(fake_queue_buried(stress.rig.queues[1]), total.buried_batches);
    rig_close(&stress.rig);
}

static void test_ack_sink_through_a_memory_queue(void **state)
{
    static struct stress stress;
    (void)state;
    struct bfr_ledger_row total = run(&stress, BFR_ACK_SINK, 1, 2);
    assert_int_equal(total.accepted_batches, SENDERS / 2 * BATCHES);
    assert_int_equal(total.held_batches, 0);
    rig_close(&stress.rig);
}

static void test_no_queue(void **state)
{
    static struct stress stress;
    (void)state;
    struct bfr_ledger_row total = run(&stress, BFR_ACK_SINK, 0, 2);
    assert_int_equal(total.accepted_batches, total.stored_batches);
    assert_int_equal(total.held_batches + total.buried_batches, 0);
    assert_int_equal(stress.rig.lost, 0);
    rig_close(&stress.rig);
}

// --- single faults, with the pumps that meet them in the daemon

static void send_some(struct rig *rig, struct rig_sender *senders, int count)
{
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.gz", i);
        rig_send(rig, &senders[i], "t", name, name);
    }
}

static void test_sink_that_completes_from_another_thread(void **state)
{
    struct rig rig;
    struct rig_sender senders[100];
    (void)state;
    rig_init(&rig);
    rig.settings.ack = BFR_ACK_SINK;
    rig.pumps = true;
    rig_create(&rig);
    rig.sinks[0]->threaded = true;
    rig_start(&rig);
    send_some(&rig, senders, 100);
    for (int i = 0; i < 100; i++) {
        while (atomic_load(&senders[i].answers) == 0)
            sched_yield();
        assert_int_equal(senders[i].answer, BFR_ANSWER_ACCEPTED);
    }
    assert_int_equal(rig_total(&rig).stored_batches, 100);
    rig_close(&rig);
    assert_int_equal(rig.lost, 0);
}

static void test_stop_returns_though_a_sink_never_completes(void **state)
{
    struct rig rig;
    struct rig_sender senders[10];
    (void)state;
    rig_init(&rig);
    rig.pumps = true;
    rig_create(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig.sinks[0]->mute = true;
    rig_start(&rig);
    send_some(&rig, senders, 10);
    rig_stop(&rig, 50);
    assert_int_equal(rig.lost, 10);
    assert_int_equal(rig_total(&rig).held_batches, 10);
    rig_close(&rig);
}

static void *complete_once_draining(void *arg)
{
    struct rig *rig = arg;
    const char *reason = "";
    while (bfr_pipeline_ready(rig->pipeline, &reason) || strcmp(reason, "draining") != 0)
        sched_yield();
    assert_int_equal(fake_queue_complete(rig->queues[0], BFR_STORED), 1);
    return NULL;
}

static void test_stop_waits_for_puts_under_way(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    pthread_t thread;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig.settings.ack = BFR_ACK_DISK;
    rig.pumps = true;
    rig_create(&rig);
    rig.queues[0]->put_mode = FAKE_PUT_HOLD;
    rig.queues[0]->mute = true; // nobody else completes it
    rig_start(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(pthread_create(&thread, NULL, complete_once_draining, &rig), 0);
    rig_stop(&rig, STOP_TIME_MS);
    pthread_join(thread, NULL);
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(rig_total(&rig).accepted_batches, 1);
    rig_close(&rig);
}

static void *complete_once_drained(void *arg)
{
    struct rig *rig = arg;
    while (!atomic_load(&rig->sinks[0]->drained))
        sched_yield();
    fake_sink_complete(rig->sinks[0], BFR_STORED, 0);
    return NULL;
}

static void test_completion_between_drain_and_deadline_counts(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    pthread_t thread;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig.settings.ack = BFR_ACK_DISK;
    rig.pumps = true;
    rig_create(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig.sinks[0]->mute = true;
    rig_start(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    while (rig_metric(&rig, "sink_in_flight{sink=\"sink0\"}") < 1)
        sched_yield();
    assert_int_equal(pthread_create(&thread, NULL, complete_once_drained, &rig), 0);
    rig_stop(&rig, STOP_TIME_MS);
    pthread_join(thread, NULL);
    assert_int_equal(rig_total(&rig).stored_batches, 1);
    rig_close(&rig);
}

static void test_retries_go_on_by_themselves(void **state)
{
    struct rig rig;
    struct rig_sender senders[10];
    (void)state;
    rig_init(&rig);
    rig.settings.ack = BFR_ACK_SINK;
    rig.settings.retry.initial_ms = 1;
    rig.settings.retry.max_ms = 2;
    rig.settings.retry.probe_interval_ms = 1;
    rig.pumps = true;
    rig_create(&rig);
    rig.sinks[0]->decide = mixed;
    rig_start(&rig);
    send_some(&rig, senders, 10);
    // Nobody sends, nobody wakes: only the pump's own timer gets every batch to its end.
    for (int i = 0; i < 10; i++) {
        while (atomic_load(&senders[i].answers) == 0)
            sched_yield();
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_queue),
        cmocka_unit_test(test_memory_and_stable_queue_with_two_sinks),
        cmocka_unit_test(test_ack_sink_through_a_memory_queue),
        cmocka_unit_test(test_no_queue),
        cmocka_unit_test(test_sink_that_completes_from_another_thread),
        cmocka_unit_test(test_stop_returns_though_a_sink_never_completes),
        cmocka_unit_test(test_stop_waits_for_puts_under_way),
        cmocka_unit_test(test_completion_between_drain_and_deadline_counts),
        cmocka_unit_test(test_retries_go_on_by_themselves),
    };
    bfr_log_configure(BFR_LOG_ERROR, BFR_LOG_LOGFMT); // warnings are the point here, by the thousand
    return cmocka_run_group_tests(tests, NULL, NULL);
}
