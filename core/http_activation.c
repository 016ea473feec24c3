// SPDX-License-Identifier: Apache-2.0
// The protocol of sd_listen_fds(3) in its own few lines, because it is only that: three variables, and descriptors from 3
// on. The table is written before any thread exists.
#include "http_activation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bfr/text.h>

#include "http_socket.h"

#define FIRST_FD    3
#define SOCKETS_MAX 32

static struct {
    int fd;
    const char *name; // one of the three
} table[SOCKETS_MAX];
static size_t table_count;

static const char *known_name(const char *name, size_t length)
{
    const struct bfr_socket_use *const uses[] = {&bfr_socket_webhook, &bfr_socket_api, &bfr_socket_metrics};
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        if (strlen(uses[i]->name) == length && strncmp(uses[i]->name, name, length) == 0)
            return uses[i]->name;
    }
    return NULL;
}

static bool has_value(int fd, int option, int wanted)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

static bool is_tcp_listener(int fd)
{
    return has_value(fd, SO_TYPE, SOCK_STREAM) && has_value(fd, SO_ACCEPTCONN, 1) &&
           has_value(fd, SO_PROTOCOL, IPPROTO_TCP);
}

// As our own sockets are: not blocking, closed by exec, TCP_NODELAY inherited by what is accepted.
static bool prepare(int fd)
{
    const int on = 1;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

static uint32_t take(int fd, const char *name, size_t length, struct bfr_err *err)
{
    const char *known = known_name(name, length);
    if (known == NULL)
        return bfr_err_set(
            err, BFR_EINVAL,
            "the inherited socket %d is named '%.*s'; write FileDescriptorName=webhook, api or metrics in "
            "its .socket unit",
            fd, (int)(length < 64 ? length : 64), name);
    if (!is_tcp_listener(fd))
        return bfr_err_set(
            err, BFR_EINVAL,
            "the inherited descriptor %d ('%s') is not a listening TCP socket; use ListenStream= with an "
            "address and port, and Accept=no",
            fd, known);
    if (!prepare(fd))
        return bfr_err_set(err, BFR_EFAIL, "the inherited socket %d ('%s') cannot be used: %s", fd, known,
                           strerror(errno));
    table[table_count].fd = fd;
    table[table_count++].name = known;
    return BFR_OK;
}

// A whole decimal number; -1 when it is none.
static long number_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    long number = text == NULL || text[0] < '0' || text[0] > '9' ? -1 : strtol(text, &end, 10);
    return number < 0 || errno != 0 || *end != '\0' ? -1 : number;
}

static uint32_t take_all(long count, const char *names, struct bfr_err *err)
{
    for (long i = 0; i < count; i++) {
        size_t length = strcspn(names, ":");
        uint32_t status = take(FIRST_FD + (int)i, names, length, err);
        if (status != BFR_OK)
            return status;
        names += names[length] == ':' ? length + 1 : length;
    }
    return BFR_OK;
}

uint32_t bfr_activation_take(struct bfr_err *err)
{
    const char *names = getenv("LISTEN_FDNAMES");
    long count = number_of(getenv("LISTEN_FDS"));
    bool ours = number_of(getenv("LISTEN_PID")) == (long)getpid();
    uint32_t status = BFR_OK;
    if (ours && count > SOCKETS_MAX)
        status = bfr_err_set(err, BFR_EINVAL, "more than %d inherited sockets (LISTEN_FDS)", SOCKETS_MAX);
    else if (ours && count > 0)
        status = take_all(count, names == NULL ? "" : names, err);
    // Nobody below us may take them for its own.
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return status;
}

size_t bfr_activation_count(const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < table_count; i++)
        count += strcmp(table[i].name, name) == 0;
    return count;
}

int bfr_activation_dup(const char *name, size_t index)
{
    for (size_t i = 0; i < table_count; i++) {
        if (strcmp(table[i].name, name) == 0 && index-- == 0)
            return fcntl(table[i].fd, F_DUPFD_CLOEXEC, FIRST_FD);
    }
    errno = EBADF;
    return -1;
}

void bfr_activation_release(void)
{
    while (table_count > 0)
        close(table[--table_count].fd);
}
