// SPDX-License-Identifier: Apache-2.0
// "Bearer" 1*SP token: RFC 9110 section 11.4 (the scheme in any case, one or more spaces), RFC 6750 section 2.1. A token
// is more here than b64token allows: any visible ASCII. Whether it is the right one is decided by its hash alone.
#include "bearer.h"

#include <string.h>
#include <strings.h>

static bool is_visible(struct bfr_span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e)
            return false;
    return true;
}

enum bearer_fault bfr_bearer_parse(struct bfr_span field, struct bfr_span *out)
{
    static const char scheme[] = "Bearer";
    const size_t length = sizeof scheme - 1;

    if (field.data == NULL)
        return BEARER_ABSENT;
    if (field.size < length || strncasecmp((const char *)field.data, scheme, length) != 0)
        return BEARER_SCHEME;
    if (field.size > length && field.data[length] != ' ')
        return is_visible((struct bfr_span){field.data + length, 1}) ? BEARER_SCHEME : BEARER_MALFORMED;

    struct bfr_span token = {field.data + length, field.size - length};
    while (token.size > 0 && token.data[0] == ' ') {
        token.data++;
        token.size--;
    }
    if (token.size == 0 || !is_visible(token))
        return BEARER_MALFORMED;
    *out = token;
    return BEARER_OK;
}

const char *bfr_bearer_fault_text(enum bearer_fault fault)
{
    static const char *const texts[] = {
        [BEARER_OK] = "",
        [BEARER_ABSENT] = "no Authorization field",
        [BEARER_SCHEME] = "the Authorization scheme is not Bearer",
        [BEARER_MALFORMED] = "the Authorization field has no valid token after Bearer",
    };
    return texts[fault];
}
