/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a stage: one configured use of a plugin. Every kind has the same life cycle:
 *
 *     create --> start --> (work) --> drain --> stop --> destroy
 *        |         |
 *        |         `-- failed: destroy follows, nothing else
 *        `-- failed: nothing follows; create has freed what it made
 *
 * All calls of this table are [main] and never overlap for one stage, except `health`, which is [any, started].
 * Everything hangs off `self`: one plugin can be configured several times in one process.
 */
#ifndef BFR_LIFE_H
#define BFR_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct bfr_host;

/* How a stage is. Zero is never valid. */
enum bfr_health_state {
    BFR_HEALTH_OK = 1,
    BFR_HEALTH_DEGRADED = 2, /* works, but a person should know why */
    BFR_HEALTH_FAILED = 3    /* does not work */
};

struct bfr_health {
    uint32_t size;    /* set by the caller: sizeof(struct bfr_health) */
    uint32_t state;   /* enum bfr_health_state */
    char reason[256]; /* one sentence, no secret; empty when OK */
};

struct bfr_life {
    uint32_t size; /* sizeof(struct bfr_life) */

    /* Validate the options and build the stage; open no file, connect nothing, start no thread. `host` and every
     * string got from its config getters stay valid until `destroy` returns, or `reload` begins (below). On failure: write err->text, free
     * everything, leave *out_self alone. Required. */
    uint32_t (*create)(const struct bfr_host *host, void **out_self, struct bfr_err *err);

    /* Open resources and start threads. Must not wait for a far end: a store that is down is not a reason to fail.
     * Threads a plugin starts block all signals and have a name. May be NULL. */
    uint32_t (*start)(void *self, struct bfr_err *err);

    /* No new batch will be put after this call. Finish what was taken until `deadline_ns` (host->monotonic_ns);
     * return early when done. What is not finished is completed with BFR_RETRY. May be NULL. */
    void (*drain)(void *self, uint64_t deadline_ns);

    /* Every delivery still open is completed before this returns, and no thread of the plugin may call the host
     * afterwards. May be NULL when the plugin has no thread and completes inside put. */
    void (*stop)(void *self);

    /* Free everything. Required. */
    void (*destroy)(void *self);

    /* The configuration is read again: read the options flagged BFR_OPTION_LIVE once more through the same getters, and
     * files of your own. Called at every reload, whether one of them has changed or not, and again, with the old options
     * back, when one has and another stage refuses. What a getter gave for such an option before is valid until this
     * call begins: copy what is kept. On failure write err->text and go on as before. May be NULL when no option is
     * flagged. */
    uint32_t (*reload)(void *self, struct bfr_err *err);

    /* How are you? Must not block. May be NULL: then the host judges by outcomes alone. [any, started] */
    void (*health)(void *self, struct bfr_health *out);

    /* Has the stage met its far end since it was started, so that `health` speaks of what it found and not of hope?
     * Asked by `check --live`. Must not block. May be NULL: it always has. [any, started] */
    bool (*probed)(void *self);
};

#ifdef __cplusplus
}
#endif
#endif
