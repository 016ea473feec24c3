// SPDX-License-Identifier: Apache-2.0
// From the text of one value to what it means. Pure. Each function returns NULL and sets *out, or says what the text is
// not, in words that complete "'abc' ...".
#ifndef BFR_CORE_CONFIG_VALUE_H
#define BFR_CORE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include <bfr/status.h> // BFR_MUST_CHECK

BFR_MUST_CHECK const char *bfr_value_bool(const char *text, bool *out);
BFR_MUST_CHECK const char *bfr_value_integer(const char *text, int64_t *out);
BFR_MUST_CHECK const char *bfr_value_number(const char *text, double *out);
// Bytes.
BFR_MUST_CHECK const char *bfr_value_size(const char *text, int64_t *out);
// Milliseconds, never more than fit 64 bits as nanoseconds. `unit` is what a plain number counts; NULL = seconds.
BFR_MUST_CHECK const char *bfr_value_duration(const char *text, const char *unit, int64_t *out);

#endif
