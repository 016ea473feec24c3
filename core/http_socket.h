// SPDX-License-Identifier: Apache-2.0
// Listening sockets of all ports: opened, bound, named, one way for the webhook, the API and the metrics. [main]
#ifndef BFR_CORE_HTTP_SOCKET_H
#define BFR_CORE_HTTP_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include <bfr/status.h>

// What a socket is for, as messages and a supervisor name it.
struct bfr_socket_use {
    const char *name;     // "webhook"; also the FileDescriptorName of an inherited one
    const char *bind_key; // "webhook.bind"
    const char *port_key; // "webhook.port"
    int backlog;
};

extern const struct bfr_socket_use bfr_socket_webhook;
extern const struct bfr_socket_use bfr_socket_api;
extern const struct bfr_socket_use bfr_socket_metrics;

// A socket bound to `address` (numeric), not listening yet. *port 0 picks a free one, which is stored. `share`: with
// SO_REUSEPORT. An error names address, port and the key to change; BFR_ENOTSUP: this machine lacks that family. The caller
// closes *out_fd.
BFR_MUST_CHECK uint32_t bfr_socket_bind(const struct bfr_socket_use *use, const char *address, uint16_t *port,
                                        bool share, int *out_fd, struct bfr_err *err);
// Closes the socket when it cannot listen.
BFR_MUST_CHECK uint32_t bfr_socket_listen(const struct bfr_socket_use *use, int fd, struct bfr_err *err);

uint16_t bfr_socket_port(int fd); // 0 when it has none

#endif
