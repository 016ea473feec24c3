// SPDX-License-Identifier: Apache-2.0
// The inside of the table, for pipe_traffic.c (who counts) and pipe_traffic_page.c (who writes). Nobody else includes this.
#ifndef BFR_CORE_PIPE_TRAFFIC_TABLE_H
#define BFR_CORE_PIPE_TRAFFIC_TABLE_H

#include <pthread.h>

#include <bfr/batch.h>
#include <bfr/status.h>

#include "pipe_key.h"
#include "pipe_traffic.h"

#define TRAFFIC_OTHER  "other"
#define TRAFFIC_CHAINS 1024

// Why a delivery to a sink failed: it is tried again, the far end is away, the sink gave up, or the reason of a rejection.
enum {
    TRAFFIC_FAILURE_RETRY,
    TRAFFIC_FAILURE_OUTAGE,
    TRAFFIC_FAILURE_FATAL,
    TRAFFIC_FAILURE_REASONS, // and from here enum bfr_reason, less one
    TRAFFIC_FAILURE_COUNT = TRAFFIC_FAILURE_REASONS + BFR_REASON_EXPIRED
};

// Requests that ended one way. The index is `success`.
struct traffic_answers {
    _Atomic uint64_t requests;
    _Atomic uint64_t bytes_received, lines_received;
    _Atomic uint64_t bytes_processed, lines_processed;
    struct bfr_timing processing;
};

// Deliveries of bodies that came from one place. The index is `cached`.
struct traffic_uploads {
    struct bfr_timing stored;
    _Atomic uint64_t failures[TRAFFIC_FAILURE_COUNT];
};

struct traffic_tenant;

struct bfr_traffic_row {
    struct bfr_traffic_row *chain; // same hash; fixed once the row is linked
    struct bfr_traffic_row *next;  // of the same tenant; the same
    struct traffic_tenant *tenant;
    uint64_t hash;
    char dataset[BFR_ID_MAX + 1];
    struct traffic_answers answers[2];
    struct traffic_uploads uploads[2];
};

struct traffic_tenant {
    struct traffic_tenant *next; // fixed once it is linked
    char name[BFR_ID_MAX + 1];
    struct bfr_traffic_row rest;            // its datasets that have no row: `other`
    _Atomic(struct bfr_traffic_row *) rows; // newest first; `rest` is the last
    _Atomic uint64_t auth_failures[BFR_AUTH_FAILURE_COUNT];
};

struct bfr_traffic {
    struct bfr_hash_seed seed;
    pthread_mutex_t lock; // who adds
    _Atomic uint32_t tenants_max, datasets_max;
    _Atomic uint32_t tenant_count, dataset_count; // `other` not counted
    struct traffic_tenant other;                  // tenants that have no entry
    _Atomic(struct traffic_tenant *) tenants;     // newest first; `other` is the last
    _Atomic(struct bfr_traffic_row *) chains[TRAFFIC_CHAINS];
};

// The collector; `arg` is the table. [any]
void bfr_traffic_collect(void *arg, struct bfr_metrics_writer *writer);

#endif
