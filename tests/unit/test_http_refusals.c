// SPDX-License-Identifier: Apache-2.0
// Refusals on real sockets: each with its status, seen by the client in full.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge_rig.h"

static void test_a_refusal_is_seen_while_the_body_is_still_being_sent(void **state)
{
    struct edge *f = *state;
    static const struct {
        uint32_t deny;
        int status;
    } cases[] = {
        {BFR_DENY_TOKEN, 401}, {BFR_DENY_FOREIGN, 403}, {BFR_DENY_TENANT_GONE, 410}, {BFR_DENY_DATASET_GONE, 404}};
    f->auth.decision = BFR_DENY;
    uint8_t *body = calloc(1, 3000000);
    for (int round = 0; round < 40; round++) {
        f->auth.deny = cases[round % 4].deny;
        int fd = client_connect(f->port);
        edge_send_head(fd, 3000000, EDGE_NAME "Authorization: Bearer x\r\n");
        assert_true(client_send(fd, body, 3000000)); // all of it, before looking for a reply
        struct http_reply reply = edge_expect(fd, cases[round % 4].status);
        assert_true(reply.closes);
        assert_int_equal(reply_has(&reply, "WWW-Authenticate", "Bearer"), reply.status == 401);
        assert_true(client_closed_orderly(fd)); // a reset might have overtaken the reply
        close(fd);
    }
    free(body);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 0);
}

// The end of the stream arrives together with what is refused, or with what follows a request that is accepted.
// Over a slow line a body takes longer than the quiet that ends a lingering connection.
static void test_a_refusal_is_seen_by_who_sends_slowly_and_reads_last(void **state)
{
    struct edge *f = *state;
    static const uint8_t piece[1000];
    int fd = client_connect(f->port);
    client_text(fd, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 30; i++) {
        assert_int_equal(send(fd, piece, sizeof piece, MSG_NOSIGNAL), sizeof piece);
        usleep(100000);
    }
    assert_true(edge_expect(fd, 413).closes);
    close(fd);
    edge_await_no_connection(f);
}

static void test_a_client_that_has_shut_down_its_side_sees_the_last_reply(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer = BFR_ANSWER_ACCEPTED;
    for (int round = 0; round < 40; round++) {
        bool followed = round % 2 == 1;
        int fd = client_connect(f->port);
        edge_post_tiny(fd, followed ? EDGE_NAME : EDGE_NAME "Content-Encoding: br\r\n");
        if (followed)
            client_text(fd, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n");
        shutdown(fd, SHUT_WR);
        edge_expect(fd, followed ? 200 : 415);
        assert_true(client_closed_orderly(fd));
        close(fd);
    }
}

static void refuse(struct edge *f, const char *request, int status)
{
    int fd = client_connect(f->port);
    client_text(fd, request);
    struct http_reply reply = edge_expect(fd, status);
    assert_true(reply.closes);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_heads_are_refused_with_their_status(void **state)
{
    struct edge *f = *state;
#define HEAD(fields) "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 20\r\n" fields "\r\n"
    refuse(f, "POST /acme/fw HTTP/1.1\r\nContent-Length: 20\r\n\r\n", 400);
    refuse(f, "POST /acme/fw HTTP/3.0\r\n", 400);
    refuse(f, "\x16\x03\x01\x02\n", 400); // TLS spoken to a plain port
    refuse(f, "POST /acme/f%77 HTTP/1.1\r\nHost: r\r\nContent-Length: 20\r\n\r\n", 400);
    refuse(f, "POST /acme/.fw HTTP/1.1\r\nHost: r\r\nContent-Length: 20\r\n\r\n", 400);
    refuse(f, "POST /fw HTTP/1.1\r\nHost: r\r\nContent-Length: 20\r\n\r\n", 404);
    refuse(f, "PUT /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 20\r\n\r\n", 400);
    refuse(f, HEAD("X-Proxy-Filename: a/b\r\n"), 400);
    refuse(f, HEAD("X-Proxy-Filename: other--fw--1--x.gz\r\n"), 400);
    refuse(f, HEAD(EDGE_NAME EDGE_NAME), 400);
    refuse(f, HEAD(EDGE_NAME "Authorization: a\r\nAuthorization: a\r\n"), 400);
    refuse(f, HEAD(EDGE_NAME "X-Proxy-Line-Count: 1\r\nX-Proxy-Line-Count: 1\r\n"), 400);
    refuse(f, HEAD(EDGE_NAME "Content-Encoding: br\r\n"), 415);
    refuse(f, HEAD(EDGE_NAME "Content-Encoding: gzip, gzip\r\n"), 415);
    refuse(f, HEAD(EDGE_NAME "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"), 415);
    refuse(f, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 4194305\r\n" EDGE_NAME "\r\n", 413);
    refuse(f, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 99999999999999999999999\r\n" EDGE_NAME "\r\n", 413);
    char large[17000];
    memset(large, 'a', sizeof large);
    large[sizeof large - 1] = '\0';
    refuse(f, large, 431);
    f->pipeline.room = BFR_ROOM_FULL;
    refuse(f, HEAD(EDGE_NAME), 503);
    f->pipeline.room = BFR_ROOM_SHARE;
    refuse(f, HEAD(EDGE_NAME), 429);
    f->pipeline.room = BFR_ROOM_OK;
    f->auth.decision = BFR_UNKNOWN;
    refuse(f, HEAD(EDGE_NAME), 503);
    assert_int_equal(f->auth.asked, 1); // everything else was refused before anyone asked
    assert_true(edge_figure(f, "\nbytefreezer_receiver_refused_total{reason=\"content_encoding\"} ") == 3);
    assert_true(edge_figure(f, "\nbytefreezer_receiver_requests_total{code=\"413\"} ") == 2);
}

static void test_bodies_are_refused_with_their_status(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    edge_send_head(fd, 300000, EDGE_NAME);
    client_send(fd, "\x1f\x8b\x07\x00", 4); // at once, not after 300000 bytes
    assert_true(edge_expect(fd, 400).closes);
    close(fd);

    fd = client_connect(f->port);
    edge_send_head(fd, 10, EDGE_NAME);
    client_send(fd, edge_tiny_gzip, 10);
    assert_false(edge_expect(fd, 400).closes);
    close(fd);

    fd = client_connect(f->port);
    client_text(fd, EDGE_CHUNKED "\r\n");
    uint8_t *body = calloc(1, 5000000);
    memcpy(body, edge_tiny_gzip, 4);
    edge_send_chunked(fd, body, 5000000, 100000);
    assert_true(edge_expect(fd, 413).closes);
    close(fd);

    fd = client_connect(f->port);
    client_text(fd, EDGE_CHUNKED "\r\n5\r\nabcdeX");
    assert_true(edge_expect(fd, 400).closes);
    close(fd);

    f->pipeline.room_limit = 150000; // a chunked body finds the spool full on its way
    fd = client_connect(f->port);
    client_text(fd, EDGE_CHUNKED "\r\n");
    edge_send_chunked(fd, body, 1000000, 30000);
    assert_true(edge_expect(fd, 503).closes);
    close(fd);
    free(body);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 0);
}

static int64_t frozen_wall_ns(void *arg)
{
    (void)arg;
    return INT64_C(1700000000000000000);
}

static int set_up_frozen(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->clock.wall_ns = frozen_wall_ns; // the worst clock for names made of it
    edge_start(f);
    return 0;
}

static void test_a_missing_name_is_made_and_never_twice_the_same(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    for (int i = 0; i < 20; i++) {
        edge_post_tiny(fd, "X-Proxy-Data-Hint: syslog\r\n");
        struct http_reply reply = edge_expect(fd, 200);
        assert_non_null(strstr(reply.body, "\"filename_source\":\"generated\""));
        const struct bfr_batch *batch = f->pipeline.batches[i];
        assert_int_equal(batch->flags, BFR_BATCH_NAME_GENERATED);
        assert_memory_equal(batch->filename, "acme--fw--", 10);
        assert_non_null(strstr(batch->filename, "--syslog.gz"));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(batch->filename, f->pipeline.batches[k]->filename);
    }
    close(fd);
}

static void test_a_connectivity_test_is_authorised_and_stores_nothing(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    static const char test[] =
        "POST /acme/unknown HTTP/1.1\r\nHost: r\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n"
        "X-Proxy-Test: connectivity-check\r\nX-Proxy-Plugin: x\r\nAuthorization: Bearer abc\r\n\r\n";
    client_text(fd, test);
    client_send(fd, edge_tiny_gzip, sizeof edge_tiny_gzip);
    assert_false(edge_expect(fd, 200).closes);
    assert_int_equal(f->auth.asked, 1);
    assert_int_equal(f->auth.flags, BFR_REQUEST_TENANT_ONLY);
    assert_string_equal(f->auth.token, "Bearer abc");
    f->auth.decision = BFR_DENY;
    f->auth.deny = BFR_DENY_TOKEN;
    client_text(fd, test);
    assert_true(edge_expect(fd, 401).closes);
    close(fd);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_refusal_is_seen_while_the_body_is_still_being_sent, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_refusal_is_seen_by_who_sends_slowly_and_reads_last, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_client_that_has_shut_down_its_side_sees_the_last_reply, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_heads_are_refused_with_their_status, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_bodies_are_refused_with_their_status, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_missing_name_is_made_and_never_twice_the_same, set_up_frozen,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_connectivity_test_is_authorised_and_stores_nothing, edge_set_up,
                                        edge_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
