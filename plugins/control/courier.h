// SPDX-License-Identifier: Apache-2.0
// The thread of a service and its calls. The service's own code runs on one thread, one call at a time; the calls run on the
// HTTP client's. When the daemon stops, what is under way is left behind, and a farewell may follow until the deadline.
#ifndef BFR_COURIER_H
#define BFR_COURIER_H

#include <jansson.h>

#include <bfr/plugin.h>

struct courier;

struct courier_call {
    const char *method;
    const char *url;
    const char *authorization; // "Authorization: Bearer ..."; NULL: none
    const json_t *body;        // NULL: none
    uint32_t timeout_ms;
};

struct courier_result {
    bool taken;      // the far end answered 2xx
    uint32_t status; // of HTTP; 0 without an answer
    bool refused;    // this very call will never be taken: 4xx but for 401, 403, 408 and 429
    char text[160];  // why it was not taken; holds no secret
    json_t *reply;   // the body, when it is a JSON object; release with json_decref
};

// `name` is the thread's, at most 15 bytes. The stage has an option `ca_file`. NULL with err->text. [main, create]
struct courier *bfr_courier_new(const struct bfr_host *host, const char *name, struct bfr_err *err);
// run(arg) is the service's thread. It returns when bfr_courier_wait says so and its farewell is over. [main]
uint32_t bfr_courier_start(struct courier *courier, void (*run)(void *arg), void *arg, struct bfr_err *err);
// Begin to leave: calls under way are left behind, those that follow end at `deadline_ns`. Returns at once. [main]
void bfr_courier_leave(struct courier *courier, uint64_t deadline_ns);
void bfr_courier_stop(struct courier *courier); // cuts everything off and joins. [main]
void bfr_courier_free(struct courier *courier); // NULL is allowed

// The rest is for the service's thread.

uint64_t bfr_courier_now(const struct courier *courier);
// Sleep until `until_ns` (monotonic). False: the daemon stops.
bool bfr_courier_wait(struct courier *courier, uint64_t until_ns);
bool bfr_courier_leaving(struct courier *courier);
// Call and wait for the end of it. `out` is always filled.
void bfr_courier_call(struct courier *courier, const struct courier_call *call, struct courier_result *out);

// A factor between 0.5 and 1, so that many daemons do not call in step.
double bfr_courier_jitter(void);

#endif
