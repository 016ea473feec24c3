// SPDX-License-Identifier: Apache-2.0
// What the pages of dead letters promise: pages that follow each other, and an answer whatever the pipeline does.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin_rig.h"

static void test_letters_come_in_pages_each_saying_where_the_next_begins(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *target;
        size_t count;
        const char *next;
    } cases[] = {{"/api/v1/dlq/files?limit=3", 3, "00000003"},
                 {"/api/v1/dlq/files?limit=3&cursor=00000003", 3, "00000006"},
                 {"/api/v1/dlq/files?limit=3&cursor=00000006", 1, NULL},
                 {"/api/v1/dlq/files?limit=7", 7, NULL},
                 {"/api/v1/dlq/files?limit=6", 6, "00000006"},
                 {"/api/v1/dlq/files", 7, NULL}};
    atomic_store(&fixture->pipeline.letters, 7);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = ask_json(fixture, "GET", cases[i].target, "", 200);
        const json_t *data = json_object_get(json, "data"), *next = json_object_get(json, "next");
        assert_int_equal(json_array_size(data), cases[i].count);
        assert_true(cases[i].next == NULL ? json_is_null(next) : strcmp(json_string_value(next), cases[i].next) == 0);
        assert_string_equal(text_of(json_array_get(data, 0), "failure_reason"), "rejected: http 400");
        assert_string_equal(text_of(json_array_get(data, 0), "filename"), "not UTF-8: \xEF\xBF\xBD");
        json_decref(json);
    }
}

static void test_a_pipeline_that_does_not_run_is_a_503(void **state)
{
    struct fixture *fixture = *state;
    static const char selector[] = "{\"tenant_id\": \"a\", \"dataset_id\": \"b\"}";
    atomic_store(&fixture->pipeline.stopped, true);
    json_decref(ask_json(fixture, "GET", "/api/v1/dlq/files", "", 503));
    json_decref(ask_json(fixture, "GET", "/api/v1/dlq/files/1", "", 503));
    json_decref(ask_json(fixture, "GET", "/api/v1/dlq/stats", "", 503));
    json_decref(ask_json(fixture, "POST", "/api/v1/dlq/retry", selector, 503));
    json_decref(ask_json(fixture, "POST", "/api/v1/dlq/purge", selector, 503));
    json_decref(ask_json(fixture, "POST", "/api/v1/tenants/acme/purge", "", 503));
}

static void test_pages_with_a_parameter_are_found_and_nothing_like_them(void **state)
{
    struct fixture *fixture = *state;
    json_decref(ask_json(fixture, "GET", "/api/v1/dlq/files/abc", "", 404));
    assert_non_null(strstr(reply.body, "dead letter"));
    static const char *const none[] = {"/api/v1/dlq/files/", "/api/v1/dlq/files/a/b", "/api/v1/tenants//purge",
                                       "/api/v1/tenants/a/b/purge", "/api/v1/tenants/a/purge/"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        json_decref(ask_json(fixture, "GET", none[i], "", 404));
        assert_non_null(strstr(reply.body, "no such page"));
    }
    json_decref(ask_json(fixture, "GET", "/api/v1/tenants/a/purge", "", 405));
    assert_true(has_header("Allow: POST"));
}

static void test_jobs_that_wait_at_the_end_are_dropped(void **state)
{
    struct fixture *fixture = *state;
    int clients[60];
    atomic_store(&fixture->pipeline.letters, 20000);
    for (size_t i = 0; i < 60; i++) {
        clients[i] = raw_dial(fixture->port);
        raw_send(clients[i], "GET /api/v1/dlq/stats HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\n\r\n");
    }
    raw_receive(clients[0], &reply, true); // the first is answered, so the others are known
    bfr_http_admin_stop(fixture->admin);
    for (size_t i = 0; i < 60; i++)
        close(clients[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(test_letters_come_in_pages_each_saying_where_the_next_begins),
        served(test_a_pipeline_that_does_not_run_is_a_503),
        served(test_pages_with_a_parameter_are_found_and_nothing_like_them),
        served(test_jobs_that_wait_at_the_end_are_dropped),
    };
    return cmocka_run_group_tests_name("http_admin_letters", tests, NULL, NULL);
}
