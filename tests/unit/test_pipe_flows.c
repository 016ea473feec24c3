// SPDX-License-Identifier: Apache-2.0
// The figures of each account, tenant and dataset.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bfr/status.h>

#include "pipe_flows.h"

static struct bfr_batch batch_of(const char *account, const char *tenant, const char *dataset)
{
    return (struct bfr_batch){.size = sizeof(struct bfr_batch),
                              .account = account,
                              .tenant = tenant,
                              .dataset = dataset,
                              .line_count = 3,
                              .original_bytes = 70,
                              .body_bytes = 10};
}

struct seen {
    size_t count;
    struct bfr_flow last;
    uint64_t batches;
};

static bool see(void *arg, const struct bfr_flow *flow)
{
    struct seen *seen = arg;
    seen->count++;
    seen->last = *flow;
    seen->batches += flow->accepted_batches;
    return true;
}

static void test_what_came_of_a_dataset_is_counted(void **state)
{
    (void)state;
    struct bfr_flows *flows = bfr_flows_new();
    struct bfr_batch batch = batch_of("a", "t", "d");
    struct seen seen = {0};
    bfr_flows_accepted(flows, &batch);
    bfr_flows_accepted(flows, &batch);
    bfr_flows_stored(flows, &batch);
    bfr_flows_failed(flows, &batch, "the store said no");
    bfr_flows_buried(flows, &batch, BFR_REASON_REJECTED, NULL);
    assert_int_not_equal(bfr_flows_visit(flows, 0, see, &seen), 0);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.last.account, "a");
    assert_string_equal(seen.last.tenant, "t");
    assert_string_equal(seen.last.dataset, "d");
    assert_int_equal(seen.last.accepted_batches, 2);
    assert_int_equal(seen.last.accepted_bytes, 20);
    assert_int_equal(seen.last.original_bytes, 140);
    assert_int_equal(seen.last.accepted_lines, 6);
    assert_int_equal(seen.last.stored_bytes, 10);
    assert_int_equal(seen.last.failed_attempts, 1);
    assert_int_equal(seen.last.buried_batches, 1);
    assert_int_equal(seen.last.last_reason, BFR_REASON_REJECTED);
    assert_string_equal(seen.last.last_error, "");
    bfr_flows_free(flows);
}

static void test_only_what_changed_is_visited_again(void **state)
{
    (void)state;
    struct bfr_flows *flows = bfr_flows_new();
    struct bfr_batch one = batch_of("a", "t", "one"), other = batch_of("a", "t", "other");
    struct seen first = {0}, second = {0}, third = {0};
    bfr_flows_accepted(flows, &one);
    bfr_flows_accepted(flows, &other);
    uint64_t mark = bfr_flows_visit(flows, 0, see, &first);
    assert_int_equal(first.count, 2);
    bfr_flows_accepted(flows, &one);
    mark = bfr_flows_visit(flows, mark, see, &second);
    assert_int_equal(second.count, 1);
    assert_string_equal(second.last.dataset, "one");
    (void)bfr_flows_visit(flows, mark, see, &third);
    assert_int_equal(third.count, 0);
    bfr_flows_free(flows);
}

static void test_a_sender_that_invents_datasets_is_bounded_and_counted(void **state)
{
    (void)state;
    enum { INVENTED = 20000 };
    struct bfr_flows *flows = bfr_flows_new();
    struct seen seen = {0};
    char dataset[16];
    for (int i = 0; i < INVENTED; i++) {
        snprintf(dataset, sizeof dataset, "d%d", i);
        struct bfr_batch batch = batch_of("", "t", dataset);
        bfr_flows_accepted(flows, &batch);
    }
    (void)bfr_flows_visit(flows, 0, see, &seen);
    assert_int_equal(seen.count, 16384);
    assert_int_equal(seen.batches, INVENTED);
    bfr_flows_free(flows);
}

static void test_without_a_table_nothing_is_kept(void **state)
{
    (void)state;
    struct bfr_batch batch = batch_of("a", "t", "d");
    struct seen seen = {0};
    bfr_flows_accepted(NULL, &batch);
    bfr_flows_buried(NULL, &batch, BFR_REASON_REJECTED, "x");
    assert_int_equal(bfr_flows_visit(NULL, 7, see, &seen), 7);
    assert_int_equal(seen.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_came_of_a_dataset_is_counted),
        cmocka_unit_test(test_only_what_changed_is_visited_again),
        cmocka_unit_test(test_a_sender_that_invents_datasets_is_bounded_and_counted),
        cmocka_unit_test(test_without_a_table_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
