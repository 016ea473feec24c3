// SPDX-License-Identifier: Apache-2.0
// Dead letters of the memory queue: listing, redriving, purging, and the last word about them.
#include "memory_stage.h"

#include "letter_filter.h"

static const struct bfr_filter everything = {.size = sizeof everything, .tenant = "*", .dataset = "*"};

// What a visit saw.
struct seen {
    struct stage *stage;
    int count;
    int stop_after;
    char ids[64][32];
    struct bfr_letter last;
    char first_error[64];
    char last_error[64];
    uint64_t held_at_call;
    bool leasable_at_call;
};

static bool visit(void *arg, const struct bfr_letter *letter)
{
    struct seen *seen = arg;
    snprintf(seen->ids[seen->count++], sizeof seen->ids[0], "%s", letter->id);
    seen->last = *letter;
    snprintf(seen->first_error, sizeof seen->first_error, "%s", letter->first_error);
    snprintf(seen->last_error, sizeof seen->last_error, "%s", letter->last_error);
    return seen->stop_after == 0 || seen->count < seen->stop_after;
}

// Called by redrive and purge; may call the queue, because no lock of it is held.
static void note(void *arg, const struct bfr_letter *letter)
{
    struct seen *seen = arg;
    visit(seen, letter);
    seen->held_at_call = stats_of(seen->stage).held_batches;
    seen->leasable_at_call = lease_one(seen->stage, 0, 0) != NULL;
}

static void bury_new(struct stage *stage, const char *tenant, const char *filename)
{
    assert_true(put_one(stage, tenant, filename, 10));
    assert_int_equal(bury_one(stage, 0, lease_one(stage, 0, 0), BFR_REASON_CONFLICT, 1, "taken"), BFR_SETTLED_BURIED);
}

static void test_a_letter_tells_what_happened(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    struct seen seen = {.stage = &stage};
    uint8_t sha256[32];
    (void)state;

    put_one(&stage, "acme", "a.gz", 10);
    nack_one(&stage, 0, lease_one(&stage, 0, 0), 1, 0, "http 500");
    nack_one(&stage, 0, lease_one(&stage, 0, 0), 2, 0, "http 502");
    assert_int_equal(bury_one(&stage, 0, lease_one(&stage, 0, 0), BFR_REASON_ATTEMPTS, 3, "http 503"),
                     BFR_SETTLED_BURIED);
    assert_int_equal(stage.table->letters(stage.self, &everything, NULL, 10, visit, &seen), 1);
    assert_int_equal(seen.last.reason, BFR_REASON_ATTEMPTS);
    assert_int_equal(seen.last.attempts, 3);
    assert_int_equal(seen.last.body_bytes, 10);
    assert_string_equal(seen.first_error, "http 500");
    assert_string_equal(seen.last_error, "http 503");
    assert_true(seen.last.first_error_ns > 0 && seen.last.last_error_ns >= seen.last.first_error_ns);
    bfr_fake_sha256("\0\0\0\0\0\0\0\0\0", 10, sha256);
    assert_memory_equal(seen.last.stored_sha256, sha256, 32);
    plugin_file_finish(stage.fake);
}

static void test_pages_go_on_after_the_cursor_and_end(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    struct seen seen = {.stage = &stage};
    char name[16];
    (void)state;

    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "%d.gz", i);
        bury_new(&stage, "acme", name);
    }
    assert_int_equal(stage.table->letters(stage.self, &everything, "", 40, visit, &seen), 40);
    assert_int_equal(stage.table->letters(stage.self, &everything, seen.ids[39], 40, visit, &seen), 10);
    for (int i = 1; i < 50; i++)
        assert_true(strcmp(seen.ids[i - 1], seen.ids[i]) < 0);
    assert_int_equal(stage.table->letters(stage.self, &everything, seen.ids[49], 40, visit, &seen), 0);

    struct seen few = {.stage = &stage, .stop_after = 3};
    assert_int_equal(stage.table->letters(stage.self, &everything, NULL, 40, visit, &few), 3);
    const struct bfr_filter by_id = {.size = sizeof by_id, .tenant = "*", .dataset = "*", .id = seen.ids[7]};
    struct seen one = {.stage = &stage};
    assert_int_equal(stage.table->letters(stage.self, &by_id, NULL, 40, visit, &one), 1);
    assert_string_equal(one.ids[0], seen.ids[7]);
    plugin_file_finish(stage.fake);
}

static void test_redrive_makes_letters_leasable_again_after_the_host_knows(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    struct seen seen = {.stage = &stage};
    const struct bfr_filter acme = {.size = sizeof acme, .tenant = "acme", .dataset = "*"};
    (void)state;

    bury_new(&stage, "acme", "a.gz");
    bury_new(&stage, "beta", "b.gz");
    assert_int_equal(stage.table->redrive(stage.self, &acme, true, note, &seen), 1);
    assert_int_equal(seen.count, 0);
    assert_int_equal(stats_of(&stage).buried_batches, 2);

    (void)bfr_fake_wait_ready(stage.fake, 0);
    assert_int_equal(stage.table->redrive(stage.self, &acme, false, note, &seen), 1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.held_at_call, 0);
    assert_false(seen.leasable_at_call);
    assert_true(bfr_fake_wait_ready(stage.fake, 0));
    assert_int_equal(stats_of(&stage).buried_batches, 1);
    assert_int_equal(stats_of(&stage).held_batches, 1);
    struct bfr_lease *lease = lease_one(&stage, 0, 0);
    assert_string_equal(lease->batch->filename, "a.gz");
    assert_int_equal(lease->attempts, 0);
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    assert_int_equal(stats_of(&stage).used_bytes, 10);
    plugin_file_finish(stage.fake);
}

static void test_redrive_asks_only_those_who_buried(void **state)
{
    struct stage stage = open_stage("1MiB", 2);
    (void)state;

    put_one(&stage, "acme", "a.gz", 10);
    assert_int_equal(ack_one(&stage, 0, lease_one(&stage, 0, 0)), BFR_SETTLED_OPEN);
    assert_int_equal(bury_one(&stage, 1, lease_one(&stage, 1, 0), BFR_REASON_REJECTED, 4, "no"), BFR_SETTLED_BURIED);
    assert_int_equal(stage.table->redrive(stage.self, &everything, false, NULL, NULL), 1);
    assert_null(lease_one(&stage, 0, 0));
    assert_int_equal(ack_one(&stage, 1, lease_one(&stage, 1, 0)), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
}

static void test_purge_forgets_letters_and_on_request_what_is_not_lent(void **state)
{
    struct stage stage = open_stage("60", 1);
    struct seen seen = {.stage = &stage};
    (void)state;

    bury_new(&stage, "acme", "letter.gz");
    put_one(&stage, "acme", "lent.gz", 10);
    struct bfr_lease *lent = lease_one(&stage, 0, 0);
    put_one(&stage, "acme", "put-off.gz", 10);
    nack_one(&stage, 0, lease_one(&stage, 0, 0), 1, START_NS * 2, "later");
    put_one(&stage, "acme", "held.gz", 10);
    assert_int_equal(stage.table->reserve(stage.self, "acme", 40), BFR_ROOM_FULL);
    (void)bfr_fake_wait_ready(stage.fake, 0);

    assert_int_equal(stage.table->purge(stage.self, &everything, true, true, note, &seen), 3);
    assert_int_equal(stage.table->purge(stage.self, &everything, false, true, note, &seen), 1);
    assert_int_equal(seen.count, 0);
    assert_int_equal(stage.table->purge(stage.self, &everything, true, false, note, &seen), 3);
    assert_int_equal(seen.count, 3);
    assert_true(bfr_fake_wait_ready(stage.fake, 0));
    assert_int_equal(stats_of(&stage).held_batches, 1);
    assert_int_equal(stats_of(&stage).used_bytes, 10);
    assert_null(lease_one(&stage, 0, BFR_LEASE_PROBE));
    assert_int_equal(ack_one(&stage, 0, lent), BFR_SETTLED_STORED);
    assert_int_equal(bfr_fake_live_batches(stage.fake), 0);
    plugin_file_finish(stage.fake);
}

static void test_letters_count_against_the_limit(void **state)
{
    struct stage stage = open_stage("25", 1);
    (void)state;

    bury_new(&stage, "acme", "a.gz");
    bury_new(&stage, "acme", "b.gz");
    assert_false(put_one(&stage, "acme", "c.gz", 10));
    assert_int_equal(stage.table->purge(stage.self, &everything, false, false, NULL, NULL), 2);
    assert_true(put_one(&stage, "acme", "c.gz", 10));
    plugin_file_finish(stage.fake);
}

static void bury_because(struct stage *stage, uint32_t consumer, const char *filename, uint32_t reason)
{
    assert_true(put_one(stage, "acme", filename, 10));
    (void)ack_one(stage, 1 - consumer, lease_one(stage, 1 - consumer, 0));
    assert_int_equal(bury_one(stage, consumer, lease_one(stage, consumer, 0), reason, 2, "no"), BFR_SETTLED_BURIED);
}

static void test_letters_are_selected_by_consumer_reason_and_time(void **state)
{
    struct stage stage = open_stage("1MiB", 2);
    struct seen seen = {.stage = &stage};
    struct bfr_filter filter = everything;
    (void)state;

    bury_because(&stage, 0, "a.gz", BFR_REASON_ATTEMPTS);
    bury_because(&stage, 1, "b.gz", BFR_REASON_ATTEMPTS);
    bury_because(&stage, 0, "c.gz", BFR_REASON_REJECTED);
    assert_int_equal(matching(&stage, &filter), 3);
    filter.reason = BFR_REASON_ATTEMPTS;
    assert_int_equal(matching(&stage, &filter), 2);
    filter.consumer = "one";
    assert_int_equal(matching(&stage, &filter), 1);
    assert_int_equal(stage.table->letters(stage.self, &filter, NULL, 10, visit, &seen), 1);
    assert_int_equal(seen.last.reason, BFR_REASON_ATTEMPTS);
    check_times(&stage, filter, seen.last.first_error_ns, seen.last.last_error_ns, 3);
    plugin_file_finish(stage.fake);
}

static void test_redrive_once_marks_what_it_moves_and_keeps_to_its_limit(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    struct seen seen = {.stage = &stage};
    struct bfr_filter once = everything;
    (void)state;

    once.flags = BFR_FILTER_ONCE;
    once.limit = 1;
    bury_new(&stage, "acme", "a.gz");
    bury_new(&stage, "acme", "b.gz");
    assert_int_equal(stage.table->redrive(stage.self, &once, false, NULL, NULL), 1);
    assert_int_equal(stats_of(&stage).buried_batches, 1);
    assert_int_equal(bury_one(&stage, 0, lease_one(&stage, 0, 0), BFR_REASON_ATTEMPTS, 2, "no"), BFR_SETTLED_BURIED);
    once.limit = 0;
    assert_int_equal(matching(&stage, &once), 1); // the one that was not moved
    assert_int_equal(stage.table->letters(stage.self, &everything, NULL, 10, visit, &seen), 2);
    assert_true(seen.last.redriven_ns != 0);
    // A person may do it as often as he likes, and the mark stays.
    assert_int_equal(stage.table->redrive(stage.self, &everything, false, NULL, NULL), 2);
    for (int i = 0; i < 2; i++)
        (void)bury_one(&stage, 0, lease_one(&stage, 0, 0), BFR_REASON_ATTEMPTS, 2, "no");
    assert_int_equal(matching(&stage, &once), 1);
    assert_int_equal(matching(&stage, &everything), 2);
    plugin_file_finish(stage.fake);
}

static void test_a_filter_of_letters_spares_what_is_held(void **state)
{
    struct stage stage = open_stage("1MiB", 1);
    struct bfr_filter filter = everything;
    (void)state;

    bury_new(&stage, "acme", "a.gz");
    put_one(&stage, "acme", "b.gz", 10);
    filter.reason = BFR_REASON_CONFLICT;
    assert_int_equal(stage.table->purge(stage.self, &filter, true, false, NULL, NULL), 1);
    assert_int_equal(stats_of(&stage).held_batches, 1);
    plugin_file_finish(stage.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_letter_tells_what_happened),
        cmocka_unit_test(test_pages_go_on_after_the_cursor_and_end),
        cmocka_unit_test(test_redrive_makes_letters_leasable_again_after_the_host_knows),
        cmocka_unit_test(test_redrive_asks_only_those_who_buried),
        cmocka_unit_test(test_purge_forgets_letters_and_on_request_what_is_not_lent),
        cmocka_unit_test(test_letters_count_against_the_limit),
        cmocka_unit_test(test_letters_are_selected_by_consumer_reason_and_time),
        cmocka_unit_test(test_redrive_once_marks_what_it_moves_and_keeps_to_its_limit),
        cmocka_unit_test(test_a_filter_of_letters_spares_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
