// SPDX-License-Identifier: Apache-2.0
// The API's listening sockets.
#ifndef BFR_CORE_HTTP_ADMIN_LISTEN_H
#define BFR_CORE_HTTP_ADMIN_LISTEN_H

#include <stdint.h>

#include <bfr/status.h>

// A socket that listens on `address` (IPv4 or IPv6, numeric). `port` 0 picks a free one; *port then says which. An error
// names address, port and the configuration key; BFR_ENOTSUP: this machine lacks that family. The caller closes *out_fd.
BFR_MUST_CHECK uint32_t bfr_admin_listen(const char *address, uint16_t *port, int *out_fd, struct bfr_err *err);

#endif
