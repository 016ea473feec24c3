// SPDX-License-Identifier: Apache-2.0
// What a store or a metadata service may send: any bytes as an error document and as a set of keys. Whatever comes out is
// bounded, printable and fit for a header, and a region is fit for a host name.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "s3_endpoint.h"
#include "s3_error.h"
#include "s3_keys.h"
#include "s3_outcome.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool true_always)
{
    if (!true_always)
        abort();
}

static void require_clean(const char *text, size_t room, unsigned char least)
{
    size_t length = strnlen(text, room);

    require(length < room);
    for (size_t i = 0; i < length; i++)
        require((unsigned char)text[i] >= least && (unsigned char)text[i] < 0x7F);
}

static void read_error(const uint8_t *data, size_t size)
{
    struct s3_error error;
    struct s3_endpoint endpoint;

    bfr_s3_error_read(data, size, &error);
    require_clean(error.code, sizeof error.code, 0x20);
    require_clean(error.message, sizeof error.message, 0x20);
    require_clean(error.region, sizeof error.region, 0x20);
    require(bfr_s3_meaning(400, error.code) != NULL);
    if (bfr_s3_region_is_good(error.region))
        require(bfr_s3_endpoint_make("", true, -1, error.region, "intake", &endpoint, NULL) == BFR_OK &&
                strpbrk(endpoint.host, "/@:? ") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct s3_keys keys;

    read_error(data, size);
    if (bfr_s3_keys_read_json(&keys, data, size)) {
        require_clean(keys.access_key, sizeof keys.access_key, 0x21);
        require_clean(keys.secret_key, sizeof keys.secret_key, 0x21);
        require_clean(keys.session_token, sizeof keys.session_token, 0x21);
        require(keys.access_key[0] != '\0' && keys.secret_key[0] != '\0');
    }
    return 0;
}
