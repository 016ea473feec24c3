// SPDX-License-Identifier: Apache-2.0
// What survives in a segment that was cut off, damaged, forged, recycled or punched: everything but what was hit.
#include "segment_dir.h"

#define FILE_BYTES 2048u
#define NAME       "0000000000000001.seg"
#define RECORDS    3u

struct three {
    struct segment_dir dir;
    uint64_t offset[RECORDS + 1]; // [3]: the end
    uint8_t *bytes;               // the file
    size_t size;
};

// A segment with three records, whose sequences are 1, 2 and 3.
static struct three make_three(void)
{
    static const char *const names[RECORDS] = {"a.gz", "b.gz", "c.gz"};
    struct three three = {.dir = open_dir()};
    struct segment_file segment;
    assert_true(bfr_segment_create(&segment, three.dir.fd, 1, 0, FILE_BYTES));
    for (unsigned i = 0; i < RECORDS; i++)
        three.offset[i] = write_simple(&segment, i + 1, names[i], 101 + 40 * i);
    three.offset[RECORDS] = segment.end_bytes;
    bfr_segment_close(&segment);
    three.bytes = slurp(&three.dir, NAME, &three.size);
    return three;
}

static void free_three(struct three *three)
{
    free(three->bytes);
    close_dir(&three->dir);
}

// Which record is byte `at` in? 0: none.
static uint64_t record_at(const struct three *three, uint64_t at)
{
    for (unsigned i = 0; i < RECORDS; i++)
        if (at >= three->offset[i] && at < three->offset[i + 1])
            return i + 1;
    return 0;
}

// Where record i's body ends and its padding begins.
static uint64_t content_end(const struct three *three, unsigned i)
{
    struct record_header header;
    const uint8_t *head = three->bytes + three->offset[i];
    uint64_t nonce = bfr_record_header_nonce(head);
    assert_true(bfr_record_header_decode(head, 1, nonce, &header));
    return three->offset[i] + RECORD_HEADER_BYTES + header.envelope_bytes + header.body_bytes;
}

static void test_truncated_at_any_byte_every_whole_record_survives(void **state)
{
    (void)state;
    struct three three = make_three();
    for (size_t size = SEGMENT_HEADER_BYTES; size <= three.size; size++) {
        struct seen seen = {.records = 0};
        replace(&three.dir, NAME, three.bytes, size);
        assert_true(scan_id(&three.dir, 1, &seen));
        size_t whole = 0;
        while (whole < RECORDS && content_end(&three, (unsigned)whole) <= size)
            whole++;
        assert_int_equal(seen.records, whole);
        for (uint64_t i = 1; i <= whole; i++)
            assert_true(has_seen(&seen, i));
        assert_true(seen.end <= size);
        // What is left of the one that was cut is told of, as soon as a header of it is there.
        bool cut = whole < RECORDS && size >= three.offset[whole] + RECORD_HEADER_BYTES;
        assert_int_equal(seen.gaps, cut);
        if (cut)
            assert_true(seen.gap_torn[0] && seen.gap_from[0] == three.offset[whole] && seen.gap_to[0] == size);
    }
    free_three(&three);
}

static void test_a_flipped_bit_costs_at_most_the_record_it_is_in(void **state)
{
    (void)state;
    struct three three = make_three();
    int fd = openat(three.dir.fd, NAME, O_WRONLY | O_CLOEXEC);
    for (size_t bit = 0; bit < 8 * three.size; bit++) {
        struct seen seen = {.records = 0};
        uint64_t hit = record_at(&three, bit / 8);
        uint8_t byte = three.bytes[bit / 8] ^ (uint8_t)(1u << bit % 8);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
        assert_true(scan_id(&three.dir, 1, &seen));
        bool padding = hit != 0 && bit / 8 >= content_end(&three, (unsigned)hit - 1);
        for (uint64_t i = 1; i <= RECORDS; i++)
            assert_int_equal(has_seen(&seen, i), i != hit || padding);
        // Whatever is lost is told of, and nothing else is.
        assert_int_equal(seen.gaps, hit != 0 && !padding);
        if (seen.gaps == 1)
            assert_true(seen.gap_from[0] == three.offset[hit - 1] && seen.gap_to[0] >= three.offset[hit - 1] + 64);
        assert_int_equal(pwrite(fd, three.bytes + bit / 8, 1, (off_t)(bit / 8)), 1);
    }
    close(fd);
    free_three(&three);
}

static void test_a_lost_block_in_the_middle_costs_what_stood_in_it(void **state)
{
    (void)state;
    struct three three = make_three();
    struct seen seen = {.records = 0};
    memset(three.bytes + three.offset[1], 0xa5, three.offset[2] - three.offset[1]);
    replace(&three.dir, NAME, three.bytes, three.size);
    assert_true(scan_id(&three.dir, 1, &seen));
    assert_int_equal(seen.records, 2);
    assert_int_equal(seen.gaps, 1);
    assert_true(seen.gap_from[0] == three.offset[1] && seen.gap_to[0] == three.offset[2] && !seen.gap_torn[0]);
    free_three(&three);
}

static void flip_last_body_byte(const struct segment_file *segment, uint64_t offset)
{
    uint8_t head[RECORD_HEADER_BYTES], last;
    struct record_header header;
    assert_true(bfr_segment_read(segment, head, sizeof head, offset));
    assert_true(bfr_record_header_decode(head, segment->id, segment->nonce, &header));
    uint64_t at = offset + RECORD_HEADER_BYTES + header.envelope_bytes + header.body_bytes - 1;
    assert_true(bfr_segment_read(segment, &last, 1, at));
    last ^= 1;
    assert_int_equal(pwrite(segment->fd, &last, 1, (off_t)at), 1);
}

// A sender knows the format and guesses the segment's id; the nonce it cannot know. Its record stands in the body of a
// real one, which is then damaged, so that the scanner looks inside.
static void test_a_record_forged_inside_a_body_is_not_found(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    struct seen seen = {.records = 0};
    static uint8_t body[8192] __attribute__((aligned(64)));
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, 65536));
    const struct bfr_batch inner = make_batch("acme", "evil.gz", "evil", 4);
    const struct record_header forged = {.nonce = segment.nonce ^ 1, .segment_id = 1, .sequence = 666};
    for (size_t at = 0; at + 1024 <= sizeof body; at += 64) { // at every place, one of them is aligned
        size_t head = bfr_record_encode(&inner, &forged, test_consumers, 2, body + at, sizeof body - at);
        memcpy(body + at + head, "evil", 4);
        at += bfr_record_bytes((uint32_t)(head - RECORD_HEADER_BYTES), 4);
    }
    // The envelope's length decides where the body starts; try them all.
    for (size_t shift = 0; shift < 64; shift++) {
        char filename[80];
        snprintf(filename, sizeof filename, "%0*d.gz", (int)shift + 1, 0);
        const struct bfr_batch outer = make_batch("acme", filename, body, sizeof body);
        segment.end_bytes = SEGMENT_HEADER_BYTES;
        uint64_t offset = write_record(&segment, 1, &outer, body);
        write_simple(&segment, 2, "b.gz", 10);
        flip_last_body_byte(&segment, offset);
        seen = (struct seen){.records = 0};
        scan_open(&segment, &seen);
        assert_int_equal(seen.records, 1);
        assert_int_equal(seen.sequences[0], 2);
        assert_int_equal(seen.gaps, 1);
    }
    bfr_segment_close(&segment);
    close_dir(&dir);
}

// Even with the header of the file damaged, a nonce is never learnt from a body.
static void test_a_forged_record_does_not_name_the_nonce(void **state)
{
    (void)state;
    struct three three = make_three();
    struct seen seen = {.records = 0};
    const struct bfr_batch batch = make_batch("acme", "evil.gz", "evil", 4);
    const struct record_header forged = {.nonce = 42, .segment_id = 1, .sequence = 666};
    uint8_t *at = three.bytes + three.offset[1];
    size_t head = bfr_record_encode(&batch, &forged, test_consumers, 2, at, 1024);
    memcpy(at + head, "evil", 4);
    three.bytes[60] ^= 1;                   // the file's header does not check
    three.bytes[three.offset[0] + 60] ^= 1; // nor does the first record
    replace(&three.dir, NAME, three.bytes, three.size);
    assert_true(scan_id(&three.dir, 1, &seen));
    assert_int_equal(seen.records, 1);
    assert_int_equal(seen.sequences[0], 3);
    free_three(&three);
}

static void test_stale_records_behind_the_end_are_neither_found_nor_told(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, 4096));
    for (uint64_t i = 1; i <= 6; i++)
        write_simple(&segment, i, "a.gz", 100);
    bfr_segment_close(&segment);
    assert_true(bfr_segment_remove(dir.fd, 1, true));
    assert_true(bfr_segment_create(&segment, dir.fd, 9, 1, 4096));
    // At every length of the new record the stale ones begin elsewhere: whole, or cut in two.
    for (size_t body = 0; body < 1500; body += 13) {
        struct seen seen = {.records = 0};
        segment.end_bytes = SEGMENT_HEADER_BYTES;
        write_simple(&segment, 100, "n.gz", body);
        scan_open(&segment, &seen);
        assert_int_equal(seen.records, 1);
        assert_int_equal(seen.sequences[0], 100);
        assert_int_equal(seen.gaps, 0);
        assert_int_equal(seen.end, segment.end_bytes);
    }
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_a_settled_record_may_have_lost_its_body(void **state)
{
    (void)state;
    struct three three = make_three();
    struct seen seen = {.settled = 2};
    memset(three.bytes + three.offset[2] - 80, 0, 60);
    replace(&three.dir, NAME, three.bytes, three.size);
    assert_true(scan_id(&three.dir, 1, &seen));
    assert_int_equal(seen.records, 3);
    assert_int_equal(seen.gaps, 0);
    free_three(&three);
}

static void test_a_punched_hole_without_its_marks_is_no_damage(void **state)
{
    (void)state;
    struct three three = make_three();
    struct seen seen = {.records = 0};
    memset(three.bytes + three.offset[0], 0, three.offset[2] - three.offset[0]);
    replace(&three.dir, NAME, three.bytes, three.size);
    assert_true(scan_id(&three.dir, 1, &seen));
    assert_int_equal(seen.records, 1);
    assert_int_equal(seen.sequences[0], 3);
    assert_int_equal(seen.gaps, 0);
    free_three(&three);
}

static void test_bodies_larger_than_the_window_are_checked_whole(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    struct seen seen = {.records = 0};
    const size_t large = (3 << 20) + 5;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, 8 << 20));
    uint64_t first = write_simple(&segment, 1, "a.gz", large);
    write_simple(&segment, 2, "b.gz", 10);
    write_simple(&segment, 3, "c.gz", large);
    scan_open(&segment, &seen);
    assert_int_equal(seen.records, 3);
    assert_int_equal(seen.end, segment.end_bytes);
    assert_int_equal(pwrite(segment.fd, "x", 1, (off_t)(first + large)), 1);
    seen = (struct seen){.records = 0};
    scan_open(&segment, &seen);
    assert_int_equal(seen.records, 2);
    assert_false(has_seen(&seen, 1));
    assert_int_equal(seen.gaps, 1);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_an_absurd_length_hides_nothing(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, 4000, 1u << 20, INT64_MAX / 2, INT64_MAX, UINT64_MAX - 63, UINT64_MAX};
    struct three three = make_three();
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct seen seen = {.records = 0};
        memcpy(three.bytes + three.offset[1] + 32, &lengths[i], 8);
        replace(&three.dir, NAME, three.bytes, three.size);
        assert_true(scan_id(&three.dir, 1, &seen));
        assert_true(has_seen(&seen, 1) && !has_seen(&seen, 2) && has_seen(&seen, 3));
        memcpy(three.bytes + three.offset[2] + 32, &lengths[i], 8); // the last one too
        replace(&three.dir, NAME, three.bytes, three.size);
        seen = (struct seen){.records = 0};
        assert_true(scan_id(&three.dir, 1, &seen));
        assert_int_equal(seen.records, 1);
        assert_true(seen.gaps >= 1 && seen.gap_to[seen.gaps - 1] <= three.size);
        free_three(&three);
        three = make_three();
    }
    free_three(&three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated_at_any_byte_every_whole_record_survives),
        cmocka_unit_test(test_a_flipped_bit_costs_at_most_the_record_it_is_in),
        cmocka_unit_test(test_a_lost_block_in_the_middle_costs_what_stood_in_it),
        cmocka_unit_test(test_a_record_forged_inside_a_body_is_not_found),
        cmocka_unit_test(test_a_forged_record_does_not_name_the_nonce),
        cmocka_unit_test(test_stale_records_behind_the_end_are_neither_found_nor_told),
        cmocka_unit_test(test_a_settled_record_may_have_lost_its_body),
        cmocka_unit_test(test_a_punched_hole_without_its_marks_is_no_damage),
        cmocka_unit_test(test_bodies_larger_than_the_window_are_checked_whole),
        cmocka_unit_test(test_an_absurd_length_hides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
