// SPDX-License-Identifier: Apache-2.0
// The disk queue's promises: what it has confirmed is there after a restart, byte for byte and once; consumers by name; room;
// order; space given back.
#include "disk_stage.h"

static void test_what_was_confirmed_is_there_after_a_restart(void **state)
{
    static const size_t sizes[] = {1, 63, 64, 4096, 100000, 300000}; // the last one needs a segment of its own
    struct stage stage = open_stage(NULL);
    char name[16];
    (void)state;

    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "b%d", i);
        put_stored(&stage, "acme", name, sizes[i]);
    }
    plugin_file_finish(stage.fake);
    stage = open_stage(NULL);
    for (int i = 0; i < 6; i++) {
        struct bfr_lease *lease = lease_one(&stage, 0);
        snprintf(name, sizeof name, "b%d", i);
        assert_batch(lease->batch, name, sizes[i]);
        assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    }
    assert_false(has_lease(&stage, 0));
    assert_int_equal(stats_of(&stage).held_batches, 0);
    plugin_file_finish(stage.fake);
}

static void test_what_was_settled_does_not_come_again(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;

    put_stored(&stage, "acme", "one", 1000);
    put_stored(&stage, "acme", "two", 1000);
    ack_one(&stage, 0, lease_one(&stage, 0));
    plugin_file_finish(stage.fake);
    stage = open_stage(NULL);
    struct bfr_lease *lease = lease_one(&stage, 0);
    assert_batch(lease->batch, "two", 1000);
    assert_false(has_lease(&stage, 0));
    ack_one(&stage, 0, lease);
    plugin_file_finish(stage.fake);
    assert_int_equal(count_files("segments", ".seg"), 0);
}

static void test_consumers_are_known_by_name_over_restarts(void **state)
{
    struct stage stage = open_stage_for("a", "b", NULL);
    struct bfr_lease *lease;
    (void)state;

    put_stored(&stage, "acme", "one", 100);
    lease = lease_one(&stage, 0);
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_OPEN);
    plugin_file_finish(stage.fake);

    stage = open_stage_for("b", "a", NULL); // in another order
    lease = lease_one(&stage, 0);
    assert_false(has_lease(&stage, 1));
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
}

static bool health_says_missing(struct stage *stage)
{
    struct bfr_health health = {.size = sizeof health};
    assert_true(bfr_fake_health(stage->fake, &health));
    return strstr(health.reason, "sink_missing gone") != NULL;
}

static void test_a_consumer_that_is_gone_keeps_its_batches(void **state)
{
    struct stage stage = open_stage_for("gone", NULL, NULL);
    (void)state;

    put_stored(&stage, "acme", "one", 100);
    plugin_file_finish(stage.fake);
    stage = open_stage_for("new", NULL, NULL);
    assert_true(eventually(&stage, health_says_missing));
    assert_false(has_lease(&stage, 0));
    assert_int_equal(stats_of(&stage).held_batches, 1);
    put_stored(&stage, "acme", "two", 100); // others flow on
    assert_int_equal(ack_one(&stage, 0, lease_one(&stage, 0)), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
    stage = open_stage_for("gone", NULL, NULL);
    assert_batch(lease_one(&stage, 0)->batch, "one", 100);
    assert_false(has_lease(&stage, 0));
    plugin_file_finish(stage.fake);
}

static void test_an_evicted_copy_is_read_back(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;

    put_stored(&stage, "acme", "one", 5000);
    struct bfr_lease *lease = lease_one(&stage, 0);
    assert_int_equal(stage.table->evict(stage.self, UINT64_MAX), 0); // it is on lease
    nack_one(&stage, 0, lease, 1, 0, "not yet");
    assert_int_equal(stage.table->evict(stage.self, 1), 5000);
    assert_int_equal(bfr_fake_live_batches(stage.fake), 0);
    lease = lease_one(&stage, 0);
    assert_int_equal(lease->attempts, 1);
    assert_batch(lease->batch, "one", 5000);
    nack_one(&stage, 0, lease, 2, 0, NULL);
    assert_int_equal(bfr_fake_live_batches(stage.fake), 0); // what was read back is not kept
    ack_one(&stage, 0, lease_one(&stage, 0));
    plugin_file_finish(stage.fake);
}

static bool one_has_room(struct stage *stage)
{
    if (stage->table->reserve(stage->self, "acme", 1 << 20) != BFR_ROOM_OK)
        return false;
    stage->table->release(stage->self, "acme", 1 << 20);
    return true;
}

static void test_a_full_spool_refuses_and_settling_makes_room(void **state)
{
    struct stage stage = open_stage(NULL);
    char name[16];
    int held = 0;
    (void)state;

    while (stage.table->reserve(stage.self, "acme", 100000) == BFR_ROOM_OK) {
        snprintf(name, sizeof name, "b%d", held++);
        put_stored(&stage, "acme", name, 100000);
    }
    struct bfr_queue_stats stats = stats_of(&stage);
    assert_true(stats.used_bytes <= stats.limit_bytes);
    assert_true(held > 100); // most of 16 MiB
    assert_false(one_has_room(&stage));
    for (int i = 0; i < held; i++)
        assert_int_equal(ack_one(&stage, 0, lease_one(&stage, 0)), BFR_SETTLED_STORED);
    assert_true(eventually(&stage, one_has_room));
    plugin_file_finish(stage.fake);
}

static void test_a_put_beyond_the_limit_is_an_outage_not_a_loss(void **state)
{
    struct stage stage = open_stage(NULL);
    struct bfr_fake_end end = {.outcome = BFR_STORED};
    struct bfr_health health = {.size = sizeof health};
    char name[16];
    int held = 0;
    (void)state;

    while (end.outcome == BFR_STORED) { // without reservations
        snprintf(name, sizeof name, "b%d", held++);
        end = put_one(&stage, "acme", name, 100000);
    }
    assert_int_equal(end.outcome, BFR_RETRY);
    assert_int_equal(end.flags, BFR_OUTAGE);
    assert_non_null(strstr(end.text, "max_size_bytes"));
    assert_int_equal(stats_of(&stage).held_batches, held - 1);
    assert_true(bfr_fake_health(stage.fake, &health));
    assert_int_equal(health.state, BFR_HEALTH_FAILED);
    plugin_file_finish(stage.fake);
}

static void test_a_tenant_has_its_share(void **state)
{
    struct stage stage = open_stage("tenant_share=0.25");
    (void)state;

    assert_int_equal(stage.table->reserve(stage.self, "acme", 4 << 20), BFR_ROOM_OK);
    assert_int_equal(stage.table->reserve(stage.self, "acme", 1), BFR_ROOM_SHARE);
    assert_int_equal(stage.table->reserve(stage.self, "other", 1000), BFR_ROOM_OK);
    stage.table->release(stage.self, "acme", 4 << 20);
    put_stored(&stage, "other", "one", 1000);
    assert_int_equal(stage.table->reserve(stage.self, "acme", 4 << 20), BFR_ROOM_OK);
    plugin_file_finish(stage.fake);
}

static void test_a_second_stage_on_the_directory_is_refused(void **state)
{
    struct stage stage = open_stage(NULL);
    char directory[96];
    const char *pairs[] = {directory};
    const char *const names[] = {"main"};
    struct bfr_err err = {.size = sizeof err};
    (void)state;

    snprintf(directory, sizeof directory, "directory=%s", stage_directory);
    struct bfr_fake *second = plugin_file_create(pairs, 1);
    assert_int_equal(stage.table->consumers(bfr_fake_self(second), names, 1, &err), BFR_OK);
    assert_int_not_equal(bfr_fake_start(second, &err), BFR_OK);
    assert_non_null(strstr(err.text, stage_directory));
    assert_non_null(strstr(err.text, "in use by another process"));
    bfr_fake_destroy(second);
    bfr_fake_free(second);
    plugin_file_finish(stage.fake);
}

static void test_the_backlog_and_new_batches_share_the_way_out(void **state)
{
    struct stage stage = open_stage(NULL);
    char name[16];
    int new_seen = 0;
    (void)state;

    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "old%d", i);
        put_stored(&stage, "noisy", name, 70000);
    }
    plugin_file_finish(stage.fake);
    stage = open_stage(NULL);
    struct bfr_lease *first = lease_one(&stage, 0);
    while (stats_of(&stage).held_batches < 40)
        assert_true(bfr_fake_wait_ready(stage.fake, WAIT_MS));
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "new%d", i);
        put_stored(&stage, "quiet", name, 70000);
    }
    ack_one(&stage, 0, first);
    for (int i = 0; i < 14; i++) {
        struct bfr_lease *lease = lease_one(&stage, 0);
        new_seen += strncmp(lease->batch->filename, "new", 3) == 0 ? 1 : 0;
        ack_one(&stage, 0, lease);
    }
    assert_int_equal(new_seen, 5);
    plugin_file_finish(stage.fake);
}

static bool has_given_back(struct stage *stage)
{
    return stats_of(stage).used_bytes <= 1200 * 1024; // one batch, and what is in the current segment
}

static void test_settled_stretches_give_their_space_back(void **state)
{
    struct stage stage = open_stage("segment_bytes=1MiB");
    struct bfr_lease *kept = NULL;
    char name[16];
    (void)state;

    for (int i = 0; i < 60; i++) { // four segments
        snprintf(name, sizeof name, "b%d", i);
        put_stored(&stage, "acme", name, 60000);
    }
    for (int i = 0; i < 60; i++) {
        struct bfr_lease *lease = lease_one(&stage, 0);
        if (i == 5)
            kept = lease;
        else
            ack_one(&stage, 0, lease);
    }
    bool given_back = eventually(&stage, has_given_back);
    if (!given_back)
        fail_msg("still in use: %llu bytes", (unsigned long long)stats_of(&stage).used_bytes);
    nack_one(&stage, 0, kept, 0, 0, NULL);
    stage.table->evict(stage.self, UINT64_MAX);
    assert_batch(lease_one(&stage, 0)->batch, "b5", 60000);
    plugin_file_finish(stage.fake);
    stage = open_stage("segment_bytes=1MiB");
    assert_batch(lease_one(&stage, 0)->batch, "b5", 60000);
    assert_false(has_lease(&stage, 0));
    assert_int_equal(count_files("quarantine", ""), 0);
    plugin_file_finish(stage.fake);
}

struct keys {
    int count, held, buried;
    char last[64], last_held[64], last_buried[64];
};

static void note_key(void *arg, const struct bfr_recent *recent, bool held, bool buried)
{
    struct keys *keys = arg;
    assert_int_equal(recent->flags, BFR_RECENT_COUNTED);
    keys->held += held ? 1 : 0;
    keys->buried += buried ? 1 : 0;
    if (held)
        snprintf(keys->last_held, sizeof keys->last_held, "%s", recent->filename);
    if (buried)
        snprintf(keys->last_buried, sizeof keys->last_buried, "%s", recent->filename);
    keys->count++;
    snprintf(keys->last, sizeof keys->last, "%s/%s/%s", recent->tenant, recent->dataset, recent->filename);
}

static void test_keys_are_remembered_over_a_restart(void **state)
{
    struct stage stage = open_stage(NULL);
    struct keys keys = {0};
    (void)state;

    put_stored(&stage, "acme", "one", 100);
    put_stored(&stage, "acme", "two", 100);
    ack_one(&stage, 0, lease_one(&stage, 0));
    ack_one(&stage, 0, lease_one(&stage, 0));
    plugin_file_finish(stage.fake);
    stage = open_stage(NULL);
    stage.table->recent(stage.self, note_key, &keys);
    assert_int_equal(keys.count, 2);
    assert_string_equal(keys.last, "acme/web/two");
    plugin_file_finish(stage.fake);
}

static int count_letters(void)
{
    return count_files("dlq", ".json");
}

static bool letter_filed(struct stage *stage)
{
    (void)stage;
    return count_letters() == 1;
}

// A key whose batch is not settled is not the same as one that has been stored: with `ack: sink` its repeat has to wait.
static void test_keys_of_what_is_still_held_or_buried_are_told_as_such(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;
    put_stored(&stage, "acme", "stored", 100);
    ack_one(&stage, 0, lease_one(&stage, 0));
    put_stored(&stage, "acme", "buried", 100);
    bury_one(&stage, 0, lease_one(&stage, 0), BFR_REASON_REJECTED, 1, "no");
    assert_true(eventually(&stage, letter_filed));
    put_stored(&stage, "acme", "held", 100);
    for (int life = 0; life < 2; life++) {
        struct keys keys = {0};
        plugin_file_finish(stage.fake);
        stage = open_stage(NULL);
        stage.table->recent(stage.self, note_key, &keys);
        assert_int_equal(keys.count, 3);
        assert_int_equal(keys.held, 1);
        assert_string_equal(keys.last_held, "held");
        assert_int_equal(keys.buried, 1);
        assert_string_equal(keys.last_buried, "buried");
    }
    plugin_file_finish(stage.fake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_confirmed_is_there_after_a_restart),
        TEST(test_what_was_settled_does_not_come_again),
        TEST(test_consumers_are_known_by_name_over_restarts),
        TEST(test_a_consumer_that_is_gone_keeps_its_batches),
        TEST(test_an_evicted_copy_is_read_back),
        TEST(test_a_full_spool_refuses_and_settling_makes_room),
        TEST(test_a_put_beyond_the_limit_is_an_outage_not_a_loss),
        TEST(test_a_tenant_has_its_share),
        TEST(test_a_second_stage_on_the_directory_is_refused),
        TEST(test_the_backlog_and_new_batches_share_the_way_out),
        TEST(test_settled_stretches_give_their_space_back),
        TEST(test_keys_are_remembered_over_a_restart),
        TEST(test_keys_of_what_is_still_held_or_buried_are_told_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
