// SPDX-License-Identifier: Apache-2.0
// What the tap promises: nothing while nobody listens, each note once and in order of its writer, and a count of what did not fit.
#include "pipe_tap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bfr_batch batch_of(const char *filename, uint64_t bytes)
{
    return (struct bfr_batch){.account = "a",
                              .tenant = "acme",
                              .dataset = "web",
                              .filename = filename,
                              .body_bytes = bytes,
                              .received_ns = 7,
                              .stored_sha256 = {1, 2, 3}};
}

static void write_one(struct bfr_tap *tap, uint64_t number)
{
    const struct bfr_batch batch = batch_of("f", number);
    if (bfr_tap_is_open(tap))
        bfr_tap_write(tap, &batch, false);
}

static int set_up(void **state)
{
    *state = bfr_tap_new();
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    bfr_tap_free(*state);
    return 0;
}

static void test_note_has_names_and_sizes(void **state)
{
    struct bfr_tap *tap = *state;
    struct bfr_tap_note note;
    const struct bfr_batch batch = batch_of("acme--web--1", 99);
    assert_true(bfr_tap_open(tap));
    bfr_tap_write(tap, &batch, true);
    assert_true(bfr_tap_read(tap, &note));
    assert_string_equal(note.account, "a");
    assert_string_equal(note.tenant, "acme");
    assert_string_equal(note.dataset, "web");
    assert_string_equal(note.filename, "acme--web--1");
    assert_true(note.duplicate && note.bytes == 99 && note.received_ns == 7);
    assert_memory_equal(note.stored_sha256, batch.stored_sha256, 32);
    assert_false(bfr_tap_read(tap, &note));
}

static void test_texts_are_cut_to_what_the_contract_allows(void **state)
{
    struct bfr_tap *tap = *state;
    struct bfr_tap_note note;
    char name[1000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct bfr_batch batch = batch_of(name, 1);
    batch.tenant = name;
    batch.account = NULL;
    assert_true(bfr_tap_open(tap));
    bfr_tap_write(tap, &batch, false);
    assert_true(bfr_tap_read(tap, &note));
    assert_int_equal(strlen(note.filename), BFR_FILENAME_MAX);
    assert_int_equal(strlen(note.tenant), BFR_ID_MAX);
    assert_string_equal(note.account, "");
}

static void test_nothing_is_taken_while_nobody_listens(void **state)
{
    struct bfr_tap *tap = *state;
    struct bfr_tap_note note;
    assert_false(bfr_tap_is_open(tap));
    assert_false(bfr_tap_is_open(NULL));
    assert_true(bfr_tap_open(tap));
    write_one(tap, 1);
    bfr_tap_close(tap);
    write_one(tap, 2);
    assert_true(bfr_tap_open(tap)); // what was left from before is gone
    assert_false(bfr_tap_read(tap, &note));
    assert_int_equal(bfr_tap_lost(tap), 0);
    write_one(tap, 3);
    assert_true(bfr_tap_read(tap, &note));
    assert_int_equal(note.bytes, 3);
}

static void test_what_does_not_fit_is_counted_and_the_rest_keeps_its_order(void **state)
{
    struct bfr_tap *tap = *state;
    struct bfr_tap_note note;
    assert_true(bfr_tap_open(tap));
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < BFR_TAP_NOTES + 10; i++)
            write_one(tap, i);
        assert_int_equal(bfr_tap_lost(tap), 10);
        assert_int_equal(bfr_tap_lost(tap), 0);
        for (uint64_t i = 0; i < BFR_TAP_NOTES; i++) {
            assert_true(bfr_tap_read(tap, &note));
            assert_int_equal(note.bytes, i);
        }
        assert_false(bfr_tap_read(tap, &note));
    }
}

// --- many writers

#define WRITERS 4
#define EACH    UINT64_C(50000)

struct writer {
    pthread_t thread;
    struct bfr_tap *tap;
    uint64_t number;
};

static void *write_all(void *arg)
{
    const struct writer *writer = arg;
    for (uint64_t i = 1; i <= EACH; i++)
        write_one(writer->tap, writer->number * (EACH + 1) + i);
    return NULL;
}

static void test_many_writers_lose_nothing_that_is_not_counted(void **state)
{
    struct bfr_tap *tap = *state;
    struct writer writers[WRITERS];
    uint64_t last[WRITERS] = {0}, seen = 0, lost = 0;
    struct bfr_tap_note note;
    assert_true(bfr_tap_open(tap));
    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.tap = tap, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]), 0);
    }
    while (seen + lost < WRITERS * EACH) {
        lost += bfr_tap_lost(tap);
        if (!bfr_tap_read(tap, &note))
            continue;
        uint64_t writer = note.bytes / (EACH + 1), number = note.bytes % (EACH + 1);
        assert_true(writer < WRITERS && number > last[writer]);
        assert_string_equal(note.filename, "f");
        last[writer] = number;
        seen++;
    }
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    assert_false(bfr_tap_read(tap, &note));
    assert_int_equal(seen + lost, WRITERS * EACH);
    assert_true(seen >= BFR_TAP_NOTES);
}

#define tapped(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        tapped(test_note_has_names_and_sizes),
        tapped(test_texts_are_cut_to_what_the_contract_allows),
        tapped(test_nothing_is_taken_while_nobody_listens),
        tapped(test_what_does_not_fit_is_counted_and_the_rest_keeps_its_order),
        tapped(test_many_writers_lose_nothing_that_is_not_counted),
    };
    return cmocka_run_group_tests_name("pipe_tap", tests, NULL, NULL);
}
