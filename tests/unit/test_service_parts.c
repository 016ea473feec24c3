// SPDX-License-Identifier: Apache-2.0
// What the services are made of: names, URLs, gathered notices, what has been told, addresses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "configuration.h"
#include "endpoint.h"
#include "identity.h"
#include "notices.h"
#include "tally.h"

static void assert_named(const char *hostname, bool container, const char *host, const char *node, const char *expected)
{
    char name[IDENTITY_SIZE];
    bfr_identity_make(hostname, container, host, node, name);
    assert_string_equal(name, expected);
}

static void test_an_instance_is_named_by_its_surroundings(void **state)
{
    (void)state;
    assert_named("box", false, "", "", "box");
    assert_named("box", false, "ignored", "", "box");
    assert_named("0123456789abcdef", true, "", "", "0123456789ab");
    assert_named("0123456789abcdef", true, "box", "", "box:0123456789ab");
    assert_named("pod-1", false, "", "node-7", "node-7.pod-1");
    assert_named("box", false, "", "box", "box");
    assert_named("0123456789abcdef", true, "box", "node", "node.box:0123456789ab");
    assert_named("a/b c?d", false, "", "", "a_b_c_d");
}

static void assert_public(const char *url, const char *expected)
{
    char out[128];
    bfr_configuration_public_url(url, out, sizeof out);
    assert_string_equal(out, expected);
}

static void test_a_login_in_a_url_is_not_shown(void **state)
{
    (void)state;
    assert_public("https://api.example.com/a@b", "https://api.example.com/a@b");
    assert_public("https://me:secret@api.example.com:8443/x", "https://***@api.example.com:8443/x");
    assert_public("me:se@cret@store:9000", "***@store:9000");
    assert_public("", "");
}

static void assert_url(const char *endpoint, const char *expected)
{
    char *url = NULL;
    assert_int_equal(bfr_endpoint_url(endpoint, "/v1/metrics", &url, NULL), BFR_OK);
    assert_string_equal(url, expected);
    free(url);
}

static void test_an_address_becomes_a_url(void **state)
{
    (void)state;
    char *url = NULL;
    assert_url("", "");
    assert_url("store:8428", "http://store:8428/v1/metrics");
    assert_url("https://store/", "https://store/v1/metrics");
    assert_url("http://store:8428/opentelemetry/v1/metrics", "http://store:8428/opentelemetry/v1/metrics");
    assert_int_equal(bfr_endpoint_url("grpc://store:4317", "/", &url, NULL), BFR_EINVAL);
    assert_int_equal(bfr_endpoint_url("http://me:secret@store", "/", &url, NULL), BFR_EINVAL);
    assert_null(url);
}

static struct notice notice_of(const char *tenant, uint64_t count)
{
    struct notice notice = {.type = "t", .message = "m", .severity = "error", .count = count};
    snprintf(notice.tenant, sizeof notice.tenant, "%s", tenant);
    return notice;
}

static void test_notices_that_are_alike_are_one_and_wait_for_the_pause(void **state)
{
    (void)state;
    struct notices *notices = calloc(1, sizeof *notices);
    assert_non_null(notices);
    notices->pause_ns = 100;
    struct notice one = notice_of("a", 2), other = notice_of("b", 1);
    assert_true(bfr_notices_add(notices, &one));
    assert_true(bfr_notices_add(notices, &one));
    assert_true(bfr_notices_add(notices, &other));
    struct notice *next = bfr_notices_next(notices, 1000);
    assert_int_equal(next->count, 4);
    bfr_notices_sent(next, 4, 1000);
    next = bfr_notices_next(notices, 1000);
    assert_string_equal(next->tenant, "b");
    bfr_notices_sent(next, 1, 1000);
    assert_null(bfr_notices_next(notices, 1000));
    assert_true(bfr_notices_add(notices, &one));
    assert_null(bfr_notices_next(notices, 1099));
    assert_int_equal(bfr_notices_next(notices, 1100)->count, 2);
    free(notices);
}

static void test_notices_are_bounded(void **state)
{
    (void)state;
    struct notices *notices = calloc(1, sizeof *notices);
    assert_non_null(notices);
    char tenant[16];
    for (int i = 0; i < NOTICES_MAX + 10; i++) {
        snprintf(tenant, sizeof tenant, "t%d", i);
        struct notice notice = notice_of(tenant, 1);
        assert_int_equal(bfr_notices_add(notices, &notice), i < NOTICES_MAX);
    }
    assert_int_equal(notices->count, NOTICES_MAX);
    assert_int_equal(notices->dropped, 10);
    // One that was sent makes room.
    bfr_notices_sent(bfr_notices_next(notices, 5), 1, 5);
    struct notice late = notice_of("late", 1);
    assert_true(bfr_notices_add(notices, &late));
    assert_int_equal(notices->count, NOTICES_MAX);
    free(notices);
}

static struct bfr_flow shown; // what the activity shows

static uint64_t show_flow(const struct bfr_host *host, uint64_t since,
                          bool (*visit)(void *arg, const struct bfr_flow *flow), void *arg)
{
    (void)host;
    visit(arg, &shown);
    return since + 1;
}

static void test_what_could_not_be_told_is_told_with_the_next(void **state)
{
    (void)state;
    static const struct bfr_activity_1 activity = {sizeof activity, show_flow, NULL};
    struct tally *tally = bfr_tally_new();
    struct tally_sums delta;
    unsigned kind = 9;
    assert_non_null(tally);
    shown = (struct bfr_flow){.number = 70, .account = "a", .tenant = "t", .dataset = "d", .accepted_lines = 3};
    bfr_tally_update(tally, NULL, &activity);
    struct tally_entry *entry = bfr_tally_next(tally, &kind, &delta);
    assert_int_equal(kind, 0);
    assert_int_equal(delta.accepted_lines, 3);
    shown.accepted_lines = 10; // the call failed, and more came
    bfr_tally_update(tally, NULL, &activity);
    entry = bfr_tally_next(tally, &kind, &delta);
    assert_int_equal(delta.accepted_lines, 10);
    bfr_tally_told(entry, kind, &delta);
    entry = bfr_tally_next(tally, &kind, &delta);
    assert_int_equal(kind, 1);
    assert_int_equal(delta.accepted_lines, 10);
    bfr_tally_told(entry, kind, &delta);
    assert_null(bfr_tally_next(tally, &kind, &delta));
    bfr_tally_free(tally);
}

static void test_the_flow_of_all_the_others_is_not_told(void **state)
{
    (void)state;
    static const struct bfr_activity_1 activity = {sizeof activity, show_flow, NULL};
    struct tally *tally = bfr_tally_new();
    struct tally_sums delta;
    unsigned kind;
    shown = (struct bfr_flow){.number = 0, .account = "", .tenant = "", .dataset = "", .accepted_lines = 3};
    bfr_tally_update(tally, NULL, &activity);
    assert_null(bfr_tally_next(tally, &kind, &delta));
    bfr_tally_free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_instance_is_named_by_its_surroundings),
        cmocka_unit_test(test_a_login_in_a_url_is_not_shown),
        cmocka_unit_test(test_an_address_becomes_a_url),
        cmocka_unit_test(test_notices_that_are_alike_are_one_and_wait_for_the_pause),
        cmocka_unit_test(test_notices_are_bounded),
        cmocka_unit_test(test_what_could_not_be_told_is_told_with_the_next),
        cmocka_unit_test(test_the_flow_of_all_the_others_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
