// SPDX-License-Identifier: Apache-2.0
// One configured use of a plugin: its `self`, its host table, its state. Every call into a plugin goes through here, so
// that states are checked, slots are read by size, and a plugin's misuse of the host is caught and named.
#ifndef BFR_CORE_PLUGIN_STAGE_H
#define BFR_CORE_PLUGIN_STAGE_H

#include <stdatomic.h>

#include <bfr/ext/activity.h>
#include <bfr/ext/metrics.h>
#include <bfr/ext/settings.h>
#include <bfr/ext/status.h>
#include <bfr/plugin.h>

#include "clock.h"
#include "config_values.h"
#include "metrics.h"

// What all stages of one daemon share. Must outlive them.
struct bfr_stage_env {
    const struct bfr_clock *clock;
    struct bfr_metrics *metrics;
    bool (*post)(void *arg, void (*fn)(void *), void *fn_arg); // run on the main thread
    void *post_arg;
    const struct bfr_status_1 *status;     // the "status/1" extension; may be NULL
    const struct bfr_settings_1 *settings; // the "settings/1" extension; may be NULL
    const struct bfr_activity_1 *activity; // the "activity/1" extension; may be NULL
    const struct bfr_metrics_1 *samples;   // the "metrics/1" extension; may be NULL
    // A body that a stage has in RAM by itself (batch_make), until its last holder lets go; both or neither. [any]
    void (*hold)(void *arg, uint64_t bytes);
    void (*let_go)(void *arg, uint64_t bytes);
    void *memory_arg;
    bool abort_on_misuse; // debug builds and tests of misuse
};

// Who gets what the plugin reports. Set before start by the part that uses the stage; a NULL hook makes the call a
// misuse. All are called on the plugin's calling thread, with no lock held. [any]
struct bfr_stage_hooks {
    void (*on_complete)(void *arg, const struct bfr_completion *const *completions, size_t count);
    void (*on_ready)(void *arg);
    void (*on_verdict)(void *arg, uint64_t ticket, const struct bfr_verdict *verdict);
    void (*on_account)(void *arg, uint32_t entry, const char *tenant, uint64_t batches, uint64_t body_bytes);
    bool (*on_remember)(void *arg, uint32_t state, const struct bfr_recent *recent);
    void *arg;
};

enum bfr_stage_state {
    BFR_STAGE_NEW = 1, // no self yet
    BFR_STAGE_CREATED,
    BFR_STAGE_STARTED,
    BFR_STAGE_DRAINING,
    BFR_STAGE_STOPPED,
    BFR_STAGE_DESTROYED
};

struct bfr_stage;

// `plugin` may be statically linked (tests). `name` is copied, `values` borrowed until free. NULL when memory is short.
struct bfr_stage *bfr_stage_new(const struct bfr_plugin *plugin, const char *name, const struct bfr_values *values,
                                const struct bfr_stage_env *env);
void bfr_stage_free(struct bfr_stage *stage); // destroys first if needed; NULL is allowed

void bfr_stage_hook(struct bfr_stage *stage, const struct bfr_stage_hooks *hooks);

// The life cycle; a call out of order is our own bug. err->text is prefixed with the stage's name. [main]
BFR_MUST_CHECK uint32_t bfr_stage_create(struct bfr_stage *stage, struct bfr_err *err);
BFR_MUST_CHECK uint32_t bfr_stage_start(struct bfr_stage *stage, struct bfr_err *err);
void bfr_stage_drain(struct bfr_stage *stage, uint64_t deadline_ns);
void bfr_stage_stop(struct bfr_stage *stage); // also from STARTED
void bfr_stage_destroy(struct bfr_stage *stage);
BFR_MUST_CHECK uint32_t bfr_stage_reload(struct bfr_stage *stage, struct bfr_err *err);
// What its getters read from now on: before bfr_stage_reload, and again after one that failed. Returns what it was. Borrowed.
const struct bfr_values *bfr_stage_set_values(struct bfr_stage *stage, const struct bfr_values *values);
void bfr_stage_health(struct bfr_stage *stage, struct bfr_health *out); // any state
bool bfr_stage_probed(struct bfr_stage *stage); // started: does its health speak of what it met?

const char *bfr_stage_name(const struct bfr_stage *stage);
const struct bfr_plugin *bfr_stage_plugin(const struct bfr_stage *stage);
uint32_t bfr_stage_kind(const struct bfr_stage *stage);
enum bfr_stage_state bfr_stage_state(const struct bfr_stage *stage);
const struct bfr_host *bfr_stage_host(struct bfr_stage *stage);

// Log a plugin's breach of contract as that plugin's bug; abort when the env says so. `what` is constant.
void bfr_stage_misuse(struct bfr_stage *stage, const char *what);

// The vtables, NULL when the stage is of another kind, and self. Optional slots: BFR_HAS_CALL.
const struct bfr_queue_vtable *bfr_stage_queue(const struct bfr_stage *stage);
const struct bfr_sink_vtable *bfr_stage_sink(const struct bfr_stage *stage);
const struct bfr_auth_vtable *bfr_stage_auth(const struct bfr_stage *stage);
void *bfr_stage_self(const struct bfr_stage *stage);

// put of a queue or a sink, whichever it is; checks the returned count.
size_t bfr_stage_put(struct bfr_stage *stage, const struct bfr_delivery *const *deliveries, size_t count);

#endif
