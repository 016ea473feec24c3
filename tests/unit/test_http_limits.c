// SPDX-License-Identifier: Apache-2.0
// What one client may take from the others, on real sockets: rates, time, connections.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge_rig.h"

#define USED       "\nbytefreezer_receiver_memory_used_bytes "
#define CLOSED(by) "\nbytefreezer_receiver_connections_closed_total{reason=\"" by "\"} "

static int set_up_quota(void **state)
{
    static const struct bfr_tenant_quota acme[] = {{"acme", {.requests_per_second = 2, .bytes_per_second = 100}}};
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.quotas.tenants = acme;
    f->settings.quotas.tenant_count = 1;
    edge_start(f);
    return 0;
}

static int retry_after(const struct http_reply *reply)
{
    const char *field = strstr(reply->head, "Retry-After: ");
    return field != NULL ? atoi(field + strlen("Retry-After: ")) : -1;
}

static void test_more_bytes_than_a_tenant_may_send_get_429_with_a_true_time(void **state)
{
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(500, &size);
    assert_in_range(size, 500, 599);
    int fd = client_connect(f->port);
    edge_send_head(fd, size, EDGE_NAME);
    client_send(fd, body, size);
    edge_expect(fd, 200);
    edge_send_head(fd, sizeof edge_tiny_gzip, EDGE_NAME "Expect: 100-continue\r\n");
    struct http_reply reply = edge_expect(fd, 429); // and no 100 before it
    assert_true(reply.closes);
    assert_in_range(retry_after(&reply), 1, 5);
    assert_true(edge_figure(f, "\nbytefreezer_receiver_refused_total{reason=\"byte_rate\"} ") == 1);
    close(fd);
    free(body);
}

static void test_undeclared_bytes_count_too(void **state)
{
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(100000, &size);
    int fd = client_connect(f->port);
    client_text(fd, EDGE_CHUNKED "\r\n");
    edge_send_chunked(fd, body, size, 1000);
    edge_expect(fd, 200);
    edge_send_head(fd, sizeof edge_tiny_gzip, EDGE_NAME);
    struct http_reply reply = edge_expect(fd, 429);
    assert_in_range(retry_after(&reply), 900, 1001);
    close(fd);
    free(body);
}

static void test_who_is_not_let_in_uses_up_nobodys_quota(void **state)
{
    struct edge *f = *state;
    f->auth.decision = BFR_DENY;
    f->auth.deny = BFR_DENY_TOKEN;
    for (int i = 0; i < 20; i++) {
        int fd = client_connect(f->port);
        edge_post_tiny(fd, EDGE_NAME);
        edge_expect(fd, 401);
        close(fd);
    }
    f->auth.decision = BFR_ALLOW;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    edge_expect(fd, 200);
    close(fd);
}

static int set_up_rate(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.webhook.min_body_rate = 1024;
    edge_start(f);
    return 0;
}

static void test_a_body_that_comes_too_slowly_is_closed_without_a_word(void **state)
{
    struct edge *f = *state;
    char byte;
    int fd = client_connect(f->port);
    edge_send_head(fd, 1 << 20, EDGE_NAME);
    client_text(fd, "x");
    while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0) { // one byte now and then is too little
        client_text(fd, "x");
        usleep(100000);
    }
    assert_true(edge_figure(f, CLOSED("body_rate")) == 1);
    assert_true(edge_figure(f, USED) == 0);
    close(fd);
}

static _Atomic uint64_t skipped_ns;

static uint64_t skipping_now(void *arg)
{
    (void)arg;
    return bfr_clock_now(&bfr_clock_system) + atomic_load(&skipped_ns);
}

static int set_up_pause(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->clock.monotonic_ns = skipping_now;
    f->settings.memory.budget = 1 << 20;
    f->settings.memory.wait_ms = 60000;
    f->settings.ack_timeout_ms = 100000;
    f->settings.webhook.max_payload_size = 400000;
    f->settings.webhook.min_body_rate = 1 << 30;
    f->settings.webhook.read_timeout_ms = 4000;
    f->settings.webhook.threads = 1;
    edge_start(f);
    return 0;
}

static void test_time_for_which_we_pause_a_body_is_not_the_clients(void **state)
{
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(350000, &size);
    int first = client_connect(f->port);
    int second = client_connect(f->port);
    edge_send_head(second, size, EDGE_NAME);
    client_send(second, body, 60000);
    edge_await_figure(f, USED, 64 * 1024);
    for (int i = 0; i < 2; i++) {
        edge_send_head(first, size, EDGE_NAME);
        client_send(first, body, size);
        edge_expect(first, 200);
    }
    client_send(second, body + 60000, 60000); // more than there is memory for
    edge_post_tiny(first, EDGE_NAME);         // the loop has seen it when this one is answered
    edge_expect(first, 200);
    edge_post_tiny(first, EDGE_NAME);
    edge_expect(first, 200);
    atomic_store(&skipped_ns, 20 * BFR_NS_PER_S);
    fake_intake_clear(&f->pipeline);
    client_send(second, body + 120000, size - 120000);
    edge_expect(second, 200);
    close(first);
    close(second);
    free(body);
}

static int set_up_per_address(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.webhook.max_connections_per_address = 3;
    edge_start(f);
    return 0;
}

static void test_one_address_has_so_many_connections_and_no_more(void **state)
{
    struct edge *f = *state;
    int fds[4];
    for (int i = 0; i < 3; i++) {
        fds[i] = client_connect(f->port);
        edge_post_tiny(fds[i], EDGE_NAME);
        edge_expect(fds[i], 200);
    }
    fds[3] = client_connect(f->port);
    assert_true(client_closed(fds[3]));
    edge_await_figure(f, CLOSED("per_address"), 1);
    close(fds[0]);
    edge_await_figure(f, "\nbytefreezer_receiver_connections ", 2);
    close(fds[3]);
    fds[3] = client_connect(f->port);
    edge_post_tiny(fds[3], EDGE_NAME);
    edge_expect(fds[3], 200);
    for (int i = 1; i < 4; i++)
        close(fds[i]);
}

static int set_up_age(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.webhook.max_connection_age_ms = 300;
    edge_start(f);
    return 0;
}

static void test_an_old_connection_ends_behind_a_reply(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    struct http_reply reply = {0};
    f->pipeline.answer = BFR_ANSWER_DUPLICATE;
    uint64_t begun_ns = bfr_clock_now(&bfr_clock_system);
    while (!reply.closes) { // each is answered, the last one too
        client_text(fd, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n");
        reply = edge_expect(fd, 200);
    }
    assert_true(bfr_clock_now(&bfr_clock_system) - begun_ns > 200 * BFR_NS_PER_MS);
    assert_true(client_closed_orderly(fd));
    close(fd);
}

// Closing it when its age has come would race with the request that is on its way.
static void test_an_old_idle_connection_is_served_once_more(void **state)
{
    struct edge *f = *state;
    char byte;
    int fd = client_connect(f->port);
    struct timeval twice_its_age = {0, 600000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &twice_its_age, sizeof twice_its_age);
    assert_int_equal(recv(fd, &byte, 1, 0), -1); // still open
    client_text(fd, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n");
    struct timeval long_enough = {20, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_enough, sizeof long_enough);
    assert_true(edge_expect(fd, 200).closes);
    assert_true(client_closed_orderly(fd));
    edge_await_figure(f, CLOSED("age"), 1);
    close(fd);
}

static void test_a_client_that_keeps_a_refused_connection_open_is_no_slow_reader(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, "NO\r\n\r\n");
    edge_expect(fd, 400);
    edge_await_no_connection(f); // we end it in the end
    assert_true(edge_figure(f, CLOSED("write_timeout")) == 0);
    close(fd);
}

static void test_a_chunk_announced_beyond_the_limit_is_refused_before_it_comes(void **state)
{
    struct edge *f = *state;
    int fd = client_connect(f->port);
    client_text(fd, EDGE_CHUNKED "\r\n5000001\r\nx"); // 80 MiB; one byte of it is sent
    assert_true(edge_expect(fd, 413).closes);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_more_bytes_than_a_tenant_may_send_get_429_with_a_true_time, set_up_quota,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_undeclared_bytes_count_too, set_up_quota, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_not_let_in_uses_up_nobodys_quota, set_up_quota, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_body_that_comes_too_slowly_is_closed_without_a_word, set_up_rate,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_time_for_which_we_pause_a_body_is_not_the_clients, set_up_pause,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_one_address_has_so_many_connections_and_no_more, set_up_per_address,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_an_old_connection_ends_behind_a_reply, set_up_age, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_an_old_idle_connection_is_served_once_more, set_up_age, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_client_that_keeps_a_refused_connection_open_is_no_slow_reader,
                                        edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_chunk_announced_beyond_the_limit_is_refused_before_it_comes, edge_set_up,
                                        edge_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
