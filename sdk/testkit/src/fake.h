// SPDX-License-Identifier: Apache-2.0
// The fake host's insides, shared by the files that fill its table. One lock guards everything that a plugin's threads
// can reach; it is never held while the plugin is called.
#ifndef BFR_TESTKIT_FAKE_H
#define BFR_TESTKIT_FAKE_H

#include <pthread.h>

#include <bfr/testkit.h>

#include "option_values.h"

enum bfr_fake_state {
    BFR_FAKE_NEW = 1,
    BFR_FAKE_CREATING, // inside create: the only time to register metrics
    BFR_FAKE_CREATED,
    BFR_FAKE_STARTED, // from the moment start is called
    BFR_FAKE_DRAINING,
    BFR_FAKE_STOPPED,
    BFR_FAKE_DESTROYED
};

// One delivery, kept after its end so that a second completion is recognised.
struct bfr_fake_record {
    struct bfr_delivery *delivery; // NULL once completed
    bool taken;                    // put has returned and counted it in
    bool refused;                  // put has returned without it
    bool ended;
    struct bfr_fake_end end;
};

struct bfr_fake_ticket {
    bool later; // BFR_LATER was returned
    bool answered;
    bool cancelled;
    struct bfr_verdict verdict;
};

struct bfr_fake_lines {
    char **lines;
    size_t count;
};

struct bfr_metric {
    uint32_t type;
    char *name;
    struct bfr_metric *next;
};

struct bfr_fake_post {
    void (*fn)(void *arg);
    void *arg;
    struct bfr_fake_post *next;
};

struct bfr_fake {
    struct bfr_host table; // first: the table's address is the fake's
    const struct bfr_plugin *plugin;
    void *self;
    char *stage;
    struct bfr_fake_values values;

    pthread_mutex_t lock;
    pthread_cond_t news; // a completion, a ready, a verdict, a post
    enum bfr_fake_state state;
    bool clock_faked;
    uint64_t clock_ns;

    struct bfr_fake_record *records; // token = index + 1
    size_t record_count;
    struct bfr_fake_ticket *tickets; // ticket = index + 1
    size_t ticket_count;
    bool ready;
    size_t live_batches;

    struct bfr_fake_lines misuses;
    struct bfr_fake_lines logs;
    struct bfr_fake_lines keys;
    struct bfr_metric *metrics;
    struct bfr_fake_post *posts;
};

// The fake behind a table.
struct bfr_fake *bfr_fake_of(const struct bfr_host *host);

// Memory for the test kit's own books; a test that runs out of it ends.
void *bfr_fake_grow(void *block, size_t count, size_t element_size);

// A copy of `text`; free it.
char *bfr_fake_copy(const char *text);

void bfr_fake_lines_add(struct bfr_fake_lines *lines, const char *line);

// Record a breach of the contract. With the lock held.
__attribute__((format(printf, 2, 3))) void bfr_fake_breach(struct bfr_fake *fake, const char *format, ...);

// A point of the machine's monotonic clock `timeout_ms` from now, for pthread_cond_timedwait on `news`.
struct timespec bfr_fake_deadline(uint32_t timeout_ms);

// Run what was posted. Without the lock.
void bfr_fake_run_posts(struct bfr_fake *fake);

// Fill the table's slots, one function per file.
void bfr_fake_fill_deliveries(struct bfr_host *table); // complete, ready, verdict
void bfr_fake_fill_batches(struct bfr_host *table);    // batch_*
void bfr_fake_fill_options(struct bfr_host *table);    // config_*
void bfr_fake_fill_records(struct bfr_host *table);    // log, metric_*, clocks, post, get_extension

#endif
