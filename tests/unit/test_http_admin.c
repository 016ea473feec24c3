// SPDX-License-Identifier: Apache-2.0
// What the API port promises, over real sockets on the loopback interface with requests written by hand. The pipeline
// is a fake of the one function that is used.
#include "http_admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <jansson.h>

#include "http_admin_conn.h"

#define PATIENCE_MS 30000 // a limit for waiting, never a measure

struct bfr_pipeline {
    _Atomic(const char *) unready; // NULL: ready
};

bool bfr_pipeline_ready(struct bfr_pipeline *pipeline, const char **out_reason)
{
    const char *reason = atomic_load(&pipeline->unready);
    if (reason != NULL)
        *out_reason = reason;
    return reason == NULL;
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

static int dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        return -1;
    return fd;
}

static void send_text(int fd, const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

// A reply, or as much of it as came before the end of the connection.
struct reply {
    char text[65536];
    size_t size;
    int status;
    const char *body;
};

static bool wait_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    return poll(&readable, 1, PATIENCE_MS) == 1;
}

// Read until `wanted` bytes of body are there (the connection may go on), or to the end.
static void receive(int fd, struct reply *reply, bool has_body)
{
    memset(reply, 0, sizeof *reply);
    size_t wanted = sizeof reply->text - 1;
    while (reply->size < wanted && wait_readable(fd)) {
        ssize_t got = recv(fd, reply->text + reply->size, sizeof reply->text - 1 - reply->size, 0);
        if (got <= 0)
            break;
        reply->size += (size_t)got;
        const char *end = strstr(reply->text, "\r\n\r\n");
        const char *length = strstr(reply->text, "Content-Length: ");
        if (end == NULL || length == NULL || length > end)
            continue;
        reply->body = end + 4;
        wanted = (size_t)(reply->body - reply->text) + (has_body ? strtoul(length + 16, NULL, 10) : 0);
    }
    if (strncmp(reply->text, "HTTP/1.1 ", 9) == 0)
        reply->status = (int)strtol(reply->text + 9, NULL, 10);
}

static bool reaches_end(int fd)
{
    char rest[4096];
    while (wait_readable(fd)) {
        ssize_t got = recv(fd, rest, sizeof rest, 0);
        if (got <= 0)
            return got == 0 || errno == ECONNRESET;
    }
    return false;
}

static struct reply reply; // too large for the stack; the tests run one after another

static void ask_on(int fd, const char *method, const char *target)
{
    char request[256];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: h\r\n\r\n", method, target);
    send_text(fd, request);
    receive(fd, &reply, strcmp(method, "HEAD") != 0);
}

static void ask(const struct fixture *fixture, const char *method, const char *target)
{
    int fd = dial(fixture->port);
    assert_true(fd >= 0);
    ask_on(fd, method, target);
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

static void test_head_is_get_without_the_body(void **state)
{
    const struct fixture *fixture = *state;
    int fd = dial(fixture->port);
    ask_on(fd, "HEAD", "/livez");
    assert_int_equal(reply.status, 200);
    assert_true(has_header("Content-Length: 3"));
    assert_true(has_header("Content-Type: text/plain; charset=utf-8"));
    assert_string_equal(reply.body, "");
    ask_on(fd, "GET", "/livez"); // nothing of a body stands between the two replies
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "ok\n");
    ask_on(fd, "HEAD", "/nothing");
    assert_int_equal(reply.status, 404);
    ask_on(fd, "HEAD", "/readyz");
    assert_int_equal(reply.status, 200);
    close(fd);
}

static void test_unknown_page_is_a_json_404(void **state)
{
    static const char *const targets[] = {"/", "/livez/", "/api/v1", "/metrics/x", "//livez", "/%6civez"};
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
    int fd = dial(fixture->port);
    send_text(fd, "POST /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    receive(fd, &reply, true);
    assert_int_equal(reply.status, 405);
    ask_on(fd, "GET", "/livez");
    assert_int_equal(reply.status, 200);
    close(fd);
}

static void test_body_of_a_get_is_never_taken_for_a_request(void **state)
{
    const struct fixture *fixture = *state;
    int fd = dial(fixture->port);
    send_text(fd, "GET /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
                  "GET /metrics HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n");
    receive(fd, &reply, true);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "ok\n");
    assert_true(reaches_end(fd));
    close(fd);
}

// What is too large is refused and the connection ends; the server lives on.
static void check_refused(const struct fixture *fixture, const char *head, size_t filler_size)
{
    int fd = dial(fixture->port);
    char *filler = calloc(filler_size + 1, 1);
    memset(filler, 'x', filler_size);
    send_text(fd, head);
    (void)send(fd, filler, filler_size, MSG_NOSIGNAL); // it may have been refused already
    receive(fd, &reply, true);
    assert_true(reply.status == 0 || reply.status >= 400);
    assert_true(reaches_end(fd));
    close(fd);
    free(filler);
    ask(fixture, "GET", "/livez");
    assert_int_equal(reply.status, 200);
}

static void test_head_and_body_over_16_kib_are_refused(void **state)
{
    check_refused(*state, "GET /livez HTTP/1.1\r\nHost: h\r\nX-Long: ", 20000);
    check_refused(*state, "GET /", 20000);
    check_refused(*state, "POST /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n", 20000);
    check_refused(*state, "POST /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n", 0x5000);
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
        int fd = dial(fixture->port);
        send_text(fd, garbage[i]);
        shutdown(fd, SHUT_WR);
        assert_true(reaches_end(fd));
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
    struct reply *mine = malloc(sizeof *mine);
    int fd = dial(fixture->port);
    uintptr_t answered = 0;
    for (int i = 0; mine != NULL && i < ASKS; i++) {
        static const char *const requests[] = {"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n",
                                               "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n",
                                               "GET /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n"};
        if (send(fd, requests[i % 3], strlen(requests[i % 3]), MSG_NOSIGNAL) <= 0)
            break;
        receive(fd, mine, true);
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
    int idle = dial(fixture->port), half = dial(fixture->port);
    ask_on(idle, "GET", "/livez");
    send_text(half, "GET /livez HTTP/1.1\r\nHost:");
    bfr_http_admin_stop(fixture->admin);
    bfr_http_admin_free(fixture->admin);
    fixture->admin = NULL;
    assert_true(reaches_end(idle));
    assert_true(reaches_end(half));
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
    int fd = dial(bfr_http_admin_port(admin)); // the second address; the port was chosen by the first
    assert_true(fd >= 0);
    ask_on(fd, "GET", "/livez");
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

// The limits on connections, with small figures, on a server of their own.
struct limited {
    struct event_base *base;
    struct evhttp *http;
    struct bfr_admin_conns *conns;
    struct event *wake;
    int wake_fd;
    uint16_t port;
    pthread_t thread;
};

static void answer(struct evhttp_request *request, void *arg)
{
    struct limited *limited = arg;
    bfr_admin_conns_renew(limited->conns, evhttp_request_get_connection(request));
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", "0");
    evhttp_send_reply(request, 200, "OK", NULL);
}

static void on_wake(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events;
    event_base_loopbreak(arg);
}

static void *run_limited(void *arg)
{
    event_base_dispatch(arg);
    return NULL;
}

static void limited_start(struct limited *limited, uint32_t limit, uint32_t lifetime_ms)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    limited->base = event_base_new();
    limited->http = evhttp_new(limited->base);
    limited->conns = bfr_admin_conns_new(limited->base, limited->http, limit, lifetime_ms);
    struct evconnlistener *listener = evconnlistener_new_bind(limited->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 16,
                                                              (struct sockaddr *)&at, sizeof at);
    assert_non_null(listener);
    assert_int_equal(bfr_admin_conns_listener(limited->conns, listener), 0);
    assert_int_equal(getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&at, &size), 0);
    limited->port = ntohs(at.sin_port);
    assert_non_null(evhttp_bind_listener(limited->http, listener));
    evhttp_set_gencb(limited->http, answer, limited);
    limited->wake_fd = eventfd(0, EFD_CLOEXEC);
    limited->wake = event_new(limited->base, limited->wake_fd, EV_READ, on_wake, limited->base);
    event_add(limited->wake, NULL);
    assert_int_equal(pthread_create(&limited->thread, NULL, run_limited, limited->base), 0);
}

static void limited_stop(struct limited *limited)
{
    assert_int_equal(eventfd_write(limited->wake_fd, 1), 0);
    pthread_join(limited->thread, NULL);
    bfr_admin_conns_close(limited->conns);
    evhttp_free(limited->http);
    bfr_admin_conns_free(limited->conns);
    event_free(limited->wake);
    event_base_free(limited->base);
    close(limited->wake_fd);
}

static bool is_at_end(int fd)
{
    char byte = 0;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void test_past_the_limit_a_connection_waits_until_another_ends(void **state)
{
    (void)state;
    struct limited limited;
    limited_start(&limited, 2, 300);
    int first = dial(limited.port), second = dial(limited.port);
    ask_on(first, "GET", "/");
    ask_on(second, "GET", "/");
    int third = dial(limited.port); // connected as far as the kernel is concerned
    ask_on(third, "GET", "/");
    assert_int_equal(reply.status, 200);
    assert_true(is_at_end(first) || is_at_end(second)); // one had to go before it was served
    close(first);
    close(second);
    close(third);
    limited_stop(&limited);
}

static void test_closed_connection_makes_room_at_once(void **state)
{
    (void)state;
    struct limited limited;
    limited_start(&limited, 1, PATIENCE_MS * 10);
    for (int i = 0; i < 20; i++) {
        int fd = dial(limited.port);
        ask_on(fd, "GET", "/");
        assert_int_equal(reply.status, 200);
        close(fd);
    }
    limited_stop(&limited);
}

// evhttp's own timeout starts anew with every byte; ours does not.
static void test_a_trickle_of_bytes_does_not_keep_a_connection(void **state)
{
    (void)state;
    struct limited limited;
    limited_start(&limited, 4, 200);
    int fd = dial(limited.port);
    struct pollfd pace = {.fd = fd, .events = POLLIN};
    send_text(fd, "GET / HTTP/1.1\r\nX: ");
    bool ended = false;
    for (int i = 0; i < PATIENCE_MS / 20 && !ended; i++) {
        ended = send(fd, "x", 1, MSG_NOSIGNAL) < 0;
        ended = poll(&pace, 1, 20) != 0 || ended; // readable: the end, for nothing was answered
    }
    assert_true(ended);
    assert_true(reaches_end(fd));
    close(fd);
    limited_stop(&limited);
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
        served(test_head_is_get_without_the_body),
        served(test_unknown_page_is_a_json_404),
        served(test_wrong_method_is_405_and_names_the_right_ones),
        served(test_every_page_forbids_sniffing_and_storing),
        served(test_small_body_is_read_and_ignored),
        served(test_body_of_a_get_is_never_taken_for_a_request),
        served(test_head_and_body_over_16_kib_are_refused),
        served(test_garbage_does_not_disturb_others),
        served(test_many_clients_at_once_while_state_changes),
        served(test_stop_ends_open_connections_and_frees_the_port),
        served(test_every_bound_address_is_served_on_one_port),
        served(test_address_that_cannot_be_had_is_named_with_a_way_out),
        cmocka_unit_test(test_past_the_limit_a_connection_waits_until_another_ends),
        cmocka_unit_test(test_closed_connection_makes_room_at_once),
        cmocka_unit_test(test_a_trickle_of_bytes_does_not_keep_a_connection),
    };
    return cmocka_run_group_tests_name("http_admin", tests, NULL, NULL);
}
