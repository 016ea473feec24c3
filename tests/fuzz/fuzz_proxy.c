// SPDX-License-Identifier: Apache-2.0
// PROXY headers: a verdict once given never changes when more bytes come, a header never claims more bytes than there are,
// and a client's address is one that can be written.
#include <stdint.h>
#include <string.h>

#include "bug.h"
#include "http_peer.h"
#include "http_proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct bfr_proxy_header *header, enum bfr_proxy_result result, size_t size)
{
    struct bfr_peer peer;
    if (result == BFR_PROXY_BAD) {
        bfr_must(header->wrong != NULL);
    } else if (result != BFR_PROXY_MORE) {
        bfr_must(header->size >= 15 && header->size <= size && header->size <= BFR_PROXY_MAX);
        bfr_must(header->wrong == NULL);
    } else {
        bfr_must(size < BFR_PROXY_MAX);
    }
    if (result == BFR_PROXY_CLIENT) {
        bfr_peer_set(&peer, header->address, header->port);
        bfr_must(strlen(peer.text) > 1 && strlen(peer.text) < sizeof peer.text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bfr_proxy_header whole, part;
    enum bfr_proxy_result result = bfr_proxy_parse(data, size, &whole);
    check(&whole, result, size);
    bool begins = bfr_proxy_sniff(data, size) != BFR_PROXY_BAD;
    bfr_must(begins || result == BFR_PROXY_BAD);
    for (size_t i = 0; i < size && i < 600; i++) {
        enum bfr_proxy_result early = bfr_proxy_parse(data, i, &part);
        check(&part, early, i);
        bfr_must(early == BFR_PROXY_MORE || (early == result && part.size == whole.size));
    }
    return 0;
}
