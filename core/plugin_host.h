// SPDX-License-Identifier: Apache-2.0
// The inside of a stage, shared by the files that make it up: plugin_stage.c (life cycle), plugin_host.c (what the
// plugin may call), plugin_report.c (what it reports), plugin_post.c (calls it asked for on the main thread). Nobody
// else includes this.
#ifndef BFR_CORE_PLUGIN_HOST_H
#define BFR_CORE_PLUGIN_HOST_H

#include <pthread.h>

#include "plugin_stage.h"

struct bfr_post;

struct bfr_stage {
    struct bfr_host host; // first: the table's address is the stage's
    const struct bfr_plugin *plugin;
    const struct bfr_values *values;
    const struct bfr_stage_env *env;
    struct bfr_stage_hooks hooks; // constant once started
    atomic_uint state;            // enum bfr_stage_state; written on the main thread
    void *self;
    char *name;
    char own_metric[64]; // of the daemon, which the plugin has claimed in create

    pthread_mutex_t health_lock; // held while the plugin is asked, so that stop waits for the answer
    bool answers;                // guarded by it: the plugin may be asked how it is

    pthread_mutex_t post_lock;
    struct bfr_post *posts; // guarded by it: posted, not yet run
    bool posts_closed;      // guarded by it
};

// Fill the stage's host table.
void bfr_host_fill(struct bfr_stage *stage);

// The slots of plugin_report.c.
void bfr_host_complete(const struct bfr_host *host, const struct bfr_completion *const *completions, size_t count);
void bfr_host_ready(const struct bfr_host *host);
void bfr_host_verdict(const struct bfr_host *host, uint64_t ticket, const struct bfr_verdict *verdict);
void bfr_host_account(const struct bfr_host *host, uint32_t entry, const char *tenant, uint64_t batches,
                      uint64_t body_bytes);
bool bfr_host_remember(const struct bfr_host *host, uint32_t state, const struct bfr_recent *recent);

static inline struct bfr_stage *bfr_host_stage(const struct bfr_host *host)
{
    return (struct bfr_stage *)(uintptr_t)host;
}

// May the plugin report work now? Between start and the end of stop.
static inline bool bfr_stage_works(const struct bfr_stage *stage)
{
    unsigned state = atomic_load_explicit(&stage->state, memory_order_acquire);
    return state == BFR_STAGE_STARTED || state == BFR_STAGE_DRAINING;
}

// host->post. False: not taken, the caller still owns `arg`. [any]
bool bfr_stage_post(struct bfr_stage *stage, void (*fn)(void *arg), void *arg);
// Take no more; run here and now what was posted and has not run. [main]
void bfr_stage_close_posts(struct bfr_stage *stage);

#endif
