// SPDX-License-Identifier: Apache-2.0
// A webhook server on loopback whose pipeline and auth stage are doubles, and what its tests send and expect. For cmocka.
#ifndef BFR_TEST_EDGE_RIG_H
#define BFR_TEST_EDGE_RIG_H

#include "http_client.h"
#include "http_server.h"
#include "intake_double.h"

struct edge {
    struct bfr_clock clock; // may be changed before edge_start
    struct bfr_settings settings;
    struct bfr_metrics *metrics;
    struct bfr_pipeline pipeline;
    struct bfr_auth auth;
    struct bfr_http_server *server;
    uint16_t port;
    bool stopped;
};

// Settings for a test, nothing started yet; and with the server started.
int edge_set_up_idle(void **state);
int edge_set_up(void **state);
// With one loop, which looks at the news of connections in the order in which they came.
int edge_set_up_one_loop(void **state);
void edge_start(struct edge *f);
void edge_stop(struct edge *f); // nothing may be in flight for longer than 20 s
// Whatever a test did: no room stays reserved, and no byte of memory counted once the batches are gone.
int edge_tear_down(void **state);

// The value of the metrics line that begins like this, -1 if there is none.
double edge_figure(struct edge *f, const char *line);
void edge_await_figure(struct edge *f, const char *line, double value);
void edge_await_no_connection(struct edge *f);

#define EDGE_TINY 20
extern const uint8_t edge_tiny_gzip[EDGE_TINY]; // the gzip of nothing
// A gzip member of `plain_size` bytes that hardly compress; free() it.
uint8_t *edge_gzip(size_t plain_size, size_t *out_size);

#define EDGE_NAME    "X-Proxy-Filename: acme--fw--1700000000000000000--ndjson.gz\r\n"
#define EDGE_CHUNKED "POST /acme/fw HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n" EDGE_NAME

void edge_send_head(int fd, size_t length, const char *fields); // POST /acme/fw
void edge_send_chunked(int fd, const uint8_t *body, size_t size, size_t chunk);
void edge_post_tiny(int fd, const char *fields); // head and edge_tiny_gzip
struct http_reply edge_expect(int fd, int status);
void edge_assert_body(const struct bfr_batch *batch, const uint8_t *body, size_t size); // bytes and digest

#endif
