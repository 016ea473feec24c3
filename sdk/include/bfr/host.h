/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host table: all a plugin may ask of the daemon. Each stage gets its own, valid from `create` until `destroy`
 * returns. The first argument of every call is the table itself. No call takes a lock that is held while the host
 * calls a plugin, so every call may be made from inside any slot.
 */
#ifndef BFR_HOST_H
#define BFR_HOST_H

#include "abi.h"
#include "auth.h"
#include "batch.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum bfr_log_level {
    BFR_LOG_DEBUG = 1, /* per batch */
    BFR_LOG_INFO = 2,  /* life cycle */
    BFR_LOG_WARN = 3,  /* degraded and handled */
    BFR_LOG_ERROR = 4  /* a person must act */
};

enum bfr_metric_type {
    BFR_METRIC_COUNTER = 1,
    BFR_METRIC_GAUGE = 2,
    BFR_METRIC_HISTOGRAM = 3 /* of seconds, or of counts when the name does not end in _seconds */
};

/* What a queue did by itself (host->account). Zero is never valid. */
enum bfr_account_entry {
    BFR_ACCOUNT_FOUND_HELD = 1,   /* recovered, adopted or imported, waiting for its consumers */
    BFR_ACCOUNT_FOUND_BURIED = 2, /* the same, a dead letter */
    BFR_ACCOUNT_BURIED = 3,       /* held before; became a dead letter (damaged, expired) */
    BFR_ACCOUNT_PURGED_HELD = 4,
    BFR_ACCOUNT_PURGED_BURIED = 5 /* a dead letter past its age */
};

/* What became of a key while the daemon runs (host->remember). Zero is never valid. */
enum bfr_key_state {
    BFR_KEY_HELD = 1,   /* its batch was found or adopted, and waits for its consumers on stable storage */
    BFR_KEY_BURIED = 2, /* the same, a dead letter */
    BFR_KEY_FREE = 3    /* the queue forgot the batch by itself (past its age): the next one under the key is new */
};

struct bfr_metric;
struct bfr_recent; /* queue.h */

struct bfr_host {
    uint32_t size;      /* sizeof(struct bfr_host) as the host was compiled */
    uint32_t abi_minor; /* BFR_ABI_MINOR of the host */
    const char *stage;  /* the stage's name in the configuration */

    /* One event, one line. `message` is constant per call site, lower case, no full stop. `fields` holds key, value,
     * key, value, ..., NULL, and may be NULL; the host quotes values, adds time and stage, and folds repeats. Never a
     * secret, never a body. bfr_log in text.h is the comfortable form. [any] */
    void (*log)(const struct bfr_host *host, uint32_t level, const char *message, const char *const *fields);

    /* Time since some fixed point; never jumps. [any] */
    uint64_t (*monotonic_ns)(const struct bfr_host *host);

    /* Unix time in ns; may jump. [any] */
    int64_t (*wall_ns)(const struct bfr_host *host);

    /* Options, as declared in the plugin's table. Asking for a name that is not in it, or with the getter of
     * another type, is a bug of the plugin and ends the process in debug builds. Strings and lists are owned by the
     * host; live options may be replaced by a reload, which happens only inside life.reload. [main] */
    bool (*config_has)(const struct bfr_host *host, const char *name);           /* given, or has a fallback */
    const char *(*config_string)(const struct bfr_host *host, const char *name); /* "" when unset */
    bool (*config_bool)(const struct bfr_host *host, const char *name);
    int64_t (*config_integer)(const struct bfr_host *host, const char *name); /* INTEGER, SIZE (bytes), DURATION (ms) */
    double (*config_number)(const struct bfr_host *host, const char *name);
    const char *const *(*config_list)(const struct bfr_host *host, const char *name, size_t *out_count);

    /* Report the end of `count` deliveries of this stage, each exactly once, also from inside put. Anything else is
     * logged as this plugin's bug (and ends the process in debug builds). [any, started..stop] */
    void (*complete)(const struct bfr_host *host, const struct bfr_completion *const *completions, size_t count);

    /* Something changed: a put that was refused may succeed now, or a lease may find more. Sticky and cheap: calling
     * it once too often is harmless, calling it once too rarely stalls the pipeline. [any, started] */
    void (*ready)(const struct bfr_host *host);

    /* The late answer to auth.authorize; `verdict` is copied. A ticket that was cancelled or answered is ignored.
     * [any, started] */
    void (*verdict)(const struct bfr_host *host, uint64_t ticket, const struct bfr_verdict *verdict);

    /* Run fn(arg) once on the main thread, soon. Returns false when the daemon is past the point where it would run;
     * then the caller still owns arg. [any, started] */
    bool (*post)(const struct bfr_host *host, void (*fn)(void *arg), void *arg);

    /* One more holder / one holder less. [any] */
    void (*batch_retain)(const struct bfr_host *host, const struct bfr_batch *batch);
    void (*batch_release)(const struct bfr_host *host, const struct bfr_batch *batch);

    /* Make a batch from `source`, whose strings are copied and whose spans are borrowed until free_body(arg) is called
     * from the last release (any thread; NULL if nobody needs to know). Returns one reference, or NULL when memory is
     * short: then free_body is not called. For queues. [any] */
    const struct bfr_batch *(*batch_make)(const struct bfr_host *host, const struct bfr_batch *source,
                                          void (*free_body)(void *arg), void *arg);

    /* Register a metric, in `create` only. The exported name is "bytefreezer_receiver_" + name. `label_names` is a
     * NULL-terminated list, or NULL. Two stages that register the same name with the same labels share it. Returns
     * NULL when name, type or labels clash with what is registered. A name of the daemon's own (docs/metrics.md) makes
     * create fail whatever it returns. [main, create] */
    struct bfr_metric *(*metric_register)(const struct bfr_host *host, uint32_t type, const char *name,
                                          const char *help, const char *const *label_names);

    /* Counter: add to it. Gauge: set it. Histogram: record one observation. `label_values` has one string per
     * label name, or is NULL without labels. [any] */
    void (*metric_add)(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                       double value);
    void (*metric_set)(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                       double value);
    void (*metric_observe)(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                           double value);

    /* An optional part of the host by its name and revision ("status/1", see ext/), or NULL. [any] */
    const void *(*get_extension)(const struct bfr_host *host, const char *id);

    /* A queue tells the host's books what changed without the host having asked for it: batches found on disk, dead
     * letters it made or forgot by itself. `entry` is one of enum bfr_account_entry, the figures are sums over
     * batches of one tenant. For queues. [any, started] */
    void (*account)(const struct bfr_host *host, uint32_t entry, const char *tenant, uint64_t batches,
                    uint64_t body_bytes);

    /* A queue tells the duplicate memory what became of a key without the host having asked for it. HELD and BURIED: before
     * the batch can be leased; what is known under the key already stays as it is. True: the same bytes are known under
     * it, and are stored or on stable storage, so this batch is one too many and the queue may drop it. FREE: the key is
     * released if it is still that of this batch (bytes and time of arrival). For stable queues. [any, started] */
    bool (*remember)(const struct bfr_host *host, uint32_t state, const struct bfr_recent *recent);
};

#ifdef __cplusplus
}
#endif
#endif
