// SPDX-License-Identifier: Apache-2.0
// Waiting on real sockets: for a verdict, an answer, memory, a free place; and what happens when it takes too long.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge_rig.h"

static void test_a_late_verdict_lets_the_body_in_or_refuses_it(void **state)
{
    struct edge *f = *state;
    f->auth.decision = BFR_LATER;
    size_t size;
    uint8_t *body = edge_gzip(500000, &size);
    int fd = client_connect(f->port);
    edge_send_head(fd, size, EDGE_NAME);
    client_send(fd, body, 3000); // some of it is here before the verdict
    fake_auth_await(&f->auth, 1);
    fake_verdict(&f->auth, BFR_ALLOW, 0);
    client_send(fd, body + 3000, size - 3000);
    edge_expect(fd, 200);
    edge_assert_body(f->pipeline.batches[0], body, size);
    assert_string_equal(f->pipeline.batches[0]->account, "late");

    edge_send_head(fd, size, EDGE_NAME);
    fake_auth_await(&f->auth, 2);
    fake_verdict(&f->auth, BFR_DENY, BFR_DENY_TENANT_GONE);
    client_send(fd, body, size);
    assert_true(edge_expect(fd, 410).closes);
    close(fd);
    free(body);
}

static void test_a_late_verdict_is_answered_with_continue_only_when_it_allows(void **state)
{
    struct edge *f = *state;
    f->auth.decision = BFR_LATER;
    int fd = client_connect(f->port);
    edge_send_head(fd, sizeof edge_tiny_gzip, EDGE_NAME "Expect: 100-continue\r\n");
    fake_auth_await(&f->auth, 1);
    fake_verdict(&f->auth, BFR_ALLOW, 0);
    edge_expect(fd, 100);
    client_send(fd, edge_tiny_gzip, sizeof edge_tiny_gzip);
    edge_expect(fd, 200);
    close(fd);
}

static int set_up_quick(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.ack_timeout_ms = 100;
    f->settings.webhook.head_timeout_ms = 100;
    f->settings.webhook.read_timeout_ms = 100;
    f->settings.webhook.idle_timeout_ms = 100;
    f->settings.memory.wait_ms = 100;
    edge_start(f);
    return 0;
}

static void test_an_unanswered_batch_gets_503_and_stays_accepted(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer = 0;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    struct http_reply reply = edge_expect(fd, 503);
    assert_false(reply.closes);
    assert_int_equal(f->pipeline.abandoned, 1);
    edge_assert_body(f->pipeline.batches[0], edge_tiny_gzip, sizeof edge_tiny_gzip);
    f->pipeline.answer = BFR_ANSWER_DUPLICATE;
    edge_post_tiny(fd, EDGE_NAME);
    edge_expect(fd, 200);
    close(fd);
}

static void test_an_answer_that_crosses_its_timeout_is_given(void **state)
{
    struct edge *f = *state;
    f->pipeline.answer = 0;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    fake_intake_await(&f->pipeline, 1);
    struct bfr_waiter *waiter = fake_answer_begin(&f->pipeline);
    fake_intake_await_late_abandon(&f->pipeline);
    waiter->on_answer(waiter, BFR_ANSWER_ACCEPTED, NULL);
    edge_expect(fd, 200);
    close(fd);
}

static void test_an_unanswered_question_gets_503(void **state)
{
    struct edge *f = *state;
    f->auth.decision = BFR_LATER;
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    edge_expect(fd, 503);
    assert_int_equal(f->auth.cancelled, 1);
    close(fd);
}

static void test_slow_heads_and_bodies_and_idle_connections_are_closed_without_a_word(void **state)
{
    struct edge *f = *state;
    static const char *const starts[] = {
        "", "POST /acme/fw HT", "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 20\r\n" EDGE_NAME "\r\nabc"};
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
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.memory.budget = 256 * 1024;
    f->settings.webhook.threads = 1;
    f->settings.memory.wait_ms = 200;
    edge_start(f);
    return 0;
}

static void test_a_body_that_finds_no_memory_gets_503_after_the_wait(void **state)
{
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(200000, &size);
    int first = client_connect(f->port);
    edge_send_head(first, size, EDGE_NAME);
    client_send(first, body, size);
    edge_expect(first, 200); // and its batch stays, with its memory
    int second = client_connect(f->port);
    edge_send_head(second, size, EDGE_NAME);
    client_send(second, body, size);
    assert_true(edge_expect(second, 503).closes);
    close(second);
    close(first);
    free(body);
}

#define USED           "\nbytefreezer_receiver_memory_used_bytes "
#define PATIENT_BUDGET (1 << 20)

static int set_up_patient_memory(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.memory.budget = PATIENT_BUDGET;
    f->settings.webhook.max_payload_size = 205000;
    f->settings.webhook.threads = 1;
    f->settings.memory.wait_ms = 25000;
    edge_start(f);
    return 0;
}

static void test_a_paused_body_goes_on_when_memory_comes_back(void **state)
{
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(200000, &size);
    int first = client_connect(f->port);
    int second = client_connect(f->port);
    int third = client_connect(f->port);
    edge_send_head(second, size, EDGE_NAME);
    client_send(second, body, 60000);
    edge_await_figure(f, USED, 64 * 1024);
    // What a batch takes depends on how its bytes came, so the budget is filled by what it says itself.
    int filled = 0;
    for (; edge_figure(f, USED) <= PATIENT_BUDGET - 130000; filled++) {
        edge_send_head(first, 30000, EDGE_NAME);
        client_send(first, body, 30000);
        edge_expect(first, 200);
    }
    client_send(second, body + 60000, size - 60000); // and now it wants more than there is
    edge_send_head(third, size, EDGE_NAME);
    fake_intake_clear(&f->pipeline);
    edge_expect(second, 200);
    edge_assert_body(f->pipeline.batches[0], body, size);
    fake_auth_await(&f->auth, filled + 2); // the third was admitted at last
    close(first);
    close(second);
    close(third);
    free(body);
}

static void test_copies_that_can_be_read_back_make_room_for_a_body(void **state)
{
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(200000, &size);
    f->pipeline.evictable = true;
    int fd = client_connect(f->port);
    for (int i = 0; i < 3; i++) { // each fits only when the one before has gone
        edge_send_head(fd, size, EDGE_NAME);
        client_send(fd, body, size);
        edge_expect(fd, 200);
    }
    close(fd);
    free(body);
}

static int set_up_two_connections(void **state)
{
    edge_set_up_idle(state);
    struct edge *f = *state;
    f->settings.webhook.max_connections = 2;
    f->settings.webhook.threads = 1;
    edge_start(f);
    return 0;
}

static void test_connections_beyond_the_limit_wait_their_turn(void **state)
{
    struct edge *f = *state;
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = client_connect(f->port);
        edge_post_tiny(fds[i], EDGE_NAME);
    }
    edge_expect(fds[0], 200);
    edge_expect(fds[1], 200);
    assert_int_equal(fake_intake_submitted(&f->pipeline), 2);
    assert_true(edge_figure(f, "\nbytefreezer_receiver_connections ") == 2);
    close(fds[0]);
    edge_expect(fds[2], 200);
    close(fds[1]);
    close(fds[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_late_verdict_lets_the_body_in_or_refuses_it, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_late_verdict_is_answered_with_continue_only_when_it_allows, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_an_unanswered_batch_gets_503_and_stays_accepted, set_up_quick,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_that_crosses_its_timeout_is_given, set_up_quick, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_an_unanswered_question_gets_503, set_up_quick, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_slow_heads_and_bodies_and_idle_connections_are_closed_without_a_word,
                                        set_up_quick, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_body_that_finds_no_memory_gets_503_after_the_wait, set_up_small_memory,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_copies_that_can_be_read_back_make_room_for_a_body, set_up_small_memory,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_paused_body_goes_on_when_memory_comes_back, set_up_patient_memory,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_connections_beyond_the_limit_wait_their_turn, set_up_two_connections,
                                        edge_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
