// SPDX-License-Identifier: Apache-2.0
// bfr-http against a server of a few lines on loopback that does what each test tells it: replies, broken promises, silence.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bfr/http.h>

enum { REQUEST_MAX = 4 << 20 };

// Accepts one connection after the other; each gets `reply` for each request, in full or not at all.
struct server {
    int fd;
    unsigned port;
    pthread_t thread;
    const char *reply;     // NULL: read and say nothing
    size_t body_expected;  // bytes to read behind the head before the reply
    bool close_first;      // the second request on a connection finds it closed
    pthread_mutex_t mutex; // guards the last request and the counters
    char *request;
    size_t request_bytes;
    unsigned requests;
    unsigned connections;
};

// False when the client has gone.
static bool read_request(struct server *server, int fd)
{
    char *text = malloc(REQUEST_MAX);
    size_t bytes = 0;
    bool whole = false;
    ssize_t got;

    while (!whole && (got = recv(fd, text + bytes, REQUEST_MAX - 1 - bytes, 0)) > 0) {
        bytes += (size_t)got;
        const char *end = memmem(text, bytes, "\r\n\r\n", 4);
        whole = end != NULL && bytes >= (size_t)(end - text) + 4 + server->body_expected;
    }
    text[bytes] = '\0';
    pthread_mutex_lock(&server->mutex);
    if (whole) {
        free(server->request);
        server->request = text;
        server->request_bytes = bytes;
        server->requests++;
        text = NULL;
    }
    pthread_mutex_unlock(&server->mutex);
    free(text);
    return whole;
}

static void *serve(void *arg)
{
    struct server *server = arg;
    int fd;

    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&server->mutex);
        server->connections++;
        pthread_mutex_unlock(&server->mutex);
        while (read_request(server, fd)) {
            if (server->close_first && server->connections == 1 && server->requests == 2)
                break;
            if (server->reply != NULL)
                (void)!send(fd, server->reply, strlen(server->reply), MSG_NOSIGNAL);
        }
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    pthread_mutex_init(&server->mutex, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    free(server->request);
}

// One request and what came of it.
struct call {
    pthread_mutex_t mutex;
    pthread_cond_t news;
    bool done;
    uint32_t end, status;
    char body[256];
    char header[64];
    char text[256];
    struct bfr_http_request request;
    char url[128];
};

static void on_done(void *arg, const struct bfr_http_reply *reply)
{
    struct call *call = arg;
    const char *header = bfr_http_header(reply, "X-Thing");

    pthread_mutex_lock(&call->mutex);
    call->end = reply->end;
    call->status = reply->status;
    snprintf(call->body, sizeof call->body, "%.*s", (int)reply->body_bytes, (const char *)reply->body);
    snprintf(call->header, sizeof call->header, "%s", header != NULL ? header : "(none)");
    snprintf(call->text, sizeof call->text, "%s", reply->text);
    call->done = true;
    pthread_cond_broadcast(&call->news);
    pthread_mutex_unlock(&call->mutex);
}

static struct call call_of(unsigned port, const char *path)
{
    struct call call = {.mutex = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};

    snprintf(call.url, sizeof call.url, "http://127.0.0.1:%u%s", port, path);
    call.request = (struct bfr_http_request){.method = "GET", .reply_max = 200, .on_done = on_done};
    return call;
}

static void await(struct call *call)
{
    pthread_mutex_lock(&call->mutex);
    while (!call->done)
        pthread_cond_wait(&call->news, &call->mutex);
    pthread_mutex_unlock(&call->mutex);
}

static void perform(struct bfr_http *http, struct call *call)
{
    call->done = false;
    call->request.url = call->url;
    call->request.arg = call;
    assert_int_equal(bfr_http_submit(http, &call->request), BFR_OK);
    await(call);
}

static struct bfr_http *client(void)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_http *http = bfr_http_new(&(struct bfr_http_settings){.name = "t", .max_connections = 4}, &err);

    assert_non_null(http);
    assert_int_equal(bfr_http_start(http, &err), BFR_OK);
    return http;
}

static void test_a_reply_comes_with_status_headers_and_body(void **state)
{
    struct server server = {
        .reply = "HTTP/1.1 404 no\r\nx-thing: first\r\nX-THING:  last \r\nContent-Length: 5\r\n\r\nhello"};
    struct bfr_http *http = client();
    (void)state;

    server_start(&server);
    struct call call = call_of(server.port, "/a/../b?x=%2F");
    call.request.headers = (const char *const[]){"X-Mine: 1"};
    call.request.header_count = 1;
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_REPLIED);
    assert_int_equal(call.status, 404);
    assert_string_equal(call.body, "hello");
    assert_string_equal(call.header, "last ");
    pthread_mutex_lock(&server.mutex);
    assert_non_null(strstr(server.request, "GET /a/../b?x=%2F HTTP/1.1\r\n")); // exactly as given
    assert_non_null(strstr(server.request, "X-Mine: 1\r\n"));
    assert_null(strstr(server.request, "Expect"));
    pthread_mutex_unlock(&server.mutex);
    bfr_http_free(http);
    server_stop(&server);
}

static void test_a_body_goes_out_from_its_spans_on_a_kept_connection(void **state)
{
    enum { SIZE = 3 << 20 };
    struct server server = {.reply = "HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n", .body_expected = SIZE};
    uint8_t *body = malloc(SIZE);
    struct bfr_http *http = client();
    (void)state;

    for (size_t i = 0; i < SIZE; i++)
        body[i] = (uint8_t)(i * 31 >> 4);
    const struct bfr_span spans[] = {{body, 1}, {body + 1, 700000}, {body + 700001, SIZE - 700001}};
    server_start(&server);
    struct call call = call_of(server.port, "/");
    call.request.method = "PUT";
    call.request.has_body = true;
    call.request.body = spans;
    call.request.span_count = 3;
    call.request.body_bytes = SIZE;
    for (int i = 0; i < 3; i++) {
        perform(http, &call);
        assert_int_equal(call.end, BFR_HTTP_REPLIED);
        pthread_mutex_lock(&server.mutex);
        const char *end = memmem(server.request, server.request_bytes, "\r\n\r\n", 4);
        assert_int_equal(server.request_bytes - (size_t)(end + 4 - server.request), SIZE);
        assert_memory_equal(end + 4, body, SIZE);
        assert_int_equal(server.connections, 1);
        pthread_mutex_unlock(&server.mutex);
    }
    bfr_http_free(http);
    server_stop(&server);
    free(body);
}

static void test_a_request_that_finds_its_connection_closed_is_repeated_unless_told(void **state)
{
    const struct bfr_span span = {(const uint8_t *)"body", 4};
    (void)state;

    for (int once = 0; once < 2; once++) {
        struct server server = {
            .reply = "HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n", .body_expected = 4, .close_first = true};
        struct bfr_http *http = client();
        server_start(&server);
        struct call call = call_of(server.port, "/");
        call.request.method = "PUT";
        call.request.has_body = true;
        call.request.body = &span;
        call.request.span_count = 1;
        call.request.body_bytes = 4;
        perform(http, &call);
        call.request.flags = once ? BFR_HTTP_ONCE : 0;
        perform(http, &call);
        assert_int_equal(call.end, once ? BFR_HTTP_BROKEN : BFR_HTTP_REPLIED);
        bfr_http_free(http);
        server_stop(&server);
        assert_int_equal(server.requests, once ? 2 : 3);
    }
}

static void test_a_reply_longer_than_allowed_is_cut_off(void **state)
{
    struct server server = {.reply = "HTTP/1.1 200 ok\r\nContent-Length: 11\r\n\r\nhello world"};
    struct bfr_http *http = client();
    (void)state;

    server_start(&server);
    struct call call = call_of(server.port, "/");
    call.request.reply_max = 10;
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_TOO_LARGE);
    call.request.reply_max = 11;
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_REPLIED);
    bfr_http_free(http);
    server_stop(&server);
}

// A reply whose headers fill `head` before anything else is said.
static char *long_reply(const char *start, const char *line, size_t size)
{
    char *text = malloc(size + 200);
    size_t used;

    assert_non_null(text);
    used = (size_t)sprintf(text, "%s", start);
    for (size_t length = strlen(line); used < size; used += length)
        memcpy(text + used, line, length + 1);
    strcpy(text + used, "\r\n");
    return text;
}

// libcurl keeps each line; so the head, what comes before it and what comes behind the body must all have an end.
static void test_headers_without_end_are_cut_off(void **state)
{
    static const char *const starts[][2] = {
        {"HTTP/1.1 200 ok\r\nContent-Length: 0\r\n", "X-More: more\r\n"},
        {"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X-More: more\r\n"},
        {"HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"},
    };
    struct bfr_http *http = client();
    (void)state;

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        char *reply = long_reply(starts[i][0], starts[i][1], 400000);
        struct server server = {.reply = reply};
        server_start(&server);
        struct call call = call_of(server.port, "/");
        perform(http, &call);
        assert_int_equal(call.end, BFR_HTTP_TOO_LARGE);
        assert_string_equal(call.text, "the reply is longer than can be right");
        server_stop(&server);
        free(reply);
    }
    bfr_http_free(http);
}

static void test_a_proxy_that_is_none_is_refused_without_showing_its_password(void **state)
{
    static const char *const bad[] = {"http://me:s3cr3t@proxy:99999", "http://me:s3cr3t@pro xy",
                                      "gopher://me:s3cr3t@proxy",     "http://me:s3/cr3t@proxy:3128",
                                      "http://me:s3cr3t@[::1",        "socks5://me:s3cr3t@proxy"};
    static const char *const good[] = {"", "proxy:3128", "http://proxy", "https://me:s3%2Fcr3t@proxy:3128"};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bfr_err err = {.size = sizeof err};
        assert_null(bfr_http_new(&(struct bfr_http_settings){.proxy = bad[i], .max_connections = 1}, &err));
        assert_non_null(strstr(err.text, "write it as"));
        assert_null(strstr(err.text, "s3"));
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct bfr_err err = {.size = sizeof err};
        struct bfr_http *http = bfr_http_new(&(struct bfr_http_settings){.proxy = good[i], .max_connections = 1}, &err);
        assert_non_null(http);
        bfr_http_free(http);
    }
}

// The name "stuck.test" is looked up until the test lets go of it. All other names take their usual way.
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t news;
    unsigned asked;
    bool let_go;
    unsigned over;
} stuck = {.mutex = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **out)
{
    if (name == NULL || strcmp(name, "stuck.test") != 0) {
        int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
        return next(name, service, hints, out);
    }
    pthread_mutex_lock(&stuck.mutex);
    stuck.asked++;
    pthread_cond_broadcast(&stuck.news);
    while (!stuck.let_go)
        pthread_cond_wait(&stuck.news, &stuck.mutex);
    stuck.over++;
    pthread_cond_broadcast(&stuck.news);
    pthread_mutex_unlock(&stuck.mutex);
    return EAI_AGAIN;
}

static void await_stuck(const unsigned *counter, unsigned value)
{
    pthread_mutex_lock(&stuck.mutex);
    while (*counter < value)
        pthread_cond_wait(&stuck.news, &stuck.mutex);
    pthread_mutex_unlock(&stuck.mutex);
}

// Were the thread to wait for the resolver, this would never end.
static void test_a_name_that_is_looked_up_for_ever_holds_up_nobody(void **state)
{
    struct server server = {.reply = "HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n"};
    struct bfr_http *http = client();
    (void)state;

    server_start(&server);
    struct call late = call_of(1, "/");
    snprintf(late.url, sizeof late.url, "http://stuck.test/");
    late.request.connect_timeout_ms = 100;
    perform(http, &late);
    assert_int_equal(late.end, BFR_HTTP_UNSENT);
    struct call call = call_of(server.port, "/");
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_REPLIED);

    late.request.connect_timeout_ms = 0;
    late.done = false;
    assert_int_equal(bfr_http_submit(http, &late.request), BFR_OK);
    await_stuck(&stuck.asked, 2);
    bfr_http_stop(http);
    assert_int_equal(late.end, BFR_HTTP_STOPPED);
    bfr_http_free(http);
    server_stop(&server);
    pthread_mutex_lock(&stuck.mutex);
    stuck.let_go = true;
    pthread_cond_broadcast(&stuck.news);
    pthread_mutex_unlock(&stuck.mutex);
    await_stuck(&stuck.over, 2);
}

static void test_each_end_tells_whether_the_far_end_may_have_acted(void **state)
{
    struct server strange = {.reply = "garbage\r\n\r\n"};
    struct server server = {.reply = NULL};
    struct bfr_http *http = client();
    (void)state;

    server_start(&strange);
    struct call call = call_of(strange.port, "/");
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_BROKEN);
    assert_true(call.text[0] != '\0');
    server_stop(&strange);
    server_start(&server);
    call = call_of(server.port, "/");
    call.request.timeout_ms = 100;
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_TIMED_OUT);
    call.request.timeout_ms = 0;
    call.request.stall_timeout_ms = 100;
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_TIMED_OUT);
    assert_string_equal(call.text, "no byte came or went for the stall timeout");
    server_stop(&server);
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_UNSENT); // nobody listens there any more
    snprintf(call.url, sizeof call.url, "http://name.invalid/");
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_UNSENT);
    bfr_http_free(http);
}

static void test_what_is_no_url_is_refused_at_once(void **state)
{
    struct bfr_http *http = client();
    struct call call = call_of(1, "/");
    (void)state;

    call.request.url = "http://[::1";
    assert_int_equal(bfr_http_submit(http, &call.request), BFR_EINVAL);
    call.request.url = "";
    assert_int_equal(bfr_http_submit(http, &call.request), BFR_EINVAL);
    call.request.url = "file:///etc/passwd";
    assert_int_equal(bfr_http_submit(http, &call.request), BFR_EINVAL);
    assert_false(call.done);
    bfr_http_free(http);
}

static void test_a_stop_ends_every_request_once_and_refuses_more(void **state)
{
    struct server server = {.reply = NULL};
    struct bfr_http *http = client();
    struct call calls[3];
    (void)state;

    server_start(&server);
    for (int i = 0; i < 3; i++) {
        calls[i] = call_of(server.port, "/");
        calls[i].request.url = calls[i].url;
        calls[i].request.arg = &calls[i];
        assert_int_equal(bfr_http_submit(http, &calls[i].request), BFR_OK);
    }
    bfr_http_stop(http);
    for (int i = 0; i < 3; i++) {
        assert_true(calls[i].done);
        assert_int_equal(calls[i].end, BFR_HTTP_STOPPED);
    }
    assert_int_equal(bfr_http_submit(http, &calls[0].request), BFR_EFAIL);
    bfr_http_free(http);
    server_stop(&server);
}

static void on_wake(void *arg)
{
    struct call *call = arg;

    pthread_mutex_lock(&call->mutex);
    call->done = true;
    pthread_cond_broadcast(&call->news);
    pthread_mutex_unlock(&call->mutex);
}

static void test_a_wake_runs_on_the_clients_thread(void **state)
{
    struct call call = call_of(1, "/");
    struct bfr_err err = {.size = sizeof err};
    struct bfr_http *http = bfr_http_new(
        &(struct bfr_http_settings){.name = "t", .max_connections = 1, .on_wake = on_wake, .arg = &call}, &err);
    (void)state;

    assert_non_null(http);
    assert_int_equal(bfr_http_start(http, &err), BFR_OK);
    for (int i = 0; i < 3; i++) {
        call.done = false;
        bfr_http_wake(http);
        await(&call);
    }
    bfr_http_free(http);
}

// A client's own settings count, not those of whoever started the process.
static void test_the_environment_is_not_read(void **state)
{
    struct server server = {.reply = "HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n"};
    struct bfr_http *http = client();
    (void)state;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    server_start(&server);
    struct call call = call_of(server.port, "/");
    perform(http, &call);
    assert_int_equal(call.end, BFR_HTTP_REPLIED);
    bfr_http_free(http);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reply_comes_with_status_headers_and_body),
        cmocka_unit_test(test_a_body_goes_out_from_its_spans_on_a_kept_connection),
        cmocka_unit_test(test_a_request_that_finds_its_connection_closed_is_repeated_unless_told),
        cmocka_unit_test(test_a_reply_longer_than_allowed_is_cut_off),
        cmocka_unit_test(test_headers_without_end_are_cut_off),
        cmocka_unit_test(test_a_proxy_that_is_none_is_refused_without_showing_its_password),
        cmocka_unit_test(test_a_name_that_is_looked_up_for_ever_holds_up_nobody),
        cmocka_unit_test(test_each_end_tells_whether_the_far_end_may_have_acted),
        cmocka_unit_test(test_what_is_no_url_is_refused_at_once),
        cmocka_unit_test(test_a_stop_ends_every_request_once_and_refuses_more),
        cmocka_unit_test(test_a_wake_runs_on_the_clients_thread),
        cmocka_unit_test(test_the_environment_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
