// SPDX-License-Identifier: Apache-2.0
// Bodies on real sockets: stored byte for byte however they come, and nothing served that came too early.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "edge_rig.h"

static void test_post_is_stored_byte_for_byte_and_acknowledged(void **state)
{
    struct edge *f = *state;
    static const size_t sizes[] = {1, 1000, 4096, 10000, 100000, 1000000, 3000000};
    int fd = client_connect(f->port);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size;
        uint8_t *body = edge_gzip(sizes[i], &size);
        edge_send_head(fd, size, EDGE_NAME);
        client_send(fd, body, size);
        struct http_reply reply;
        assert_true(client_reply(fd, &reply));
        assert_int_equal(reply.status, 200);
        assert_false(reply.closes);
        edge_assert_body(f->pipeline.batches[i], body, size);
        free(body);
    }
    close(fd);
}

static void test_a_request_sent_byte_by_byte_is_the_same(void **state)
{
    struct edge *f = *state;
    char text[512];
    int size =
        snprintf(text, sizeof text, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: %zu\r\n" EDGE_NAME "\r\n",
                 sizeof edge_tiny_gzip);
    memcpy(text + size, edge_tiny_gzip, sizeof edge_tiny_gzip);
    int fd = client_connect(f->port);
    for (size_t i = 0; i < (size_t)size + sizeof edge_tiny_gzip; i++)
        client_send(fd, text + i, 1);
    edge_expect(fd, 200);
    edge_assert_body(f->pipeline.batches[0], edge_tiny_gzip, sizeof edge_tiny_gzip);
    close(fd);
}

static void test_chunked_bodies_are_stored_without_their_framing(void **state)
{
    struct edge *f = *state;
    static const size_t chunks[] = {700, 5000, 70000, 300000};
    size_t size;
    uint8_t *body = edge_gzip(250000, &size);
    int fd = client_connect(f->port);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        client_text(fd, EDGE_CHUNKED "\r\n");
        edge_send_chunked(fd, body, size, chunks[i]);
        assert_false(edge_expect(fd, 200).closes);
        edge_assert_body(f->pipeline.batches[i], body, size);
    }
    client_text(fd, EDGE_CHUNKED "\r\n0\r\n\r\n");
    edge_expect(fd, 400); // empty
    close(fd);
    free(body);
}

static void test_a_plain_body_is_stored_as_gzip(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 13\r\n" EDGE_NAME "\r\n{\"a\":1}\n{\"b\":");
    edge_expect(fd, 200);
    const struct bfr_batch *batch = f->pipeline.batches[0];
    assert_int_equal(batch->flags, BFR_BATCH_COMPRESSED_HERE);
    assert_memory_equal(batch->spans[0].data, "\x1f\x8b\x08", 3);
    uint8_t hash[32];
    EVP_Digest("{\"a\":1}\n{\"b\":", 13, hash, NULL, EVP_sha256(), NULL);
    assert_memory_not_equal(batch->stored_sha256, batch->source_sha256, 32);
    assert_int_equal(batch->original_bytes, 13);

    uint8_t *noise = malloc(2000000); // plain, large, and compressing makes it larger than was reserved for it
    uint32_t seed = 7;
    for (size_t i = 0; i < 2000000; i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (uint8_t)(seed >> 24);
    }
    edge_send_head(fd, 2000000, EDGE_NAME);
    client_send(fd, noise, 2000000);
    edge_expect(fd, 200);
    EVP_Digest(noise, 2000000, hash, NULL, EVP_sha256(), NULL);
    assert_memory_equal(f->pipeline.batches[1]->source_sha256, hash, 32);
    free(noise);
    close(fd);
}

static void test_continue_comes_after_admission_and_never_with_a_refusal(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    for (int i = 0; i < 2; i++) { // also on a kept connection
        edge_send_head(fd, sizeof edge_tiny_gzip, EDGE_NAME "Expect: 100-continue\r\n");
        edge_expect(fd, 100);
        client_send(fd, edge_tiny_gzip, sizeof edge_tiny_gzip);
        edge_expect(fd, 200);
    }
    f->auth.decision = BFR_DENY;
    f->auth.deny = BFR_DENY_FOREIGN;
    edge_send_head(fd, sizeof edge_tiny_gzip, EDGE_NAME "Expect: 100-continue\r\n");
    assert_true(edge_expect(fd, 403).closes);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_a_half_close_after_a_complete_body_still_gets_its_reply(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer = 0;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    shutdown(fd, SHUT_WR);
    fake_intake_await(&f->pipeline, 1);
    fake_answer(&f->pipeline, BFR_ANSWER_ACCEPTED);
    edge_expect(fd, 200);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_an_aborted_body_leaves_nothing_behind(void **state)
{
    struct edge *f = *state;
    for (size_t sent = 0; sent <= 200000; sent += 66666) {
        uint8_t *body = calloc(1, sent + 1);
        memcpy(body, edge_tiny_gzip, sent < 4 ? sent : 4);
        int fd = client_connect(f->port);
        edge_send_head(fd, 300000, EDGE_NAME);
        client_send(fd, body, sent);
        fake_auth_await(&f->auth, (unsigned)(sent / 66666) + 1);
        close(fd);
        free(body);
    }
    edge_await_no_connection(f);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 0);
    // edge_tear_down checks room and memory
}

static void test_bytes_behind_a_request_are_never_served(void **state)
{
    struct edge *f = *state;
    char text[1024];
    int head =
        snprintf(text, sizeof text, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: %zu\r\n" EDGE_NAME "\r\n",
                 sizeof edge_tiny_gzip);
    memcpy(text + head, edge_tiny_gzip, sizeof edge_tiny_gzip);
    size_t one = (size_t)head + sizeof edge_tiny_gzip;
    memcpy(text + one, text, one);
    int fd = client_connect(f->port);
    client_send(fd, text, 2 * one);
    assert_true(edge_expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 1);

    fd = client_connect(f->port);
    client_text(fd, "GET /health HTTP/1.1\r\nHost: r\r\n\r\nGET /health HTTP/1.1\r\nHost: r\r\n\r\n");
    assert_true(edge_expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
}

// Everything that this client has sent was looked at: the loop has served another one that came later.
static void await_seen(const struct edge *f, int fd)
{
    client_delivered(fd);
    int other = client_connect(f->port);
    client_text(other, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n");
    edge_expect(other, 200);
    close(other);
}

static void test_bytes_that_come_while_an_answer_is_awaited_are_never_served(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer = 0;
    size_t size;
    uint8_t *body = edge_gzip(100000, &size); // large enough for a read of our own
    int fd = client_connect(f->port);
    edge_send_head(fd, size, EDGE_NAME);
    client_send(fd, body, size);
    fake_intake_await(&f->pipeline, 1);
    edge_post_tiny(fd, EDGE_NAME);
    await_seen(f, fd);
    fake_answer(&f->pipeline, BFR_ANSWER_ACCEPTED);
    assert_true(edge_expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
    free(body);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 1);
}

// Post, and while the loop is busy elsewhere, first the answer comes and then more bytes: the loop looks at them in that
// order, and epoll has not told of the bytes when the reply is written.
static int post_and_send_more_behind_the_answer(struct edge *f, const char *fields)
{
    pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
    f->pipeline.answer = 0;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, fields);
    fake_intake_await(&f->pipeline, 1);
    await_seen(f, fd); // it waits for its mail by now

    f->pipeline.answer = BFR_ANSWER_ACCEPTED;
    f->pipeline.hold = &hold;
    pthread_mutex_lock(&hold);
    int other = client_connect(f->port);
    edge_post_tiny(other, EDGE_NAME);
    fake_intake_await(&f->pipeline, 2);
    f->pipeline.hold = NULL; // only this one
    fake_answer(&f->pipeline, BFR_ANSWER_ACCEPTED);
    edge_post_tiny(fd, EDGE_NAME);
    client_delivered(fd);
    pthread_mutex_unlock(&hold);
    edge_expect(other, 200);
    close(other);
    return fd;
}

static void test_bytes_that_come_behind_an_answer_are_the_next_request(void **state)
{
    struct edge *f = *state;
    int fd = post_and_send_more_behind_the_answer(f, EDGE_NAME);
    assert_false(edge_expect(fd, 200).closes);
    assert_false(edge_expect(fd, 200).closes);
    close(fd);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 3);
}

static void test_bytes_that_come_behind_an_answer_do_not_reset_a_last_reply(void **state)
{
    struct edge *f = *state;
    int fd = post_and_send_more_behind_the_answer(f, "Connection: close\r\n" EDGE_NAME);
    assert_true(edge_expect(fd, 200).closes);
    shutdown(fd, SHUT_WR);
    edge_await_no_connection(f);
    int error = -1;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}), 0);
    assert_int_equal(error, 0);
    close(fd);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_post_is_stored_byte_for_byte_and_acknowledged, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_request_sent_byte_by_byte_is_the_same, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_chunked_bodies_are_stored_without_their_framing, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_plain_body_is_stored_as_gzip, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_continue_comes_after_admission_and_never_with_a_refusal, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_half_close_after_a_complete_body_still_gets_its_reply, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_an_aborted_body_leaves_nothing_behind, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_behind_a_request_are_never_served, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_that_come_while_an_answer_is_awaited_are_never_served,
                                        edge_set_up_one_loop, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_that_come_behind_an_answer_are_the_next_request,
                                        edge_set_up_one_loop, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_that_come_behind_an_answer_do_not_reset_a_last_reply,
                                        edge_set_up_one_loop, edge_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
