// SPDX-License-Identifier: Apache-2.0
// Reading the configuration again (docs/reload.md). Anybody may ask; it is done on the main thread, one at a time, and who asks
// while one is under way gets another one behind it, together with all who ask meanwhile.
#ifndef BFR_CORE_APP_RELOAD_H
#define BFR_CORE_APP_RELOAD_H

#include "app_assembly.h"
#include "app_mainloop.h"
#include "app_notify.h"
#include "config_in_force.h"
#include "http_admin.h"
#include "http_server.h"
#include "pipe_traffic.h"

struct bfr_reloader;

struct bfr_reloader_setup {
    const struct bfr_config_flags *flags; // of the start
    const struct bfr_assembly *assembly;
    struct bfr_in_force *in_force;
    struct bfr_mainloop *mainloop;
    struct bfr_notify *notify;
};

// What runs once the daemon has started; until then nobody may ask.
struct bfr_reload_parts {
    struct bfr_traffic *traffic;
    struct bfr_pipeline *pipeline;
    struct bfr_http_server *http;
    struct bfr_http_admin *admin;
};

// The file is the one that the configuration in force came from, wherever others have appeared since. NULL when memory is
// short. [main]
struct bfr_reloader *bfr_reloader_new(const struct bfr_reloader_setup *setup);
void bfr_reloader_free(struct bfr_reloader *reloader); // NULL is allowed

// From now on reloads are done. [main]
void bfr_reloader_open(struct bfr_reloader *reloader, const struct bfr_reload_parts *parts);
// No more are; who waits is told so. [main]
void bfr_reloader_close(struct bfr_reloader *reloader);

// Both take a reloader, as callbacks do. Soon, without waiting. [any]
void bfr_reloader_ask(void *arg);
// Wait for one that began after this call; false: there will be none. Not on the main thread.
bool bfr_reloader_wait(void *arg);

#endif
