// SPDX-License-Identifier: Apache-2.0
// What became of one file: the outcome that the host is told, and its text with path, cause and way out. Pure.
#ifndef BFR_FS_ERROR_H
#define BFR_FS_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include <bfr/text.h>

struct fs_result {
    uint32_t outcome; // enum bfr_outcome; BFR_STORED until something fails
    uint32_t flags;   // BFR_OUTAGE
    uint32_t reason;  // enum bfr_reason, with BFR_REJECT
    char text[768];
};

// The file system's fault, so everyone's: RETRY with OUTAGE. "cannot `verb` '`path`': cause; way out".
void bfr_fs_outage(struct fs_result *result, int error, const char *verb, const char *path);
// This batch's own: never to be stored.
BFR_PRINTF(3, 4) void bfr_fs_reject(struct fs_result *result, uint32_t reason, const char *format, ...);

#endif
