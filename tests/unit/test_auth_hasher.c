// SPDX-License-Identifier: Apache-2.0
// Hashes of presented tokens: right whether new, remembered or pushed out, beside other threads, and wiped.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "hasher.h"

#define TOKENS 1000 // more than are remembered

static struct hasher hasher;
static atomic_size_t wiped; // bytes

// Comes before OpenSSL's for the code under test. OpenSSL itself wipes less at a time.
void OPENSSL_cleanse(void *ptr, size_t len)
{
    volatile uint8_t *bytes = ptr;

    for (size_t i = 0; i < len; i++)
        bytes[i] = 0;
    if (len >= HASHER_TOKEN_MAX)
        atomic_fetch_add(&wiped, len);
}

static bool is_right(const char *token, size_t size)
{
    uint8_t found[HASHER_SIZE], expected[HASHER_SIZE];

    return bfr_hasher_hash(&hasher, (struct bfr_span){(const uint8_t *)token, size}, found) &&
           EVP_Digest(token, size, expected, NULL, EVP_sha256(), NULL) == 1 &&
           memcmp(found, expected, sizeof found) == 0;
}

static void test_a_hash_is_right_at_any_length_the_first_time_and_again(void **state)
{
    char token[2 * HASHER_TOKEN_MAX];

    (void)state;
    memset(token, 'x', sizeof token);
    for (size_t size = 0; size <= sizeof token; size++)
        for (int again = 0; again < 3; again++)
            assert_true(is_right(token, size));
}

// Each differs from the others in one place, which is the first or the last.
static bool are_all_right(int first)
{
    char token[64];
    bool right = true;

    for (int round = 0; round < 3; round++)
        for (int n = 2 * first; n < 2 * (first + TOKENS); n++) { // each twice running
            bool early = n % 4 < 2;
            int size = snprintf(token, sizeof token, "%05d-a-token-of-many-%05d", early ? n / 2 : 0, early ? 0 : n / 2);
            right = is_right(token, (size_t)size) && right;
        }
    return right;
}

static void test_more_tokens_than_are_remembered_are_hashed_right(void **state)
{
    (void)state;
    assert_true(are_all_right(0));
}

static void *hash_many(void *arg)
{
    return are_all_right(*(const int *)arg) ? arg : NULL;
}

static void test_threads_hash_beside_each_other(void **state)
{
    static int first[] = {0, 0, 5000, 9000};
    pthread_t threads[4];
    void *right;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_many, &first[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &right), 0);
        assert_non_null(right);
    }
}

static void *hash_one(void *arg)
{
    return is_right("a-token", 7) ? arg : NULL;
}

static void test_what_is_remembered_is_wiped_when_its_thread_ends(void **state)
{
    pthread_t thread;
    void *right;

    (void)state;
    size_t before = atomic_load(&wiped);
    assert_int_equal(pthread_create(&thread, NULL, hash_one, &hasher), 0);
    assert_int_equal(pthread_join(thread, &right), 0);
    assert_non_null(right);
    assert_true(atomic_load(&wiped) - before > (size_t)64 * HASHER_TOKEN_MAX);
}

static void test_what_is_pushed_out_is_wiped(void **state)
{
    (void)state;
    assert_true(are_all_right(0));
    size_t before = atomic_load(&wiped);
    assert_true(are_all_right(TOKENS));
    assert_true(atomic_load(&wiped) - before >= (size_t)TOKENS * HASHER_TOKEN_MAX);
}

static int init(void **state)
{
    (void)state;
    return bfr_hasher_init(&hasher) ? 0 : -1;
}

static int fini(void **state)
{
    (void)state;
    bfr_hasher_fini(&hasher);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hash_is_right_at_any_length_the_first_time_and_again),
        cmocka_unit_test(test_more_tokens_than_are_remembered_are_hashed_right),
        cmocka_unit_test(test_threads_hash_beside_each_other),
        cmocka_unit_test(test_what_is_remembered_is_wiped_when_its_thread_ends),
        cmocka_unit_test(test_what_is_pushed_out_is_wiped),
    };
    return cmocka_run_group_tests(tests, init, fini);
}
