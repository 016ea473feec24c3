// SPDX-License-Identifier: Apache-2.0
// The reporter to the control service: what the files of `control` share. Everything but the options is the courier's
// thread's.
#ifndef BFR_REPORTER_H
#define BFR_REPORTER_H

#include <bfr/ext/settings.h>

#include "courier.h"
#include "duty.h"
#include "identity.h"
#include "machine.h"
#include "notices.h"
#include "tally.h"
#include "watch.h"

struct reporter {
    const struct bfr_host *host;
    struct courier *courier;
    const struct bfr_settings_1 *settings;
    const struct bfr_status_1 *status;

    // Options.
    char *url;           // without a slash at its end; "" when there is none
    char *authorization; // NULL when there is no key
    const char *account; // "" when there is none
    uint32_t timeout_ms;
    uint64_t report_ns, telemetry_ns;
    bool sends_reports, sends_errors;

    char instance[IDENTITY_SIZE + 8]; // name:port
    struct duty cleanup, registration, report, telemetry, errors;
    struct machine machine;
    struct tally *tally;
    struct watch *watch;
    struct notices notices;
    bool order_refused; // a line was written about it

    _Atomic uint32_t health;
};

// One call to the control service; `body` is released. The result's reply must be released.
void bfr_reporter_call(struct reporter *reporter, const char *method, const char *path, json_t *body,
                       uint32_t timeout_ms, struct courier_result *out);

void bfr_reporter_run(void *arg); // the thread; `arg` is the reporter

// health.c: registration, reports, farewell. Each makes its call and settles its duty.
void bfr_reporter_cleanup(struct reporter *reporter);
void bfr_reporter_register(struct reporter *reporter);
void bfr_reporter_report(struct reporter *reporter);
void bfr_reporter_farewell(struct reporter *reporter);

// telemetry.c: these two go on until nothing is left, a call fails, or a report is due.
void bfr_reporter_telemetry(struct reporter *reporter);
void bfr_reporter_errors(struct reporter *reporter);

#endif
