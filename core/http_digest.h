// SPDX-License-Identifier: Apache-2.0
// What a sender says the SHA-256 of its body is: Content-Digest (RFC 9530) or X-Content-SHA256 (hexadecimal). Read from the
// head, compared by the body when its last byte has come.
#ifndef BFR_CORE_HTTP_DIGEST_H
#define BFR_CORE_HTTP_DIGEST_H

#include "http_gate.h"

struct bfr_stated_digest {
    bool stated; // false: nothing to compare with
    uint8_t sha256[32];
};

// After HEAD. BFR_REFUSE_DIGEST_FIELD when a field is malformed or the two disagree; then `out` is unspecified.
enum bfr_refusal bfr_digest_read(const struct bfr_gate *gate, struct bfr_stated_digest *out);

// One line of Content-Digest. Members of other algorithms are checked for syntax alone; the last sha-256 counts.
bool bfr_digest_parse(struct bfr_span field, struct bfr_stated_digest *out);

#endif
