// SPDX-License-Identifier: Apache-2.0
// The body while it arrives: kept or compressed, hashed as in one piece, refused when it cannot be gzip.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_body.h"

static const uint8_t tiny_gzip[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0};

struct fixture {
    EVP_MD *sha256;
    struct bfr_blocks *blocks;
    struct bfr_body body;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    f->blocks = bfr_blocks_new(1 << 20);
    assert_true(bfr_body_init(&f->body, f->sha256, f->blocks));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    bfr_body_fini(&f->body);
    bfr_blocks_free(f->blocks);
    EVP_MD_free(f->sha256);
    free(f);
    return 0;
}

static const struct bfr_body_rules keep = {0};
static const struct bfr_body_rules discard = {.discard = true};
static const struct bfr_body_rules check_all = {.gzip_full = true};

// In pieces of `step` bytes; the first refusal, or what finish says.
static enum bfr_refusal receive_by(const struct bfr_body_rules *rules, struct bfr_body *body, const uint8_t *data,
                                   size_t size, size_t step)
{
    bfr_body_drop(body);
    assert_true(bfr_body_begin(body, rules));
    struct evbuffer *raw = evbuffer_new();
    enum bfr_refusal refusal = BFR_REFUSE_NONE;
    for (size_t at = 0; at < size && refusal == BFR_REFUSE_NONE; at += step) {
        size_t piece = size - at < step ? size - at : step;
        evbuffer_add(raw, data + at, piece);
        refusal = bfr_body_move(body, raw, piece);
    }
    if (refusal == BFR_REFUSE_NONE) {
        assert_int_equal(evbuffer_get_length(raw), 0);
        refusal = bfr_body_finish(body);
    }
    evbuffer_free(raw);
    return refusal;
}

static enum bfr_refusal receive(struct bfr_body *body, const uint8_t *data, size_t size, size_t step)
{
    return receive_by(&keep, body, data, size, step);
}

// Bit by bit, reflected polynomial of CRC32C; initial and final value ~0.
static uint32_t slow_crc32c(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static void assert_sha256(const uint8_t *digest, const uint8_t *data, size_t size)
{
    uint8_t expected[32];
    assert_int_equal(EVP_Digest(data, size, expected, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(digest, expected, 32);
}

static uint8_t *make_gzip_like(size_t size)
{
    uint8_t *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 + i / 255);
    memcpy(data, "\x1f\x8b\x08\x00", 4);
    return data;
}

static void test_the_slow_crc_is_the_one_of_the_standard(void **state)
{
    (void)state;
    assert_int_equal(slow_crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
}

static void test_gzip_is_kept_and_hashed_as_in_one_piece(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {18, 19, 100, 4096, 70000};
    static const size_t steps[] = {1, 2, 3, 4, 5, 1000, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            uint8_t *data = make_gzip_like(sizes[i]);
            assert_int_equal(receive(&f->body, data, sizes[i], steps[k]), BFR_REFUSE_NONE);
            assert_int_equal(f->body.kind, BFR_BODY_GZIP);
            assert_int_equal(f->body.stored_bytes, sizes[i]);
            assert_int_equal(f->body.source_bytes, sizes[i]);
            assert_memory_equal(evbuffer_pullup(f->body.kept.bytes, -1), data, sizes[i]);
            assert_sha256(f->body.stored_sha256, data, sizes[i]);
            assert_sha256(f->body.source_sha256, data, sizes[i]);
            assert_int_equal(bfr_body_crc32c(&f->body), slow_crc32c(data, sizes[i]));
            free(data);
        }
}

static void test_whole_buffers_of_a_small_body_are_moved_not_copied(void **state)
{
    struct fixture *f = *state;
    uint8_t *data = make_gzip_like(40000);
    assert_true(bfr_body_begin(&f->body, &keep));
    struct evbuffer *raw = evbuffer_new();
    evbuffer_add(raw, data, 20000);
    struct evbuffer_iovec before;
    struct evbuffer_iovec after;
    assert_int_equal(evbuffer_peek(raw, -1, NULL, &before, 1), 1);
    assert_int_equal(bfr_body_move(&f->body, raw, 20000), BFR_REFUSE_NONE);
    assert_int_equal(evbuffer_peek(f->body.kept.bytes, -1, NULL, &after, 1), 1);
    assert_ptr_equal(before.iov_base, after.iov_base);
    evbuffer_free(raw);
    free(data);
}

static void test_a_large_body_takes_whole_blocks_and_no_more_than_it_fills(void **state)
{
    struct fixture *f = *state;
    static const size_t steps[] = {1000, 4096, 70000, 600000};
    const size_t size = 600000;
    uint8_t *data = make_gzip_like(size);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(receive(&f->body, data, size, steps[i]), BFR_REFUSE_NONE);
        assert_true(f->body.kept.block_count >= (size - 50000) / BFR_BLOCK_BYTES);
        assert_true(f->body.kept.block_count <= size / BFR_BLOCK_BYTES + 1);
        uint64_t taken = f->body.kept.block_count * (uint64_t)BFR_BLOCK_BYTES;
        uint8_t *kept = malloc(size);
        assert_int_equal(evbuffer_copyout(f->body.kept.bytes, kept, size), size);
        assert_memory_equal(kept, data, size);
        free(kept);
        assert_int_equal(bfr_blocks_mapped(f->blocks), taken);
        bfr_body_drop(&f->body);
        bfr_blocks_beside(f->blocks, 1 << 20); // the next one begins with none
        assert_int_equal(bfr_blocks_mapped(f->blocks), 0);
        bfr_blocks_beside(f->blocks, -(1 << 20));
    }
    free(data);
}

static void test_a_large_body_given_up_half_way_gives_its_blocks_back(void **state)
{
    struct fixture *f = *state;
    uint8_t *data = make_gzip_like(100000);
    struct evbuffer *raw = evbuffer_new();
    assert_true(bfr_body_begin(&f->body, &keep));
    evbuffer_add(raw, data, 100000);
    assert_int_equal(bfr_body_move(&f->body, raw, 100000), BFR_REFUSE_NONE);
    struct evbuffer_iovec vectors[BFR_KEPT_VECTORS];
    assert_true(bfr_body_room(&f->body, 200000, vectors) > 1);
    bfr_body_drop(&f->body);
    bfr_blocks_beside(f->blocks, 1 << 20);
    assert_int_equal(bfr_blocks_mapped(f->blocks), 0);
    bfr_blocks_beside(f->blocks, -(1 << 20));
    evbuffer_free(raw);
    free(data);
}

static void test_a_body_in_small_pieces_takes_no_more_buffers_than_it_fills(void **state)
{
    struct fixture *f = *state;
    static const size_t steps[] = {1, 7, 100, 600, 1023};
    const size_t size = 50000;
    uint8_t *data = make_gzip_like(size);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(receive(&f->body, data, size, steps[i]), BFR_REFUSE_NONE);
        // A buffer has 1 KiB or more: half full at the least, all of them cost no more than twice the body.
        assert_true(evbuffer_peek(f->body.kept.bytes, -1, NULL, NULL, 0) <= (int)(size / 512));
        assert_memory_equal(evbuffer_pullup(f->body.kept.bytes, -1), data, size);
    }
    free(data);
}

static void test_bytes_read_straight_into_the_body_count_the_same(void **state)
{
    struct fixture *f = *state;
    uint8_t *data = make_gzip_like(300000);
    struct evbuffer *raw = evbuffer_new();
    assert_true(bfr_body_begin(&f->body, &keep));
    evbuffer_add(raw, data, 3000);
    assert_int_equal(bfr_body_move(&f->body, raw, 3000), BFR_REFUSE_NONE);
    for (size_t at = 3000; at < 300000;) {
        struct evbuffer_iovec vectors[BFR_KEPT_VECTORS];
        size_t want = 300000 - at < 90000 ? 300000 - at : 90000;
        int count = bfr_body_room(&f->body, want, vectors);
        assert_true(count >= 1);
        size_t filled = 0;
        for (int i = 0; i < count && filled < want; i++) {
            size_t piece = vectors[i].iov_len < want - filled ? vectors[i].iov_len : want - filled;
            memcpy(vectors[i].iov_base, data + at + filled, piece);
            filled += piece;
        }
        assert_int_equal(bfr_body_filled(&f->body, vectors, count, filled), BFR_REFUSE_NONE);
        at += filled;
    }
    assert_int_equal(bfr_body_finish(&f->body), BFR_REFUSE_NONE);
    assert_int_equal(f->body.stored_bytes, 300000);
    assert_memory_equal(evbuffer_pullup(f->body.kept.bytes, -1), data, 300000);
    assert_sha256(f->body.stored_sha256, data, 300000);
    assert_int_equal(bfr_body_crc32c(&f->body), slow_crc32c(data, 300000));
    evbuffer_free(raw);
    free(data);
}

static void assert_gunzips_to(struct bfr_body *body, const uint8_t *plain, size_t size)
{
    size_t stored_size = (size_t)body->stored_bytes;
    uint8_t *stored = evbuffer_pullup(body->kept.bytes, -1);
    uint8_t *out = malloc(size + 1);
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    z.next_in = stored;
    z.avail_in = (uInt)stored_size;
    z.next_out = out;
    z.avail_out = (uInt)size + 1;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0); // one member and nothing behind it
    assert_int_equal(z.total_out, size);
    assert_memory_equal(out, plain, size);
    inflateEnd(&z);
    free(out);
    assert_sha256(body->stored_sha256, stored, stored_size);
    assert_sha256(body->source_sha256, plain, size);
    assert_int_equal(bfr_body_crc32c(body), slow_crc32c(stored, stored_size));
}

static void test_a_plain_body_becomes_one_gzip_member(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {1, 2, 3, 4, 5, 1000, 200000};
    static const size_t steps[] = {1, 3, 777, 200000};
    uint8_t *plain = malloc(200000);
    uint32_t seed = 1;
    for (size_t i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        plain[i] = i % 3000 < 1500 ? (uint8_t)(seed >> 24) : 'a'; // half of it does not compress
    }
    plain[0] = 0x1f; // the first byte alone is no reason to take it for gzip
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            assert_int_equal(receive(&f->body, plain, sizes[i], steps[k]), BFR_REFUSE_NONE);
            assert_int_equal(f->body.kind, BFR_BODY_PLAIN);
            assert_gunzips_to(&f->body, plain, sizes[i]);
        }
    free(plain);
}

static void test_bodies_that_cannot_be_gzip_are_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t step = 1; step <= sizeof tiny_gzip; step++) {
        uint8_t data[sizeof tiny_gzip];
        assert_int_equal(receive(&f->body, tiny_gzip, sizeof tiny_gzip, step), BFR_REFUSE_NONE);
        for (size_t size = 2; size < 18; size++)
            assert_int_equal(receive(&f->body, tiny_gzip, size, step), BFR_REFUSE_BAD_GZIP);
        memcpy(data, tiny_gzip, sizeof data);
        data[2] = 7;
        assert_int_equal(receive(&f->body, data, sizeof data, step), BFR_REFUSE_BAD_GZIP);
        for (int bit = 0; bit < 8; bit++) {
            memcpy(data, tiny_gzip, sizeof data);
            data[3] = (uint8_t)(1 << bit);
            assert_int_equal(receive(&f->body, data, sizeof data, step),
                             bit >= 5 ? BFR_REFUSE_BAD_GZIP : BFR_REFUSE_NONE);
        }
    }
}

// `size` bytes of text as one member; returns its length.
static size_t gzip_into(uint8_t *out, size_t room, size_t size)
{
    uint8_t *plain = malloc(size + 1);
    z_stream z = {0};
    uint32_t seed = 1;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        plain[i] = (uint8_t)('a' + (seed >> 28));
    }
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = plain;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    free(plain);
    return room - z.avail_out;
}

static const size_t check_steps[] = {1, 2, 17, 1000, 1000000};
#define CHECK_STEPS (sizeof check_steps / sizeof check_steps[0])

static void assert_checked(struct fixture *f, const uint8_t *data, size_t size, enum bfr_refusal expected)
{
    for (size_t i = 0; i < CHECK_STEPS; i++) {
        assert_int_equal(receive_by(&check_all, &f->body, data, size, check_steps[i]), expected);
        if (expected != BFR_REFUSE_NONE)
            continue;
        assert_int_equal(f->body.stored_bytes, size);
        assert_memory_equal(evbuffer_pullup(f->body.kept.bytes, -1), data, size);
    }
}

static void test_a_full_check_lets_whole_members_through_as_they_are(void **state)
{
    struct fixture *f = *state;
    uint8_t *data = malloc(300000);
    static const size_t sizes[] = {0, 1, 1000, 100000};
    for (size_t i = 0; i < 4; i++) {
        size_t one = gzip_into(data, 150000, sizes[i]);
        assert_checked(f, data, one, BFR_REFUSE_NONE);
        size_t two = gzip_into(data + one, 150000, 500);
        assert_checked(f, data, one + two, BFR_REFUSE_NONE);
    }
    free(data);
}

static void test_a_full_check_refuses_what_does_not_decompress_to_its_end(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4000];
    uint8_t bad[4100];
    size_t size = gzip_into(data, sizeof data, 5000);
    for (size_t cut = 18; cut < size; cut += size / 37)
        assert_checked(f, data, cut, BFR_REFUSE_GZIP_STREAM);
    for (size_t tail = 1; tail <= 8; tail++) { // CRC and length
        memcpy(bad, data, size);
        bad[size - tail] ^= 0x10;
        assert_checked(f, bad, size, BFR_REFUSE_GZIP_STREAM);
    }
    memcpy(bad, data, size);
    bad[12] ^= 0xff;
    assert_checked(f, bad, size, BFR_REFUSE_GZIP_STREAM);
    static const char *const tails[] = {"x", "\x1f\x8b", "garbage behind the end", "\x1f\x8b\x08\xff"};
    for (size_t i = 0; i < 4; i++) {
        memcpy(bad, data, size);
        memcpy(bad + size, tails[i], strlen(tails[i]));
        assert_checked(f, bad, size + strlen(tails[i]), BFR_REFUSE_GZIP_STREAM);
    }
    memset(bad + size, 0, 32); // padding
    assert_checked(f, bad, size + 32, BFR_REFUSE_GZIP_STREAM);
    // None of it matters to the header check.
    assert_int_equal(receive(&f->body, bad, size + 32, 100), BFR_REFUSE_NONE);
}

static void test_a_full_check_takes_the_same_memory_whatever_the_body_expands_to(void **state)
{
    struct fixture *f = *state;
    size_t size = 0;
    uint8_t *data = malloc(200000);
    z_stream z = {0};
    uint8_t *zeros = calloc(1, 100u << 20);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = zeros;
    z.avail_in = 100u << 20;
    z.next_out = data;
    z.avail_out = 200000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size = z.total_out;
    deflateEnd(&z);
    free(zeros);
    assert_int_equal(receive_by(&check_all, &f->body, data, size, 4096), BFR_REFUSE_NONE);
    assert_int_equal(bfr_body_overhead(&f->body), BFR_GZIP_CHECK_BYTES);
    assert_int_equal(evbuffer_get_length(f->body.kept.bytes), size);
    free(data);
}

static void state_digest(struct bfr_body_rules *rules, const uint8_t *data, size_t size)
{
    rules->digest.stated = true;
    assert_int_equal(EVP_Digest(data, size, rules->digest.sha256, NULL, EVP_sha256(), NULL), 1);
}

static void test_a_body_is_compared_with_its_digest_as_it_was_received(void **state)
{
    struct fixture *f = *state;
    static const struct bfr_body_rules kinds[] = {{0}, {.gzip_full = true}, {.discard = true}};
    static const uint8_t plain[] = "a plain body, stored compressed";
    for (size_t i = 0; i < 3; i++) {
        struct bfr_body_rules rules = kinds[i];
        state_digest(&rules, tiny_gzip, sizeof tiny_gzip);
        assert_int_equal(receive_by(&rules, &f->body, tiny_gzip, sizeof tiny_gzip, 7), BFR_REFUSE_NONE);
        assert_int_equal(receive_by(&rules, &f->body, plain, sizeof plain, 7), BFR_REFUSE_DIGEST);
        state_digest(&rules, plain, sizeof plain);
        assert_int_equal(receive_by(&rules, &f->body, plain, sizeof plain, 7), BFR_REFUSE_NONE);
        rules.digest.sha256[31] ^= 1;
        assert_int_equal(receive_by(&rules, &f->body, plain, sizeof plain, 7), BFR_REFUSE_DIGEST);
    }
}

// Every single flipped bit: the sender must try again, and must not be told that its batch is bad.
static void test_damage_on_the_way_is_never_blamed_on_the_sender(void **state)
{
    struct fixture *f = *state;
    for (int full = 0; full < 2; full++) {
        struct bfr_body_rules rules = {.gzip_full = full};
        state_digest(&rules, tiny_gzip, sizeof tiny_gzip);
        for (size_t bit = 0; bit < 8 * sizeof tiny_gzip; bit++) {
            uint8_t data[sizeof tiny_gzip];
            memcpy(data, tiny_gzip, sizeof data);
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(receive_by(&rules, &f->body, data, sizeof data, 1 + bit % 20), BFR_REFUSE_DIGEST);
        }
        uint8_t bad[sizeof tiny_gzip];
        memcpy(bad, tiny_gzip, sizeof bad);
        bad[2] = 7;
        state_digest(&rules, bad, sizeof bad); // sent like that: the sender's fault after all
        assert_int_equal(receive_by(&rules, &f->body, bad, sizeof bad, 3), BFR_REFUSE_BAD_GZIP);
    }
}

static void test_an_empty_body_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(receive(&f->body, tiny_gzip, 0, 1), BFR_REFUSE_EMPTY_BODY);
}

static void test_a_discarded_body_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct evbuffer *raw = evbuffer_new();
    evbuffer_add(raw, tiny_gzip, 5);
    assert_true(bfr_body_begin(&f->body, &discard));
    assert_int_equal(bfr_body_move(&f->body, raw, 5), BFR_REFUSE_NONE);
    assert_int_equal(bfr_body_finish(&f->body), BFR_REFUSE_NONE);
    assert_int_equal(f->body.source_bytes, 5);
    assert_int_equal(evbuffer_get_length(f->body.kept.bytes), 0);
    evbuffer_free(raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_slow_crc_is_the_one_of_the_standard),
        cmocka_unit_test_setup_teardown(test_gzip_is_kept_and_hashed_as_in_one_piece, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_whole_buffers_of_a_small_body_are_moved_not_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_large_body_takes_whole_blocks_and_no_more_than_it_fills, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_large_body_given_up_half_way_gives_its_blocks_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_body_in_small_pieces_takes_no_more_buffers_than_it_fills, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_read_straight_into_the_body_count_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_plain_body_becomes_one_gzip_member, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bodies_that_cannot_be_gzip_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_check_lets_whole_members_through_as_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_check_refuses_what_does_not_decompress_to_its_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_check_takes_the_same_memory_whatever_the_body_expands_to, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_body_is_compared_with_its_digest_as_it_was_received, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_on_the_way_is_never_blamed_on_the_sender, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_empty_body_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_discarded_body_leaves_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
