// SPDX-License-Identifier: Apache-2.0
// What went wrong since the last look, found in what the host shows of its batches, stages and counters. For a service's own
// thread; keeps one small entry for each flow that had trouble.
#ifndef BFR_WATCH_H
#define BFR_WATCH_H

#include <bfr/ext/activity.h>
#include <bfr/ext/metrics.h>
#include <bfr/ext/status.h>
#include <bfr/plugin.h>

enum watch_kind {
    WATCH_BURIED = 1, // batches were given up
    WATCH_FAILED,     // a sink failed with batches of one flow; they are tried again
    WATCH_STAGE,      // a stage has become degraded or failed
    WATCH_OVERSIZE,   // requests were refused: body too large
    WATCH_TOKEN,      // requests were refused: token missing, wrong or of another tenant
    WATCH_REFRESH     // the directory could not be refreshed
};

// The texts live for the call.
struct watch_finding {
    enum watch_kind kind;
    uint64_t count;      // how many since the last look
    const char *account; // "" where none is meant, as with the next two
    const char *tenant;
    const char *dataset;
    const char *stage; // WATCH_STAGE: its name, plugin and kind
    const char *plugin;
    uint32_t stage_kind;
    bool failed;       // WATCH_STAGE: not only degraded
    const char *cause; // may be ""
};

struct watch;

struct watch *bfr_watch_new(const struct bfr_host *host); // NULL when memory is short
void bfr_watch_free(struct watch *watch);                 // NULL is allowed
void bfr_watch_look(struct watch *watch, void (*found)(void *arg, const struct watch_finding *finding), void *arg);

// How the daemon is as a whole: the worst state of its stages, the services aside.
uint32_t bfr_watch_health(const struct bfr_host *host, const struct bfr_status_1 *status);

#endif
