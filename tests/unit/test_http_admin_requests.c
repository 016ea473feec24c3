// SPDX-License-Identifier: Apache-2.0
// What the API port promises whoever sends a request, good or bad, written by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin_rig.h"

static void test_head_is_get_without_the_body(void **state)
{
    const struct fixture *fixture = *state;
    int fd = raw_dial(fixture->port);
    raw_ask(fd, &reply, "HEAD", "/livez");
    assert_int_equal(reply.status, 200);
    assert_true(has_header("Content-Length: 3"));
    assert_true(has_header("Content-Type: text/plain; charset=utf-8"));
    assert_string_equal(reply.body, "");
    raw_ask(fd, &reply, "GET", "/livez"); // nothing of a body stands between the two replies
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "ok\n");
    raw_ask(fd, &reply, "HEAD", "/nothing");
    assert_int_equal(reply.status, 404);
    raw_ask(fd, &reply, "HEAD", "/readyz");
    assert_int_equal(reply.status, 200);
    close(fd);
}

static void test_unknown_page_is_a_json_404(void **state)
{
    static const char *const targets[] = {"/index.html", "/livez/", "/api/v1", "/metrics/x", "//livez", "/%6civez"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        ask(*state, "GET", targets[i]);
        assert_int_equal(reply.status, 404);
        json_t *json = json_loads(reply.body, 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
        assert_true(strlen(text_of(json, "error")) > 10);
        json_decref(json);
    }
    ask(*state, "POST", "/nothing");
    assert_int_equal(reply.status, 404);
}

static void test_wrong_method_is_405_and_names_the_right_ones(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        ask(*state, methods[i], "/readyz");
        if (reply.status != 405)
            fail_msg("%s gave %d", methods[i], reply.status);
        assert_true(has_header("Allow: GET, HEAD"));
        assert_true(has_header("Content-Type: application/json"));
    }
}

static void test_every_page_forbids_sniffing_and_storing(void **state)
{
    static const char *const targets[] = {"/livez", "/readyz", "/api/v1/health", "/metrics", "/nothing"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        ask(*state, "GET", targets[i]);
        assert_true(has_header("X-Content-Type-Options: nosniff"));
        assert_true(has_header("Cache-Control: no-store"));
    }
    ask(*state, "POST", "/livez");
    assert_true(has_header("X-Content-Type-Options: nosniff"));
}

static void test_small_body_is_read_and_ignored(void **state)
{
    const struct fixture *fixture = *state;
    int fd = raw_dial(fixture->port);
    raw_send(fd, "POST /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    raw_receive(fd, &reply, true);
    assert_int_equal(reply.status, 405);
    raw_send(fd, "GET /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    raw_receive(fd, &reply, true);
    assert_int_equal(reply.status, 200);
    raw_ask(fd, &reply, "GET", "/livez");
    assert_int_equal(reply.status, 200);
    close(fd);
}

static void test_unread_body_is_never_taken_for_a_request(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const methods[] = {"HEAD", "TRACE", "BREW"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        int fd = raw_dial(fixture->port);
        char request[200];
        snprintf(request, sizeof request,
                 "%s /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
                 "GET /metrics HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n",
                 methods[i]);
        raw_send(fd, request);
        raw_receive_all(fd, &reply); // one reply, then the end
        assert_true(has_header("Connection: close"));
        assert_null(strstr(reply.text + 1, "HTTP/1.1 "));
        close(fd);
    }
}

static void test_an_empty_body_does_not_end_the_connection(void **state)
{
    const struct fixture *fixture = *state;
    int fd = raw_dial(fixture->port);
    for (int i = 0; i < 2; i++) {
        raw_send(fd, "HEAD /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        raw_receive(fd, &reply, false);
        assert_int_equal(reply.status, 200);
    }
    close(fd);
}

// What is too large is refused for its size, before its end is seen, and the connection ends; the server lives on. The
// client may still be sending then, so the reply can be lost to a reset.
static void check_refused(const struct fixture *fixture, const char *start, size_t filler_size, const char *end)
{
    int fd = raw_dial(fixture->port);
    char *filler = calloc(filler_size + 1, 1);
    memset(filler, 'x', filler_size);
    raw_send(fd, start);
    (void)send(fd, filler, filler_size, MSG_NOSIGNAL);
    (void)send(fd, end, strlen(end), MSG_NOSIGNAL);
    raw_receive(fd, &reply, true);
    assert_true(reply.status == 0 || reply.status == 400 || reply.status == 413);
    assert_true(raw_ends(fd));
    close(fd);
    free(filler);
    ask(fixture, "GET", "/livez");
    assert_int_equal(reply.status, 200);
}

static void test_head_and_body_over_16_kib_are_refused(void **state)
{
    check_refused(*state, "GET /livez HTTP/1.1\r\nHost: h\r\nX-Long: ", 20000, "\r\n\r\n");
    check_refused(*state, "GET /", 20000, " HTTP/1.1\r\nHost: h\r\n\r\n");
    check_refused(*state, "POST /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n", 20000, "");
    check_refused(*state, "POST /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n", 0x5000,
                  "\r\n0\r\n\r\n");
}

static void test_garbage_does_not_disturb_others(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const garbage[] = {"\r\n\r\n\r\n",
                                          "GET\r\n\r\n",
                                          "\x16\x03\x01\x02",
                                          "GET / HTTP/9.9\r\n\r\n",
                                          "GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
                                          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        int fd = raw_dial(fixture->port);
        raw_send(fd, garbage[i]);
        shutdown(fd, SHUT_WR);
        assert_true(raw_ends(fd));
        close(fd);
    }
    ask(fixture, "GET", "/livez");
    assert_int_equal(reply.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(test_head_is_get_without_the_body),
        served(test_unknown_page_is_a_json_404),
        served(test_wrong_method_is_405_and_names_the_right_ones),
        served(test_every_page_forbids_sniffing_and_storing),
        served(test_small_body_is_read_and_ignored),
        served(test_unread_body_is_never_taken_for_a_request),
        served(test_an_empty_body_does_not_end_the_connection),
        served(test_head_and_body_over_16_kib_are_refused),
        served(test_garbage_does_not_disturb_others),
    };
    return cmocka_run_group_tests_name("http_admin_requests", tests, NULL, NULL);
}
