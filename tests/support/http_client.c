// SPDX-License-Identifier: Apache-2.0
#include "http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bug.h"

#define LIMIT_MS 60000

int client_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    bfr_must(fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool client_send(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

void client_text(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

void client_delivered(int fd)
{
    int unacknowledged = 1;
    while (ioctl(fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0)
        poll(NULL, 0, 1);
    bfr_must(unacknowledged == 0);
}

size_t client_unread(int fd)
{
    struct sockaddr_in own;
    struct sockaddr_in peer;
    bfr_must(getsockname(fd, (struct sockaddr *)&own, &(socklen_t){sizeof own}) == 0);
    bfr_must(getpeername(fd, (struct sockaddr *)&peer, &(socklen_t){sizeof peer}) == 0);
    FILE *sockets = fopen("/proc/net/tcp", "re");
    bfr_must(sockets != NULL);
    char line[512];
    unsigned unread = 0;
    bool found = false;
    while (!found && fgets(line, sizeof line, sockets) != NULL) {
        unsigned local, remote;
        found = sscanf(line, "%*s %*x:%x %*x:%x %*x %*x:%x", &local, &remote, &unread) == 3 &&
                local == ntohs(peer.sin_port) && remote == ntohs(own.sin_port);
    }
    fclose(sockets);
    bfr_must(found);
    return unread;
}

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, LIMIT_MS) == 1;
}

static bool read_byte(int fd, char *out)
{
    return readable(fd) && recv(fd, out, 1, 0) == 1;
}

bool reply_has(const struct http_reply *reply, const char *name, const char *value)
{
    size_t name_size = strlen(name);
    for (const char *line = strstr(reply->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_size) != 0 || strncmp(line + name_size, ": ", 2) != 0)
            continue;
        const char *found = line + name_size + 2;
        size_t size = strcspn(found, "\r");
        if (value == NULL || (size == strlen(value) && strncmp(found, value, size) == 0))
            return true;
    }
    return false;
}

static size_t content_length(const struct http_reply *reply)
{
    const char *line = strcasestr(reply->head, "\r\ncontent-length: ");
    return line != NULL ? (size_t)atol(line + strlen("\r\ncontent-length: ")) : 0;
}

bool client_reply(int fd, struct http_reply *out)
{
    size_t size = 0;
    memset(out, 0, sizeof *out);
    while (size < 4 || memcmp(out->head + size - 4, "\r\n\r\n", 4) != 0)
        if (size + 1 >= sizeof out->head || !read_byte(fd, &out->head[size++]))
            return false;
    if (sscanf(out->head, "HTTP/1.1 %d ", &out->status) != 1)
        return false;
    out->closes = reply_has(out, "Connection", "close");
    size_t length = content_length(out);
    if (length >= sizeof out->body)
        return false;
    for (; out->body_size < length; out->body_size++)
        if (!read_byte(fd, &out->body[out->body_size]))
            return false;
    return true;
}

static ssize_t read_to_the_end(int fd)
{
    char drop[4096];
    ssize_t got = 1;
    while (got > 0 && readable(fd))
        got = recv(fd, drop, sizeof drop, 0);
    return got;
}

bool client_closed(int fd)
{
    ssize_t end = read_to_the_end(fd);
    return end == 0 || (end < 0 && errno == ECONNRESET);
}

bool client_closed_orderly(int fd)
{
    return read_to_the_end(fd) == 0;
}
