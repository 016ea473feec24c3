// SPDX-License-Identifier: Apache-2.0
// What a segment still owes: from the scan or from the index, the marks applied, the same either way.
#include <time.h>

#include "segment_dir.h"

#define INDEX "0000000000000001.idx"

// Five records of two tenants: 1 untouched, 2 confirmed by one, 3 by both, 4 buried by one, 5 purged.
static struct segment_file make_five(const struct segment_dir *dir)
{
    struct segment_file segment;
    assert_true(bfr_segment_create(&segment, dir->fd, 1, 0, 8192));
    for (uint64_t i = 1; i <= 5; i++) {
        const struct bfr_batch batch = make_batch(i % 2 != 0 ? "odd" : "even", "a.gz", "12345", 5);
        write_record(&segment, i, &batch, "12345");
    }
    write_mark(&segment, 3, 1, MARK_CONFIRMED);
    write_mark(&segment, 2, 0, MARK_CONFIRMED);
    write_mark(&segment, 4, 1, MARK_BURIED);
    write_mark(&segment, 5, MARK_EVERY_CONSUMER, MARK_PURGED);
    write_mark(&segment, 3, 0, MARK_CONFIRMED);
    return segment;
}

static void check_five(const struct found *found, uint64_t end)
{
    assert_int_equal(found->count, 3);
    assert_int_equal(found->records[0].sequence, 1);
    assert_int_equal(found->records[0].confirmed | found->records[0].buried, 0);
    assert_int_equal(found->records[1].sequence, 2);
    assert_int_equal(found->records[1].confirmed, 1);
    assert_int_equal(found->records[2].sequence, 4);
    assert_int_equal(found->records[2].buried, 2);
    assert_string_equal(found->tenants[found->records[0].tenant], "odd");
    assert_string_equal(found->tenants[found->records[1].tenant], "even");
    assert_int_equal(found->tenant_count, 2);
    assert_int_equal(found->set_count, 1);
    assert_int_equal(found->sets[0].count, 2);
    assert_string_equal(found->sets[0].names[0], "main");
    assert_string_equal(found->sets[0].names[1], "copy");
    assert_int_equal(found->records[2].body_bytes, 5);
    assert_int_equal(found->records[2].received_ns, 2000);
    assert_int_equal(found->end_bytes, end);
}

static void test_index_and_scan_say_the_same(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_five(&dir);
    struct found scanned, indexed;
    uint64_t end = segment.end_bytes;
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &scanned));
    assert_true(scanned.scanned && !scanned.marks_lost);
    check_five(&scanned, end);
    assert_true(bfr_segment_index_write(&segment, dir.fd, &scanned));
    assert_false(exists(&dir, "0000000000000001.tmp"));
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &indexed));
    assert_false(indexed.scanned);
    check_five(&indexed, end);
    assert_memory_equal(indexed.records, scanned.records, 3 * sizeof *scanned.records);
    bfr_found_free(&indexed);
    // What is settled after the index was written counts.
    write_mark(&segment, 1, MARK_EVERY_CONSUMER, MARK_CONFIRMED);
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &indexed));
    assert_int_equal(indexed.count, 2);
    assert_int_equal(indexed.records[0].sequence, 2);
    bfr_found_free(&indexed);
    bfr_found_free(&scanned);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_an_index_damaged_anywhere_is_ignored(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_five(&dir);
    struct found found;
    size_t size;
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &found));
    assert_true(bfr_segment_index_write(&segment, dir.fd, &found));
    bfr_found_free(&found);
    uint8_t *bytes = slurp(&dir, INDEX, &size);
    for (size_t at = 0; at < size; at++) {
        for (unsigned change = 0; change < 3; change++) {
            static const uint8_t masks[] = {0x01, 0x80, 0xff};
            bytes[at] ^= masks[change];
            replace(&dir, INDEX, bytes, size);
            assert_false(bfr_segment_index_read(&segment, dir.fd, &found));
            assert_int_equal(found.count, 0);
            bytes[at] ^= masks[change];
        }
        replace(&dir, INDEX, bytes, at); // and cut off there
        assert_false(bfr_segment_index_read(&segment, dir.fd, &found));
    }
    bytes[size] = 0;
    replace(&dir, INDEX, bytes, size + 1);
    assert_false(bfr_segment_index_read(&segment, dir.fd, &found));
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &found)); // by a scan then
    assert_true(found.scanned);
    assert_int_equal(found.count, 3);
    bfr_found_free(&found);
    replace(&dir, INDEX, bytes, size);
    assert_true(bfr_segment_index_read(&segment, dir.fd, &found));
    bfr_found_free(&found);
    segment.nonce ^= 1; // another life of the file
    assert_false(bfr_segment_index_read(&segment, dir.fd, &found));
    free(bytes);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

// Counts and lengths that lie, under a CRC that is right: the reader must not believe them.
static void test_an_index_that_lies_about_its_lengths_is_ignored(void **state)
{
    (void)state;
    static const struct {
        size_t at, size;
    } fields[] = {{32, 8}, {40, 4}, {44, 4}, {48, 8}};
    static const uint64_t values[] = {0, 1, 4, 1000, UINT32_MAX, UINT64_C(1) << 40, UINT64_MAX};
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_five(&dir);
    struct found found;
    size_t size;
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &found));
    assert_true(bfr_segment_index_write(&segment, dir.fd, &found));
    bfr_found_free(&found);
    uint8_t *bytes = slurp(&dir, INDEX, &size);
    for (size_t field = 0; field < sizeof fields / sizeof fields[0]; field++) {
        for (size_t value = 0; value < sizeof values / sizeof values[0]; value++) {
            uint8_t *copy = malloc(size);
            assert_non_null(copy);
            memcpy(copy, bytes, size);
            memcpy(copy + fields[field].at, &values[value], fields[field].size);
            bool changed = memcmp(copy, bytes, size) != 0;
            uint32_t crc = bfr_crc32c(0, copy, size - 4);
            memcpy(copy + size - 4, &crc, 4);
            replace(&dir, INDEX, copy, size);
            assert_int_equal(bfr_segment_index_read(&segment, dir.fd, &found), !changed);
            bfr_found_free(&found);
            free(copy);
        }
    }
    free(bytes);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_the_last_mark_of_a_consumer_counts(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    struct found found;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, 1 << 20));
    // Many, and unsorted, so that the sort has something to mix up.
    for (uint64_t i = 1; i <= 300; i++)
        write_simple(&segment, i, "a.gz", 1);
    for (unsigned round = 0; round < 5; round++)
        for (uint64_t i = 300; i >= 1; i--)
            write_mark(&segment, i, MARK_EVERY_CONSUMER, (i + round) % 2 != 0 ? MARK_BURIED : MARK_CONFIRMED);
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &found));
    assert_int_equal(found.count, 150);
    for (size_t i = 0; i < found.count; i++)
        assert_true(found.records[i].sequence % 2 == 1 && found.records[i].buried == 3);
    bfr_found_free(&found);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_lost_marks_only_mean_to_offer_again(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_five(&dir);
    struct found found;
    bfr_segment_close(&segment);
    assert_int_equal(unlinkat(dir.fd, "0000000000000001.done", 0), 0);
    assert_true(bfr_segment_open(&segment, dir.fd, 1));
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &found));
    assert_int_equal(found.count, 5);
    bfr_found_free(&found);
    // A file of marks that cannot be read is not the segment's fault.
    close(segment.marks_fd);
    segment.marks_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &found));
    assert_true(found.marks_lost);
    assert_int_equal(found.count, 5);
    bfr_found_free(&found);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void count_gap(void *arg, uint64_t from, uint64_t to, bool torn)
{
    struct seen *seen = arg;
    see_gap(seen, from, to, torn);
}

// It checks, so it is no accident; it may be from a later version. It must not vanish.
static void test_a_record_without_a_usable_envelope_is_told_of(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    struct seen seen = {.records = 0};
    struct found found;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, 8192));
    struct bfr_batch batch = make_batch("acme", "a.gz", "12345", 5);
    uint64_t offset = write_record(&segment, 1, &batch, "12345");
    uint64_t end = segment.end_bytes;
    // The same with its first tag, the account's, turned into a second tenant; the CRC is made right again.
    uint8_t *bytes = malloc(end - offset);
    assert_non_null(bytes);
    assert_true(bfr_segment_read(&segment, bytes, end - offset, offset));
    struct record_header header;
    assert_true(bfr_record_header_decode(bytes, 1, segment.nonce, &header));
    bytes[RECORD_HEADER_BYTES] = 2;
    uint32_t crc = bfr_crc32c(0, &segment.nonce, 8);
    crc = bfr_crc32c(crc, bytes, 60);
    crc = bfr_crc32c(crc, bytes + RECORD_HEADER_BYTES, header.envelope_bytes);
    memcpy(bytes + 60, &crc, 4);
    assert_true(bfr_record_check(bytes, &header));
    assert_int_equal(pwrite(segment.fd, bytes, end - offset, (off_t)offset), (ssize_t)(end - offset));
    write_simple(&segment, 2, "b.gz", 9);
    const struct found_events events = {count_gap, NULL, &seen};
    assert_true(bfr_segment_load(&segment, dir.fd, &events, &found));
    assert_int_equal(found.count, 1);
    assert_int_equal(found.records[0].sequence, 2);
    assert_int_equal(seen.gaps, 1);
    assert_true(seen.gap_from[0] == offset && seen.gap_to[0] == end && !seen.gap_torn[0]);
    bfr_found_free(&found);
    free(bytes);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_an_empty_segment_owes_nothing(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    struct found found;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, 8192));
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &found));
    assert_int_equal(found.count, 0);
    assert_int_equal(segment.end_bytes, SEGMENT_HEADER_BYTES);
    assert_true(bfr_segment_index_write(&segment, dir.fd, &found));
    bfr_found_free(&found);
    assert_true(bfr_segment_index_read(&segment, dir.fd, &found));
    assert_int_equal(found.count, 0);
    bfr_found_free(&found);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

// CPU time for a list of so many tenants, each met twice.
static double time_tenants(uint32_t count)
{
    struct found found = {.count = 0};
    struct timespec from, to;
    uint32_t number;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (uint32_t i = 0; i < 2 * count; i++) {
        char name[32];
        snprintf(name, sizeof name, "tenant-%u", i % count);
        assert_true(bfr_found_tenant(&found, name, &number));
        assert_int_equal(number, i % count);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    assert_int_equal(found.tenant_count, count);
    bfr_found_free(&found);
    return (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
}

// Eight times the tenants cost about eight times as much; searching a list for each, they would cost 64 times.
static void test_tens_of_thousands_of_tenants_cost_no_more_than_their_number(void **state)
{
    (void)state;
    double few = time_tenants(5000), many = time_tenants(40000);
    if (many > 30 * few)
        fail_msg("8 times as many cost %.1f times as much", many / few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_and_scan_say_the_same),
        cmocka_unit_test(test_an_index_damaged_anywhere_is_ignored),
        cmocka_unit_test(test_an_index_that_lies_about_its_lengths_is_ignored),
        cmocka_unit_test(test_the_last_mark_of_a_consumer_counts),
        cmocka_unit_test(test_lost_marks_only_mean_to_offer_again),
        cmocka_unit_test(test_a_record_without_a_usable_envelope_is_told_of),
        cmocka_unit_test(test_an_empty_segment_owes_nothing),
        cmocka_unit_test(test_tens_of_thousands_of_tenants_cost_no_more_than_their_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
