// SPDX-License-Identifier: Apache-2.0
// What the queues are made of, without a queue: turns over tenants, times, probes, consumer states, filters, errors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backlog.h"
#include "filter.h"
#include "settle.h"
#include "tenants.h"
#include "trouble.h"

#define KIB UINT64_C(1024)

struct waiting {
    struct backlog_entry entry;
    int tenant;
    int number;
};

struct scene {
    struct backlog backlog;
    struct fair_lane lanes[3];
    struct waiting batches[300];
    int count;
};

static void open_scene(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    bfr_backlog_init(&scene->backlog);
    assert_true(bfr_backlog_reserve(&scene->backlog, 300));
    for (int i = 0; i < 3; i++)
        bfr_fair_lane_init(&scene->lanes[i]);
}

static struct waiting *add(struct scene *scene, int tenant, uint64_t bytes)
{
    struct waiting *batch = &scene->batches[scene->count];
    batch->tenant = tenant;
    batch->number = scene->count++;
    bfr_backlog_entry_init(&batch->entry, &scene->lanes[tenant], bytes);
    bfr_backlog_add(&scene->backlog, &batch->entry);
    return batch;
}

static struct waiting *owner(struct backlog_entry *entry)
{
    return entry == NULL ? NULL : LIST_OWNER(entry, struct waiting, entry);
}

static struct waiting *take(struct scene *scene)
{
    return owner(bfr_backlog_take(&scene->backlog, UINT64_MAX));
}

static struct waiting *probe(struct scene *scene)
{
    return owner(bfr_backlog_probe(&scene->backlog));
}

// One tenant sends many small batches, another a few large ones: while both wait, each gets half of the bytes.
static void test_tenants_share_by_bytes_not_by_batches(void **state)
{
    struct scene scene;
    uint64_t bytes[3] = {0};
    (void)state;

    open_scene(&scene);
    for (int i = 0; i < 200; i++)
        add(&scene, 0, 16 * KIB);
    for (int i = 0; i < 16; i++)
        add(&scene, 1, 200 * KIB);
    while (bytes[0] + bytes[1] < 4000 * KIB) {
        struct waiting *batch = take(&scene);
        bytes[batch->tenant] += batch->entry.fair.bytes;
    }
    uint64_t difference = bytes[0] > bytes[1] ? bytes[0] - bytes[1] : bytes[1] - bytes[0];
    assert_true(difference <= 200 * KIB + FAIR_QUANTUM_BYTES);
    bfr_backlog_free(&scene.backlog);
}

static void test_a_tenant_with_a_long_line_does_not_hold_up_a_newcomer(void **state)
{
    struct scene scene;
    int before = 0;
    (void)state;

    open_scene(&scene);
    for (int i = 0; i < 200; i++)
        add(&scene, 0, 16 * KIB);
    take(&scene);
    add(&scene, 1, 16 * KIB);
    while (take(&scene)->tenant != 1)
        before++;
    assert_true(before < 4); // what is left of one quantum of 64 KiB
    bfr_backlog_free(&scene.backlog);
}

static void test_within_a_tenant_the_oldest_goes_first(void **state)
{
    struct scene scene;
    (void)state;

    open_scene(&scene);
    for (int i = 0; i < 50; i++)
        add(&scene, 0, 100 * KIB);
    for (int i = 0; i < 50; i++)
        assert_int_equal(take(&scene)->number, i);
    assert_null(take(&scene));
    bfr_backlog_free(&scene.backlog);
}

static void test_a_turn_survives_a_caller_without_room(void **state)
{
    struct scene scene;
    (void)state;

    open_scene(&scene);
    add(&scene, 0, 40 * KIB);
    add(&scene, 1, 10 * KIB);
    assert_null(bfr_backlog_take(&scene.backlog, 20 * KIB));
    assert_int_equal(take(&scene)->tenant, 0);
    assert_int_equal(take(&scene)->tenant, 1);
    bfr_backlog_free(&scene.backlog);
}

static void test_put_off_batches_come_when_due_in_order_of_time(void **state)
{
    struct scene scene;
    const uint64_t times[] = {50, 10, 40, 20, 30};
    (void)state;

    open_scene(&scene);
    for (int i = 0; i < 5; i++)
        add(&scene, 0, KIB);
    for (int i = 0; i < 5; i++)
        assert_non_null(take(&scene));
    for (int i = 0; i < 5; i++)
        bfr_backlog_give_back(&scene.backlog, &scene.batches[i].entry, times[i]);
    assert_null(take(&scene));
    assert_int_equal(bfr_backlog_next_ns(&scene.backlog), 10);

    bfr_backlog_wake(&scene.backlog, 9);
    assert_null(take(&scene));
    bfr_backlog_wake(&scene.backlog, 30);
    assert_int_equal(take(&scene)->number, 1);
    assert_int_equal(take(&scene)->number, 3);
    assert_int_equal(take(&scene)->number, 4);
    assert_null(take(&scene));
    assert_int_equal(bfr_backlog_next_ns(&scene.backlog), 40);
    bfr_backlog_wake(&scene.backlog, 100);
    assert_int_equal(bfr_backlog_next_ns(&scene.backlog), UINT64_MAX);
    bfr_backlog_free(&scene.backlog);
}

static void test_the_heap_gives_up_any_entry(void **state)
{
    struct due due = {0};
    struct due_entry entries[100] = {0};
    uint64_t last = 0;
    (void)state;

    assert_true(bfr_due_reserve(&due, 100));
    for (int i = 0; i < 100; i++)
        bfr_due_push(&due, &entries[i], (uint64_t)(i * 37 % 100));
    for (int i = 0; i < 100; i += 3)
        bfr_due_remove(&due, &entries[i]);
    int left = 0;
    for (struct due_entry *first; (first = bfr_due_first(&due)) != NULL; left++) {
        assert_true(first->at_ns >= last);
        last = first->at_ns;
        assert_false((first - entries) % 3 == 0);
        bfr_due_remove(&due, first);
        assert_false(bfr_due_has(first));
    }
    assert_int_equal(left, 66);
    bfr_due_free(&due);
}

static void test_an_untried_batch_goes_back_to_the_front(void **state)
{
    struct scene scene;
    (void)state;

    open_scene(&scene);
    add(&scene, 0, KIB);
    add(&scene, 0, KIB);
    struct waiting *first = take(&scene);
    bfr_backlog_give_back(&scene.backlog, &first->entry, 0);
    assert_ptr_equal(take(&scene), first);
    bfr_backlog_free(&scene.backlog);
}

// Every probe that fails puts its batch off again; the probes must still go round all tenants and, within a tenant, all
// batches, whatever their times.
static void test_probes_rotate_over_tenants_and_batches(void **state)
{
    struct scene scene;
    int seen[6] = {0};
    (void)state;

    open_scene(&scene);
    for (int i = 0; i < 6; i++)
        add(&scene, i % 3, KIB);
    for (int i = 0; i < 6; i++)
        assert_non_null(take(&scene));
    for (int i = 0; i < 6; i++)
        bfr_backlog_give_back(&scene.backlog, &scene.batches[i].entry, 1000 + (uint64_t)i);

    for (int round = 0; round < 6; round++) {
        struct waiting *batch = probe(&scene);
        assert_int_equal(batch->tenant, round % 3);
        seen[batch->number]++;
        bfr_backlog_give_back(&scene.backlog, &batch->entry, UINT64_MAX - 1);
    }
    for (int i = 0; i < 6; i++)
        assert_int_equal(seen[i], 1);
    bfr_backlog_free(&scene.backlog);
}

static void test_a_removed_batch_is_neither_taken_nor_probed_nor_due(void **state)
{
    struct scene scene;
    (void)state;

    open_scene(&scene);
    add(&scene, 0, KIB);
    struct waiting *late = add(&scene, 0, KIB);
    bfr_backlog_remove(&scene.backlog, &scene.batches[0].entry);
    assert_ptr_equal(take(&scene), late);
    bfr_backlog_give_back(&scene.backlog, &late->entry, 5);
    bfr_backlog_remove(&scene.backlog, &late->entry);
    bfr_backlog_wake(&scene.backlog, 10);
    assert_null(take(&scene));
    assert_null(probe(&scene));
    assert_int_equal(bfr_backlog_next_ns(&scene.backlog), UINT64_MAX);
    bfr_backlog_free(&scene.backlog);
}

static void test_settled_only_when_every_consumer_is_done(void **state)
{
    struct settle settle;
    uint8_t states[3] = {CLAIM_WAITING, CLAIM_WAITING, CLAIM_WAITING};
    (void)state;

    bfr_settle_init(&settle, 3);
    assert_false(bfr_settle_confirm(&settle, &states[0])); // not leased
    for (int i = 0; i < 3; i++)
        assert_true(bfr_settle_lease(&settle, &states[i]));
    assert_false(bfr_settle_lease(&settle, &states[0])); // leased already
    assert_true(bfr_settle_confirm(&settle, &states[0]));
    assert_false(bfr_settle_bury(&settle, &states[0])); // final
    assert_true(bfr_settle_give_back(&settle, &states[1]));
    assert_true(bfr_settle_lease(&settle, &states[1]));
    assert_true(bfr_settle_bury(&settle, &states[1]));
    assert_int_equal(bfr_settle_result(&settle), BFR_SETTLED_OPEN);
    assert_true(bfr_settle_confirm(&settle, &states[2]));
    assert_int_equal(bfr_settle_result(&settle), BFR_SETTLED_BURIED);

    assert_false(bfr_settle_redrive(&settle, &states[0])); // has it
    assert_true(bfr_settle_redrive(&settle, &states[1]));
    assert_int_equal(bfr_settle_result(&settle), BFR_SETTLED_OPEN);
    assert_true(bfr_settle_lease(&settle, &states[1]));
    assert_true(bfr_settle_confirm(&settle, &states[1]));
    assert_int_equal(bfr_settle_result(&settle), BFR_SETTLED_STORED);
}

static void test_an_empty_filter_member_matches_nothing(void **state)
{
    const struct bfr_batch batch = {.tenant = "acme", .dataset = "web", .filename = "a.gz"};
    const struct {
        struct bfr_filter filter;
        bool expected;
    } cases[] = {
        {{.tenant = "acme", .dataset = "web"}, true},
        {{.tenant = "*", .dataset = "*"}, true},
        {{.tenant = "*", .dataset = "*", .filename = "*", .id = "*"}, true},
        {{.tenant = "acme", .dataset = "web", .filename = "a.gz", .id = "7"}, true},
        {{.tenant = "acme", .dataset = "web", .id = "8"}, false},
        {{.tenant = "acme", .dataset = "web", .filename = "b.gz"}, false},
        {{.tenant = "acme", .dataset = "web", .filename = ""}, false},
        {{.tenant = "acm*", .dataset = "web"}, false},
        {{.tenant = "acme"}, false},
        {{.dataset = "web"}, false},
        {{.tenant = "", .dataset = "*"}, false},
        {{.size = 0}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(bfr_filter_matches(&cases[i].filter, &batch, "7"), cases[i].expected);
}

static void test_first_and_last_error_stay_and_are_cut_at_characters(void **state)
{
    struct trouble trouble = {0};
    char text[1024];
    (void)state;

    memset(text, 'x', sizeof text);
    memcpy(text + TROUBLE_TEXT_MAX - 1, "\xc3\xa9", 2); // would be cut in its middle
    text[sizeof text - 1] = '\0';
    bfr_trouble_add(&trouble, 1, "first", 100);
    bfr_trouble_add(&trouble, 2, "second", 200);
    bfr_trouble_add(&trouble, 2, NULL, 250);
    bfr_trouble_add(&trouble, 3, text, 300);
    bfr_trouble_bury(&trouble, BFR_REASON_ATTEMPTS);
    bfr_trouble_bury(&trouble, BFR_REASON_CONFLICT);
    assert_string_equal(trouble.first_text, "first");
    assert_int_equal(strlen(trouble.last_text), TROUBLE_TEXT_MAX - 1);
    assert_int_equal(trouble.attempts, 3);
    assert_int_equal(trouble.first_ns, 100);
    assert_int_equal(trouble.last_ns, 300);
    assert_int_equal(trouble.reason, BFR_REASON_ATTEMPTS);
    bfr_trouble_clear(&trouble);
}

static void test_tenants_exist_as_long_as_they_have_batches(void **state)
{
    struct tenants tenants;
    struct tenant *held[1000];
    char name[16];
    (void)state;

    bfr_tenants_init(&tenants, 2);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        held[i] = bfr_tenants_hold(&tenants, name);
        assert_string_equal(held[i]->name, name);
    }
    assert_ptr_equal(bfr_tenants_hold(&tenants, "t500"), held[500]);
    bfr_tenants_drop(&tenants, held[500]);
    assert_int_equal(tenants.count, 1000);
    for (int i = 0; i < 1000; i++)
        bfr_tenants_drop(&tenants, held[i]);
    assert_int_equal(tenants.count, 0);
    bfr_tenants_free(&tenants);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tenants_share_by_bytes_not_by_batches),
        cmocka_unit_test(test_a_tenant_with_a_long_line_does_not_hold_up_a_newcomer),
        cmocka_unit_test(test_within_a_tenant_the_oldest_goes_first),
        cmocka_unit_test(test_a_turn_survives_a_caller_without_room),
        cmocka_unit_test(test_put_off_batches_come_when_due_in_order_of_time),
        cmocka_unit_test(test_the_heap_gives_up_any_entry),
        cmocka_unit_test(test_an_untried_batch_goes_back_to_the_front),
        cmocka_unit_test(test_probes_rotate_over_tenants_and_batches),
        cmocka_unit_test(test_a_removed_batch_is_neither_taken_nor_probed_nor_due),
        cmocka_unit_test(test_settled_only_when_every_consumer_is_done),
        cmocka_unit_test(test_an_empty_filter_member_matches_nothing),
        cmocka_unit_test(test_first_and_last_error_stay_and_are_cut_at_characters),
        cmocka_unit_test(test_tenants_exist_as_long_as_they_have_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
