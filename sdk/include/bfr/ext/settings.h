/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host extension "settings/1": what is configured, under the names that the previous product's files had, whatever form
 * the file has. For services that report the configuration in the old shape.
 *
 *     const struct bfr_settings_1 *settings = host->get_extension(host, BFR_EXT_SETTINGS_1);
 */
#ifndef BFR_EXT_SETTINGS_H
#define BFR_EXT_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BFR_EXT_SETTINGS_1 "settings/1"

struct bfr_host;

struct bfr_settings_1 {
    uint32_t size; /* sizeof(struct bfr_settings_1) */

    /* The value in effect of a key such as "s3.bucket_name" (the names of docs/migration.md, of either form) as text into
     * `out`, cut to `room`, always with its end: true or false, whole numbers in the unit of the key's name or bytes,
     * lists with commas between. A secret is "***", or empty when there is none. BFR_EINVAL, and an empty text: no such
     * key. [any, started] */
    uint32_t (*text)(const struct bfr_host *host, const char *key, char *out, size_t room);
};

#ifdef __cplusplus
}
#endif
#endif
