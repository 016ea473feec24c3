// SPDX-License-Identifier: Apache-2.0
// The address of a far end as people write it, "collector:4318" or a whole URL.
#ifndef BFR_ENDPOINT_H
#define BFR_ENDPOINT_H

#include <bfr/status.h>

// The URL in *out, to be freed: http:// in front when there is no scheme, `path` behind when there is none. "" stays "".
// BFR_EINVAL with err->text: another scheme, or a login in it.
BFR_MUST_CHECK uint32_t bfr_endpoint_url(const char *endpoint, const char *path, char **out, struct bfr_err *err);

#endif
