// SPDX-License-Identifier: Apache-2.0
// What a batch promises: its own copy of every text, the body's memory borrowed until the last holder lets go, and then
// given back exactly once, whichever thread is last.
#include "batch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "batch_sample.h"

static atomic_int freed;

static void count_free(void *arg)
{
    assert_ptr_equal(arg, &freed);
    atomic_fetch_add(&freed, 1);
}

static void test_batch_keeps_its_own_texts_and_spans(void **state)
{
    (void)state;
    static const uint8_t body[] = "abcdef";
    struct bfr_span spans[] = {{body, 2}, {body + 2, 4}};
    char tenant[] = "acme", filename[] = "a.ndjson.gz";
    struct bfr_batch source = batch_sample(spans, 2);
    source.tenant = tenant;
    source.filename = filename;
    struct bfr_batch *batch = bfr_batch_new(&source, NULL, NULL);
    assert_non_null(batch);
    memset(tenant, 'x', sizeof tenant - 1);
    memset(filename, 'x', sizeof filename - 1);
    memset(spans, 0, sizeof spans);

    assert_string_equal(batch->account, "");
    assert_string_equal(batch->tenant, "acme");
    assert_string_equal(batch->dataset, "fw");
    assert_string_equal(batch->filename, "a.ndjson.gz");
    assert_string_equal(batch->batch_id, "unknown");
    assert_string_equal(batch->data_hint, "ndjson");
    assert_string_equal(batch->content_type, "application/gzip");
    assert_int_equal(batch->span_count, 2);
    assert_ptr_equal(batch->spans[0].data, body); // borrowed, not copied
    assert_ptr_equal(batch->spans[1].data, body + 2);
    assert_int_equal(batch->spans[1].size, 4);
    bfr_batch_release(batch);
}

static void test_batch_carries_every_figure(void **state)
{
    (void)state;
    struct bfr_batch source = batch_sample(NULL, 0);
    struct bfr_batch *batch = bfr_batch_new(&source, NULL, NULL);
    assert_non_null(batch);
    assert_int_equal(batch->size, sizeof(struct bfr_batch));
    assert_int_equal(batch->flags, BFR_BATCH_NAME_GENERATED);
    assert_int_equal(batch->line_count, 7);
    assert_int_equal(batch->original_bytes, 99);
    assert_true(batch->created_ns == -5 && batch->received_ns == 12);
    assert_int_equal(batch->body_bytes, 6);
    assert_memory_equal(batch->stored_sha256, source.stored_sha256, 32);
    assert_memory_equal(batch->source_sha256, source.source_sha256, 32);
    assert_int_equal(batch->crc32c, 0xdeadbeef);
    assert_int_equal(batch->span_count, 0);
    bfr_batch_release(batch);
}

static void test_body_is_given_back_by_the_last_holder_only(void **state)
{
    (void)state;
    atomic_store(&freed, 0);
    struct bfr_batch source = batch_sample(NULL, 0);
    struct bfr_batch *batch = bfr_batch_new(&source, count_free, &freed);
    assert_non_null(batch);
    bfr_batch_retain(batch);
    bfr_batch_retain(batch);
    bfr_batch_release(batch);
    bfr_batch_release(batch);
    assert_int_equal(atomic_load(&freed), 0);
    bfr_batch_release(batch);
    assert_int_equal(atomic_load(&freed), 1);
}

#define HOLDERS 4

static void *hold_for_a_while(void *arg)
{
    const struct bfr_batch *batch = arg;
    for (int i = 0; i < 5000; i++) {
        bfr_batch_retain(batch);
        bfr_batch_release(batch);
    }
    bfr_batch_release(batch); // the reference made for this thread
    return NULL;
}

static void test_holders_on_many_threads_free_it_once(void **state)
{
    (void)state;
    atomic_store(&freed, 0);
    struct bfr_batch source = batch_sample(NULL, 0);
    struct bfr_batch *batch = bfr_batch_new(&source, count_free, &freed);
    assert_non_null(batch);
    pthread_t threads[HOLDERS];
    for (size_t i = 0; i < HOLDERS; i++) {
        bfr_batch_retain(batch);
        assert_int_equal(pthread_create(&threads[i], NULL, hold_for_a_while, batch), 0);
    }
    bfr_batch_release(batch);
    for (size_t i = 0; i < HOLDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&freed), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_keeps_its_own_texts_and_spans),
        cmocka_unit_test(test_batch_carries_every_figure),
        cmocka_unit_test(test_body_is_given_back_by_the_last_holder_only),
        cmocka_unit_test(test_holders_on_many_threads_free_it_once),
    };
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
