// SPDX-License-Identifier: Apache-2.0
// The memory queue as the pipeline uses it: put, lease, ack, nack, bury, room.
#include "memory_stage.h"

#include <pthread.h>
#include <stdatomic.h>

static void test_what_is_put_is_leased_and_forgotten_once_confirmed(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    (void)state;

    assert_true(put_one(&stage, "acme", "a.gz", 100));
    assert_int_equal(stats_of(&stage).held_bytes, 100);
    struct bfr_lease *lease = lease_one(&stage, 0, 0);
    assert_non_null(lease);
    assert_string_equal(lease->batch->filename, "a.gz");
    assert_int_equal(lease->attempts, 0);
    assert_null(lease_one(&stage, 0, 0)); // lent already
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    assert_int_equal(stats_of(&stage).held_batches, 0);
    assert_int_equal(stats_of(&stage).used_bytes, 0);
    assert_int_equal(bfr_fake_live_batches(stage.fake), 0);
    plugin_file_finish(stage.fake);
}

static void test_a_full_queue_takes_the_first_that_fit_and_calls_when_room_returns(void **state)
{
    struct stage stage = open_stage("250", 1);
    const struct bfr_batch *batches[4];
    uint64_t tokens[4];
    char body[100] = {0};
    (void)state;

    for (int i = 0; i < 4; i++)
        batches[i] = bfr_fake_batch(stage.fake, "acme", "web", "a.gz", body, sizeof body);
    assert_int_equal(bfr_fake_put(stage.fake, batches, 4, tokens), 2);
    assert_true(bfr_fake_wait_ready(stage.fake, 0)); // leasable
    assert_false(bfr_fake_wait_ready(stage.fake, 0));
    assert_int_equal(ack_one(&stage, 0, lease_one(&stage, 0, 0)), BFR_SETTLED_STORED);
    assert_true(bfr_fake_wait_ready(stage.fake, 0)); // room
    assert_int_equal(bfr_fake_put(stage.fake, batches + 2, 2, tokens), 1);
    for (int i = 0; i < 4; i++)
        bfr_fake_batch_release(stage.fake, batches[i]);
    plugin_file_finish(stage.fake);
}

static void test_more_than_one_chunk_is_taken_by_one_put(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    const struct bfr_batch *batches[200];
    uint64_t tokens[200];
    (void)state;

    for (int i = 0; i < 200; i++)
        batches[i] = bfr_fake_batch(stage.fake, "acme", "web", "a.gz", "x", 1);
    assert_int_equal(bfr_fake_put(stage.fake, batches, 200, tokens), 200);
    assert_int_equal(bfr_fake_open(stage.fake), 0);
    assert_int_equal(stats_of(&stage).held_batches, 200);
    for (int i = 0; i < 200; i++)
        bfr_fake_batch_release(stage.fake, batches[i]);
    plugin_file_finish(stage.fake);
}

static void test_reserved_bytes_are_room_for_their_put_alone(void **state)
{
    struct stage stage = open_stage("1000", 1);
    const struct bfr_queue_vtable *table = stage.table;
    (void)state;

    assert_int_equal(table->reserve(stage.self, "acme", 600), BFR_ROOM_OK);
    assert_int_equal(table->reserve(stage.self, "beta", 401), BFR_ROOM_FULL);
    assert_int_equal(table->reserve(stage.self, "beta", 400), BFR_ROOM_OK);
    assert_int_equal(table->reserve(stage.self, "beta", 1), BFR_ROOM_FULL);
    table->release(stage.self, "acme", 100);
    assert_int_equal(stats_of(&stage).used_bytes, 900);
    assert_true(put_one(&stage, "acme", "a.gz", 500)); // consumes its reservation
    assert_int_equal(stats_of(&stage).used_bytes, 900);
    assert_int_equal(table->reserve(stage.self, "acme", 101), BFR_ROOM_FULL);
    assert_int_equal(table->reserve(stage.self, "acme", 100), BFR_ROOM_OK);
    table->release(stage.self, "acme", 100);
    table->release(stage.self, "beta", 400);
    assert_int_equal(ack_one(&stage, 0, lease_one(&stage, 0, 0)), BFR_SETTLED_STORED);
    assert_int_equal(stats_of(&stage).used_bytes, 0);
    assert_int_equal(table->reserve(stage.self, "acme", UINT64_MAX), BFR_ROOM_FULL);
    plugin_file_finish(stage.fake);
}

static void test_release_wakes_who_was_refused(void **state)
{
    struct stage stage = open_stage("100", 1);
    (void)state;

    assert_int_equal(stage.table->reserve(stage.self, "acme", 100), BFR_ROOM_OK);
    stage.table->release(stage.self, "acme", 10);
    assert_false(bfr_fake_wait_ready(stage.fake, 0)); // nobody waits
    assert_int_equal(stage.table->reserve(stage.self, "acme", 11), BFR_ROOM_FULL);
    stage.table->release(stage.self, "acme", 1);
    assert_true(bfr_fake_wait_ready(stage.fake, 0));
    plugin_file_finish(stage.fake);
}

static void test_a_lease_is_bounded_by_bytes_but_never_empty_for_size(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    struct bfr_lease *leases[8];
    uint64_t next_ns;
    struct bfr_lease_request request = {.size = sizeof request, .max_batches = 8, .max_bytes = 250};
    (void)state;

    for (int i = 0; i < 6; i++)
        assert_true(put_one(&stage, "acme", "a.gz", 100));
    assert_int_equal(stage.table->lease(stage.self, &request, leases, &next_ns), 2);
    request.max_bytes = 1;
    assert_int_equal(stage.table->lease(stage.self, &request, leases + 2, &next_ns), 1);
    request.max_bytes = UINT64_MAX;
    request.max_batches = 2;
    assert_int_equal(stage.table->lease(stage.self, &request, leases + 3, &next_ns), 2);
    plugin_file_finish(stage.fake);
}

static void test_not_before_holds_a_batch_back_and_is_told(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    struct bfr_lease *lease;
    uint64_t next_ns = 0;
    (void)state;

    assert_int_equal(lease_many(&stage, 0, 0, 1, &lease, &next_ns), 0);
    assert_true(next_ns == UINT64_MAX);
    put_one(&stage, "acme", "a.gz", 10);
    lease = lease_one(&stage, 0, 0);
    (void)bfr_fake_wait_ready(stage.fake, 0);
    nack_one(&stage, 0, lease, 3, START_NS + 500, "not now");
    assert_true(bfr_fake_wait_ready(stage.fake, 0)); // a sleeping pump must look at the time again
    assert_int_equal(lease_many(&stage, 0, 0, 1, &lease, &next_ns), 0);
    assert_int_equal(next_ns, START_NS + 500);
    bfr_fake_clock_advance(stage.fake, 499);
    assert_null(lease_one(&stage, 0, 0));
    bfr_fake_clock_advance(stage.fake, 1);
    lease = lease_one(&stage, 0, 0);
    assert_non_null(lease);
    assert_int_equal(lease->attempts, 3);
    plugin_file_finish(stage.fake);
}

static void test_given_back_at_once_they_keep_their_order(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    struct bfr_lease *leases[3];
    const struct bfr_nack at_once = {.size = sizeof at_once};
    const struct bfr_nack *const nacks[] = {&at_once, &at_once, &at_once};
    uint64_t next_ns;
    (void)state;

    put_one(&stage, "acme", "1.gz", 10);
    put_one(&stage, "acme", "2.gz", 10);
    put_one(&stage, "acme", "3.gz", 10);
    assert_int_equal(lease_many(&stage, 0, 0, 3, leases, &next_ns), 3);
    stage.table->nack(stage.self, 0, leases, nacks, 3);
    assert_int_equal(lease_many(&stage, 0, 0, 3, leases, &next_ns), 3);
    assert_string_equal(leases[0]->batch->filename, "1.gz");
    assert_string_equal(leases[1]->batch->filename, "2.gz");
    assert_string_equal(leases[2]->batch->filename, "3.gz");
    plugin_file_finish(stage.fake);
}

static void test_a_probe_ignores_times_and_rotates(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    const char *const expected[] = {"acme/1.gz", "beta/3.gz", "acme/2.gz", "beta/4.gz", "acme/1.gz"};
    struct bfr_lease *leases[4];
    uint64_t next_ns;
    char name[64];
    (void)state;

    put_one(&stage, "acme", "1.gz", 10);
    put_one(&stage, "acme", "2.gz", 10);
    put_one(&stage, "beta", "3.gz", 10);
    put_one(&stage, "beta", "4.gz", 10);
    assert_int_equal(lease_many(&stage, 0, 0, 4, leases, &next_ns), 4);
    for (int i = 0; i < 4; i++)
        nack_one(&stage, 0, leases[i], 0, START_NS + 1000000, "outage");
    assert_null(lease_one(&stage, 0, 0));
    for (int i = 0; i < 5; i++) {
        struct bfr_lease *lease = lease_one(&stage, 0, BFR_LEASE_PROBE);
        snprintf(name, sizeof name, "%s/%s", lease->batch->tenant, lease->batch->filename);
        assert_string_equal(name, expected[i]);
        nack_one(&stage, 0, lease, 0, START_NS + 1000000, "outage");
    }
    plugin_file_finish(stage.fake);
}

static void test_each_consumer_advances_alone(void **state)
{
    struct stage stage = open_stage("1MiB", 2);
    (void)state;

    put_one(&stage, "acme", "a.gz", 10);
    put_one(&stage, "acme", "b.gz", 10);
    struct bfr_lease *first = lease_one(&stage, 0, 0);
    assert_int_equal(ack_one(&stage, 0, first), BFR_SETTLED_OPEN);
    struct bfr_lease *second = lease_one(&stage, 0, 0);
    assert_string_equal(second->batch->filename, "b.gz");
    struct bfr_lease *other = lease_one(&stage, 1, 0);
    assert_string_equal(other->batch->filename, "a.gz");
    assert_int_equal(stats_of(&stage).held_batches, 2);
    assert_int_equal(ack_one(&stage, 1, other), BFR_SETTLED_STORED);
    assert_int_equal(stats_of(&stage).held_batches, 1);
    plugin_file_finish(stage.fake);
}

static void test_buried_by_one_and_stored_by_another_is_buried_once_both_are_done(void **state)
{
    struct stage stage = open_stage("1MiB", 2);
    (void)state;

    put_one(&stage, "acme", "a.gz", 10);
    assert_int_equal(bury_one(&stage, 0, lease_one(&stage, 0, 0), BFR_REASON_REJECTED, 1, "no"), BFR_SETTLED_OPEN);
    assert_int_equal(stats_of(&stage).buried_batches, 0);
    assert_int_equal(ack_one(&stage, 1, lease_one(&stage, 1, 0)), BFR_SETTLED_BURIED);
    assert_int_equal(stats_of(&stage).buried_batches, 1);
    assert_int_equal(stats_of(&stage).held_batches, 0);
    assert_int_equal(stats_of(&stage).used_bytes, 10);
    plugin_file_finish(stage.fake);
}

static void test_a_lease_ended_twice_changes_nothing_and_is_reported(void **state)
{
    struct stage stage = open_stage("1MiB", 2);
    (void)state;

    put_one(&stage, "acme", "a.gz", 10);
    struct bfr_lease *lease = lease_one(&stage, 0, 0);
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_OPEN);
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_OPEN);
    nack_one(&stage, 0, lease, 1, 0, NULL);
    assert_null(lease_one(&stage, 0, 0));
    assert_true(plugin_file_logged(stage.fake, "leases ended that were not open"));
    assert_int_equal(ack_one(&stage, 1, lease_one(&stage, 1, 0)), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
}

static void test_without_a_consumer_it_does_not_start(void **state)
{
    struct bfr_fake *fake = plugin_file_create(NULL, 0);
    struct bfr_err err = {.size = sizeof err};
    (void)state;

    assert_int_equal(bfr_fake_start(fake, &err), BFR_EINVAL);
    assert_non_null(strstr(err.text, "put a sink or a queue after it"));
    bfr_fake_free(fake);
}

// Two threads put, two consumers' threads lease and settle with failures in between: nothing is lost or seen twice.
struct crowd {
    struct stage stage;
    atomic_int stored;
    atomic_bool puts_done;
};

#define CROWD_BATCHES 2000

static void *consume(void *arg, uint32_t consumer)
{
    struct crowd *crowd = arg;
    struct bfr_lease *leases[16];
    uint32_t settled[16];
    uint64_t next_ns;
    int round = 0;

    for (;;) {
        bool done = atomic_load(&crowd->puts_done);
        uint32_t count = lease_many(&crowd->stage, consumer, 0, 16, leases, &next_ns);
        if (count == 0 && done)
            return NULL;
        if (count == 0)
            continue;
        if (round++ % 5 == 0) {
            nack_one(&crowd->stage, consumer, leases[0], 1, 0, "again");
            leases[0] = leases[--count];
        }
        crowd->stage.table->ack(crowd->stage.self, consumer, leases, count, settled);
        for (uint32_t i = 0; i < count; i++)
            if (settled[i] == BFR_SETTLED_STORED)
                atomic_fetch_add(&crowd->stored, 1);
    }
}

static void *consume_first(void *arg)
{
    return consume(arg, 0);
}

static void *consume_second(void *arg)
{
    return consume(arg, 1);
}

static void test_concurrent_puts_and_leases_lose_nothing(void **state)
{
    struct crowd crowd = {.stage = open_stage("1GiB", 2)};
    pthread_t threads[2];
    char tenant[16];
    (void)state;

    assert_int_equal(pthread_create(&threads[0], NULL, consume_first, &crowd), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, consume_second, &crowd), 0);
    for (int i = 0; i < CROWD_BATCHES; i++) {
        snprintf(tenant, sizeof tenant, "t%d", i % 7);
        assert_true(put_one(&crowd.stage, tenant, "a.gz", 100));
    }
    atomic_store(&crowd.puts_done, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert_int_equal(atomic_load(&crowd.stored), CROWD_BATCHES);
    assert_int_equal(stats_of(&crowd.stage).held_batches, 0);
    assert_int_equal(stats_of(&crowd.stage).used_bytes, 0);
    plugin_file_finish(crowd.stage.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_is_leased_and_forgotten_once_confirmed),
        cmocka_unit_test(test_a_full_queue_takes_the_first_that_fit_and_calls_when_room_returns),
        cmocka_unit_test(test_more_than_one_chunk_is_taken_by_one_put),
        cmocka_unit_test(test_reserved_bytes_are_room_for_their_put_alone),
        cmocka_unit_test(test_release_wakes_who_was_refused),
        cmocka_unit_test(test_a_lease_is_bounded_by_bytes_but_never_empty_for_size),
        cmocka_unit_test(test_not_before_holds_a_batch_back_and_is_told),
        cmocka_unit_test(test_given_back_at_once_they_keep_their_order),
        cmocka_unit_test(test_a_probe_ignores_times_and_rotates),
        cmocka_unit_test(test_each_consumer_advances_alone),
        cmocka_unit_test(test_buried_by_one_and_stored_by_another_is_buried_once_both_are_done),
        cmocka_unit_test(test_a_lease_ended_twice_changes_nothing_and_is_reported),
        cmocka_unit_test(test_without_a_consumer_it_does_not_start),
        cmocka_unit_test(test_concurrent_puts_and_leases_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
