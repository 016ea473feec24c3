// SPDX-License-Identifier: Apache-2.0
// A client that posts at a fixed rate, whatever the server does: request i is due i/rate seconds after the start, goes out
// then or as soon as a connection is free, and its latency counts from when it was due. A client that waits for each reply
// before it sends the next one would leave out what a slow reply costs those behind it.
// Used by bench/latency alone. One thread, epoll. Posts to 127.0.0.1 and nowhere else; prints one line of JSON.
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 1024, REPLY_MAX = 4096, CONNECTIONS_MAX = 4096 };
static const uint64_t second_ns = 1000000000;
static const uint64_t patience_ns = 30 * second_ns; // for the last replies

struct client {
    int fd;
    bool busy;
    uint64_t due_ns;
    size_t head_bytes, sent;
    size_t received;
    char head[HEAD_MAX], reply[REPLY_MAX];
};

struct load {
    int epoll;
    uint16_t port;
    const char *path, *run, *token;
    char *body;
    size_t body_bytes;
    struct client *clients;
    size_t *idle; // a stack of places in `clients`
    size_t client_count, idle_count;
    uint64_t rate, total, issued, ended, begin_ns;
    uint64_t refused, broken;
    uint64_t *latencies; // of those answered with 200
    uint64_t accepted;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * second_ns + (uint64_t)now.tv_nsec;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "open_loop: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void open_client(struct load *load, struct client *client)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(load->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (const struct sockaddr *)&address, sizeof address) != 0)
        give_up("connect");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // Edges: the socket is read and written until it has no more, each time.
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
        give_up("epoll_ctl");
}

static void end_request(struct load *load, struct client *client)
{
    load->ended++;
    client->busy = false;
    load->idle[load->idle_count++] = (size_t)(client - load->clients);
}

// The server closed. A request that was out has no reply and never will have one.
static void reopen_client(struct load *load, struct client *client)
{
    close(client->fd);
    open_client(load, client);
    if (client->busy) {
        load->broken++;
        end_request(load, client);
    }
}

static void send_rest(struct load *load, struct client *client)
{
    while (client->busy && client->sent < client->head_bytes + load->body_bytes) {
        size_t of_head = client->sent < client->head_bytes ? client->sent : client->head_bytes;
        size_t of_body = client->sent - of_head;
        struct iovec parts[2] = {{client->head + of_head, client->head_bytes - of_head},
                                 {load->body + of_body, load->body_bytes - of_body}};
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return; // full, or broken: reading tells which
        client->sent += (size_t)sent;
    }
}

static void issue(struct load *load, struct client *client)
{
    uint64_t number = load->issued++;
    client->due_ns = load->begin_ns + number * second_ns / load->rate;
    client->busy = true;
    client->sent = client->received = 0;
    int length = snprintf(client->head, sizeof client->head,
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n"
                          "Authorization: Bearer %s\r\nX-Proxy-Filename: acme--fw--%s-%" PRIu64 "--bench.gz\r\n\r\n",
                          load->path, load->body_bytes, load->token, load->run, number);
    if (length < 0 || (size_t)length >= sizeof client->head) {
        errno = EMSGSIZE;
        give_up("the head of a request");
    }
    client->head_bytes = (size_t)length;
    send_rest(load, client);
}

// Bytes of the whole reply, 0 when its head is not there yet.
static size_t reply_bytes(const struct client *client)
{
    static const char field[] = "\r\ncontent-length:";
    const char *end = memmem(client->reply, client->received, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - client->reply) + 4;
    for (const char *at = client->reply; at < end; at++)
        if (strncasecmp(at, field, sizeof field - 1) == 0)
            return head + strtoul(at + sizeof field - 1, NULL, 10);
    return head;
}

// True when the connection can be used on: a reply that comes before the body is out leaves the rest of it on the way.
static bool take_reply(struct load *load, struct client *client)
{
    client->reply[client->received] = '\0';
    size_t whole = reply_bytes(client);
    if (whole == 0 || client->received < whole)
        return true;
    if (strncmp(client->reply, "HTTP/1.1 200 ", 13) == 0)
        load->latencies[load->accepted++] = now_ns() - client->due_ns;
    else
        load->refused++;
    end_request(load, client);
    return client->sent == client->head_bytes + load->body_bytes;
}

static void on_event(struct load *load, struct client *client)
{
    for (;;) {
        size_t room = sizeof client->reply - 1 - client->received;
        ssize_t got = recv(client->fd, client->reply + client->received, room, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got > 0)
            client->received += (size_t)got;
        // Also a reply that is larger than any of ours, or one to nothing.
        if (got <= 0 || !client->busy || !take_reply(load, client)) {
            reopen_client(load, client);
            return;
        }
    }
    send_rest(load, client);
}

// Sends what is due; returns how long nothing needs to be sent.
static uint64_t issue_due(struct load *load)
{
    while (load->idle_count > 0 && load->issued < load->total) {
        uint64_t due = load->begin_ns + load->issued * second_ns / load->rate, now = now_ns();
        if (due > now)
            return due - now;
        issue(load, &load->clients[load->idle[--load->idle_count]]);
    }
    return second_ns;
}

static void run_load(struct load *load)
{
    struct epoll_event events[64];
    load->begin_ns = now_ns();
    uint64_t end_ns = load->begin_ns + load->total * second_ns / load->rate + patience_ns;
    while (load->ended < load->total && now_ns() < end_ns) {
        uint64_t wait_ns = issue_due(load);
        const struct timespec wait = {(time_t)(wait_ns / second_ns), (long)(wait_ns % second_ns)};
        int count = epoll_pwait2(load->epoll, events, 64, &wait, NULL);
        if (count < 0 && errno != EINTR)
            give_up("epoll_pwait2");
        for (int i = 0; i < count; i++)
            on_event(load, events[i].data.ptr);
    }
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static double percentile_us(const struct load *load, double share)
{
    if (load->accepted == 0)
        return 0;
    return (double)load->latencies[(size_t)(share * (double)(load->accepted - 1))] / 1000.0;
}

static void report(struct load *load)
{
    qsort(load->latencies, load->accepted, sizeof *load->latencies, compare);
    printf("{\"requests\": %" PRIu64 ", \"acknowledged\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"broken\": %" PRIu64
           ", \"unanswered\": %" PRIu64 ", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
           load->total, load->accepted, load->refused, load->broken, load->total - load->ended,
           percentile_us(load, 0.5), percentile_us(load, 0.99), percentile_us(load, 0.999), percentile_us(load, 1));
}

// Incompressible, with the head of a gzip member: it is taken as it is.
static void make_body(struct load *load)
{
    static const char head[] = {31, (char)139, 8, 0, 0, 0, 0, 0, 0, 3};
    for (size_t at = 0; at < load->body_bytes;) {
        ssize_t got = getrandom(load->body + at, load->body_bytes - at, 0);
        if (got < 0)
            give_up("getrandom");
        at += (size_t)got;
    }
    memcpy(load->body, head, sizeof head);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        give_up("memory");
    return memory;
}

static void prepare(struct load *load)
{
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0)
        give_up("epoll_create1");
    load->body = allocate(load->body_bytes, 1);
    load->latencies = allocate(load->total, sizeof(uint64_t));
    load->clients = allocate(load->client_count, sizeof(struct client));
    load->idle = allocate(load->client_count, sizeof(size_t));
    make_body(load);
    for (size_t i = 0; i < load->client_count; i++) {
        open_client(load, &load->clients[i]);
        load->idle[load->idle_count++] = i;
    }
}

static void release(struct load *load)
{
    for (size_t i = 0; i < load->client_count; i++)
        close(load->clients[i].fd);
    close(load->epoll);
    free(load->body);
    free(load->latencies);
    free(load->clients);
    free(load->idle);
}

int main(int argc, char **argv)
{
    const char *token = getenv("BENCH_TOKEN"); // not among the arguments, which everybody may read
    if (argc != 8) {
        fputs("usage: open_loop PORT PATH BODY_BYTES CONNECTIONS RATE SECONDS RUN\n", stderr);
        return EXIT_FAILURE;
    }
    struct load load = {.port = (uint16_t)strtoul(argv[1], NULL, 10),
                        .path = argv[2],
                        .body_bytes = strtoul(argv[3], NULL, 10),
                        .client_count = strtoul(argv[4], NULL, 10),
                        .rate = strtoull(argv[5], NULL, 10),
                        .run = argv[7],
                        .token = token != NULL ? token : ""};
    load.total = load.rate * strtoull(argv[6], NULL, 10);
    if (load.body_bytes < 64 || load.client_count == 0 || load.client_count > CONNECTIONS_MAX || load.total == 0) {
        fputs("open_loop: an argument is out of range\n", stderr);
        return EXIT_FAILURE;
    }
    prepare(&load);
    run_load(&load);
    report(&load);
    release(&load);
    return EXIT_SUCCESS;
}
