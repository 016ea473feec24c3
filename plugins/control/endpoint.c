// SPDX-License-Identifier: Apache-2.0
// See endpoint.h.
#include "endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "configuration.h"

uint32_t bfr_endpoint_url(const char *endpoint, const char *path, char **out, struct bfr_err *err)
{
    const char *scheme = strstr(endpoint, "://");
    *out = NULL;
    if (bfr_url_login(endpoint) != NULL)
        return bfr_err_set(err, BFR_EINVAL, "endpoint must not hold a login, because it appears in logs");
    if (scheme != NULL && strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0)
        return bfr_err_set(err, BFR_EINVAL, "endpoint must be host:port, or begin with http:// or https://");
    const char *authority = scheme != NULL ? scheme + 3 : endpoint;
    size_t length = strcspn(authority, "/");
    bool bare = authority[length] == '\0' || authority[length + 1] == '\0';
    size_t keep = bare ? (size_t)(authority - endpoint) + length : strlen(endpoint);
    if (endpoint[0] == '\0')
        *out = strdup("");
    else if (asprintf(out, "%s%.*s%s", scheme != NULL ? "" : "http://", (int)keep, endpoint, bare ? path : "") < 0)
        *out = NULL;
    return *out != NULL ? BFR_OK : bfr_err_set(err, BFR_ENOMEM, "out of memory");
}
