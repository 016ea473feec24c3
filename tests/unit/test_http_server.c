// SPDX-License-Identifier: Apache-2.0
// The webhook server on real sockets: replies, shedding, closing, stopping, many senders at once.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge_rig.h"

static void test_success_has_every_field_senders_know(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME "X-Proxy-Batch-ID: b\"1\r\nX-Proxy-Line-Count: 12\r\nX-Proxy-Original-Bytes: 345\r\n"
                                 "X-Proxy-Created-At: 2026-03-01T14:00:00+02:00\r\nX-Proxy-Data-Hint: ndjson\r\n"
                                 "Content-Type: application/octet-stream\r\n");
    struct http_reply reply = edge_expect(fd, 200);
    assert_true(reply_has(&reply, "Content-Type", "application/json"));
    static const char *const members[] = {"{\"status\":\"success\",",
                                          "\"tenant_id\":\"acme\"",
                                          "\"dataset_id\":\"fw\"",
                                          "\"bytes_received\":345,",
                                          "\"bytes_processed\":20,",
                                          "\"storage_mode\":\"queue\"",
                                          "\"queue_file\":\"acme--fw--1700000000000000000--ndjson.gz\"",
                                          "\"file_id\":\"acme--fw--1700000000000000000--ndjson.gz\"",
                                          "\"lines_original\":12,",
                                          "\"lines_processed\":12,",
                                          "\"processing_time_ms\":",
                                          "\"format_detected\":\"ndjson\"",
                                          "\"content_type\":\"application/octet-stream\"",
                                          "\"batch_id\":\"b\\\"1\"",
                                          "\"created_at\":\"2026-03-01T12:00:00Z\"",
                                          "\"message\":\"batch accepted\"",
                                          "\"filename_source\":\"proxy\"}"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strstr(reply.body, members[i]) == NULL)
            fail_msg("%s is not in %s", members[i], reply.body);
    const struct bfr_batch *batch = f->pipeline.batches[0];
    assert_string_equal(batch->account, "acct");
    assert_string_equal(batch->filename, "acme--fw--1700000000000000000--ndjson.gz");
    assert_string_equal(batch->batch_id, "b\"1");
    assert_int_equal(batch->line_count, 12);
    assert_int_equal(batch->flags, 0);
    close(fd);
}

static void test_every_answer_of_the_pipeline_has_its_reply(void **state)
{
    struct edge *f = *state;
    static const struct {
        uint32_t answer;
        int status;
    } cases[] = {{BFR_ANSWER_ACCEPTED, 200},
                 {BFR_ANSWER_DUPLICATE, 200},
                 {BFR_ANSWER_CONFLICT, 409},
                 {BFR_ANSWER_BUSY, 503},
                 {BFR_ANSWER_REFUSED, 503}};
    int fd = client_connect(f->port);
    for (int elsewhere = 0; elsewhere < 2; elsewhere++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            f->pipeline.answer_on_other_thread = elsewhere;
            f->pipeline.answer = cases[i].answer;
            edge_post_tiny(fd, EDGE_NAME);
            struct http_reply reply = edge_expect(fd, cases[i].status);
            assert_false(reply.closes); // the request was read to its end
            assert_int_equal(strstr(reply.body, "\"duplicate\":true") != NULL, cases[i].answer == BFR_ANSWER_DUPLICATE);
            assert_int_equal(reply_has(&reply, "Retry-After", NULL), cases[i].status == 503);
        }
    close(fd);
}

static void test_errors_are_one_plain_line_or_problem_json(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    f->pipeline.answer = BFR_ANSWER_CONFLICT;
    edge_post_tiny(fd, EDGE_NAME);
    struct http_reply reply = edge_expect(fd, 409);
    assert_true(reply_has(&reply, "Content-Type", "text/plain; charset=utf-8"));
    assert_true(reply_has(&reply, "X-Content-Type-Options", "nosniff"));
    assert_ptr_equal(strchr(reply.body, '\n'), reply.body + reply.body_size - 1);
    edge_post_tiny(fd, EDGE_NAME "Accept: application/json\r\n");
    reply = edge_expect(fd, 409);
    assert_true(reply_has(&reply, "Content-Type", "application/problem+json"));
    assert_non_null(strstr(reply.body, "\"status\":409"));
    edge_post_tiny(fd, EDGE_NAME "Accept: application/json, */*\r\n");
    reply = edge_expect(fd, 409);
    assert_true(reply_has(&reply, "Content-Type", "text/plain; charset=utf-8"));
    close(fd);
}

static void test_routes_that_need_no_body_keep_the_connection(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n");
    struct http_reply reply = edge_expect(fd, 200);
    assert_string_equal(reply.body, "{\"status\":\"ok\",\"service\":\"webhook\"}\n");
    client_text(fd, "GET /nothing HTTP/1.1\r\nHost: r\r\n\r\n");
    edge_expect(fd, 404);
    client_text(fd, "GET /acme/fw HTTP/1.1\r\nHost: r\r\n\r\n");
    reply = edge_expect(fd, 405);
    assert_true(reply_has(&reply, "Allow", "POST"));
    client_text(fd, "DELETE /health HTTP/1.1\r\nHost: r\r\n\r\n");
    reply = edge_expect(fd, 405);
    assert_true(reply_has(&reply, "Allow", "GET"));
    client_text(fd, "POST /acme/fw HTTP/1.1\r\nHost: r\r\n\r\n");
    edge_expect(fd, 400); // empty
    edge_post_tiny(fd, EDGE_NAME);
    edge_expect(fd, 200);
    close(fd);
}

static void test_a_reply_to_head_has_no_content(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, "HEAD /health HTTP/1.1\r\nHost: r\r\n\r\n");
    char text[2048];
    size_t size = 0;
    shutdown(fd, SHUT_WR); // the connection ends after the reply
    for (ssize_t got; size < sizeof text - 1 && (got = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0;)
        size += (size_t)got;
    text[size] = '\0';
    assert_non_null(strstr(text, "HTTP/1.1 405 "));
    assert_memory_equal(text + size - 4, "\r\n\r\n", 4);
    close(fd);
}

static void test_http_1_0_is_served_and_closed(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, "GET /health HTTP/1.0\r\n\r\n");
    struct http_reply reply = edge_expect(fd, 200);
    assert_true(reply.closes);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_connection_close_is_honoured(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME "Connection: close\r\n");
    assert_true(edge_expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_shedding_serves_and_ends_connections(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    assert_false(edge_expect(fd, 200).closes);
    bfr_http_server_shed(f->server);
    edge_post_tiny(fd, EDGE_NAME);
    assert_true(edge_expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
    fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    assert_true(edge_expect(fd, 200).closes);
    close(fd);
}

static void test_a_closed_server_refuses_and_finishes_what_is_in_flight(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer = 0;
    int waiting = client_connect(f->port);
    int open = client_connect(f->port);
    client_text(open, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n");
    edge_expect(open, 200);
    edge_post_tiny(waiting, EDGE_NAME);
    fake_intake_await(&f->pipeline, 1);
    bfr_http_server_close(f->server);
    assert_int_equal(client_connect(f->port), -1);
    edge_post_tiny(open, EDGE_NAME);
    assert_true(edge_expect(open, 503).closes);
    close(open);
    fake_answer(&f->pipeline, BFR_ANSWER_ACCEPTED);
    edge_stop(f);
    assert_true(edge_expect(waiting, 200).closes);
    close(waiting);
}

static void test_what_is_not_finished_by_the_deadline_is_cut_off_and_counted(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer = 0;
    int waiting = client_connect(f->port);
    int reading = client_connect(f->port);
    int idle = client_connect(f->port);
    edge_post_tiny(waiting, EDGE_NAME);
    fake_intake_await(&f->pipeline, 1);
    edge_send_head(reading, 1000, EDGE_NAME);
    fake_auth_await(&f->auth, 2);
    assert_int_equal(bfr_http_server_stop(f->server, bfr_clock_now(&bfr_clock_system)), 2);
    f->stopped = true;
    assert_int_equal(f->pipeline.abandoned, 1);
    assert_true(client_closed(waiting));
    assert_true(client_closed(idle));
    close(waiting);
    close(reading);
    close(idle);
}

struct stopping {
    struct edge *f;
    uint32_t cut_off;
};

static void *stop_at_once(void *arg)
{
    struct stopping *stopping = arg;
    stopping->cut_off = bfr_http_server_stop(stopping->f->server, 0);
    return NULL;
}

static void test_a_stop_waits_for_an_answer_that_is_on_its_way(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer = 0;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    fake_intake_await(&f->pipeline, 1);
    struct bfr_waiter *waiter = fake_answer_begin(&f->pipeline);
    struct stopping stopping = {.f = f};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_at_once, &stopping), 0);
    fake_intake_await_late_abandon(&f->pipeline);
    assert_true(client_closed(fd));
    waiter->on_answer(waiter, BFR_ANSWER_ACCEPTED, NULL); // the waiter's memory must still be there
    pthread_join(thread, NULL);
    f->stopped = true;
    assert_int_equal(stopping.cut_off, 1);
    close(fd);
}

static void test_a_port_in_use_is_found_at_once(void **state)
{
    struct edge *f = *state;
    struct bfr_settings settings = f->settings;
    settings.webhook.port = f->port;
    struct bfr_http_setup setup = {.settings = &settings,
                                   .max_payload_bytes = 1000,
                                   .clock = &bfr_clock_system,
                                   .metrics = f->metrics,
                                   .pipeline = &f->pipeline,
                                   .auth = &f->auth};
    struct bfr_err err = {.size = sizeof err};
    struct bfr_http_server *second = NULL;
    assert_int_equal(bfr_http_server_new(&setup, &second, &err), BFR_EFAIL);
    assert_null(second);
    assert_non_null(strstr(err.text, "Address already in use"));
}

struct sender {
    struct edge *f;
    pthread_t thread;
    unsigned good;
};

static void *send_many(void *arg)
{
    struct sender *sender = arg;
    int fd = client_connect(sender->f->port);
    for (int i = 0; i < 12; i++) {
        struct http_reply reply;
        edge_post_tiny(fd, EDGE_NAME);
        sender->good += client_reply(fd, &reply) && reply.status == 200;
    }
    close(fd);
    return NULL;
}

static void test_many_senders_are_each_answered_once(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer_on_other_thread = true;
    struct sender senders[16];
    for (int i = 0; i < 16; i++) {
        senders[i] = (struct sender){.f = f};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_int_equal(senders[i].good, 12);
    }
    assert_int_equal(fake_intake_submitted(&f->pipeline), 16 * 12);
    assert_true(edge_figure(f, "\nbytefreezer_receiver_requests_total{code=\"200\"} ") == 16 * 12);
    assert_true(edge_figure(f, "\nbytefreezer_receiver_ack_duration_seconds_count ") == 16 * 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_success_has_every_field_senders_know, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_every_answer_of_the_pipeline_has_its_reply, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_errors_are_one_plain_line_or_problem_json, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_routes_that_need_no_body_keep_the_connection, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_reply_to_head_has_no_content, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_http_1_0_is_served_and_closed, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_connection_close_is_honoured, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_shedding_serves_and_ends_connections, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_closed_server_refuses_and_finishes_what_is_in_flight, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_finished_by_the_deadline_is_cut_off_and_counted, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_stop_waits_for_an_answer_that_is_on_its_way, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_port_in_use_is_found_at_once, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_many_senders_are_each_answered_once, edge_set_up, edge_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
