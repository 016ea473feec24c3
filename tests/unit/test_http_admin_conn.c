// SPDX-License-Identifier: Apache-2.0
// The limits on the API's connections, with small figures, on an evhttp of their own: how many, and how long each.
#include "http_admin_conn.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "raw_http.h"

static atomic_uint late; // how often epoll was told of a descriptor that was closed already

// Stands before that of the C library, for libevent too, which must see it.
__attribute__((visibility("default"))) int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    int result = (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
    if (result < 0 && errno == EBADF)
        atomic_fetch_add(&late, 1);
    return result;
}

static struct raw_reply reply; // too large for the stack; the tests run one after another

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
    limited->conns = bfr_admin_conns_new(limited->base, limited->http, limit, lifetime_ms, NULL, NULL);
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
    int first = raw_dial(limited.port), second = raw_dial(limited.port);
    raw_ask(first, &reply, "GET", "/");
    raw_ask(second, &reply, "GET", "/");
    int third = raw_dial(limited.port); // connected as far as the kernel is concerned
    raw_ask(third, &reply, "GET", "/");
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
    limited_start(&limited, 1, RAW_PATIENCE_MS * 10);
    for (int i = 0; i < 20; i++) {
        int fd = raw_dial(limited.port);
        raw_ask(fd, &reply, "GET", "/");
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
    int fd = raw_dial(limited.port);
    struct pollfd pace = {.fd = fd, .events = POLLIN};
    raw_send(fd, "GET / HTTP/1.1\r\nX: ");
    bool ended = false;
    for (int i = 0; i < RAW_PATIENCE_MS / 20 && !ended; i++) {
        ended = send(fd, "x", 1, MSG_NOSIGNAL) < 0;
        ended = poll(&pace, 1, 20) != 0 || ended; // readable: the end, for nothing was answered
    }
    assert_true(ended);
    assert_true(raw_ends(fd));
    close(fd);
    limited_stop(&limited);
}

// One that evhttp ends itself, behind its reply, and one that a client ends.
static void test_epoll_is_never_told_of_a_closed_descriptor(void **state)
{
    (void)state;
    struct limited limited;
    limited_start(&limited, 4, RAW_PATIENCE_MS * 10);
    atomic_store(&late, 0);
    int fd = raw_dial(limited.port);
    raw_send(fd, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    raw_receive(fd, &reply, true);
    assert_int_equal(reply.status, 200);
    assert_true(raw_ends(fd));
    close(fd);
    fd = raw_dial(limited.port);
    raw_ask(fd, &reply, "GET", "/");
    close(fd);
    limited_stop(&limited);
    assert_int_equal(atomic_load(&late), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_past_the_limit_a_connection_waits_until_another_ends),
        cmocka_unit_test(test_closed_connection_makes_room_at_once),
        cmocka_unit_test(test_a_trickle_of_bytes_does_not_keep_a_connection),
        cmocka_unit_test(test_epoll_is_never_told_of_a_closed_descriptor),
    };
    return cmocka_run_group_tests_name("http_admin_conn", tests, NULL, NULL);
}
