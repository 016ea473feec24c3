// SPDX-License-Identifier: Apache-2.0
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <zlib.h>

#include "edge_rig.h"

void edge_start(struct edge *f)
{
    struct bfr_http_setup setup = {
        .settings = &f->settings,
        .max_payload_bytes = f->settings.webhook.max_payload_size,
        .clock = &f->clock,
        .metrics = f->metrics,
        .pipeline = &f->pipeline,
        .auth = &f->auth,
    };
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_http_server_new(&setup, &f->server, &err), BFR_OK);
    assert_int_equal(bfr_http_server_start(f->server, &err), BFR_OK);
    f->port = bfr_http_server_port(f->server);
}

int edge_set_up_idle(void **state)
{
    static const char *const bind[] = {"127.0.0.1"};
    struct edge *f = calloc(1, sizeof *f);
    f->clock = bfr_clock_system;
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

int edge_set_up(void **state)
{
    edge_set_up_idle(state);
    edge_start(*state);
    return 0;
}

int edge_set_up_one_loop(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.webhook.threads = 1;
    edge_start(f);
    return 0;
}

double edge_figure(struct edge *f, const char *line)
{
    size_t size;
    char *page = bfr_metrics_render(f->metrics, &size);
    assert_non_null(page);
    const char *at = strstr(page, line);
    double value = at != NULL ? atof(at + strlen(line)) : -1;
    free(page);
    return value;
}

void edge_stop(struct edge *f)
{
    if (!f->stopped)
        assert_int_equal(bfr_http_server_stop(f->server, bfr_clock_now(&bfr_clock_system) + 20 * BFR_NS_PER_S), 0);
    f->stopped = true;
}

// Whatever a test did: no room stays reserved, and no byte of memory counted once the batches are gone.
int edge_tear_down(void **state)
{
    struct edge *f = *state;
    edge_stop(f);
    assert_int_equal(f->pipeline.reserved, 0);
    fake_intake_clear(&f->pipeline);
    assert_true(edge_figure(f, "\nbytefreezer_receiver_memory_used_bytes ") == 0);
    assert_true(edge_figure(f, "\nbytefreezer_receiver_connections ") == 0);
    bfr_http_server_free(f->server);
    fake_intake_fini(&f->pipeline);
    bfr_metrics_free(f->metrics);
    free(f);
    return 0;
}

// A gzip member of `plain_size` hard-to-compress bytes; free() it.
uint8_t *edge_gzip(size_t plain_size, size_t *out_size)
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

void edge_send_head(int fd, size_t length, const char *fields)
{
    char head[2048];
    snprintf(head, sizeof head,
             "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n%s\r\n", length,
             fields);
    client_text(fd, head);
}

void edge_assert_body(const struct bfr_batch *batch, const uint8_t *body, size_t size)
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

const uint8_t edge_tiny_gzip[EDGE_TINY] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0};

void edge_post_tiny(int fd, const char *fields)
{
    edge_send_head(fd, sizeof edge_tiny_gzip, fields);
    client_send(fd, edge_tiny_gzip, sizeof edge_tiny_gzip);
}

struct http_reply edge_expect(int fd, int status)
{
    struct http_reply reply;
    assert_true(client_reply(fd, &reply));
    if (reply.status != status)
        fail_msg("status %d instead of %d: %s", reply.status, status, reply.body);
    return reply;
}

void edge_await_figure(struct edge *f, const char *line, double value)
{
    while (edge_figure(f, line) != value)
        sched_yield();
}

void edge_await_no_connection(struct edge *f)
{
    edge_await_figure(f, "\nbytefreezer_receiver_connections ", 0);
}

// In chunks of `chunk` bytes.
void edge_send_chunked(int fd, const uint8_t *body, size_t size, size_t chunk)
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
