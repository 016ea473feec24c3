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
#include "watch.h"

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

// A host whose sink has failed, and with it a batch of each of very many flows.
#define MANY 10000

static uint64_t show_failing_flows(const struct bfr_host *host, uint64_t since,
                                   bool (*visit)(void *arg, const struct bfr_flow *flow), void *arg)
{
    char tenant[16];

    (void)host;
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(tenant, sizeof tenant, "t%u", i);
        visit(arg, &(struct bfr_flow){
                       .number = i, .account = "a", .tenant = tenant, .dataset = "d", .failed_attempts = since + 1});
    }
    return since + 1;
}

static void show_failed_stage(const struct bfr_host *host,
                              bool (*visit)(void *arg, const struct bfr_stage_status *stage), void *arg)
{
    (void)host;
    visit(arg,
          &(struct bfr_stage_status){
              .kind = BFR_KIND_SINK, .stage = "archive", .plugin = "s3", .state = BFR_HEALTH_FAILED, .reason = "away"});
}

static const void *extension_of(const struct bfr_host *host, const char *id)
{
    static const struct bfr_activity_1 activity = {sizeof activity, show_failing_flows, NULL};
    static const struct bfr_status_1 status = {.size = sizeof status, .stages = show_failed_stage};

    (void)host;
    if (strcmp(id, BFR_EXT_ACTIVITY_1) == 0)
        return &activity;
    return strcmp(id, BFR_EXT_STATUS_1) == 0 ? &status : NULL;
}

static void note(void *arg, const struct watch_finding *finding)
{
    struct notice notice = notice_of(finding->tenant, finding->count);

    snprintf(notice.subject, sizeof notice.subject, "%s", finding->stage);
    (void)bfr_notices_add(arg, &notice);
}

static bool is_noted(const struct notices *notices, const char *subject)
{
    for (size_t i = 0; i < notices->count; i++)
        if (strcmp(notices->list[i].subject, subject) == 0)
            return true;
    return false;
}

static void test_ten_thousand_errors_at_once_are_bounded_and_hide_no_stage(void **state)
{
    const struct bfr_host host = {.get_extension = extension_of};
    struct notices *notices = calloc(1, sizeof *notices);
    struct watch *watch = bfr_watch_new(&host);

    (void)state;
    assert_non_null(notices);
    assert_non_null(watch);
    bfr_watch_look(watch, note, notices);
    assert_int_equal(notices->count, NOTICES_MAX);
    assert_int_equal(notices->dropped, MANY + 1 - NOTICES_MAX);
    assert_true(is_noted(notices, "archive"));
    bfr_watch_look(watch, note, notices); // those that are known are counted, the others have no place
    assert_int_equal(notices->count, NOTICES_MAX);
    assert_int_equal(notices->dropped, 2 * (MANY + 1 - NOTICES_MAX));
    bfr_watch_free(watch);
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
        cmocka_unit_test(test_ten_thousand_errors_at_once_are_bounded_and_hide_no_stage),
        cmocka_unit_test(test_what_could_not_be_told_is_told_with_the_next),
        cmocka_unit_test(test_the_flow_of_all_the_others_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
