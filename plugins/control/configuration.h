// SPDX-License-Identifier: Apache-2.0
// What is configured, in the shape in which the control service knows it. Secrets are "***" or empty.
#ifndef BFR_CONFIGURATION_H
#define BFR_CONFIGURATION_H

#include <jansson.h>

#include <bfr/ext/settings.h>
#include <bfr/plugin.h>

// What the service itself knows better than the settings.
struct configuration_facts {
    const char *instance; // instance_api, instance_id
    const char *account;  // "" when there is none
    int64_t report_seconds;
    int64_t timeout_seconds;
};

// NULL when memory is short.
json_t *bfr_configuration_report(const struct bfr_host *host, const struct bfr_settings_1 *settings,
                                 const struct configuration_facts *facts);

// Where the authority of `url` goes on behind a login, at the '@'; NULL when it holds none.
const char *bfr_url_login(const char *url);

// A copy of `url` without what stands before an '@' in its authority; cut to `room`.
void bfr_configuration_public_url(const char *url, char *out, size_t room);

#endif
