// SPDX-License-Identifier: Apache-2.0
// Reads the error document of a store: <Error><Code>..</Code><Message>..</Message>..</Error>. Never trusts it: bounded,
// control characters replaced, whatever is no such document gives empty texts. Pure.
#ifndef BFR_S3_ERROR_H
#define BFR_S3_ERROR_H

#include <stddef.h>
#include <stdint.h>

struct s3_error {
    char code[64];
    char message[160];
    char region[64];
};

void bfr_s3_error_read(const uint8_t *text, size_t size, struct s3_error *out);

// The text of the first element `name` in text, cleaned, into out; empty when there is none.
void bfr_s3_xml_text(const uint8_t *text, size_t size, const char *name, char *out, size_t room);

#endif
