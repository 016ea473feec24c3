// SPDX-License-Identifier: Apache-2.0
// Records as bytes: what goes in comes out, and what is not exactly right is refused.
#include "segment_dir.h"

#define NONCE UINT64_C(0x1122334455667788)

static const struct record_header place = {.nonce = NONCE, .segment_id = 5, .sequence = 99};

struct opened {
    struct bfr_batch batch;
    struct record_header header;
    const char *consumers[RECORD_CONSUMERS_MAX];
    uint32_t consumer_count;
    char texts[ENVELOPE_MAX_BYTES + 16];
};

static bool open_record(const uint8_t *bytes, struct opened *out)
{
    return bfr_record_header_decode(bytes, place.segment_id, NONCE, &out->header) &&
           bfr_record_check(bytes, &out->header) &&
           bfr_record_envelope_decode(bytes + RECORD_HEADER_BYTES, &out->header, &out->batch, out->consumers,
                                      &out->consumer_count, out->texts);
}

// An envelope given as bytes, under a header that fits it.
static bool open_envelope(const uint8_t *envelope, size_t size)
{
    struct opened opened;
    uint8_t *exact = malloc(size + 1); // so that ASan sees a byte too many
    assert_non_null(exact);
    memcpy(exact, envelope, size);
    const struct record_header header = {.envelope_bytes = (uint32_t)size};
    bool good = bfr_record_envelope_decode(exact, &header, &opened.batch, opened.consumers, &opened.consumer_count,
                                           opened.texts);
    free(exact);
    return good;
}

static void test_crc32c_is_that_of_the_rfc(void **state)
{
    (void)state;
    // RFC 3720 appendix B.4
    static const uint8_t zeros[32];
    uint8_t ones[32], rising[32];
    memset(ones, 0xff, sizeof ones);
    for (size_t i = 0; i < sizeof rising; i++)
        rising[i] = (uint8_t)i;
    assert_int_equal(bfr_crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(bfr_crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(bfr_crc32c(0, rising, 32), 0x46dd794e);
    assert_int_equal(bfr_crc32c(bfr_crc32c(0, rising, 11), rising + 11, 21), 0x46dd794e);
}

static void test_a_record_comes_back_as_it_went(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    struct bfr_batch batch = make_batch("acme", "n\xc3\xa4me.gz", "body", 4);
    struct opened opened;
    batch.flags = BFR_BATCH_COMPRESSED_HERE;
    batch.source_sha256[31] = 0xee;
    size_t size = bfr_record_encode(&batch, &place, test_consumers, 2, bytes, sizeof bytes);
    assert_true(size > RECORD_HEADER_BYTES);
    assert_true(open_record(bytes, &opened));
    assert_int_equal(opened.header.sequence, 99);
    assert_int_equal(opened.header.envelope_bytes, size - RECORD_HEADER_BYTES);
    assert_int_equal(opened.batch.body_bytes, 4);
    assert_int_equal(opened.batch.crc32c, batch.crc32c);
    assert_string_equal(opened.batch.account, "a1");
    assert_string_equal(opened.batch.tenant, "acme");
    assert_string_equal(opened.batch.dataset, "web");
    assert_string_equal(opened.batch.filename, "n\xc3\xa4me.gz");
    assert_string_equal(opened.batch.batch_id, "id-7");
    assert_string_equal(opened.batch.data_hint, "ndjson");
    assert_string_equal(opened.batch.content_type, "application/octet-stream");
    assert_int_equal(opened.batch.line_count, 3);
    assert_int_equal(opened.batch.original_bytes, 28);
    assert_int_equal(opened.batch.created_ns, 1000);
    assert_int_equal(opened.batch.received_ns, 2000);
    assert_int_equal(opened.batch.flags, BFR_BATCH_COMPRESSED_HERE);
    assert_memory_equal(opened.batch.stored_sha256, batch.stored_sha256, 32);
    assert_memory_equal(opened.batch.source_sha256, batch.source_sha256, 32);
    assert_int_equal(opened.consumer_count, 2);
    assert_string_equal(opened.consumers[0], "main");
    assert_string_equal(opened.consumers[1], "copy");
}

static void test_equal_hashes_are_stored_once(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    struct bfr_batch batch = make_batch("acme", "a.gz", "body", 4);
    struct opened opened;
    size_t once = bfr_record_encode(&batch, &place, test_consumers, 2, bytes, sizeof bytes);
    assert_true(open_record(bytes, &opened));
    assert_memory_equal(opened.batch.source_sha256, batch.stored_sha256, 32);
    batch.source_sha256[0] ^= 1;
    assert_int_equal(bfr_record_encode(&batch, &place, test_consumers, 2, bytes, sizeof bytes), once + 36);
}

static void test_any_changed_bit_of_header_or_envelope_is_noticed(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    const struct bfr_batch batch = make_batch("acme", "a.gz", "body", 4);
    size_t size = bfr_record_encode(&batch, &place, test_consumers, 2, bytes, sizeof bytes);
    struct opened opened;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(open_record(bytes, &opened));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(open_record(bytes, &opened));
}

static void test_a_header_with_one_wrong_bit_is_still_known_as_ours(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    const struct bfr_batch batch = make_batch("acme", "a.gz", "body", 4);
    assert_true(bfr_record_encode(&batch, &place, test_consumers, 2, bytes, sizeof bytes) > 0);
    for (size_t bit = 0; bit < (size_t)8 * RECORD_HEADER_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(bfr_record_header_resembles(bytes, place.segment_id, NONCE));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    // Of another life of the file: neither nonce nor id.
    assert_false(bfr_record_header_resembles(bytes, place.segment_id + 1, NONCE + 1));
}

static void test_what_a_reader_would_refuse_is_not_written(void **state)
{
    (void)state;
    static uint8_t bytes[RECORD_HEADER_BYTES + 2 * ENVELOPE_MAX_BYTES];
    static char longest[ENVELOPE_MAX_BYTES + 1];
    struct bfr_batch batch = make_batch("acme", "a.gz", "body", 4);
    struct opened opened;
    memset(longest, 'x', sizeof longest - 1);
    batch.content_type = longest;
    assert_int_equal(bfr_record_encode(&batch, &place, test_consumers, 2, bytes, sizeof bytes), 0);
    longest[16384] = '\0'; // a request's head has no more
    assert_true(bfr_record_encode(&batch, &place, test_consumers, 2, bytes, sizeof bytes) > 16384);
    assert_true(open_record(bytes, &opened));
    assert_int_equal(strlen(opened.batch.content_type), 16384);
    assert_int_equal(bfr_record_encode(&batch, &place, test_consumers, 0, bytes, sizeof bytes), 0);
    assert_int_equal(bfr_record_encode(&batch, &place, test_consumers, 2, bytes, 16384), 0);
    assert_int_equal(bfr_record_encode(&batch, &place, test_consumers, 2, bytes, 63), 0);
}

static void test_thirty_two_consumers_fit(void **state)
{
    (void)state;
    static uint8_t bytes[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    char name[RECORD_CONSUMERS_MAX][64];
    const char *names[RECORD_CONSUMERS_MAX];
    const struct bfr_batch batch = make_batch("acme", "a.gz", "body", 4);
    struct opened opened;
    for (unsigned i = 0; i < RECORD_CONSUMERS_MAX; i++) {
        snprintf(name[i], sizeof name[i], "consumer-%02u-%046u", i % 100, i);
        names[i] = name[i];
    }
    assert_true(bfr_record_encode(&batch, &place, names, RECORD_CONSUMERS_MAX, bytes, sizeof bytes) > 0);
    assert_true(open_record(bytes, &opened));
    assert_int_equal(opened.consumer_count, RECORD_CONSUMERS_MAX);
    assert_string_equal(opened.consumers[31], names[31]);
}

// The smallest envelope there is, by hand.
#define SHA                                                                                                            \
    "\x0b\0\x20\0"                                                                                                     \
    "0123456789abcdef0123456789abcdef"
#define KEY                                                                                                            \
    "\2\0\1\0t"                                                                                                        \
    "\3\0\1\0d"                                                                                                        \
    "\4\0\1\0f"
#define CONSUMERS "\x0e\0\2\0m\0"

static void test_envelopes_that_are_not_right_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
#define CASE(text) {text, sizeof(text) - 1}
        CASE(""),
        CASE(KEY SHA),       // no consumers
        CASE(KEY CONSUMERS), // no hash
        CASE("\2\0\1\0t"
             "\3\0\1\0d" SHA CONSUMERS),        // no filename
        CASE(KEY SHA CONSUMERS "\2\0\1\0t"),    // a tag twice
        CASE(KEY SHA CONSUMERS CONSUMERS),      // the consumers twice
        CASE(KEY SHA CONSUMERS "\1\0\3\0a\0b"), // a NUL in a text
        CASE(KEY SHA CONSUMERS "\1\0\2\0a\0"),  // a NUL at its end
        CASE(KEY SHA CONSUMERS "\1\0\3\0ab"),   // longer than what is there
        CASE(KEY SHA CONSUMERS "\1\0\xff\xff"
                               "ab"),     // by far
        CASE(KEY SHA CONSUMERS "\1\0\1"), // half a tag and length
        CASE(KEY SHA CONSUMERS "\x08\0\7\0"
                               "1234567"), // a short number
        CASE(KEY SHA CONSUMERS "\x0d\0\5\0"
                               "12345"), // long flags
        CASE(KEY SHA CONSUMERS "\x0c\0\x1f\0"
                               "0123456789abcdef0123456789abcde"),
        CASE(KEY SHA "\x0e\0\0\0"),      // no consumer at all
        CASE(KEY SHA "\x0e\0\1\0m"),     // a name without its NUL
        CASE(KEY SHA "\x0e\0\3\0m\0\0"), // an empty name
        CASE(KEY SHA
             "\x0e\0\x42\0" // 33 names
             "a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(open_envelope((const uint8_t *)bad[i].bytes, bad[i].size));
}

static void test_unknown_tags_are_skipped(void **state)
{
    (void)state;
    static const char known[] = KEY SHA CONSUMERS;
    static const char more[] = KEY "\x1e\0\1\0z" SHA "\x27\x10\2\0zz" CONSUMERS "\xff\xff\0\0";
    assert_true(open_envelope((const uint8_t *)known, sizeof known - 1));
    assert_true(open_envelope((const uint8_t *)more, sizeof more - 1));
}

static void test_a_segment_header_comes_back_or_is_refused(void **state)
{
    (void)state;
    const struct segment_header header = {.id = 7, .nonce = NONCE, .created_ns = 3, .file_bytes = 65536};
    struct segment_header out;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    bfr_segment_header_encode(&header, bytes);
    assert_true(bfr_segment_header_decode(bytes, &out));
    assert_true(out.id == 7 && out.nonce == NONCE && out.created_ns == 3 && out.file_bytes == 65536);
    for (size_t bit = 0; bit < (size_t)8 * SEGMENT_HEADER_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(bfr_segment_header_decode(bytes, &out));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_is_that_of_the_rfc),
        cmocka_unit_test(test_a_record_comes_back_as_it_went),
        cmocka_unit_test(test_equal_hashes_are_stored_once),
        cmocka_unit_test(test_any_changed_bit_of_header_or_envelope_is_noticed),
        cmocka_unit_test(test_a_header_with_one_wrong_bit_is_still_known_as_ours),
        cmocka_unit_test(test_what_a_reader_would_refuse_is_not_written),
        cmocka_unit_test(test_thirty_two_consumers_fit),
        cmocka_unit_test(test_envelopes_that_are_not_right_are_refused),
        cmocka_unit_test(test_unknown_tags_are_skipped),
        cmocka_unit_test(test_a_segment_header_comes_back_or_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
