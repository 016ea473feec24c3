// SPDX-License-Identifier: Apache-2.0
// One datagram socket to the supervisor. Any thread may send; a datagram is whole or not there. Waits for a supervisor with a
// full queue, but not long; never fails the daemon.
#include "app_notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <bfr/text.h>

#include "clock.h"
#include "log.h"

#define US_NS UINT64_C(1000)

struct bfr_notify {
    int fd;
    struct sockaddr_un address;
    socklen_t address_size;
    uint64_t watchdog_ns;
    char status[500]; // the last one
};

// A path, or "@name" for a name in the abstract name space, which begins with a NUL.
static bool set_address(struct bfr_notify *notify, const char *path)
{
    size_t size = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || path[1] == '\0' || size >= sizeof notify->address.sun_path)
        return false;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, size + 1);
    if (path[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] == '@' ? 0 : 1));
    return true;
}

static bool read_number(const char *text, uint64_t *out)
{
    char *end = NULL;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

// Set for this process, and not for the one that started it?
static uint64_t read_watchdog(void)
{
    uint64_t pid = 0, usec = 0;
    const char *for_whom = getenv("WATCHDOG_PID");
    if (for_whom != NULL && (!read_number(for_whom, &pid) || pid != (uint64_t)getpid()))
        return 0;
    if (!read_number(getenv("WATCHDOG_USEC"), &usec) || usec > UINT64_MAX / US_NS)
        return 0;
    return usec * US_NS;
}

static bool open_socket(struct bfr_notify *notify)
{
    const struct timeval patience = {1, 0};
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return notify->fd >= 0 && setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0;
}

struct bfr_notify *bfr_notify_new(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct bfr_notify *notify = path == NULL || path[0] == '\0' ? NULL : calloc(1, sizeof *notify);
    if (notify != NULL) {
        notify->fd = -1;
        notify->watchdog_ns = read_watchdog();
        if (!set_address(notify, path) || !open_socket(notify)) {
            bfr_say(BFR_LOG_WARN, "main", "the supervisor is not told anything: NOTIFY_SOCKET names no socket path",
                    NULL);
            bfr_notify_free(notify);
            notify = NULL;
        }
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return notify;
}

void bfr_notify_free(struct bfr_notify *notify)
{
    if (notify == NULL)
        return;
    if (notify->fd >= 0)
        close(notify->fd);
    free(notify);
}

uint64_t bfr_notify_watchdog_ns(const struct bfr_notify *notify)
{
    return notify == NULL ? 0 : notify->watchdog_ns;
}

BFR_PRINTF(2, 3) static void tell(struct bfr_notify *notify, const char *format, ...)
{
    char text[sizeof notify->status + 16];
    if (notify == NULL)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ssize_t sent;
    do
        sent = sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
                      notify->address_size);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        bfr_say(BFR_LOG_WARN, "main", "the supervisor could not be told how the daemon is", "error", strerror(errno),
                NULL);
}

void bfr_notify_ready(struct bfr_notify *notify)
{
    tell(notify, "READY=1");
}

void bfr_notify_reloading(struct bfr_notify *notify)
{
    tell(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, bfr_clock_now(&bfr_clock_system) / US_NS);
}

void bfr_notify_stopping(struct bfr_notify *notify)
{
    tell(notify, "STOPPING=1\nSTATUS=stopping: what was accepted is being saved");
}

void bfr_notify_status(struct bfr_notify *notify, const char *status)
{
    if (notify == NULL || strcmp(notify->status, status) == 0)
        return;
    snprintf(notify->status, sizeof notify->status, "%s", status);
    for (char *at = notify->status; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20) // a newline would begin another assignment
            *at = ' ';
    }
    tell(notify, "STATUS=%s", notify->status);
}

void bfr_notify_alive(struct bfr_notify *notify)
{
    tell(notify, "WATCHDOG=1");
}

void bfr_notify_extend(struct bfr_notify *notify, uint64_t ns)
{
    tell(notify, "EXTEND_TIMEOUT_USEC=%" PRIu64, ns / US_NS);
}
