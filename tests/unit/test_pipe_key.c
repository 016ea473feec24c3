// SPDX-License-Identifier: Apache-2.0
// Keys: the hash is SipHash-2-4, and no two names give the same key.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "pipe_key.h"

// Key 00 01 .. 0f, message 00 01 .. (n - 1): the vectors that come with the algorithm (Aumasson and Bernstein, appendix
// A).
static const struct bfr_hash_seed vector_seed = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static void test_hash_is_siphash_2_4(void **state)
{
    uint8_t message[15];
    (void)state;
    for (uint8_t i = 0; i < sizeof message; i++)
        message[i] = i;
    assert_true(bfr_hash(&vector_seed, message, 15) == UINT64_C(0xa129ca6149be45e5));
    assert_true(bfr_hash(&vector_seed, message, 0) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(bfr_hash(&vector_seed, message, 8) == UINT64_C(0x93f5f5799a932462));
}

static void test_seeds_differ(void **state)
{
    struct bfr_hash_seed one, two;
    (void)state;
    assert_true(bfr_hash_seed_init(&one));
    assert_true(bfr_hash_seed_init(&two));
    assert_true(one.k0 != two.k0 && one.k1 != two.k1);
}

static void test_names_do_not_run_into_each_other(void **state)
{
    struct bfr_key one, two;
    (void)state;
    assert_true(bfr_key_make(&vector_seed, "ab", "c", "d", &one));
    assert_true(bfr_key_make(&vector_seed, "a", "bc", "d", &two));
    assert_int_equal(one.size, two.size);
    assert_memory_not_equal(one.bytes, two.bytes, one.size);
    assert_true(one.hash != two.hash);
}

static void test_longest_names_fit_and_longer_ones_are_refused(void **state)
{
    char id[BFR_ID_MAX + 2], name[BFR_FILENAME_MAX + 2];
    struct bfr_key key;
    (void)state;
    memset(id, 'i', sizeof id);
    memset(name, 'n', sizeof name);
    id[BFR_ID_MAX] = name[BFR_FILENAME_MAX] = '\0';
    assert_true(bfr_key_make(&vector_seed, id, id, name, &key));
    assert_int_equal(key.size, sizeof key.bytes);
    id[BFR_ID_MAX] = 'i';
    id[BFR_ID_MAX + 1] = '\0';
    assert_false(bfr_key_make(&vector_seed, id, "d", "f", &key));
    assert_false(bfr_key_make(&vector_seed, "t", id, "f", &key));
    name[BFR_FILENAME_MAX] = 'n';
    name[BFR_FILENAME_MAX + 1] = '\0';
    assert_false(bfr_key_make(&vector_seed, "t", "d", name, &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_is_siphash_2_4),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_names_do_not_run_into_each_other),
        cmocka_unit_test(test_longest_names_fit_and_longer_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
