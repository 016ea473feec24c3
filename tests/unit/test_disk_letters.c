// SPDX-License-Identifier: Apache-2.0
// Dead letters of the disk queue: files with a readable reason, kept over restarts, redriven, purged; and purging of what is held,
// in RAM or not.
#include "disk_stage.h"

#include "letter_filter.h"

static const struct bfr_filter everything = {.size = sizeof everything, .tenant = "*", .dataset = "*"};

#define MANY_LETTERS 260 // more than one group of a redrive

struct seen {
    int count;
    char names[16][32];
    char ids[16][32];
    uint32_t reason;
    uint32_t attempts;
    int64_t first_error_ns, last_error_ns;
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
    seen->first_error_ns = letter->first_error_ns;
    seen->last_error_ns = letter->last_error_ns;
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

static bool health_says(struct stage *stage, const char *part)
{
    struct bfr_health health = {.size = sizeof health};
    assert_true(bfr_fake_health(stage->fake, &health));
    return (health.state == BFR_HEALTH_DEGRADED) == (health.reason[0] != '\0') && strstr(health.reason, part) != NULL;
}

static bool health_says_nearly(struct stage *stage)
{
    return health_says(stage, "nearly filled their share");
}

static bool health_says_waiting(struct stage *stage)
{
    return health_says(stage, "no room for files");
}

static bool health_says_nothing(struct stage *stage)
{
    return !health_says(stage, "dead letters");
}

static bool log_says(struct stage *stage, const char *part)
{
    const char *line;
    for (size_t i = 0; (line = bfr_fake_log(stage->fake, i)) != NULL; i++)
        if (strstr(line, part) != NULL)
            return true;
    return false;
}

static bool said_nearly(struct stage *stage)
{
    return log_says(stage, "warn dead letters have nearly filled their share");
}

static bool said_room_again(struct stage *stage)
{
    return log_says(stage, "info dead letters have room in their share");
}

static void purge_all(struct stage *stage)
{
    assert_true(stage->table->purge(stage->self, &everything, false, false, NULL, NULL) > 0);
}

static void test_letters_raise_an_alarm_before_their_share_is_full_and_take_it_back(void **state)
{
    struct stage stage = open_stage("dlq_max_share=0.003"); // 50331 bytes, and a letter takes 8192
    char name[] = "letter-0";
    (void)state;

    for (int i = 0; i < 4; i++, name[7]++)
        bury_new(&stage, name);
    while (count_files("dlq", ".json") < 4)
        usleep(1000);
    assert_true(health_says_nothing(&stage));
    bury_new(&stage, name);
    assert_true(eventually(&stage, health_says_nearly));
    assert_true(eventually(&stage, said_nearly));
    assert_int_equal(count_files("dlq", ".json"), 5); // all of them
    purge_all(&stage);
    assert_true(eventually(&stage, health_says_nothing));
    assert_true(eventually(&stage, said_room_again));
    count_lines(&stage, "nearly filled their share", 1);
    plugin_file_finish(stage.fake);
}

// One that is larger than what is left of the share, which is far from full.
static void test_a_letter_that_waits_for_room_is_in_health_until_it_is_gone(void **state)
{
    struct stage stage = open_stage("dlq_max_share=0.001");
    (void)state;

    put_stored(&stage, "acme", "large", 20000);
    assert_int_equal(bury_one(&stage, 0, lease_one(&stage, 0), BFR_REASON_CONFLICT, 3, "other bytes stand there"),
                     BFR_SETTLED_BURIED);
    assert_true(eventually(&stage, health_says_waiting));
    count_lines(&stage, "warn dead letters have filled their share", 1);
    purge_all(&stage);
    assert_true(eventually(&stage, health_says_nothing));
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

static bool three_letters_have_files(struct stage *stage)
{
    (void)stage;
    return count_files("dlq", ".json") == 3 && count_files("dlq", ".tmp") == 0;
}

static void bury_because(struct stage *stage, uint32_t consumer, const char *name, uint32_t reason)
{
    put_stored(stage, "acme", name, 1000);
    (void)ack_one(stage, 1 - consumer, lease_one(stage, 1 - consumer));
    assert_int_equal(bury_one(stage, consumer, lease_one(stage, consumer), reason, 2, "no"), BFR_SETTLED_BURIED);
}

// In their segments or in files.
static void letters_are_selected(const char *extra, bool filed)
{
    struct stage stage = open_stage_for("a", "b", extra);
    struct seen seen = {0};
    struct bfr_filter filter = everything;

    bury_because(&stage, 0, "one", BFR_REASON_ATTEMPTS);
    bury_because(&stage, 1, "two", BFR_REASON_ATTEMPTS);
    bury_because(&stage, 0, "three", BFR_REASON_REJECTED);
    assert_true(!filed || eventually(&stage, three_letters_have_files));
    filter.reason = BFR_REASON_ATTEMPTS;
    assert_int_equal(matching(&stage, &filter), 2);
    filter.consumer = "a";
    assert_int_equal(stage.table->letters(stage.self, &filter, NULL, 10, visit, &seen), 1);
    assert_string_equal(seen.names[0], "one");
    check_times(&stage, filter, seen.first_error_ns, seen.last_error_ns, 3);
    plugin_file_finish(stage.fake);
}

static void test_filed_letters_are_selected_by_consumer_reason_and_time(void **state)
{
    (void)state;
    letters_are_selected(NULL, true);
}

static void test_letters_without_files_are_selected_by_consumer_reason_and_time(void **state)
{
    (void)state;
    letters_are_selected("dlq_max_share=0", false);
}

// Of a letter that is found at start without a file it is not known when it failed: no time fits it.
static void test_a_letter_found_in_its_segment_is_of_no_time(void **state)
{
    struct stage stage = open_stage("dlq_max_share=0");
    struct bfr_filter filter = everything;
    (void)state;

    bury_new(&stage, "one");
    plugin_file_finish(stage.fake);
    stage = open_stage("dlq_max_share=0");
    while (stats_of(&stage).buried_batches == 0)
        usleep(1000);
    for (int i = 0; i < WAIT_MS && matching(&stage, &filter) == 0; i++)
        usleep(1000);
    assert_int_equal(matching(&stage, &filter), 1);
    filter.failed_from_ns = 1;
    assert_int_equal(matching(&stage, &filter), 0);
    plugin_file_finish(stage.fake);
}

static void test_redrive_once_keeps_to_its_limit_and_is_known_after_a_restart(void **state)
{
    struct stage stage = open_stage(NULL);
    struct bfr_filter once = everything;
    (void)state;

    once.flags = BFR_FILTER_ONCE;
    once.limit = 2;
    bury_new(&stage, "one");
    bury_new(&stage, "two");
    bury_new(&stage, "three");
    assert_true(eventually(&stage, three_letters_have_files));
    assert_int_equal(stage.table->redrive(stage.self, &once, false, NULL, NULL), 2);
    assert_int_equal(stats_of(&stage).buried_batches, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(bury_one(&stage, 0, lease_one(&stage, 0), BFR_REASON_ATTEMPTS, 2, "no"), BFR_SETTLED_BURIED);
    assert_int_equal(matching(&stage, &once), 1);
    assert_true(eventually(&stage, three_letters_have_files));
    plugin_file_finish(stage.fake);

    stage = open_stage(NULL);
    assert_int_equal(matching(&stage, &everything), 3);
    assert_int_equal(matching(&stage, &once), 1);
    // A person may do it as often as he likes, and the mark stays.
    assert_int_equal(stage.table->redrive(stage.self, &everything, false, NULL, NULL), 3);
    for (int i = 0; i < 3; i++)
        (void)bury_one(&stage, 0, lease_one(&stage, 0), BFR_REASON_ATTEMPTS, 2, "no");
    assert_int_equal(matching(&stage, &once), 1);
    plugin_file_finish(stage.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_letter_becomes_a_file_and_outlives_the_process),
        TEST(test_a_letter_without_room_stays_in_its_segment),
        TEST(test_letters_raise_an_alarm_before_their_share_is_full_and_take_it_back),
        TEST(test_a_letter_that_waits_for_room_is_in_health_until_it_is_gone),
        TEST(test_a_filed_letter_is_redriven),
        TEST(test_letters_are_purged_by_filter),
        TEST(test_held_batches_are_purged_for_good),
        TEST(test_space_comes_back_while_many_letters_are_redriven),
        TEST(test_the_keys_of_what_was_purged_are_free_after_a_restart),
        TEST(test_space_comes_back_while_many_held_batches_are_purged),
        TEST(test_the_key_of_a_letter_past_its_age_is_free_at_once),
        TEST(test_batches_of_a_consumer_that_is_gone_can_be_purged),
        TEST(test_filed_letters_are_selected_by_consumer_reason_and_time),
        TEST(test_letters_without_files_are_selected_by_consumer_reason_and_time),
        TEST(test_a_letter_found_in_its_segment_is_of_no_time),
        TEST(test_redrive_once_keeps_to_its_limit_and_is_known_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
