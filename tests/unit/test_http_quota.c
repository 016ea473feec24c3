// SPDX-License-Identifier: Apache-2.0
// Rates per tenant, and connections per address, without a server.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "clock.h"
#include "http_peers.h"
#include "http_quota.h"

#define START (1000 * BFR_NS_PER_S)

struct limits {
    struct bfr_settings settings;
    struct bfr_quota *quota;
};

static const struct bfr_tenant_quota named[] = {
    {"busy", {0, 0}}, // not limited, though the default is
    {"acme", {.requests_per_second = 4, .bytes_per_second = 1000}},
};

static int set_up(void **state)
{
    static struct limits l;
    l.settings.quotas.fallback = (struct bfr_rate){.requests_per_second = 2};
    l.settings.quotas.tenants = named;
    l.settings.quotas.tenant_count = 2;
    *state = &l;
    return !bfr_quota_new(&l.settings, &l.quota) || l.quota == NULL;
}

static int tear_down(void **state)
{
    bfr_quota_free(((struct limits *)*state)->quota);
    return 0;
}

static void expect_take(const struct limits *l, const char *tenant, uint64_t bytes, uint64_t at_ns,
                        enum bfr_refusal refusal)
{
    uint64_t wait_ns;
    assert_int_equal(bfr_quota_take(l->quota, tenant, bytes, START + at_ns, &wait_ns), refusal);
    assert_true((wait_ns > 0) == (refusal != BFR_REFUSE_NONE));
    if (refusal == BFR_REFUSE_NONE)
        return;
    // The wait is true: just before its end it is refused again, at its end it is let in.
    uint64_t again_ns;
    assert_int_equal(bfr_quota_take(l->quota, tenant, bytes, START + at_ns + wait_ns - 2, &again_ns), refusal);
    assert_in_range(again_ns, 1, 2);
}

static void test_a_tenant_has_its_requests_of_a_second_and_no_more(void **state)
{
    struct limits *l = *state;
    for (int i = 0; i < 4; i++)
        expect_take(l, "acme", 0, 0, BFR_REFUSE_NONE);
    expect_take(l, "acme", 0, 0, BFR_REFUSE_REQUEST_RATE);
    expect_take(l, "acme", 0, BFR_NS_PER_S / 4, BFR_REFUSE_NONE); // one has come back
    expect_take(l, "acme", 0, BFR_NS_PER_S / 4, BFR_REFUSE_REQUEST_RATE);
}

static void test_a_large_body_is_let_in_and_paid_for_afterwards(void **state)
{
    struct limits *l = *state;
    expect_take(l, "acme", 5000, 0, BFR_REFUSE_NONE);
    expect_take(l, "acme", 1, 3 * BFR_NS_PER_S, BFR_REFUSE_BYTE_RATE);
    expect_take(l, "acme", 1, 4 * BFR_NS_PER_S + 1, BFR_REFUSE_NONE);
}

static void test_undeclared_bytes_are_charged_when_they_have_come(void **state)
{
    struct limits *l = *state;
    expect_take(l, "acme", BFR_QUOTA_UNDECLARED, 0, BFR_REFUSE_NONE);
    expect_take(l, "acme", BFR_QUOTA_UNDECLARED, 0, BFR_REFUSE_NONE); // nothing has come yet
    bfr_quota_charge(l->quota, "acme", 3000, START);
    expect_take(l, "acme", 1, BFR_NS_PER_S, BFR_REFUSE_BYTE_RATE);
}

static void test_a_debtor_cannot_go_on_without_declaring_its_bytes(void **state)
{
    struct limits *l = *state;
    bfr_quota_charge(l->quota, "acme", 3000, START);
    expect_take(l, "acme", BFR_QUOTA_UNDECLARED, BFR_NS_PER_S, BFR_REFUSE_BYTE_RATE);
    expect_take(l, "acme", BFR_QUOTA_UNDECLARED, 2 * BFR_NS_PER_S + 1, BFR_REFUSE_NONE);
}

static void test_a_named_tenant_may_be_free_of_the_default(void **state)
{
    for (int i = 0; i < 1000; i++)
        expect_take(*state, "busy", 1000000, 0, BFR_REFUSE_NONE);
}

static void test_tenants_do_not_pay_for_each_other(void **state)
{
    struct limits *l = *state;
    expect_take(l, "one", 0, 0, BFR_REFUSE_NONE);
    expect_take(l, "one", 0, 0, BFR_REFUSE_NONE);
    expect_take(l, "one", 0, 0, BFR_REFUSE_REQUEST_RATE);
    expect_take(l, "two", 0, 0, BFR_REFUSE_NONE);
}

static void test_made_up_tenants_neither_fill_the_table_nor_free_a_debtor(void **state)
{
    struct limits *l = *state;
    expect_take(l, "debtor", 0, 0, BFR_REFUSE_NONE);
    expect_take(l, "debtor", 0, 0, BFR_REFUSE_NONE);
    for (int i = 0; i < 100000; i++) { // many times what the table holds; each owes less than the debtor
        char tenant[32];
        snprintf(tenant, sizeof tenant, "made-up-%d", i);
        expect_take(l, tenant, 0, 0, BFR_REFUSE_NONE);
    }
    expect_take(l, "debtor", 0, 0, BFR_REFUSE_REQUEST_RATE);
    expect_take(l, "real", 0, 0, BFR_REFUSE_NONE);
}

static void test_without_quotas_nothing_is_counted(void **state)
{
    (void)state;
    const struct bfr_settings settings = {0};
    struct bfr_quota *quota;
    uint64_t wait_ns;
    assert_true(bfr_quota_new(&settings, &quota));
    assert_null(quota);
    assert_int_equal(bfr_quota_take(quota, "acme", 1, START, &wait_ns), BFR_REFUSE_NONE);
}

static void test_connections_are_counted_by_address_or_network(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool enters;
    } steps[] = {
        {"192.0.2.1", true},
        {"192.0.2.1", true},
        {"192.0.2.1", false},
        {"::ffff:192.0.2.1", false},
        {"192.0.2.2", true},
        {"2001:db8::1", true},
        {"2001:db8:0:0:ffff::2", true},
        {"2001:db8::3", false},
        {"2001:db8:0:1::1", true},
        {"not an address", true},
    };
    enum { COUNT = sizeof steps / sizeof steps[0] };
    struct bfr_peers *peers = bfr_peers_new(2);
    struct bfr_peer *entered[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(bfr_peers_enter(peers, steps[i].address, &entered[i]), steps[i].enters);
    bfr_peers_leave(peers, entered[0]);
    assert_true(bfr_peers_enter(peers, "192.0.2.1", &entered[0]));
    for (size_t i = 0; i < COUNT; i++)
        bfr_peers_leave(peers, entered[i]);
    bfr_peers_free(peers); // checks that nobody is left
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_tenant_has_its_requests_of_a_second_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_large_body_is_let_in_and_paid_for_afterwards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_undeclared_bytes_are_charged_when_they_have_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_debtor_cannot_go_on_without_declaring_its_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_named_tenant_may_be_free_of_the_default, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tenants_do_not_pay_for_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_made_up_tenants_neither_fill_the_table_nor_free_a_debtor, set_up,
                                        tear_down),
        cmocka_unit_test(test_without_quotas_nothing_is_counted),
        cmocka_unit_test(test_connections_are_counted_by_address_or_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
