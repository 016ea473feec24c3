// SPDX-License-Identifier: Apache-2.0
// What the API port promises, over real sockets on the loopback interface with requests written by hand. The pipeline
// is a fake of the one function that is used.
#include "http_admin.h"
#include "pipe_letters.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "raw_http.h"

struct bfr_pipeline {
    _Atomic(const char *) unready; // NULL: ready
    atomic_uint letters;
    atomic_bool stopped;
};

bool bfr_pipeline_ready(struct bfr_pipeline *pipeline, const char **out_reason)
{
    const char *reason = atomic_load(&pipeline->unready);
    if (reason != NULL)
        *out_reason = reason;
    return reason == NULL;
}

// --- dead letters: as many as a test wants; the pipeline is a fake of these too

static struct bfr_letter letter_of(uint32_t number, char id[9])
{
    snprintf(id, 9, "%08x", number);
    return (struct bfr_letter){.size = sizeof(struct bfr_letter),
                               .reason = BFR_REASON_REJECTED,
                               .id = id,
                               .account = "",
                               .tenant = "acme",
                               .dataset = "web",
                               .filename = "not UTF-8: \xff",
                               .body_bytes = 7,
                               .first_error = "",
                               .last_error = "http 400"};
}

bool bfr_pipeline_letters(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, const char *cursor,
                          uint32_t limit, bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg)
{
    uint32_t number = cursor == NULL ? 0 : (uint32_t)strtoul(cursor, NULL, 16);
    (void)filter;
    bool more = !atomic_load(&pipeline->stopped);
    while (more && limit-- > 0 && ++number <= atomic_load(&pipeline->letters)) {
        char id[9];
        const struct bfr_letter letter = letter_of(number, id);
        more = visit(arg, &letter);
    }
    return !atomic_load(&pipeline->stopped);
}

bool bfr_pipeline_redrive(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, bool dry_run,
                          uint64_t *out_count)
{
    (void)filter, (void)dry_run;
    *out_count = atomic_load(&pipeline->letters);
    return !atomic_load(&pipeline->stopped);
}

bool bfr_pipeline_purge(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, bool held, bool dry_run,
                        uint64_t *out_count)
{
    (void)held;
    return bfr_pipeline_redrive(pipeline, filter, dry_run, out_count);
}

void bfr_pipeline_ledger(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_ledger_row *row),
                         void *arg)
{
    const struct bfr_ledger_row rows[] = {{.size = sizeof rows[0], .buried_batches = atomic_load(&pipeline->letters)},
                                          {.size = sizeof rows[0], .tenant = "small", .accepted_bytes = 5},
                                          {.size = sizeof rows[0], .tenant = "large", .accepted_bytes = 6},
                                          {.size = sizeof rows[0], .tenant = "alike", .accepted_bytes = 5}};
    bool more = true;
    for (size_t i = 0; more && i < sizeof rows / sizeof rows[0]; i++)
        more = visit(arg, &rows[i]);
}

int64_t bfr_pipeline_unaccounted(struct bfr_pipeline *pipeline)
{
    (void)pipeline;
    return 0;
}

void bfr_pipeline_queues(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_queue_status *queue),
                         void *arg)
{
    (void)pipeline;
    const struct bfr_queue_status queue = {.name = "memory", .plugin = "memory", .is_volatile = true};
    (void)visit(arg, &queue);
}

void bfr_pipeline_sinks(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_sink_status *sink),
                        void *arg)
{
    (void)pipeline;
    const struct bfr_sink_status sink = {.name = "main", .plugin = "s3", .in_flight = 2, .breaker_open = true};
    (void)visit(arg, &sink);
}

// One daemon's API with two stages.
struct fixture {
    struct bfr_settings settings;
    struct bfr_metrics *metrics;
    struct bfr_pipeline pipeline;
    struct bfr_stage_status sink;
    struct bfr_http_admin *admin;
    uint16_t port;
};

static void visit_stages(void *arg, bool (*visit)(void *visit_arg, const struct bfr_stage_status *stage),
                         void *visit_arg)
{
    const struct fixture *fixture = arg;
    const struct bfr_stage_status queue = {sizeof queue, BFR_KIND_QUEUE, "memory", "memory", BFR_HEALTH_OK, ""};
    if (visit(visit_arg, &queue))
        (void)visit(visit_arg, &fixture->sink);
}

static const char *const loopback[] = {"127.0.0.1"};

static struct bfr_admin_setup setup_of(struct fixture *fixture)
{
    return (struct bfr_admin_setup){.settings = &fixture->settings,
                                    .metrics = fixture->metrics,
                                    .pipeline = &fixture->pipeline,
                                    .stages = visit_stages,
                                    .stages_arg = fixture,
                                    .version = "1.2.3"};
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->settings.server.bind = loopback;
    fixture->settings.server.bind_count = 1;
    fixture->settings.server.admin_token = "";
    fixture->settings.server.tls = (struct bfr_tls_settings){"", "", ""};
    fixture->metrics = bfr_metrics_new();
    fixture->sink = (struct bfr_stage_status){sizeof fixture->sink, BFR_KIND_SINK, "main", "s3", BFR_HEALTH_OK, ""};
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_admin_setup setup = setup_of(fixture);
    if (bfr_http_admin_new(&setup, &fixture->admin, &err) != BFR_OK ||
        bfr_http_admin_start(fixture->admin, &err) != BFR_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    fixture->port = bfr_http_admin_port(fixture->admin);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    bfr_http_admin_stop(fixture->admin);
    bfr_http_admin_free(fixture->admin);
    bfr_metrics_free(fixture->metrics);
    free(fixture);
    return 0;
}

static struct raw_reply reply; // too large for the stack; the tests run one after another

static void ask(const struct fixture *fixture, const char *method, const char *target)
{
    int fd = raw_dial(fixture->port);
    assert_true(fd >= 0);
    raw_ask(fd, &reply, method, target);
    close(fd);
}

static bool has_header(const char *line)
{
    const char *at = strstr(reply.text, line);
    return at != NULL && reply.body != NULL && at < reply.body && strncmp(at + strlen(line), "\r\n", 2) == 0;
}

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

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "(none)";
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

// --- dead letters

static json_t *ask_json(const struct fixture *fixture, const char *method, const char *target, const char *body,
                        int status)
{
    char text[512];
    int fd = raw_dial(fixture->port);
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", method, target,
             strlen(body), body);
    raw_send(fd, text);
    raw_receive(fd, &reply, true);
    close(fd);
    assert_int_equal(reply.status, status);
    json_t *json = json_loads(reply.body, 0, NULL);
    assert_non_null(json);
    return json;
}

static void test_letters_come_in_pages_each_saying_where_the_next_begins(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *target;
        size_t count;
        const char *next;
    } cases[] = {{"/api/v1/dlq/files?limit=3", 3, "00000003"},
                 {"/api/v1/dlq/files?limit=3&cursor=00000003", 3, "00000006"},
                 {"/api/v1/dlq/files?limit=3&cursor=00000006", 1, NULL},
                 {"/api/v1/dlq/files?limit=7", 7, NULL},
                 {"/api/v1/dlq/files?limit=6", 6, "00000006"},
                 {"/api/v1/dlq/files", 7, NULL}};
    atomic_store(&fixture->pipeline.letters, 7);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = ask_json(fixture, "GET", cases[i].target, "", 200);
        const json_t *data = json_object_get(json, "data"), *next = json_object_get(json, "next");
        assert_int_equal(json_array_size(data), cases[i].count);
        assert_true(cases[i].next == NULL ? json_is_null(next) : strcmp(json_string_value(next), cases[i].next) == 0);
        assert_string_equal(text_of(json_array_get(data, 0), "failure_reason"), "rejected: http 400");
        assert_string_equal(text_of(json_array_get(data, 0), "filename"), "not UTF-8: \xEF\xBF\xBD");
        json_decref(json);
    }
}

// --- figures

static void count(struct fixture *fixture, const char *name, const char *const *labels, const char *const *values,
                  double value)
{
    struct bfr_metric *metric = bfr_metrics_register(fixture->metrics, BFR_METRIC_GAUGE, name, "Test.", labels);
    bfr_series_set(bfr_metric_series(metric, values), value);
}

static json_int_t number_at(const json_t *json, const char *object, const char *member)
{
    const json_t *value = json_object_get(json_object_get(json, object), member);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void test_stats_have_the_registrys_figures_and_the_busiest_tenants_first(void **state)
{
    struct fixture *fixture = *state;
    static const char *const by_reason[] = {"reason", NULL}, *const by_outcome[] = {"sink", "outcome", NULL};
    static const char *const full[] = {"spool_full", NULL}, *const never[] = {"quota", NULL},
                             *const retried[] = {"main", "retry", NULL}, *const foreign[] = {"other", "retry", NULL};
    fixture->settings.memory.budget = 1000;
    count(fixture, "bytefreezer_receiver_refused_total", by_reason, full, 7);
    count(fixture, "bytefreezer_receiver_refused_total", by_reason, never, 0);
    count(fixture, "bytefreezer_receiver_memory_used_bytes", NULL, NULL, 12);
    count(fixture, "bytefreezer_receiver_spool_full_seconds", NULL, NULL, -1);
    count(fixture, "bytefreezer_receiver_sink_attempts_total", by_outcome, retried, 3);
    count(fixture, "bytefreezer_receiver_sink_attempts_total", by_outcome, foreign, 4);

    json_t *json = ask_json(fixture, "GET", "/api/v1/stats", "", 200);
    assert_int_equal(number_at(json, "refused", "spool_full"), 7);
    assert_int_equal(json_object_size(json_object_get(json, "refused")), 1); // what did not happen is left out
    assert_int_equal(number_at(json, "memory", "used_bytes"), 12);
    assert_int_equal(number_at(json, "memory", "budget_bytes"), 1000);
    assert_true(number_at(json, "memory", "resident_bytes") > 0);
    assert_true(json_is_null(json_object_get(json_object_get(json, "spool"), "full_seconds")));
    const json_t *sink = json_array_get(json_object_get(json, "sinks"), 0);
    assert_int_equal(number_at(sink, "attempts", "retry"), 3);
    static const char *const order[] = {"large", "alike", "small"};
    const json_t *tenants = json_object_get(json, "tenants");
    assert_int_equal(json_array_size(tenants), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(text_of(json_array_get(tenants, i), "tenant_id"), order[i]);
    assert_true(json_is_true(json_object_get(json, "tenants_complete")));
    json_decref(json);
}

static void test_a_pipeline_that_does_not_run_is_a_503(void **state)
{
    struct fixture *fixture = *state;
    static const char selector[] = "{\"tenant_id\": \"a\", \"dataset_id\": \"b\"}";
    atomic_store(&fixture->pipeline.stopped, true);
    json_decref(ask_json(fixture, "GET", "/api/v1/dlq/files", "", 503));
    json_decref(ask_json(fixture, "GET", "/api/v1/dlq/files/1", "", 503));
    json_decref(ask_json(fixture, "GET", "/api/v1/dlq/stats", "", 503));
    json_decref(ask_json(fixture, "POST", "/api/v1/dlq/retry", selector, 503));
    json_decref(ask_json(fixture, "POST", "/api/v1/dlq/purge", selector, 503));
    json_decref(ask_json(fixture, "POST", "/api/v1/tenants/acme/purge", "", 503));
}

static void test_pages_with_a_parameter_are_found_and_nothing_like_them(void **state)
{
    struct fixture *fixture = *state;
    json_decref(ask_json(fixture, "GET", "/api/v1/dlq/files/abc", "", 404));
    assert_non_null(strstr(reply.body, "dead letter"));
    static const char *const none[] = {"/api/v1/dlq/files/", "/api/v1/dlq/files/a/b", "/api/v1/tenants//purge",
                                       "/api/v1/tenants/a/b/purge", "/api/v1/tenants/a/purge/"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        json_decref(ask_json(fixture, "GET", none[i], "", 404));
        assert_non_null(strstr(reply.body, "no such page"));
    }
    json_decref(ask_json(fixture, "GET", "/api/v1/tenants/a/purge", "", 405));
    assert_true(has_header("Allow: POST"));
}

static void test_jobs_that_wait_at_the_end_are_dropped(void **state)
{
    struct fixture *fixture = *state;
    int clients[60];
    atomic_store(&fixture->pipeline.letters, 20000);
    for (size_t i = 0; i < 60; i++) {
        clients[i] = raw_dial(fixture->port);
        raw_send(clients[i], "GET /api/v1/dlq/stats HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\n\r\n");
    }
    raw_receive(clients[0], &reply, true); // the first is answered, so the others are known
    bfr_http_admin_stop(fixture->admin);
    for (size_t i = 0; i < 60; i++)
        close(clients[i]);
}

static void test_head_is_get_without_the_body(void **state)
{
    const struct fixture *fixture = *state;
    int fd = raw_dial(fixture->port);
    raw_ask(fd, &reply, "HEAD", "/livez");
    assert_int_equal(reply.status, 200);
    assert_true(has_header("Content-Length: 3"));
    assert_true(has_header("Content-Type: text/plain; charset=utf-8"));
    assert_string_equal(reply.body, "");
    raw_ask(fd, &reply, "GET", "/livez"); // nothing of a body stands between the two replies
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "ok\n");
    raw_ask(fd, &reply, "HEAD", "/nothing");
    assert_int_equal(reply.status, 404);
    raw_ask(fd, &reply, "HEAD", "/readyz");
    assert_int_equal(reply.status, 200);
    close(fd);
}

static void test_unknown_page_is_a_json_404(void **state)
{
    static const char *const targets[] = {"/index.html", "/livez/", "/api/v1", "/metrics/x", "//livez", "/%6civez"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        ask(*state, "GET", targets[i]);
        assert_int_equal(reply.status, 404);
        json_t *json = json_loads(reply.body, 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
        assert_true(strlen(text_of(json, "error")) > 10);
        json_decref(json);
    }
    ask(*state, "POST", "/nothing");
    assert_int_equal(reply.status, 404);
}

static void test_wrong_method_is_405_and_names_the_right_ones(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        ask(*state, methods[i], "/readyz");
        if (reply.status != 405)
            fail_msg("%s gave %d", methods[i], reply.status);
        assert_true(has_header("Allow: GET, HEAD"));
        assert_true(has_header("Content-Type: application/json"));
    }
}

static void test_every_page_forbids_sniffing_and_storing(void **state)
{
    static const char *const targets[] = {"/livez", "/readyz", "/api/v1/health", "/metrics", "/nothing"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        ask(*state, "GET", targets[i]);
        assert_true(has_header("X-Content-Type-Options: nosniff"));
        assert_true(has_header("Cache-Control: no-store"));
    }
    ask(*state, "POST", "/livez");
    assert_true(has_header("X-Content-Type-Options: nosniff"));
}

static void test_small_body_is_read_and_ignored(void **state)
{
    const struct fixture *fixture = *state;
    int fd = raw_dial(fixture->port);
    raw_send(fd, "POST /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    raw_receive(fd, &reply, true);
    assert_int_equal(reply.status, 405);
    raw_send(fd, "GET /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    raw_receive(fd, &reply, true);
    assert_int_equal(reply.status, 200);
    raw_ask(fd, &reply, "GET", "/livez");
    assert_int_equal(reply.status, 200);
    close(fd);
}

static void test_unread_body_is_never_taken_for_a_request(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const methods[] = {"HEAD", "TRACE", "BREW"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        int fd = raw_dial(fixture->port);
        char request[200];
        snprintf(request, sizeof request,
                 "%s /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
                 "GET /metrics HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n",
                 methods[i]);
        raw_send(fd, request);
        raw_receive_all(fd, &reply); // one reply, then the end
        assert_true(has_header("Connection: close"));
        assert_null(strstr(reply.text + 1, "HTTP/1.1 "));
        close(fd);
    }
}

static void test_an_empty_body_does_not_end_the_connection(void **state)
{
    const struct fixture *fixture = *state;
    int fd = raw_dial(fixture->port);
    for (int i = 0; i < 2; i++) {
        raw_send(fd, "HEAD /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        raw_receive(fd, &reply, false);
        assert_int_equal(reply.status, 200);
    }
    close(fd);
}

// What is too large is refused for its size, before its end is seen, and the connection ends; the server lives on. The
// client may still be sending then, so the reply can be lost to a reset.
static void check_refused(const struct fixture *fixture, const char *start, size_t filler_size, const char *end)
{
    int fd = raw_dial(fixture->port);
    char *filler = calloc(filler_size + 1, 1);
    memset(filler, 'x', filler_size);
    raw_send(fd, start);
    (void)send(fd, filler, filler_size, MSG_NOSIGNAL);
    (void)send(fd, end, strlen(end), MSG_NOSIGNAL);
    raw_receive(fd, &reply, true);
    assert_true(reply.status == 0 || reply.status == 400 || reply.status == 413);
    assert_true(raw_ends(fd));
    close(fd);
    free(filler);
    ask(fixture, "GET", "/livez");
    assert_int_equal(reply.status, 200);
}

static void test_head_and_body_over_16_kib_are_refused(void **state)
{
    check_refused(*state, "GET /livez HTTP/1.1\r\nHost: h\r\nX-Long: ", 20000, "\r\n\r\n");
    check_refused(*state, "GET /", 20000, " HTTP/1.1\r\nHost: h\r\n\r\n");
    check_refused(*state, "POST /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n", 20000, "");
    check_refused(*state, "POST /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n", 0x5000,
                  "\r\n0\r\n\r\n");
}

static void test_garbage_does_not_disturb_others(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const garbage[] = {"\r\n\r\n\r\n",
                                          "GET\r\n\r\n",
                                          "\x16\x03\x01\x02",
                                          "GET / HTTP/9.9\r\n\r\n",
                                          "GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
                                          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        int fd = raw_dial(fixture->port);
        raw_send(fd, garbage[i]);
        shutdown(fd, SHUT_WR);
        assert_true(raw_ends(fd));
        close(fd);
    }
    ask(fixture, "GET", "/livez");
    assert_int_equal(reply.status, 200);
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

#define served(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(test_livez_answers_ok),
        served(test_readyz_follows_the_pipeline_and_says_why_not),
        served(test_health_begins_with_the_four_known_fields),
        served(test_health_is_200_and_says_which_stage_suffers_and_why),
        served(test_health_is_degraded_when_nothing_would_be_accepted),
        served(test_metrics_are_the_registry_in_text_format),
        served(test_letters_come_in_pages_each_saying_where_the_next_begins),
        served(test_stats_have_the_registrys_figures_and_the_busiest_tenants_first),
        served(test_a_pipeline_that_does_not_run_is_a_503),
        served(test_pages_with_a_parameter_are_found_and_nothing_like_them),
        served(test_jobs_that_wait_at_the_end_are_dropped),
        served(test_head_is_get_without_the_body),
        served(test_unknown_page_is_a_json_404),
        served(test_wrong_method_is_405_and_names_the_right_ones),
        served(test_every_page_forbids_sniffing_and_storing),
        served(test_small_body_is_read_and_ignored),
        served(test_unread_body_is_never_taken_for_a_request),
        served(test_an_empty_body_does_not_end_the_connection),
        served(test_head_and_body_over_16_kib_are_refused),
        served(test_garbage_does_not_disturb_others),
        served(test_many_clients_at_once_while_state_changes),
        served(test_stop_ends_open_connections_and_frees_the_port),
        served(test_every_bound_address_is_served_on_one_port),
        served(test_address_that_cannot_be_had_is_named_with_a_way_out),
    };
    return cmocka_run_group_tests_name("http_admin", tests, NULL, NULL);
}
