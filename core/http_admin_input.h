// SPDX-License-Identifier: Apache-2.0
// What a client of the API sends: query parameters and JSON bodies, checked strictly: what is not understood is refused
// and named. On failure a reply has been sent. [admin]
#ifndef BFR_CORE_HTTP_ADMIN_INPUT_H
#define BFR_CORE_HTTP_ADMIN_INPUT_H

#include "http_admin_work.h"

struct bfr_http_admin;

// The letters that a query asks for, and which page of them: tenant_id, dataset_id, status, limit, cursor.
BFR_MUST_CHECK bool bfr_admin_read_page(struct evhttp_request *request, struct bfr_admin_job *out);

// A tenant and a dataset; "" or "*" is any.
struct bfr_admin_filter {
    char tenant[BFR_UTF8_MAX_BYTES * BFR_ID_MAX + 1];
    char dataset[BFR_UTF8_MAX_BYTES * BFR_ID_MAX + 1];
};

// What a query asks for: tenant_id, dataset_id.
BFR_MUST_CHECK bool bfr_admin_read_filter(struct evhttp_request *request, struct bfr_admin_filter *out);
bool bfr_admin_filter_fits(const struct bfr_admin_filter *filter, const char *tenant, const char *dataset);

// The letters that a body selects. Without a tenant and a dataset nothing is selected, unless an id is.
BFR_MUST_CHECK bool bfr_admin_read_selector(struct evhttp_request *request, struct bfr_admin_selector *out);

// Only `dry_run`; no body at all is as good as an empty object.
BFR_MUST_CHECK bool bfr_admin_read_dry_run(struct evhttp_request *request, bool *out);

// Nothing, or an empty object.
BFR_MUST_CHECK bool bfr_admin_read_nothing(struct evhttp_request *request);

// Only `level`, one of the log's four. *out: enum bfr_log_level.
BFR_MUST_CHECK bool bfr_admin_read_level(struct evhttp_request *request, uint32_t *out);

#endif
