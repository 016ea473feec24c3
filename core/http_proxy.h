// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): the header with which a balancer tells whose
// connection it forwards. Pure: bytes in, verdict out; nothing is kept between calls.
#ifndef BFR_CORE_HTTP_PROXY_H
#define BFR_CORE_HTTP_PROXY_H

#include <stddef.h>
#include <stdint.h>

// The longest header that is waited for. Version 2 could declare 64 KiB; addresses and the usual extensions take less than
// a tenth of this.
#define BFR_PROXY_MAX 4096u

enum bfr_proxy_result {
    BFR_PROXY_MORE = 1, // good so far, not complete
    BFR_PROXY_CLIENT,   // complete: the client's address follows from it
    BFR_PROXY_LOCAL,    // complete: the balancer speaks for itself (a health check), or does not know the address
    BFR_PROXY_BAD       // not a header; see `wrong`
};

struct bfr_proxy_header {
    size_t size;         // of the header, once complete: what follows is the client's
    uint8_t address[16]; // CLIENT: as in http_peer.h
    uint16_t port;
    const char *wrong; // BAD: what, as static text
};

// Look at the first `size` bytes of a connection, which may be any part of the header, from its beginning.
enum bfr_proxy_result bfr_proxy_parse(const uint8_t *data, size_t size, struct bfr_proxy_header *out);

// Do these bytes begin a PROXY header, whether a good one or not? MORE: they may; CLIENT: yes; BAD: no.
enum bfr_proxy_result bfr_proxy_sniff(const uint8_t *data, size_t size);

#endif
