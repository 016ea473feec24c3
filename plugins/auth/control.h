// SPDX-License-Identifier: Apache-2.0
// Mode control: the directory comes from the control service. Owns the client that asks it, the refreshing thread, and what
// single look-ups found. A question that the directory settles takes no lock; others wait for an answer without blocking
// anybody. Nothing here refuses a sender because the control service is away.
#ifndef BFR_AUTH_CONTROL_H
#define BFR_AUTH_CONTROL_H

#include <pthread.h>

#include <bfr/http.h>
#include <bfr/plugin.h>
#include <bfr/text.h>

#include "directory.h"
#include "hasher.h"
#include "live.h"

struct lookups;
struct refresher;

struct control_metrics {
    struct bfr_metric *tenants, *datasets, *bytes, *age, *refreshes, *lookups;
};

// Made in create; but for `live` and `answered` it does not change from start to stop.
struct control {
    const struct bfr_host *host;
    const struct hasher *hasher; // the stage's
    bool require_token;
    char *url;              // without a slash at the end; "" when not configured
    char *account;          // "" : all accounts that the key may see
    char *authorization;    // the header, or NULL without a key; a secret
    const char *cache_file; // "" : none is kept
    uint32_t timeout_ms;
    uint32_t refresh_ms;
    uint64_t max_stale_ns;
    struct bfr_http *http; // NULL without a URL
    struct live live;      // of directories; replaced by the refreshing thread
    atomic_bool answered;  // lists have come from the service since the start, so that its 404 is its own
    atomic_bool asked;     // the service has been asked once, with whatever result
    struct lookups *lookups;
    struct refresher *refresher;
    struct control_metrics metrics;
};

// `hasher` is borrowed. NULL with err->text. [main, create]
struct control *bfr_control_new(const struct bfr_host *host, const struct hasher *hasher, bool require_token,
                                struct bfr_err *err);
void bfr_control_free(struct control *control);
uint32_t bfr_control_start(struct control *control, struct bfr_err *err);
void bfr_control_stop(struct control *control);
void bfr_control_health(struct control *control, struct bfr_health *out);

uint32_t bfr_control_authorize(struct control *control, const struct bfr_request *request, uint64_t ticket,
                               struct bfr_verdict *out);
void bfr_control_cancel(struct control *control, uint64_t ticket);

// The slots of bfr/auth.h.
bool bfr_control_directory(struct control *control, struct bfr_directory *out);
void bfr_control_tenants(struct control *control, const char *tenant, uint64_t skip,
                         bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg);

#endif
