// SPDX-License-Identifier: Apache-2.0
// What the API port promises of the daemon's health, and of its own life: its addresses, its clients, its end.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin_rig.h"

static void test_livez_answers_ok(void **state)
{
    ask(*state, "GET", "/livez");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "ok\n");
}

static void test_readyz_follows_the_pipeline_and_says_why_not(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "GET", "/readyz");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "ready\n");

    atomic_store(&fixture->pipeline.unready, "spool full");
    ask(fixture, "GET", "/readyz");
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.body, "spool full\n");

    atomic_store(&fixture->pipeline.unready, NULL);
    ask(fixture, "GET", "/readyz?verbose=1"); // a query is ignored
    assert_int_equal(reply.status, 200);

    bfr_http_admin_unready(fixture->admin, "draining");
    ask(fixture, "GET", "/readyz");
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.body, "draining\n");
    ask(fixture, "GET", "/livez"); // alive all the same
    assert_int_equal(reply.status, 200);
}

static json_t *health_of(struct fixture *fixture)
{
    ask(fixture, "GET", "/api/v1/health");
    assert_int_equal(reply.status, 200);
    assert_true(has_header("Content-Type: application/json"));
    json_t *json = json_loads(reply.body, 0, NULL);
    assert_non_null(json);
    return json;
}

static void test_health_begins_with_the_four_known_fields(void **state)
{
    json_t *json = health_of(*state);
    const char *start = "{\"status\":\"ok\",\"version\":\"1.2.3\",\"tenant_count\":0,\"database_healthy\":true,";
    assert_int_equal(strncmp(reply.body, start, strlen(start)), 0);
    assert_true(json_is_integer(json_object_get(json, "uptime_seconds")));
    assert_true(json_is_true(json_object_get(json, "ready")));
    assert_int_equal(json_array_size(json_object_get(json, "stages")), 2);
    json_decref(json);
}

static void test_health_is_200_and_says_which_stage_suffers_and_why(void **state)
{
    struct fixture *fixture = *state;
    fixture->sink.state = BFR_HEALTH_DEGRADED;
    fixture->sink.reason = "the store cannot be reached";
    json_t *json = health_of(fixture);
    assert_string_equal(text_of(json, "status"), "degraded");
    json_t *stage = json_array_get(json_object_get(json, "stages"), 1);
    assert_string_equal(text_of(stage, "name"), "main");
    assert_string_equal(text_of(stage, "plugin"), "s3");
    assert_string_equal(text_of(stage, "kind"), "sink");
    assert_string_equal(text_of(stage, "status"), "degraded");
    assert_string_equal(text_of(stage, "reason"), "the store cannot be reached");
    json_decref(json);

    fixture->sink.state = BFR_HEALTH_FAILED;
    fixture->sink.reason = "not UTF-8: \xff";
    json = health_of(fixture);
    stage = json_array_get(json_object_get(json, "stages"), 1);
    assert_string_equal(text_of(stage, "status"), "failed");
    assert_true(strlen(text_of(stage, "reason")) > strlen("(none)"));
    json_decref(json);
}

static void test_health_is_degraded_when_nothing_would_be_accepted(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->pipeline.unready, "spool full");
    json_t *json = health_of(fixture);
    assert_string_equal(text_of(json, "status"), "degraded");
    assert_true(json_is_false(json_object_get(json, "ready")));
    assert_string_equal(text_of(json, "reason"), "spool full");
    json_decref(json);
}

static void test_metrics_are_the_registry_in_text_format(void **state)
{
    struct fixture *fixture = *state;
    struct bfr_metric *metric = bfr_metrics_register(fixture->metrics, BFR_METRIC_COUNTER, "t_total", "Things.", NULL);
    bfr_series_add(bfr_metric_series(metric, NULL), 3);
    ask(fixture, "GET", "/metrics");
    assert_int_equal(reply.status, 200);
    assert_true(has_header("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    assert_non_null(strstr(reply.body, "# TYPE t_total counter\nt_total 3\n"));
    assert_non_null(strstr(reply.body, "\nprocess_open_fds "));
}

#define CLIENTS 4
#define ASKS    40

static void *ask_many(void *arg)
{
    const struct fixture *fixture = arg;
    struct raw_reply *mine = malloc(sizeof *mine);
    int fd = raw_dial(fixture->port);
    uintptr_t answered = 0;
    for (int i = 0; mine != NULL && i < ASKS; i++) {
        static const char *const requests[] = {"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n",
                                               "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n",
                                               "GET /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n"};
        if (send(fd, requests[i % 3], strlen(requests[i % 3]), MSG_NOSIGNAL) <= 0)
            break;
        raw_receive(fd, mine, true);
        answered += mine->status == 200 || (i % 3 == 0 && mine->status == 503);
    }
    close(fd);
    free(mine);
    return (void *)answered; // NOLINT(performance-no-int-to-ptr)
}

static void test_many_clients_at_once_while_state_changes(void **state)
{
    struct fixture *fixture = *state;
    struct bfr_metric *metric = bfr_metrics_register(fixture->metrics, BFR_METRIC_COUNTER, "t_total", "T.", NULL);
    pthread_t threads[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, fixture), 0);
    for (int i = 0; i < 1000; i++) {
        atomic_store(&fixture->pipeline.unready, i % 2 == 0 ? "busy" : NULL);
        bfr_series_add(bfr_metric_series(metric, NULL), 1);
    }
    bfr_http_admin_unready(fixture->admin, "draining");
    size_t answered = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        answered += (uintptr_t)result;
    }
    assert_int_equal(answered, CLIENTS * ASKS);
}

static void test_stop_ends_open_connections_and_frees_the_port(void **state)
{
    struct fixture *fixture = *state;
    int idle = raw_dial(fixture->port), half = raw_dial(fixture->port);
    raw_ask(idle, &reply, "GET", "/livez");
    raw_send(half, "GET /livez HTTP/1.1\r\nHost:");
    bfr_http_admin_stop(fixture->admin);
    bfr_http_admin_free(fixture->admin);
    fixture->admin = NULL;
    assert_true(raw_ends(idle));
    assert_true(raw_ends(half));
    close(idle);
    close(half);

    fixture->settings.server.api_port = fixture->port;
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_admin_setup setup = setup_of(fixture);
    assert_int_equal(bfr_http_admin_new(&setup, &fixture->admin, &err), BFR_OK);
    assert_int_equal(bfr_http_admin_port(fixture->admin), fixture->port);
    assert_int_equal(bfr_http_admin_start(fixture->admin, &err), BFR_OK);
    ask(fixture, "GET", "/livez");
    assert_int_equal(reply.status, 200);
}

static void test_every_bound_address_is_served_on_one_port(void **state)
{
    struct fixture *fixture = *state;
    static const char *const both[] = {"127.0.0.2", "127.0.0.1"};
    struct bfr_settings settings = {.server = {.bind = both, .bind_count = 2}};
    struct bfr_admin_setup setup = setup_of(fixture);
    setup.settings = &settings;
    struct bfr_err err = {.size = sizeof err};
    struct bfr_http_admin *admin = NULL;
    assert_int_equal(bfr_http_admin_new(&setup, &admin, &err), BFR_OK);
    assert_int_equal(bfr_http_admin_start(admin, &err), BFR_OK);
    int fd = raw_dial(bfr_http_admin_port(admin)); // the second address; the port was chosen by the first
    assert_true(fd >= 0);
    raw_ask(fd, &reply, "GET", "/livez");
    assert_int_equal(reply.status, 200);
    close(fd);
    bfr_http_admin_stop(admin);
    bfr_http_admin_free(admin);
}

static void check_cannot_bind(struct fixture *fixture, const char *address, uint16_t port, uint32_t status,
                              const char *place, const char *way_out)
{
    const char *const bind[] = {address};
    struct bfr_settings settings = {.server = {.bind = bind, .bind_count = 1, .api_port = port}};
    struct bfr_admin_setup setup = setup_of(fixture);
    setup.settings = &settings;
    struct bfr_err err = {.size = sizeof err};
    struct bfr_http_admin *admin = NULL;
    assert_int_equal(bfr_http_admin_new(&setup, &admin, &err), status);
    assert_null(admin);
    if (strstr(err.text, place) == NULL || strstr(err.text, way_out) == NULL)
        fail_msg("'%s' lacks '%s' or '%s'", err.text, place, way_out);
}

static void test_address_that_cannot_be_had_is_named_with_a_way_out(void **state)
{
    struct fixture *fixture = *state;
    check_cannot_bind(fixture, "127.0.0.1", fixture->port, BFR_EFAIL, "127.0.0.1", "server.api_port");
    check_cannot_bind(fixture, "not-an-address", 0, BFR_EINVAL, "'not-an-address'", "server.bind");
    check_cannot_bind(fixture, "192.0.2.1", 0, BFR_EFAIL, "192.0.2.1", "server.bind"); // TEST-NET-1: nobody's
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(test_livez_answers_ok),
        served(test_readyz_follows_the_pipeline_and_says_why_not),
        served(test_health_begins_with_the_four_known_fields),
        served(test_health_is_200_and_says_which_stage_suffers_and_why),
        served(test_health_is_degraded_when_nothing_would_be_accepted),
        served(test_metrics_are_the_registry_in_text_format),
        served(test_many_clients_at_once_while_state_changes),
        served(test_stop_ends_open_connections_and_frees_the_port),
        served(test_every_bound_address_is_served_on_one_port),
        served(test_address_that_cannot_be_had_is_named_with_a_way_out),
    };
    return cmocka_run_group_tests_name("http_admin", tests, NULL, NULL);
}
