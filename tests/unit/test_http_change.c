// SPDX-License-Identifier: Apache-2.0
// Limits that change while requests are on their way, on real sockets.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge_rig.h"

static void change(struct edge *f, uint64_t max_payload)
{
    struct bfr_http_change *prepared = NULL;
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_http_server_prepare(f->server, &f->settings, max_payload, &prepared, &err), BFR_OK);
    bfr_http_server_adopt(f->server, prepared);
}

static void test_a_request_keeps_the_limits_it_began_with_and_the_next_has_others(void **state)
{
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(3000, &size);
    int fd = client_connect(f->port);
    edge_send_head(fd, size, EDGE_NAME);
    client_send(fd, body, size / 2);
    edge_await_figure(f, "\nbytefreezer_receiver_connections ", 1);
    fake_auth_await(&f->auth, 1); // the head has been judged
    change(f, 1000);
    client_send(fd, body + size / 2, size - size / 2);
    edge_expect(fd, 200);
    edge_send_head(fd, size, EDGE_NAME);
    edge_expect(fd, 413); // the same connection
    close(fd);
    change(f, 4 << 20);
    fd = client_connect(f->port);
    edge_send_head(fd, size, "X-Proxy-Filename: acme--fw--1700000000000000001--ndjson.gz\r\n");
    client_send(fd, body, size);
    edge_expect(fd, 200);
    close(fd);
    free(body);
}

static void test_debts_outlast_a_change_of_quotas(void **state)
{
    static const struct bfr_tenant_quota acme[] = {{"acme", {.bytes_per_second = 20}}};
    struct edge *f = *state;
    size_t size;
    uint8_t *body = edge_gzip(3000, &size);
    f->settings.quotas.tenants = acme;
    f->settings.quotas.tenant_count = 1;
    change(f, 4 << 20); // from no quota to one
    int fd = client_connect(f->port);
    edge_send_head(fd, size, EDGE_NAME);
    client_send(fd, body, size);
    edge_expect(fd, 200); // let in whole, and in debt for minutes
    change(f, 4 << 20);
    edge_send_head(fd, size, EDGE_NAME);
    edge_expect(fd, 429);
    close(fd);
    f->settings.quotas.tenant_count = 0;
    change(f, 4 << 20); // and from one to none
    fd = client_connect(f->port);
    edge_post_tiny(fd, "X-Proxy-Filename: acme--fw--1700000000000000001--ndjson.gz\r\n");
    edge_expect(fd, 200);
    close(fd);
    free(body);
}

static void test_connections_from_before_count_for_a_limit_per_address(void **state)
{
    struct edge *f = *state;
    int first = client_connect(f->port);
    edge_await_figure(f, "\nbytefreezer_receiver_connections ", 1);
    edge_post_tiny(first, EDGE_NAME); // counted by the time it is answered
    edge_expect(first, 200);
    f->settings.webhook.max_connections_per_address = 1;
    change(f, 4 << 20);
    int second = client_connect(f->port);
    assert_true(client_closed(second));
    close(second);
    close(first);
}

static void test_what_was_prepared_and_abandoned_has_changed_nothing(void **state)
{
    struct edge *f = *state;
    struct bfr_http_change *prepared = NULL;
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_http_server_prepare(f->server, &f->settings, 1, &prepared, &err), BFR_OK);
    bfr_http_server_abandon(prepared);
    int fd = client_connect(f->port);
    edge_post_tiny(fd, EDGE_NAME);
    edge_expect(fd, 200);
    close(fd);
}

// The loop that serves the request stands still while the test has the pipeline's lock.
static void test_a_loop_that_does_not_turn_is_noticed_and_so_is_its_return(void **state)
{
    struct edge *f = *state;
    while (!bfr_http_server_turns(f->server))
        sched_yield();
    while (!bfr_http_server_turns(f->server)) // asked, and answered
        sched_yield();
    int fd = client_connect(f->port);
    pthread_mutex_lock(&f->pipeline.lock);
    edge_post_tiny(fd, EDGE_NAME);
    unsigned same = 0;
    while (same < 50) { // a loop that turns answers within a few
        usleep(2000);
        same = bfr_http_server_turns(f->server) ? 0 : same + 1;
    }
    pthread_mutex_unlock(&f->pipeline.lock);
    edge_expect(fd, 200);
    while (!bfr_http_server_turns(f->server))
        sched_yield();
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_request_keeps_the_limits_it_began_with_and_the_next_has_others,
                                        edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_debts_outlast_a_change_of_quotas, edge_set_up, edge_tear_down),
        cmocka_unit_test_setup_teardown(test_connections_from_before_count_for_a_limit_per_address, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_prepared_and_abandoned_has_changed_nothing, edge_set_up,
                                        edge_tear_down),
        cmocka_unit_test_setup_teardown(test_a_loop_that_does_not_turn_is_noticed_and_so_is_its_return, edge_set_up,
                                        edge_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
