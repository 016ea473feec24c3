// SPDX-License-Identifier: Apache-2.0
// A client that sends what it is told, well formed or not, to a server on the loopback interface. Header-only; include it
// after cmocka.h.
#ifndef BFR_TESTS_RAW_HTTP_H
#define BFR_TESTS_RAW_HTTP_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RAW_PATIENCE_MS 30000 // a limit for waiting, never a measure

static inline int raw_dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        return -1;
    return fd;
}

static inline void raw_send(int fd, const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

// A reply, or as much of it as came before the end of the connection.
struct raw_reply {
    char text[65536];
    size_t size;
    int status;
    const char *body;
};

static inline bool raw_wait(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    return poll(&readable, 1, RAW_PATIENCE_MS) == 1;
}

// Read until one reply is whole (the connection may go on), or to the end.
static inline void raw_receive(int fd, struct raw_reply *reply, bool has_body)
{
    memset(reply, 0, sizeof *reply);
    size_t wanted = sizeof reply->text - 1;
    while (reply->size < wanted && raw_wait(fd)) {
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

// Read everything up to the end of the connection into reply->text; reply->body is behind the first head.
static inline void raw_receive_all(int fd, struct raw_reply *reply)
{
    memset(reply, 0, sizeof *reply);
    while (reply->size < sizeof reply->text - 1 && raw_wait(fd)) {
        ssize_t got = recv(fd, reply->text + reply->size, sizeof reply->text - 1 - reply->size, 0);
        if (got <= 0)
            break;
        reply->size += (size_t)got;
    }
    const char *end = strstr(reply->text, "\r\n\r\n");
    reply->body = end != NULL ? end + 4 : NULL;
}

static inline bool raw_ends(int fd)
{
    char rest[4096];
    while (raw_wait(fd)) {
        ssize_t got = recv(fd, rest, sizeof rest, 0);
        if (got <= 0)
            return got == 0 || errno == ECONNRESET;
    }
    return false;
}

static inline void raw_ask(int fd, struct raw_reply *reply, const char *method, const char *target)
{
    char request[256];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: h\r\n\r\n", method, target);
    raw_send(fd, request);
    raw_receive(fd, reply, strcmp(method, "HEAD") != 0);
}

#endif
