// SPDX-License-Identifier: Apache-2.0
// What large bodies are kept in: free blocks serve again, but no more of them stay than the limit allows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "http_blocks.h"

#define LIMIT_BLOCKS 8
#define LIMIT        ((uint64_t)LIMIT_BLOCKS * BFR_BLOCK_BYTES)

static int set_up(void **state)
{
    *state = bfr_blocks_new(LIMIT);
    return *state == NULL;
}

// Fails when a block was not put back.
static int tear_down(void **state)
{
    bfr_blocks_free(*state);
    return 0;
}

static void take_all(struct bfr_blocks *blocks, uint8_t **out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        out[i] = bfr_blocks_take(blocks);
        assert_non_null(out[i]);
        memset(out[i], (int)i, BFR_BLOCK_BYTES);
    }
}

static void put_all(struct bfr_blocks *blocks, uint8_t **taken, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        bfr_blocks_put(blocks, taken[i]);
}

static void test_a_free_block_serves_before_a_new_one_is_made(void **state)
{
    struct bfr_blocks *blocks = *state;
    uint8_t *taken[3];
    for (int round = 0; round < 5; round++) {
        take_all(blocks, taken, 3);
        assert_int_equal(bfr_blocks_mapped(blocks), 3 * BFR_BLOCK_BYTES);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(taken[i][BFR_BLOCK_BYTES - 1], i);
        put_all(blocks, taken, 3);
    }
}

static void test_free_blocks_beyond_the_limit_go(void **state)
{
    struct bfr_blocks *blocks = *state;
    uint8_t *taken[LIMIT_BLOCKS * 2];
    take_all(blocks, taken, LIMIT_BLOCKS * 2); // whoever counts them may be late, and is served
    assert_int_equal(bfr_blocks_mapped(blocks), 2 * LIMIT);
    put_all(blocks, taken, LIMIT_BLOCKS * 2);
    assert_true(bfr_blocks_mapped(blocks) <= LIMIT);
}

static void test_free_blocks_make_way_for_what_is_beside_them(void **state)
{
    struct bfr_blocks *blocks = *state;
    uint8_t *taken[LIMIT_BLOCKS];
    take_all(blocks, taken, LIMIT_BLOCKS);
    put_all(blocks, taken, LIMIT_BLOCKS);
    bfr_blocks_beside(blocks, 3 * BFR_BLOCK_BYTES);
    assert_true(bfr_blocks_mapped(blocks) <= LIMIT - 3 * BFR_BLOCK_BYTES);
    bfr_blocks_beside(blocks, LIMIT);
    assert_int_equal(bfr_blocks_mapped(blocks), 0);
    take_all(blocks, taken, 1); // no reason to refuse one
    put_all(blocks, taken, 1);
    assert_int_equal(bfr_blocks_mapped(blocks), 0);
    bfr_blocks_beside(blocks, -(int64_t)LIMIT - 3 * (int64_t)BFR_BLOCK_BYTES);
}

#define TAKERS 4

static void *take_and_put(void *arg)
{
    struct bfr_blocks *blocks = arg;
    uintptr_t wrong = 0;
    for (int i = 0; i < 2000; i++) {
        uint8_t *taken[3];
        for (int k = 0; k < 3; k++) {
            taken[k] = bfr_blocks_take(blocks);
            memcpy(taken[k], &taken[k], sizeof(void *));
            memcpy(taken[k] + BFR_BLOCK_BYTES - sizeof i, &i, sizeof i);
        }
        bfr_blocks_beside(blocks, 2 * BFR_BLOCK_BYTES);
        for (int k = 0; k < 3; k++) {
            wrong += memcmp(taken[k], &taken[k], sizeof(void *)) != 0 ||
                     memcmp(taken[k] + BFR_BLOCK_BYTES - sizeof i, &i, sizeof i) != 0;
            bfr_blocks_put(blocks, taken[k]);
        }
        bfr_blocks_beside(blocks, -2 * (int64_t)BFR_BLOCK_BYTES);
    }
    return (void *)wrong;
}

static void test_no_block_is_given_to_two_threads(void **state)
{
    pthread_t takers[TAKERS];
    for (int i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take_and_put, *state), 0);
    for (int i = 0; i < TAKERS; i++) {
        void *wrong;
        pthread_join(takers[i], &wrong);
        assert_null(wrong);
    }
    assert_true(bfr_blocks_mapped(*state) <= LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_free_block_serves_before_a_new_one_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_free_blocks_beyond_the_limit_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_free_blocks_make_way_for_what_is_beside_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_block_is_given_to_two_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
