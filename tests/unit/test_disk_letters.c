// SPDX-License-Identifier: Apache-2.0
// Dead letters of the disk queue: files with a readable reason, kept over restarts, redriven, purged; and purging of what is held,
// in RAM or not.
#include "disk_stage.h"

static const struct bfr_filter everything = {.size = sizeof everything, .tenant = "*", .dataset = "*"};

#define MANY_LETTERS 260 // more than one group of a redrive

struct seen {
    int count;
    char names[16][32];
    char ids[16][32];
    uint32_t reason;
    uint32_t attempts;
    char first_error[64];
    char last_error[64];
};

static bool visit(void *arg, const struct bfr_letter *letter)
{
    struct seen *seen = arg;
    snprintf(seen->names[seen->count], sizeof seen->names[0], "%s", letter->filename);
    snprintf(seen->ids[seen->count++], sizeof seen->ids[0], "%s", letter->id);
    seen->reason = letter->reason;
    seen->attempts = letter->attempts;
    snprintf(seen->first_error, sizeof seen->first_error, "%s", letter->first_error);
    snprintf(seen->last_error, sizeof seen->last_error, "%s", letter->last_error);
    return true;
}

static void note(void *arg, const struct bfr_letter *letter)
{
    visit(arg, letter);
}

static struct seen list_all(struct stage *stage)
{
    struct seen seen = {0};
    uint32_t visited = stage->table->letters(stage->self, &everything, NULL, 16, visit, &seen);
    assert_int_equal(visited, seen.count);
    return seen;
}

static bool letter_has_file(struct stage *stage)
{
    (void)stage;
    return count_files("dlq", ".json") == 1 && count_files("dlq", ".tmp") == 0;
}

static void bury_new(struct stage *stage, const char *name)
{
    put_stored(stage, "acme", name, 1000);
    assert_int_equal(bury_one(stage, 0, lease_one(stage, 0), BFR_REASON_CONFLICT, 3, "other bytes stand there"),
                     BFR_SETTLED_BURIED);
}

static void test_a_letter_becomes_a_file_and_outlives_the_process(void **state)
{
    struct stage stage = open_stage(NULL);
    struct seen seen;
    (void)state;

    put_stored(&stage, "acme", "one", 1000);
    nack_one(&stage, 0, lease_one(&stage, 0), 1, 0, "http 500");
    assert_int_equal(bury_one(&stage, 0, lease_one(&stage, 0), BFR_REASON_ATTEMPTS, 2, "http 503"), BFR_SETTLED_BURIED);
    seen = list_all(&stage); // at once, file or not
    assert_int_equal(seen.count, 1);
    assert_true(eventually(&stage, letter_has_file));
    plugin_file_finish(stage.fake);
    assert_int_equal(count_files("segments", ".seg"), 0);

    stage = open_stage(NULL);
    seen = list_all(&stage);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.names[0], "one");
    assert_int_equal(seen.reason, BFR_REASON_ATTEMPTS);
    assert_int_equal(seen.attempts, 2);
    assert_string_equal(seen.first_error, "http 500");
    assert_string_equal(seen.last_error, "http 503");
    assert_false(has_lease(&stage, 0));
    plugin_file_finish(stage.fake);
}

static void test_a_letter_without_room_stays_in_its_segment(void **state)
{
    struct stage stage = open_stage("dlq_max_share=0");
    struct seen seen = {0};
    (void)state;

    bury_new(&stage, "one");
    plugin_file_finish(stage.fake);
    assert_int_equal(count_files("dlq", ".json"), 0);
    stage = open_stage("dlq_max_share=0");
    while (stats_of(&stage).buried_batches == 0)
        usleep(1000);
    for (int i = 0; i < WAIT_MS && seen.count == 0; i++) {
        usleep(1000);
        seen = list_all(&stage);
    }
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.reason, BFR_REASON_CONFLICT);
    assert_int_equal(seen.attempts, 3);
    assert_false(has_lease(&stage, 0));

    // Redriven, it is held again, also after another restart.
    struct seen moved = {0};
    assert_int_equal(stage.table->redrive(stage.self, &everything, true, note, &moved), 1);
    assert_int_equal(moved.count, 0);
    assert_int_equal(stage.table->redrive(stage.self, &everything, false, note, &moved), 1);
    assert_int_equal(moved.count, 1);
    assert_int_equal(stats_of(&stage).buried_batches, 0);
    assert_int_equal(stats_of(&stage).held_batches, 1);
    plugin_file_finish(stage.fake);
    stage = open_stage("dlq_max_share=0");
    struct bfr_lease *lease = lease_one(&stage, 0);
    assert_batch(lease->batch, "one", 1000);
    ack_one(&stage, 0, lease);
    plugin_file_finish(stage.fake);
}

static void test_a_filed_letter_is_redriven(void **state)
{
    struct stage stage = open_stage_for("a", "b", NULL);
    struct seen moved = {0};
    (void)state;

    put_stored(&stage, "acme", "one", 1000);
    assert_int_equal(ack_one(&stage, 1, lease_one(&stage, 1)), BFR_SETTLED_OPEN);
    assert_int_equal(bury_one(&stage, 0, lease_one(&stage, 0), BFR_REASON_REJECTED, 1, "no"), BFR_SETTLED_BURIED);
    assert_true(eventually(&stage, letter_has_file));
    assert_int_equal(stage.table->redrive(stage.self, &everything, false, note, &moved), 1);
    assert_string_equal(moved.names[0], "one");
    assert_int_equal(count_files("dlq", ""), 0);
    assert_int_equal(stats_of(&stage).buried_batches, 0);
    struct bfr_lease *lease = lease_one(&stage, 0); // the one that had buried it, and it alone
    assert_batch(lease->batch, "one", 1000);
    assert_int_equal(lease->attempts, 0);
    assert_false(has_lease(&stage, 1));
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
}

static void test_letters_are_purged_by_filter(void **state)
{
    struct stage stage = open_stage(NULL);
    const struct bfr_filter one = {.size = sizeof one, .tenant = "acme", .dataset = "web", .filename = "two"};
    struct seen gone = {0};
    (void)state;

    bury_new(&stage, "one");
    bury_new(&stage, "two");
    assert_int_equal(stage.table->purge(stage.self, &one, false, true, note, &gone), 1);
    assert_int_equal(stage.table->purge(stage.self, &one, false, false, note, &gone), 1);
    assert_string_equal(gone.names[0], "two");
    assert_int_equal(list_all(&stage).count, 1);
    assert_int_equal(stats_of(&stage).buried_batches, 1);
    plugin_file_finish(stage.fake);
    stage = open_stage(NULL);
    while (stats_of(&stage).buried_batches < 1)
        usleep(1000);
    assert_int_equal(list_all(&stage).count, 1);
    plugin_file_finish(stage.fake);
}

static void test_held_batches_are_purged_for_good(void **state)
{
    struct stage stage = open_stage(NULL);
    const struct bfr_filter acme = {.size = sizeof acme, .tenant = "acme", .dataset = "*"};
    struct seen gone = {0};
    (void)state;

    put_stored(&stage, "acme", "one", 1000);
    put_stored(&stage, "other", "two", 1000);
    put_stored(&stage, "acme", "three", 1000);
    struct bfr_lease *lease = lease_one(&stage, 0);
    assert_string_equal(lease->batch->filename, "one"); // on lease: left alone
    stage.table->evict(stage.self, UINT64_MAX);
    assert_int_equal(stage.table->purge(stage.self, &acme, true, false, note, &gone), 1);
    assert_string_equal(gone.names[0], "three");
    nack_one(&stage, 0, lease, 0, 0, NULL);
    plugin_file_finish(stage.fake);

    stage = open_stage(NULL);
    assert_string_equal(lease_one(&stage, 0)->batch->filename, "one");
    assert_string_equal(lease_one(&stage, 0)->batch->filename, "two");
    assert_false(has_lease(&stage, 0));
    plugin_file_finish(stage.fake);
}

static bool is_missing(struct stage *stage)
{
    return stats_of(stage).held_batches == 1;
}

// In `moved`, with the first group: a batch is settled. With the last one: its segment must be gone.
struct watch {
    struct stage *stage;
    struct bfr_lease *lease;
    int moved, segments, segments_after;
};

static void note_moved(void *arg, const struct bfr_letter *letter)
{
    struct watch *watch = arg;
    (void)letter;
    if (watch->moved++ == 0) {
        watch->segments = count_files("segments", ".seg");
        ack_one(watch->stage, 0, watch->lease);
    }
    if (watch->moved == MANY_LETTERS)
        watch->segments_after = count_files("segments", ".seg");
}

static bool are_filed(struct stage *stage)
{
    (void)stage;
    return count_files("dlq", ".json") == MANY_LETTERS;
}

static void test_space_comes_back_while_many_letters_are_redriven(void **state)
{
    struct stage stage = open_stage("dlq_max_share=1");
    struct watch watch = {.stage = &stage};
    (void)state;

    put_stored(&stage, "acme", "large", 200 * 1024);
    watch.lease = lease_one(&stage, 0);
    put_stored(&stage, "acme", "next", 100 * 1024); // begins another segment
    struct bfr_lease *next = lease_one(&stage, 0);
    for (int i = 0; i < MANY_LETTERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "letter-%d", i);
        bury_new(&stage, name);
    }
    assert_true(eventually(&stage, are_filed));
    assert_int_equal(stage.table->redrive(stage.self, &everything, false, note_moved, &watch), MANY_LETTERS);
    assert_int_equal(watch.moved, MANY_LETTERS);
    assert_true(watch.segments_after < watch.segments);
    ack_one(&stage, 0, next);
    plugin_file_finish(stage.fake);
}

static void note_recent(void *arg, const struct bfr_recent *recent, bool held, bool buried)
{
    char *names = arg;
    (void)held;
    (void)buried;
    strcat(names, recent->filename);
    strcat(names, " ");
}

#define MANY 1000

struct purging {
    unsigned gone;
    int segments_at_last;
};

static void note_last(void *arg, const struct bfr_letter *letter)
{
    struct purging *purging = arg;
    (void)letter;
    if (++purging->gone == MANY)
        purging->segments_at_last = count_files("segments", ".seg");
}

// So ingest goes on in a spool that was full.
static void test_space_comes_back_while_many_held_batches_are_purged(void **state)
{
    struct stage stage = open_stage(NULL);
    struct purging purging = {0};
    char name[32];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "batch%d", i);
        put_stored(&stage, "acme", name, 4000);
    }
    int before = count_files("segments", ".seg");
    assert_int_equal(stage.table->purge(stage.self, &everything, true, true, note_last, &purging), MANY);
    assert_int_equal(purging.gone, 0);
    assert_int_equal(stage.table->purge(stage.self, &everything, true, false, note_last, &purging), MANY);
    assert_int_equal(purging.gone, MANY);
    assert_true(purging.segments_at_last < before);
    assert_int_equal(stats_of(&stage).held_batches, 0);
    plugin_file_finish(stage.fake);
}

static bool key_is_free(struct stage *stage)
{
    const char *key = bfr_fake_key(stage->fake, 0);
    return key != NULL && strcmp(key, "free acme/web/old") == 0;
}

static void test_the_key_of_a_letter_past_its_age_is_free_at_once(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;
    bury_new(&stage, "old");
    assert_true(eventually(&stage, letter_has_file));
    plugin_file_finish(stage.fake);
    stage = open_stage("dlq_max_age=1ms");
    assert_true(eventually(&stage, key_is_free));
    assert_int_equal(stats_of(&stage).buried_batches, 0);
    plugin_file_finish(stage.fake);
}

// A letter in a file, one without, a batch in RAM; and the entries that a crash makes twice.
static void test_the_keys_of_what_was_purged_are_free_after_a_restart(void **state)
{
    struct stage stage = open_stage(NULL);
    const struct bfr_filter acme = {.size = sizeof acme, .tenant = "acme", .dataset = "*"};
    struct seen gone = {0};
    char names[256] = "";
    (void)state;

    bury_new(&stage, "filed");
    assert_true(eventually(&stage, letter_has_file));
    bury_new(&stage, "letter");
    put_stored(&stage, "acme", "held", 1000);
    put_stored(&stage, "other", "kept", 1000);
    assert_int_equal(stage.table->purge(stage.self, &acme, true, false, note, &gone), 3);
    put_stored(&stage, "acme", "letter", 2000); // it was free at once
    plugin_file_finish(stage.fake);

    stage = open_stage(NULL);
    stage.table->recent(stage.self, note_recent, names);
    assert_string_equal(names, "kept letter ");
    plugin_file_finish(stage.fake);
}

static void test_batches_of_a_consumer_that_is_gone_can_be_purged(void **state)
{
    struct stage stage = open_stage_for("gone", NULL, NULL);
    struct seen gone = {0};
    (void)state;

    put_stored(&stage, "acme", "one", 1000);
    plugin_file_finish(stage.fake);
    stage = open_stage_for("new", NULL, NULL);
    assert_true(eventually(&stage, is_missing));
    assert_int_equal(stage.table->purge(stage.self, &everything, true, false, note, &gone), 1);
    assert_string_equal(gone.names[0], "one");
    assert_int_equal(stats_of(&stage).held_batches, 0);
    plugin_file_finish(stage.fake);
    assert_int_equal(count_files("segments", ".seg"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_letter_becomes_a_file_and_outlives_the_process),
        TEST(test_a_letter_without_room_stays_in_its_segment),
        TEST(test_a_filed_letter_is_redriven),
        TEST(test_letters_are_purged_by_filter),
        TEST(test_held_batches_are_purged_for_good),
        TEST(test_space_comes_back_while_many_letters_are_redriven),
        TEST(test_the_keys_of_what_was_purged_are_free_after_a_restart),
        TEST(test_space_comes_back_while_many_held_batches_are_purged),
        TEST(test_the_key_of_a_letter_past_its_age_is_free_at_once),
        TEST(test_batches_of_a_consumer_that_is_gone_can_be_purged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
