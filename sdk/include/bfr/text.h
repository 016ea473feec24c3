/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small helpers for plugin authors, in the static library libbfr-sdk. Not part of the ABI: they are compiled into the
 * plugin and call the host through its table.
 */
#ifndef BFR_TEXT_H
#define BFR_TEXT_H

#include "host.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BFR_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#define BFR_SENTINEL                    __attribute__((sentinel))
#else
#define BFR_PRINTF(format_index, first)
#define BFR_SENTINEL
#endif

/* Write err->text (cut to fit, never splitting a UTF-8 character) and return `status`. `err` may be NULL.
 *     return bfr_err_set(err, BFR_EFAIL, "cannot open '%s': %s", path, reason);  */
BFR_PRINTF(3, 4) uint32_t bfr_err_set(struct bfr_err *err, uint32_t status, const char *format, ...);

/* Put "context: " in front of what err->text says already. */
BFR_PRINTF(2, 3) void bfr_err_prefix(struct bfr_err *err, const char *format, ...);

/* A number as text, for bfr_log. */
struct bfr_number {
    char text[24];
};
struct bfr_number bfr_num(int64_t value);

/* host->log with key, value, key, value, ..., NULL (at most 16 pairs):
 *     bfr_log(host, BFR_LOG_WARN, "upload failed", "batch", name, "attempt", bfr_num(3).text, NULL);  */
BFR_SENTINEL void bfr_log(const struct bfr_host *host, uint32_t level, const char *message, ...);

/* Complete one delivery. For many at once call host->complete. */
void bfr_complete_stored(const struct bfr_host *host, const struct bfr_delivery *delivery);
void bfr_complete_retry(const struct bfr_host *host, const struct bfr_delivery *delivery, uint32_t flags,
                        const char *text);
void bfr_complete_reject(const struct bfr_host *host, const struct bfr_delivery *delivery, uint32_t reason,
                         const char *text);

/* Lower-case hex of `size` bytes and a NUL into out[2 * size + 1]. */
void bfr_hex(const uint8_t *data, size_t size, char *out);

/* "conflict" for BFR_REASON_CONFLICT, and so on; "unknown" for a value this header does not know. */
const char *bfr_reason_name(uint32_t reason);

#ifdef __cplusplus
}
#endif
#endif
