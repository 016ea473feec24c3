// SPDX-License-Identifier: Apache-2.0
// The webhook server on real sockets, with a pipeline and an auth stage that do what the test says.
#include <pthread.h>
#include <sched.h>
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
#include <zlib.h>

#include "intake_double.h"
#include "http_client.h"
#include "http_server.h"

struct fixture {
    struct bfr_settings settings;
    struct bfr_metrics *metrics;
    struct bfr_pipeline pipeline;
    struct bfr_auth auth;
    struct bfr_http_server *server;
    uint16_t port;
    bool stopped;
};

static void start(struct fixture *f)
{
    struct bfr_http_setup setup = {
        .settings = &f->settings,
        .max_payload_bytes = f->settings.webhook.max_payload_size,
        .clock = &bfr_clock_system,
        .metrics = f->metrics,
        .pipeline = &f->pipeline,
        .auth = &f->auth,
    };
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_http_server_new(&setup, &f->server, &err), BFR_OK);
    assert_int_equal(bfr_http_server_start(f->server, &err), BFR_OK);
    f->port = bfr_http_server_port(f->server);
}

static int set_up_idle(void **state)
{
    static const char *const bind[] = {"127.0.0.1"};
    struct fixture *f = calloc(1, sizeof *f);
    f->settings.webhook.bind = bind;
    f->settings.webhook.bind_count = 1;
    f->settings.webhook.threads = 2;
    f->settings.webhook.max_payload_size = 4 << 20;
    f->settings.webhook.read_timeout_ms = 30000;
    f->settings.webhook.write_timeout_ms = 30000;
    f->settings.webhook.idle_timeout_ms = 120000;
    f->settings.webhook.head_timeout_ms = 10000;
    f->settings.webhook.max_connections = 1000;
    f->settings.memory.budget = 64 << 20;
    f->settings.memory.wait_ms = 5000;
    f->settings.ack_timeout_ms = 25000;
    f->metrics = bfr_metrics_new();
    fake_intake_init(&f->pipeline);
    fake_auth_init(&f->auth);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    set_up_idle(state);
    start(*state);
    return 0;
}

static double figure(struct fixture *f, const char *line)
{
    size_t size;
    char *page = bfr_metrics_render(f->metrics, &size);
    assert_non_null(page);
    const char *at = strstr(page, line);
    double value = at != NULL ? atof(at + strlen(line)) : -1;
    free(page);
    return value;
}

static void stop(struct fixture *f)
{
    if (!f->stopped)
        assert_int_equal(bfr_http_server_stop(f->server, bfr_clock_now(&bfr_clock_system) + 20 * BFR_NS_PER_S), 0);
    f->stopped = true;
}

// Whatever a test did: no room stays reserved, and no byte of memory counted once the batches are gone.
static int tear_down(void **state)
{
    struct fixture *f = *state;
    stop(f);
    assert_int_equal(f->pipeline.reserved, 0);
    fake_intake_clear(&f->pipeline);
    assert_true(figure(f, "\nbytefreezer_receiver_memory_used_bytes ") == 0);
    assert_true(figure(f, "\nbytefreezer_receiver_connections ") == 0);
    bfr_http_server_free(f->server);
    fake_intake_fini(&f->pipeline);
    bfr_metrics_free(f->metrics);
    free(f);
    return 0;
}

// A gzip member of `plain_size` hard-to-compress bytes; free() it.
static uint8_t *make_gzip(size_t plain_size, size_t *out_size)
{
    uint8_t *plain = malloc(plain_size);
    uint32_t seed = 12345;
    for (size_t i = 0; i < plain_size; i++) {
        seed = seed * 1664525 + 1013904223;
        plain[i] = (uint8_t)(seed >> 24);
    }
    z_stream z = {0};
    deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    size_t room = deflateBound(&z, plain_size) + 32;
    uint8_t *gzip = malloc(room);
    z.next_in = plain;
    z.avail_in = (uInt)plain_size;
    z.next_out = gzip;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *out_size = room - z.avail_out;
    deflateEnd(&z);
    free(plain);
    return gzip;
}

static void send_head(int fd, size_t length, const char *fields)
{
    char head[2048];
    snprintf(head, sizeof head,
             "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n%s\r\n", length,
             fields);
    client_text(fd, head);
}

#define NAME "X-Proxy-Filename: acme--fw--1700000000000000000--ndjson.gz\r\n"

static void assert_body(const struct bfr_batch *batch, const uint8_t *body, size_t size)
{
    assert_int_equal(batch->body_bytes, size);
    size_t at = 0;
    for (uint32_t i = 0; i < batch->span_count; i++) {
        assert_memory_equal(batch->spans[i].data, body + at, batch->spans[i].size);
        at += batch->spans[i].size;
    }
    assert_int_equal(at, size);
    uint8_t hash[32];
    EVP_Digest(body, size, hash, NULL, EVP_sha256(), NULL);
    assert_memory_equal(batch->stored_sha256, hash, 32);
}

static void test_post_is_stored_byte_for_byte_and_acknowledged(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {1, 1000, 4096, 10000, 100000, 1000000, 3000000};
    int fd = client_connect(f->port);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size;
        uint8_t *body = make_gzip(sizes[i], &size);
        send_head(fd, size, NAME);
        client_send(fd, body, size);
        struct http_reply reply;
        assert_true(client_reply(fd, &reply));
        assert_int_equal(reply.status, 200);
        assert_false(reply.closes);
        assert_body(f->pipeline.batches[i], body, size);
        free(body);
    }
    close(fd);
}

static const uint8_t tiny_gzip[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static void post_tiny(int fd, const char *fields)
{
    send_head(fd, sizeof tiny_gzip, fields);
    client_send(fd, tiny_gzip, sizeof tiny_gzip);
}

static struct http_reply expect(int fd, int status)
{
    struct http_reply reply;
    assert_true(client_reply(fd, &reply));
    if (reply.status != status)
        fail_msg("status %d instead of %d: %s", reply.status, status, reply.body);
    return reply;
}

static void await_figure(struct fixture *f, const char *line, double value)
{
    while (figure(f, line) != value)
        sched_yield();
}

static void await_no_connection(struct fixture *f)
{
    await_figure(f, "\nbytefreezer_receiver_connections ", 0);
}

// ---- replies ----

static void test_success_has_every_field_senders_know(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    post_tiny(fd, NAME "X-Proxy-Batch-ID: b\"1\r\nX-Proxy-Line-Count: 12\r\nX-Proxy-Original-Bytes: 345\r\n"
                       "X-Proxy-Created-At: 2026-03-01T14:00:00+02:00\r\nX-Proxy-Data-Hint: ndjson\r\n"
                       "Content-Type: application/octet-stream\r\n");
    struct http_reply reply = expect(fd, 200);
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
    struct fixture *f = *state;
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
            post_tiny(fd, NAME);
            struct http_reply reply = expect(fd, cases[i].status);
            assert_false(reply.closes); // the request was read to its end
            assert_int_equal(strstr(reply.body, "\"duplicate\":true") != NULL, cases[i].answer == BFR_ANSWER_DUPLICATE);
            assert_int_equal(reply_has(&reply, "Retry-After", NULL), cases[i].status == 503);
        }
    close(fd);
}

static void test_errors_are_one_plain_line_or_problem_json(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    f->pipeline.answer = BFR_ANSWER_CONFLICT;
    post_tiny(fd, NAME);
    struct http_reply reply = expect(fd, 409);
    assert_true(reply_has(&reply, "Content-Type", "text/plain; charset=utf-8"));
    assert_true(reply_has(&reply, "X-Content-Type-Options", "nosniff"));
    assert_ptr_equal(strchr(reply.body, '\n'), reply.body + reply.body_size - 1);
    post_tiny(fd, NAME "Accept: application/json\r\n");
    reply = expect(fd, 409);
    assert_true(reply_has(&reply, "Content-Type", "application/problem+json"));
    assert_non_null(strstr(reply.body, "\"status\":409"));
    post_tiny(fd, NAME "Accept: application/json, */*\r\n");
    reply = expect(fd, 409);
    assert_true(reply_has(&reply, "Content-Type", "text/plain; charset=utf-8"));
    close(fd);
}

static void test_routes_that_need_no_body_keep_the_connection(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n");
    struct http_reply reply = expect(fd, 200);
    assert_string_equal(reply.body, "{\"status\":\"ok\",\"service\":\"webhook\"}\n");
    client_text(fd, "GET /nothing HTTP/1.1\r\nHost: r\r\n\r\n");
    expect(fd, 404);
    client_text(fd, "GET /acme/fw HTTP/1.1\r\nHost: r\r\n\r\n");
    reply = expect(fd, 405);
    assert_true(reply_has(&reply, "Allow", "POST"));
    client_text(fd, "DELETE /health HTTP/1.1\r\nHost: r\r\n\r\n");
    reply = expect(fd, 405);
    assert_true(reply_has(&reply, "Allow", "GET"));
    client_text(fd, "POST /acme/fw HTTP/1.1\r\nHost: r\r\n\r\n");
    expect(fd, 400); // empty
    post_tiny(fd, NAME);
    expect(fd, 200);
    close(fd);
}

static void test_a_reply_to_head_has_no_content(void **state)
{
    struct fixture *f = *state;
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
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, "GET /health HTTP/1.0\r\n\r\n");
    struct http_reply reply = expect(fd, 200);
    assert_true(reply.closes);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_connection_close_is_honoured(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    post_tiny(fd, NAME "Connection: close\r\n");
    assert_true(expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
}

// ---- bodies ----

static void test_a_request_sent_byte_by_byte_is_the_same(void **state)
{
    struct fixture *f = *state;
    char text[512];
    int size = snprintf(text, sizeof text, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: %zu\r\n" NAME "\r\n",
                        sizeof tiny_gzip);
    memcpy(text + size, tiny_gzip, sizeof tiny_gzip);
    int fd = client_connect(f->port);
    for (size_t i = 0; i < (size_t)size + sizeof tiny_gzip; i++)
        client_send(fd, text + i, 1);
    expect(fd, 200);
    assert_body(f->pipeline.batches[0], tiny_gzip, sizeof tiny_gzip);
    close(fd);
}

// In chunks of `chunk` bytes.
static void send_chunked(int fd, const uint8_t *body, size_t size, size_t chunk)
{
    for (size_t at = 0; at < size; at += chunk) {
        size_t piece = size - at < chunk ? size - at : chunk;
        char line[32];
        snprintf(line, sizeof line, "%zx\r\n", piece);
        client_text(fd, line);
        client_send(fd, body + at, piece);
        client_text(fd, "\r\n");
    }
    client_text(fd, "0\r\n\r\n");
}

#define CHUNKED_HEAD "POST /acme/fw HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n" NAME

static void test_chunked_bodies_are_stored_without_their_framing(void **state)
{
    struct fixture *f = *state;
    static const size_t chunks[] = {700, 5000, 70000, 300000};
    size_t size;
    uint8_t *body = make_gzip(250000, &size);
    int fd = client_connect(f->port);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        client_text(fd, CHUNKED_HEAD "\r\n");
        send_chunked(fd, body, size, chunks[i]);
        assert_false(expect(fd, 200).closes);
        assert_body(f->pipeline.batches[i], body, size);
    }
    client_text(fd, CHUNKED_HEAD "\r\n0\r\n\r\n");
    expect(fd, 400); // empty
    close(fd);
    free(body);
}

static void test_a_plain_body_is_stored_as_gzip(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 13\r\n" NAME "\r\n{\"a\":1}\n{\"b\":");
    expect(fd, 200);
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
    send_head(fd, 2000000, NAME);
    client_send(fd, noise, 2000000);
    expect(fd, 200);
    EVP_Digest(noise, 2000000, hash, NULL, EVP_sha256(), NULL);
    assert_memory_equal(f->pipeline.batches[1]->source_sha256, hash, 32);
    free(noise);
    close(fd);
}

static void test_continue_comes_after_admission_and_never_with_a_refusal(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    for (int i = 0; i < 2; i++) { // also on a kept connection
        send_head(fd, sizeof tiny_gzip, NAME "Expect: 100-continue\r\n");
        expect(fd, 100);
        client_send(fd, tiny_gzip, sizeof tiny_gzip);
        expect(fd, 200);
    }
    f->auth.decision = BFR_DENY;
    f->auth.deny = BFR_DENY_FOREIGN;
    send_head(fd, sizeof tiny_gzip, NAME "Expect: 100-continue\r\n");
    assert_true(expect(fd, 403).closes);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_a_half_close_after_a_complete_body_still_gets_its_reply(void **state)
{
    struct fixture *f = *state;
    f->pipeline.answer = 0;
    int fd = client_connect(f->port);
    post_tiny(fd, NAME);
    shutdown(fd, SHUT_WR);
    fake_intake_await(&f->pipeline, 1);
    fake_answer(&f->pipeline, BFR_ANSWER_ACCEPTED);
    expect(fd, 200);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_an_aborted_body_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    for (size_t sent = 0; sent <= 200000; sent += 66666) {
        uint8_t *body = calloc(1, sent + 1);
        memcpy(body, tiny_gzip, sent < 4 ? sent : 4);
        int fd = client_connect(f->port);
        send_head(fd, 300000, NAME);
        client_send(fd, body, sent);
        fake_auth_await(&f->auth, (unsigned)(sent / 66666) + 1);
        close(fd);
        free(body);
    }
    await_no_connection(f);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 0);
    // tear_down checks room and memory
}

// ---- pipelining ----

static void test_bytes_behind_a_request_are_never_served(void **state)
{
    struct fixture *f = *state;
    char text[1024];
    int head = snprintf(text, sizeof text, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: %zu\r\n" NAME "\r\n",
                        sizeof tiny_gzip);
    memcpy(text + head, tiny_gzip, sizeof tiny_gzip);
    size_t one = (size_t)head + sizeof tiny_gzip;
    memcpy(text + one, text, one);
    int fd = client_connect(f->port);
    client_send(fd, text, 2 * one);
    assert_true(expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 1);

    fd = client_connect(f->port);
    client_text(fd, "GET /health HTTP/1.1\r\nHost: r\r\n\r\nGET /health HTTP/1.1\r\nHost: r\r\n\r\n");
    assert_true(expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_bytes_that_come_while_an_answer_is_awaited_are_never_served(void **state)
{
    struct fixture *f = *state;
    f->pipeline.answer = 0;
    size_t size;
    uint8_t *body = make_gzip(100000, &size); // large enough for a read of our own
    int fd = client_connect(f->port);
    send_head(fd, size, NAME);
    client_send(fd, body, size);
    fake_intake_await(&f->pipeline, 1);
    post_tiny(fd, NAME);
    fake_answer(&f->pipeline, BFR_ANSWER_ACCEPTED);
    assert_true(expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
    free(body);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 1);
}

// ---- refusals ----

static void test_a_refusal_is_seen_while_the_body_is_still_being_sent(void **state)
{
    struct fixture *f = *state;
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
        send_head(fd, 3000000, NAME "Authorization: Bearer x\r\n");
        client_send(fd, body, 3000000); // all of it, before looking for a reply
        struct http_reply reply = expect(fd, cases[round % 4].status);
        assert_true(reply.closes);
        assert_int_equal(reply_has(&reply, "WWW-Authenticate", "Bearer"), reply.status == 401);
        close(fd);
    }
    free(body);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 0);
}

static void refuse(struct fixture *f, const char *request, int status)
{
    int fd = client_connect(f->port);
    client_text(fd, request);
    struct http_reply reply = expect(fd, status);
    assert_true(reply.closes);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_heads_are_refused_with_their_status(void **state)
{
    struct fixture *f = *state;
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
    refuse(f, HEAD(NAME NAME), 400);
    refuse(f, HEAD(NAME "Authorization: a\r\nAuthorization: a\r\n"), 400);
    refuse(f, HEAD(NAME "X-Proxy-Line-Count: 1\r\nX-Proxy-Line-Count: 1\r\n"), 400);
    refuse(f, HEAD(NAME "Content-Encoding: br\r\n"), 415);
    refuse(f, HEAD(NAME "Content-Encoding: gzip, gzip\r\n"), 415);
    refuse(f, HEAD(NAME "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"), 415);
    refuse(f, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 4194305\r\n" NAME "\r\n", 413);
    refuse(f, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 99999999999999999999999\r\n" NAME "\r\n", 413);
    char large[17000];
    memset(large, 'a', sizeof large);
    large[sizeof large - 1] = '\0';
    refuse(f, large, 431);
    f->pipeline.room = BFR_ROOM_FULL;
    refuse(f, HEAD(NAME), 503);
    f->pipeline.room = BFR_ROOM_SHARE;
    refuse(f, HEAD(NAME), 429);
    f->pipeline.room = BFR_ROOM_OK;
    f->auth.decision = BFR_UNKNOWN;
    refuse(f, HEAD(NAME), 503);
    assert_int_equal(f->auth.asked, 1); // everything else was refused before anyone asked
    assert_true(figure(f, "\nbytefreezer_receiver_refused_total{reason=\"content_encoding\"} ") == 3);
    assert_true(figure(f, "\nbytefreezer_receiver_requests_total{code=\"413\"} ") == 2);
}

static void test_bodies_are_refused_with_their_status(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    send_head(fd, 300000, NAME);
    client_send(fd, "\x1f\x8b\x07\x00", 4); // at once, not after 300000 bytes
    assert_true(expect(fd, 400).closes);
    close(fd);

    fd = client_connect(f->port);
    send_head(fd, 10, NAME);
    client_send(fd, tiny_gzip, 10);
    assert_false(expect(fd, 400).closes);
    close(fd);

    fd = client_connect(f->port);
    client_text(fd, CHUNKED_HEAD "\r\n");
    uint8_t *body = calloc(1, 5000000);
    memcpy(body, tiny_gzip, 4);
    send_chunked(fd, body, 5000000, 100000);
    assert_true(expect(fd, 413).closes);
    close(fd);

    fd = client_connect(f->port);
    client_text(fd, CHUNKED_HEAD "\r\n5\r\nabcdeX");
    assert_true(expect(fd, 400).closes);
    close(fd);

    f->pipeline.room_limit = 150000; // a chunked body finds the spool full on its way
    fd = client_connect(f->port);
    client_text(fd, CHUNKED_HEAD "\r\n");
    send_chunked(fd, body, 1000000, 30000);
    assert_true(expect(fd, 503).closes);
    close(fd);
    free(body);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 0);
}

static void test_a_missing_name_is_made_and_never_twice_the_same(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    for (int i = 0; i < 20; i++) {
        post_tiny(fd, "X-Proxy-Data-Hint: syslog\r\n");
        struct http_reply reply = expect(fd, 200);
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
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    static const char test[] =
        "POST /acme/unknown HTTP/1.1\r\nHost: r\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n"
        "X-Proxy-Test: connectivity-check\r\nX-Proxy-Plugin: x\r\nAuthorization: Bearer abc\r\n\r\n";
    client_text(fd, test);
    client_send(fd, tiny_gzip, sizeof tiny_gzip);
    assert_false(expect(fd, 200).closes);
    assert_int_equal(f->auth.asked, 1);
    assert_int_equal(f->auth.flags, BFR_REQUEST_TENANT_ONLY);
    assert_string_equal(f->auth.token, "Bearer abc");
    f->auth.decision = BFR_DENY;
    f->auth.deny = BFR_DENY_TOKEN;
    client_text(fd, test);
    assert_true(expect(fd, 401).closes);
    close(fd);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 0);
}

// ---- waiting ----

static void test_a_late_verdict_lets_the_body_in_or_refuses_it(void **state)
{
    struct fixture *f = *state;
    f->auth.decision = BFR_LATER;
    size_t size;
    uint8_t *body = make_gzip(500000, &size);
    int fd = client_connect(f->port);
    send_head(fd, size, NAME);
    client_send(fd, body, 3000); // some of it is here before the verdict
    fake_auth_await(&f->auth, 1);
    fake_verdict(&f->auth, BFR_ALLOW, 0);
    client_send(fd, body + 3000, size - 3000);
    expect(fd, 200);
    assert_body(f->pipeline.batches[0], body, size);
    assert_string_equal(f->pipeline.batches[0]->account, "late");

    send_head(fd, size, NAME);
    fake_auth_await(&f->auth, 2);
    fake_verdict(&f->auth, BFR_DENY, BFR_DENY_TENANT_GONE);
    client_send(fd, body, size);
    assert_true(expect(fd, 410).closes);
    close(fd);
    free(body);
}

static void test_a_late_verdict_is_answered_with_continue_only_when_it_allows(void **state)
{
    struct fixture *f = *state;
    f->auth.decision = BFR_LATER;
    int fd = client_connect(f->port);
    send_head(fd, sizeof tiny_gzip, NAME "Expect: 100-continue\r\n");
    fake_auth_await(&f->auth, 1);
    fake_verdict(&f->auth, BFR_ALLOW, 0);
    expect(fd, 100);
    client_send(fd, tiny_gzip, sizeof tiny_gzip);
    expect(fd, 200);
    close(fd);
}

#undef HEAD

static int set_up_quick(void **state)
{
    set_up_idle(state);
    struct fixture *f = *state;
    f->settings.ack_timeout_ms = 100;
    f->settings.webhook.head_timeout_ms = 100;
    f->settings.webhook.read_timeout_ms = 100;
    f->settings.webhook.idle_timeout_ms = 100;
    f->settings.memory.wait_ms = 100;
    start(f);
    return 0;
}

static void test_an_unanswered_batch_gets_503_and_stays_accepted(void **state)
{
    struct fixture *f = *state;
    f->pipeline.answer = 0;
    int fd = client_connect(f->port);
    post_tiny(fd, NAME);
    struct http_reply reply = expect(fd, 503);
    assert_false(reply.closes);
    assert_int_equal(f->pipeline.abandoned, 1);
    assert_body(f->pipeline.batches[0], tiny_gzip, sizeof tiny_gzip);
    f->pipeline.answer = BFR_ANSWER_DUPLICATE;
    post_tiny(fd, NAME);
    expect(fd, 200);
    close(fd);
}

static void test_an_unanswered_question_gets_503(void **state)
{
    struct fixture *f = *state;
    f->auth.decision = BFR_LATER;
    int fd = client_connect(f->port);
    post_tiny(fd, NAME);
    expect(fd, 503);
    assert_int_equal(f->auth.cancelled, 1);
    close(fd);
}

static void test_slow_heads_and_bodies_and_idle_connections_are_closed_without_a_word(void **state)
{
    struct fixture *f = *state;
    static const char *const starts[] = {"", "POST /acme/fw HT",
                                         "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 20\r\n" NAME "\r\nabc"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        int fd = client_connect(f->port);
        client_text(fd, starts[i]);
        char byte;
        assert_int_equal(recv(fd, &byte, 1, 0), 0);
        close(fd);
    }
}

static int set_up_small_memory(void **state)
{
    set_up_idle(state);
    struct fixture *f = *state;
    f->settings.memory.budget = 256 * 1024;
    f->settings.webhook.threads = 1;
    f->settings.memory.wait_ms = 200;
    start(f);
    return 0;
}

static void test_a_body_that_finds_no_memory_gets_503_after_the_wait(void **state)
{
    struct fixture *f = *state;
    size_t size;
    uint8_t *body = make_gzip(200000, &size);
    int first = client_connect(f->port);
    send_head(first, size, NAME);
    client_send(first, body, size);
    expect(first, 200); // and its batch stays, with its memory
    int second = client_connect(f->port);
    send_head(second, size, NAME);
    client_send(second, body, size);
    assert_true(expect(second, 503).closes);
    close(second);
    close(first);
    free(body);
}

static int set_up_patient_memory(void **state)
{
    set_up_idle(state);
    struct fixture *f = *state;
    f->settings.memory.budget = 300 * 1024;
    f->settings.webhook.threads = 1;
    f->settings.memory.wait_ms = 25000;
    start(f);
    return 0;
}

static void test_a_paused_body_goes_on_when_memory_comes_back(void **state)
{
    struct fixture *f = *state;
    size_t size;
    uint8_t *body = make_gzip(200000, &size);
    int first = client_connect(f->port);
    send_head(first, size, NAME);
    client_send(first, body, size);
    expect(first, 200);
    int second = client_connect(f->port);
    int third = client_connect(f->port);
    send_head(second, size, NAME);
    client_send(second, body, 60000);
    fake_auth_await(&f->auth, 2); // admitted, and now it wants more than there is
    client_send(second, body + 60000, size - 60000);
    send_head(third, 64 * 1024, NAME);
    fake_intake_clear(&f->pipeline);
    expect(second, 200);
    assert_body(f->pipeline.batches[0], body, size);
    fake_auth_await(&f->auth, 3); // the third was admitted at last
    close(first);
    close(second);
    close(third);
    free(body);
}

static int set_up_two_connections(void **state)
{
    set_up_idle(state);
    struct fixture *f = *state;
    f->settings.webhook.max_connections = 2;
    f->settings.webhook.threads = 1;
    start(f);
    return 0;
}

static void test_connections_beyond_the_limit_wait_their_turn(void **state)
{
    struct fixture *f = *state;
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = client_connect(f->port);
        post_tiny(fds[i], NAME);
    }
    expect(fds[0], 200);
    expect(fds[1], 200);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 2);
    assert_true(figure(f, "\nbytefreezer_receiver_connections ") == 2);
    close(fds[0]);
    expect(fds[2], 200);
    close(fds[1]);
    close(fds[2]);
}

// ---- the end ----

static void test_shedding_serves_and_ends_connections(void **state)
{
    struct fixture *f = *state;
    int fd = client_connect(f->port);
    post_tiny(fd, NAME);
    assert_false(expect(fd, 200).closes);
    bfr_http_server_shed(f->server);
    post_tiny(fd, NAME);
    assert_true(expect(fd, 200).closes);
    assert_true(client_closed(fd));
    close(fd);
    fd = client_connect(f->port);
    post_tiny(fd, NAME);
    assert_true(expect(fd, 200).closes);
    close(fd);
}

static void test_a_closed_server_refuses_and_finishes_what_is_in_flight(void **state)
{
    struct fixture *f = *state;
    f->pipeline.answer = 0;
    int waiting = client_connect(f->port);
    int open = client_connect(f->port);
    client_text(open, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n");
    expect(open, 200);
    post_tiny(waiting, NAME);
    fake_intake_await(&f->pipeline, 1);
    bfr_http_server_close(f->server);
    assert_int_equal(client_connect(f->port), -1);
    post_tiny(open, NAME);
    assert_true(expect(open, 503).closes);
    close(open);
    fake_answer(&f->pipeline, BFR_ANSWER_ACCEPTED);
    stop(f);
    assert_true(expect(waiting, 200).closes);
    close(waiting);
}

static void test_what_is_not_finished_by_the_deadline_is_cut_off_and_counted(void **state)
{
    struct fixture *f = *state;
    f->pipeline.answer = 0;
    int waiting = client_connect(f->port);
    int reading = client_connect(f->port);
    int idle = client_connect(f->port);
    post_tiny(waiting, NAME);
    fake_intake_await(&f->pipeline, 1);
    send_head(reading, 1000, NAME);
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

static void test_a_port_in_use_is_found_at_once(void **state)
{
    struct fixture *f = *state;
    struct bfr_settings settings = f->settings;
    settings.webhook.port = f->port;
    struct bfr_http_setup setup = {&settings, 1000, &bfr_clock_system, f->metrics, &f->pipeline, &f->auth};
    struct bfr_err err = {.size = sizeof err};
    struct bfr_http_server *second = NULL;
    assert_int_equal(bfr_http_server_new(&setup, &second, &err), BFR_EFAIL);
    assert_null(second);
    assert_non_null(strstr(err.text, "Address already in use"));
}

// ---- many at once ----

struct sender {
    struct fixture *f;
    pthread_t thread;
    unsigned good;
};

static void *send_many(void *arg)
{
    struct sender *sender = arg;
    int fd = client_connect(sender->f->port);
    for (int i = 0; i < 12; i++) {
        struct http_reply reply;
        post_tiny(fd, NAME);
        sender->good += client_reply(fd, &reply) && reply.status == 200;
    }
    close(fd);
    return NULL;
}

static void test_many_senders_are_each_answered_once(void **state)
{
    struct fixture *f = *state;
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
    assert_true(figure(f, "\nbytefreezer_receiver_requests_total{code=\"200\"} ") == 16 * 12);
    assert_true(figure(f, "\nbytefreezer_receiver_ack_duration_seconds_count ") == 16 * 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_post_is_stored_byte_for_byte_and_acknowledged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_success_has_every_field_senders_know, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_answer_of_the_pipeline_has_its_reply, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_are_one_plain_line_or_problem_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_routes_that_need_no_body_keep_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_reply_to_head_has_no_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_http_1_0_is_served_and_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_close_is_honoured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_request_sent_byte_by_byte_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunked_bodies_are_stored_without_their_framing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_plain_body_is_stored_as_gzip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_continue_comes_after_admission_and_never_with_a_refusal, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_half_close_after_a_complete_body_still_gets_its_reply, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_aborted_body_leaves_nothing_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_behind_a_request_are_never_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_that_come_while_an_answer_is_awaited_are_never_served, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_refusal_is_seen_while_the_body_is_still_being_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_heads_are_refused_with_their_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bodies_are_refused_with_their_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_missing_name_is_made_and_never_twice_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_connectivity_test_is_authorised_and_stores_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_late_verdict_lets_the_body_in_or_refuses_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_late_verdict_is_answered_with_continue_only_when_it_allows, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_unanswered_batch_gets_503_and_stays_accepted, set_up_quick, tear_down),
        cmocka_unit_test_setup_teardown(test_an_unanswered_question_gets_503, set_up_quick, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_heads_and_bodies_and_idle_connections_are_closed_without_a_word,
                                        set_up_quick, tear_down),
        cmocka_unit_test_setup_teardown(test_a_body_that_finds_no_memory_gets_503_after_the_wait, set_up_small_memory,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_paused_body_goes_on_when_memory_comes_back, set_up_patient_memory,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_connections_beyond_the_limit_wait_their_turn, set_up_two_connections,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_shedding_serves_and_ends_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_closed_server_refuses_and_finishes_what_is_in_flight, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_finished_by_the_deadline_is_cut_off_and_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_port_in_use_is_found_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_senders_are_each_answered_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
