// SPDX-License-Identifier: Apache-2.0
// The filename of a batch: the sender's, checked and completed, or one made here. Pure.
#ifndef BFR_CORE_HTTP_NAME_H
#define BFR_CORE_HTTP_NAME_H

#include "http_target.h"

#define BFR_NAME_ROOM (BFR_FILENAME_MAX + 1)

// The sender's name as the object will be called: `.gz` is added where it is missing, and a tail `.ndjson.gz` becomes
// `--ndjson.gz`, because the reader of the bucket skips the former. `out` has BFR_NAME_ROOM bytes.
enum bfr_refusal bfr_name_check(const struct bfr_target *target, struct bfr_span name, char *out);

// `{tenant}--{dataset}--{ns}--{hint}.gz`; a hint that is absent or not fit for a name becomes "unknown".
void bfr_name_make(const struct bfr_target *target, int64_t unix_ns, const char *hint, char *out);

// Well-formed UTF-8 (RFC 3629) without control characters.
bool bfr_text_is_clean(const uint8_t *text, size_t size);

#endif
