// SPDX-License-Identifier: Apache-2.0
// Bodies that together are many times the memory budget: all are stored, without a retry, as long as the queue drains.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge_rig.h"

#define CLIENTS 40
#define USED    "\nbytefreezer_receiver_memory_used_bytes "

enum form { DECLARED, CHUNKED, PLAIN };

struct crowd {
    uint16_t port;
    enum form form;
    const uint8_t *body;
    size_t size;
    atomic_uint replied;
    atomic_uint stored;
};

static int set_up(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.memory.budget = 2 << 20;
    f->settings.memory.wait_ms = 60000;
    f->settings.ack_timeout_ms = 60000;
    f->settings.webhook.max_payload_size = 1 << 20;
    edge_start(f);
    return 0;
}

static void *post(void *arg)
{
    struct crowd *crowd = arg;
    struct http_reply reply;
    int fd = client_connect(crowd->port);
    if (crowd->form == CHUNKED) {
        client_text(fd, EDGE_CHUNKED "\r\n");
        edge_send_chunked(fd, crowd->body, crowd->size, 30000);
    } else {
        edge_send_head(fd, crowd->size, EDGE_NAME);
        client_send(fd, crowd->body, crowd->size);
    }
    if (client_reply(fd, &reply) && reply.status == 200)
        atomic_fetch_add(&crowd->stored, 1);
    atomic_fetch_add(&crowd->replied, 1);
    close(fd);
    return NULL;
}

// All at once, while the queue drains.
static void expect_all_stored(struct edge *f, enum form form)
{
    struct crowd crowd = {.port = f->port, .form = form};
    uint8_t *body = edge_gzip(900000, &crowd.size);
    if (form == PLAIN)
        body[0] = 0;
    crowd.body = body;
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post, &crowd), 0);
    while (atomic_load(&crowd.replied) < CLIENTS) {
        fake_intake_clear(&f->pipeline);
        usleep(1000);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    free(body);
    assert_int_equal(crowd.stored, CLIENTS);
}

static void test_bodies_many_times_the_budget_are_all_stored(void **state)
{
    expect_all_stored(*state, DECLARED);
}

static void test_so_are_chunked_ones_of_unknown_length(void **state)
{
    expect_all_stored(*state, CHUNKED);
}

static void test_so_are_plain_ones_with_their_compressors(void **state)
{
    expect_all_stored(*state, PLAIN);
}

static void test_who_declares_much_and_sends_nothing_costs_nothing(void **state)
{
    struct edge *f = *state;
    int fds[100];
    for (int i = 0; i < 100; i++) {
        fds[i] = client_connect(f->port);
        edge_send_head(fds[i], 1 << 20, EDGE_NAME);
    }
    fake_auth_await(&f->auth, 100); // all of them are admitted
    assert_true(edge_figure(f, USED) == 0);
    size_t size;
    uint8_t *body = edge_gzip(900000, &size);
    int fd = client_connect(f->port);
    edge_send_head(fd, size, EDGE_NAME);
    client_send(fd, body, size);
    edge_expect(fd, 200);
    close(fd);
    for (int i = 0; i < 100; i++)
        close(fds[i]);
    free(body);
}

static void test_a_copy_that_becomes_one_to_be_given_up_makes_room(void **state)
{
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(900000, &size);
    int fd = client_connect(f->port);
    for (int i = 0; i < 2; i++) {
        edge_send_head(fd, size, EDGE_NAME);
        client_send(fd, body, size);
        edge_expect(fd, 200);
    }
    edge_send_head(fd, size, EDGE_NAME); // nothing is given back from now on
    client_send(fd, body, size);
    fake_intake_may_evict(&f->pipeline);
    edge_expect(fd, 200);
    close(fd);
    free(body);
}

// A head and 12 KB of a body in one piece; returns what of it the server leaves to the kernel while the verdict is due.
static size_t unread_while_auth_waits(struct edge *f, int fd)
{
    char text[512 + 12000] = "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 12000\r\n" EDGE_NAME "\r\n";
    unsigned asked = f->auth.asked;
    client_send(fd, text, strlen(text) + 12000);
    client_delivered(fd);
    fake_auth_await(&f->auth, asked + 1);
    return client_unread(fd);
}

static void test_a_crowd_that_waits_for_verdicts_has_little_outside_the_budget(void **state)
{
    struct edge *f = *state;
    int crowd[256];
    for (int i = 0; i < 256; i++) {
        crowd[i] = client_connect(f->port);
        client_text(crowd[i], "P");
        client_delivered(crowd[i]);
    }
    int fd = client_connect(f->port);
    client_text(fd, "GET /health HTTP/1.1\r\nHost: r\r\n\r\n"); // behind them all
    edge_expect(fd, 200);
    f->auth.decision = BFR_LATER;
    assert_true(unread_while_auth_waits(f, fd) >= 8000);
    fake_verdict(&f->auth, BFR_DENY, BFR_DENY_FOREIGN);
    edge_expect(fd, 403);
    close(fd);
    for (int i = 0; i < 256; i++)
        close(crowd[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bodies_many_times_the_budget_are_all_stored, set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_so_are_chunked_ones_of_unknown_length, set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_so_are_plain_ones_with_their_compressors, set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_who_declares_much_and_sends_nothing_costs_nothing, set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_copy_that_becomes_one_to_be_given_up_makes_room, set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_crowd_that_waits_for_verdicts_has_little_outside_the_budget,
                                        edge_set_up_one_loop, edge_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
