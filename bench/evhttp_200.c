// SPDX-License-Identifier: Apache-2.0
// The floor for whoever builds on evhttp: reads a body as evhttp comes, keeps nothing, answers 200. One loop, one thread.
// Used by the benchmarks alone. Takes no argument, listens on a free loopback port, prints it, ends on SIGTERM.
#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

static void answer(struct evhttp_request *request, void *arg)
{
    (void)arg;
    evhttp_send_reply(request, HTTP_OK, "OK", NULL);
}

static void end(evutil_socket_t signal_number, short what, void *arg)
{
    (void)signal_number;
    (void)what;
    event_base_loopbreak(arg);
}

static bool print_port(struct evhttp_bound_socket *bound)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size) != 0)
        return false;
    printf("%u\n", ntohs(address.sin_port));
    return fflush(stdout) == 0;
}

int main(void)
{
    int status = EXIT_FAILURE;
    struct evhttp *http = NULL;
    struct event *on_term = NULL;
    struct event_base *base = event_base_new();
    if (base == NULL)
        goto out;
    http = evhttp_new(base);
    on_term = evsignal_new(base, SIGTERM, end, base);
    if (http == NULL || on_term == NULL || event_add(on_term, NULL) != 0)
        goto out;
    evhttp_set_gencb(http, answer, NULL);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    if (bound == NULL || !print_port(bound))
        goto out;
    status = event_base_dispatch(base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
out:
    if (on_term != NULL)
        event_free(on_term);
    if (http != NULL)
        evhttp_free(http);
    if (base != NULL)
        event_base_free(base);
    return status;
}
