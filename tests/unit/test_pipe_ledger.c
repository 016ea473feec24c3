// SPDX-License-Identifier: Apache-2.0
// The books balance after every move, also when moves arrive out of order, and one snapshot is one moment.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pipe_ledger.h"

static void book(struct bfr_ledger *ledger, uint32_t move, const char *tenant, uint64_t bytes)
{
    const struct bfr_booking booking = {.move = move, .tenant = tenant, .bytes = bytes};
    assert_true(bfr_ledger_admit(ledger, tenant));
    bfr_ledger_book(ledger, &booking, 1);
}

struct seen {
    struct bfr_ledger_row rows[8];
    size_t count;
};

static bool see(void *arg, const struct bfr_ledger_row *row)
{
    struct seen *seen = arg;
    if (seen->count < 8)
        seen->rows[seen->count] = *row;
    seen->count++;
    return true;
}

static bool balances(const struct bfr_ledger_row *row)
{
    return row->recovered_batches + row->accepted_batches ==
               row->stored_batches + row->held_batches + row->buried_batches + row->purged_batches &&
           row->recovered_bytes + row->accepted_bytes ==
               row->stored_bytes + row->held_bytes + row->buried_bytes + row->purged_bytes;
}

static void test_every_move_keeps_the_equation(void **state)
{
    struct bfr_ledger *ledger = bfr_ledger_new();
    (void)state;
    // An order in which each move has something to move.
    static const uint32_t order[] = {BFR_MOVE_RECOVERED_HELD, BFR_MOVE_RECOVERED_BURIED, BFR_MOVE_ACCEPTED,
                                     BFR_MOVE_PASSED,         BFR_MOVE_REDRIVEN,         BFR_MOVE_STORED,
                                     BFR_MOVE_BURIED,         BFR_MOVE_PURGED_HELD,      BFR_MOVE_PURGED_BURIED};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        book(ledger, order[i], "t", 10);
        struct seen seen = {0};
        bfr_ledger_visit(ledger, see, &seen);
        assert_int_equal(seen.count, 2);
        assert_true(balances(&seen.rows[0]));
        assert_true(balances(&seen.rows[1]));
        assert_int_equal(bfr_ledger_unaccounted(ledger), 0);
    }
    struct seen seen = {0};
    bfr_ledger_visit(ledger, see, &seen);
    assert_int_equal(seen.rows[0].recovered_batches, 2);
    assert_int_equal(seen.rows[0].accepted_batches, 2);
    assert_int_equal(seen.rows[0].stored_batches, 2);
    assert_int_equal(seen.rows[0].purged_batches, 2);
    assert_int_equal(seen.rows[0].held_batches, 0);
    assert_int_equal(seen.rows[0].buried_batches, 0);
    assert_int_equal(seen.rows[0].stored_bytes, 20);
    bfr_ledger_free(ledger);
}

static void test_stored_before_accepted_never_shows_a_negative(void **state)
{
    struct bfr_ledger *ledger = bfr_ledger_new();
    struct seen seen = {0};
    (void)state;
    book(ledger, BFR_MOVE_STORED, "t", 7);
    bfr_ledger_visit(ledger, see, &seen);
    assert_int_equal(seen.rows[1].accepted_batches, 1);
    assert_int_equal(seen.rows[1].accepted_bytes, 7);
    assert_int_equal(seen.rows[1].held_batches, 0);
    assert_true(balances(&seen.rows[0]));
    // The acceptance arrives: the counter that was shown does not go back.
    book(ledger, BFR_MOVE_ACCEPTED, "t", 7);
    seen.count = 0;
    bfr_ledger_visit(ledger, see, &seen);
    assert_int_equal(seen.rows[1].accepted_batches, 1);
    assert_int_equal(seen.rows[1].held_batches, 0);
    assert_int_equal(seen.rows[1].stored_batches, 1);
    bfr_ledger_free(ledger);
}

static void test_tenants_keep_their_order_and_own_figures(void **state)
{
    struct bfr_ledger *ledger = bfr_ledger_new();
    struct seen seen = {0};
    (void)state;
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        book(ledger, BFR_MOVE_ACCEPTED, name, (uint64_t)i);
    }
    book(ledger, BFR_MOVE_STORED, "t3", 3);
    bfr_ledger_visit(ledger, see, &seen);
    assert_int_equal(seen.count, 301);
    assert_null(seen.rows[0].tenant);
    assert_int_equal(seen.rows[0].accepted_batches, 300);
    assert_int_equal(seen.rows[0].accepted_bytes, 299 * 300 / 2);
    assert_string_equal(seen.rows[1].tenant, "t0");
    assert_string_equal(seen.rows[4].tenant, "t3");
    assert_int_equal(seen.rows[4].stored_batches, 1);
    assert_int_equal(seen.rows[4].held_batches, 0);
    assert_int_equal(seen.rows[5].held_batches, 1);
    bfr_ledger_free(ledger);
}

static void test_unknown_tenants_share_a_row_rather_than_vanish(void **state)
{
    struct bfr_ledger *ledger = bfr_ledger_new();
    (void)state;
    for (int i = 0; i < 65536; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        assert_true(bfr_ledger_admit(ledger, name));
    }
    book(ledger, BFR_MOVE_ACCEPTED, "one-too-many", 5);
    book(ledger, BFR_MOVE_ACCEPTED, "another", 5);
    struct seen seen = {0};
    bfr_ledger_visit(ledger, see, &seen);
    assert_int_equal(seen.count, 1 + 65536 + 1);
    assert_int_equal(seen.rows[0].held_batches, 2);
    assert_int_equal(bfr_ledger_unaccounted(ledger), 0);
    bfr_ledger_free(ledger);
}

struct load {
    struct bfr_ledger *ledger;
    const char *tenant;
    atomic_bool *stop;
};

static void *keep_booking(void *arg)
{
    struct load *load = arg;
    const struct bfr_booking in[] = {{BFR_MOVE_ACCEPTED, load->tenant, 3, 1}, {BFR_MOVE_ACCEPTED, load->tenant, 4, 1}};
    const struct bfr_booking out[] = {{BFR_MOVE_STORED, load->tenant, 3, 1}, {BFR_MOVE_BURIED, load->tenant, 4, 1}};
    while (!atomic_load(load->stop)) {
        bfr_ledger_book(load->ledger, in, 2);
        bfr_ledger_book(load->ledger, out, 2);
    }
    return NULL;
}

static void test_a_snapshot_is_one_moment(void **state)
{
    struct bfr_ledger *ledger = bfr_ledger_new();
    atomic_bool stop = false;
    struct load loads[] = {{ledger, "a", &stop}, {ledger, "b", &stop}};
    pthread_t threads[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(bfr_ledger_admit(ledger, loads[i].tenant));
        assert_int_equal(pthread_create(&threads[i], NULL, keep_booking, &loads[i]), 0);
    }
    bool whole = true;
    for (int i = 0; i < 2000; i++) {
        struct seen seen = {0};
        bfr_ledger_visit(ledger, see, &seen);
        for (size_t j = 0; j < seen.count; j++)
            whole &= balances(&seen.rows[j]);
        // Groups of two are booked whole, so one tenant never shows half of one.
        whole &= seen.rows[1].accepted_batches % 2 == 0 && seen.rows[1].stored_batches == seen.rows[1].buried_batches;
        whole &= seen.rows[0].accepted_batches == seen.rows[1].accepted_batches + seen.rows[2].accepted_batches;
        whole &= bfr_ledger_unaccounted(ledger) == 0;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(whole);
    bfr_ledger_free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move_keeps_the_equation),
        cmocka_unit_test(test_stored_before_accepted_never_shows_a_negative),
        cmocka_unit_test(test_tenants_keep_their_order_and_own_figures),
        cmocka_unit_test(test_unknown_tenants_share_a_row_rather_than_vanish),
        cmocka_unit_test(test_a_snapshot_is_one_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
