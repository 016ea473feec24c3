/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind QUEUE: holds batches until every consumer has confirmed or buried them.
 *
 * A consumer is one downstream of the queue: the next queue, or each sink on its own. Consumers are told once, by
 * name; afterwards they are numbers. The set that applies to a batch is fixed when its put completes. The queue keeps,
 * for each batch and consumer: waiting, leased, confirmed or buried. When all are final the batch is settled: stored
 * when every consumer confirmed, buried when at least one buried it. Settled-as-stored may be forgotten;
 * settled-as-buried becomes a dead letter if this queue keeps letters (the last queue of the pipeline does).
 *
 * The plugin descriptor sets BFR_FLAG_VOLATILE or BFR_FLAG_STABLE.
 */
#ifndef BFR_QUEUE_H
#define BFR_QUEUE_H

#include "batch.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One batch lent to one consumer. The struct belongs to the queue and is valid until ack, nack or bury ends it. */
struct bfr_lease {
    uint32_t size;     /* sizeof(struct bfr_lease) */
    uint32_t attempts; /* failures blamed on this batch by this consumer so far, as last told by nack */
    const struct bfr_batch *batch;
};

/* Ignore not-before times and rotate: prefer a batch, and a tenant, not probed lately. */
#define BFR_LEASE_PROBE UINT32_C(1)

struct bfr_lease_request {
    uint32_t size; /* sizeof(struct bfr_lease_request) */
    uint32_t consumer;
    uint32_t max_batches; /* at least 1 */
    uint32_t flags;       /* BFR_LEASE_* */
    uint64_t max_bytes;   /* of bodies; one batch is always allowed, however large */
};

/* How a lease ended without success. */
struct bfr_nack {
    uint32_t size;          /* sizeof(struct bfr_nack) */
    uint32_t attempts;      /* to be kept and given with the next lease */
    uint64_t not_before_ns; /* host->monotonic_ns; 0 = at once */
    const char *text;       /* the last error, for people; may be NULL; copied */
};

struct bfr_burial {
    uint32_t size;   /* sizeof(struct bfr_burial) */
    uint32_t reason; /* enum bfr_reason */
    uint32_t attempts;
    const char *text; /* the last error, for people; copied */
};

/* What an ack or bury led to. Zero is never valid. */
enum bfr_settled {
    BFR_SETTLED_OPEN = 1,   /* other consumers are not done */
    BFR_SETTLED_STORED = 2, /* every consumer has confirmed; the batch is forgotten */
    BFR_SETTLED_BURIED = 3  /* every consumer is done, at least one buried it; it is a dead letter now */
};

/* Answer to reserve. */
enum bfr_room {
    BFR_ROOM_OK = 1,
    BFR_ROOM_FULL = 2, /* 503 */
    BFR_ROOM_SHARE = 3 /* this tenant has used up its share: 429 */
};

/* Held batches with failed attempts, instead of dead letters. For `letters` alone. */
#define BFR_FILTER_RETRY UINT32_C(1)
/* Letters that were never redriven with this flag; `redrive` marks those that it moves, for as long as the queue knows
 * the batch. So whoever redrives without being asked moves no batch twice. */
#define BFR_FILTER_ONCE UINT32_C(2)

/* Which letters or batches: an empty or NULL member matches nothing, "*" anything, else equality. `filename` and `id`
 * are the exception: NULL matches anything. The members from `consumer` on, and BFR_FILTER_ONCE, ask for what only a
 * dead letter has: no held batch matches a filter that uses one of them. A queue must honour all of them. */
struct bfr_filter {
    uint32_t size;  /* sizeof(struct bfr_filter) */
    uint32_t flags; /* BFR_FILTER_* */
    const char *tenant;
    const char *dataset;
    const char *filename;
    const char *id;
    const char *consumer;   /* it is among those that buried it; NULL = any */
    int64_t failed_from_ns; /* its first error came then or later, Unix time; 0 = any; one not known does not match */
    int64_t failed_to_ns;   /* its last error came then or before; 0 = any */
    uint32_t reason;        /* enum bfr_reason; 0 = any */
    uint32_t limit;         /* `redrive` moves at most so many; 0 = all */
};

/* A dead letter, or a held batch with failed attempts, as shown to people. Valid during the visit. */
struct bfr_letter {
    uint32_t size;   /* sizeof(struct bfr_letter) */
    uint32_t reason; /* enum bfr_reason; 0 for a held batch */
    const char *id;  /* unique within the queue, stable */
    const char *account;
    const char *tenant;
    const char *dataset;
    const char *filename;
    uint64_t body_bytes;
    uint64_t line_count;
    uint64_t original_bytes;
    uint32_t attempts;
    int64_t created_ns;
    int64_t first_error_ns;
    int64_t last_error_ns;
    const char *first_error;
    const char *last_error;
    uint8_t stored_sha256[32];
    uint8_t source_sha256[32];
    int64_t redriven_ns; /* when it was redriven with BFR_FILTER_ONCE; 0 = never */
};

/* Figures for metrics and the dashboard. A queue fills what it knows; the caller zeroes the struct. */
struct bfr_queue_stats {
    uint32_t size; /* sizeof(struct bfr_queue_stats), set by the caller */
    uint32_t reserved;
    uint64_t held_batches;
    uint64_t held_bytes;
    uint64_t buried_batches;
    uint64_t buried_bytes;
    uint64_t limit_bytes;       /* 0 = none */
    uint64_t used_bytes;        /* everything that counts against the limit */
    int64_t oldest_received_ns; /* of the held batches; 0 when none */
    uint64_t free_bytes;        /* of the file system below; 0 = none, or not told */
    uint64_t full_seconds;      /* at least 1, until it is full if it goes on as now; UINT64_MAX: it is not filling;
                                 * 0 = not told */
};

/* Its batch, if it is still there, is told of by host->account: it is not to be booked here as well. */
#define BFR_RECENT_COUNTED UINT32_C(1)

/* A key known at start, for the duplicate memory. */
struct bfr_recent {
    uint32_t size;  /* sizeof(struct bfr_recent) */
    uint32_t flags; /* BFR_RECENT_* */
    const char *tenant;
    const char *dataset;
    const char *filename;
    uint64_t body_bytes;
    uint8_t source_sha256[32];
    int64_t received_ns;
};

struct bfr_queue_vtable {
    uint32_t size; /* sizeof(struct bfr_queue_vtable) */

    /* The names of the consumers; consumer i of all later calls is names[i]. Copied. Required. [main, created] */
    uint32_t (*consumers)(void *self, const char *const *names, uint32_t count, struct bfr_err *err);

    /* As sink.put. A completion with BFR_STORED means: held at this queue's level. The queue retains the batch for as
     * long as it needs it. Every delivered batch has had body_bytes reserved for its tenant (when `reserve` is
     * there); a completion with BFR_STORED consumes the reservation, any other leaves it to the host. Required.
     * [loop or pump, started..draining] */
    size_t (*put)(void *self, const struct bfr_delivery *const *deliveries, size_t count);

    /* Lend up to max_batches to a consumer; fills out[0..n) and returns n. Never waits for batches to come, but may read
     * from disk. When it returns 0, *out_next_ns is the earliest not-before time among what waits (monotonic), or
     * UINT64_MAX when only host->ready will bring news. Fair over tenants by bytes. Required. [pump, started..draining] */
    uint32_t (*lease)(void *self, const struct bfr_lease_request *request, struct bfr_lease **out,
                      uint64_t *out_next_ns);

    /* End leases: confirmed; to be tried again; given up. `settled[i]` (enum bfr_settled) is written for leases[i].
     * All required. [any, started..draining] */
    void (*ack)(void *self, uint32_t consumer, struct bfr_lease *const *leases, uint32_t count, uint32_t *settled);
    void (*nack)(void *self, uint32_t consumer, struct bfr_lease *const *leases, const struct bfr_nack *const *nacks,
                 uint32_t count);
    void (*bury)(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                 const struct bfr_burial *const *burials, uint32_t count, uint32_t *settled);

    /* Figures. Required. [any, started] */
    void (*stats)(void *self, struct bfr_queue_stats *out);

    /* Admission: room for `bytes` of this tenant, before the body is read / give room back that no put consumed. May be
     * called several times for one body. Both or neither. [any, started] */
    uint32_t (*reserve)(void *self, const char *tenant, uint64_t bytes);
    void (*release)(void *self, const char *tenant, uint64_t bytes);

    /* Walk the dead letters (with BFR_FILTER_RETRY: the held batches with failed attempts, reason 0) in order of id, starting after `cursor` (NULL or "": from the start), at most `limit`. `visit`
     * returns false to stop. All of the next four are optional. [any, started] */
    uint32_t (*letters)(void *self, const struct bfr_filter *filter, const char *cursor, uint32_t limit,
                        bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg);

    /* Make matching letters held again with attempts 0. Returns how many matched; with dry_run nothing changes. `moved`
     * is called for each that moved, so that the host can keep its books; may be NULL. */
    uint64_t (*redrive)(void *self, const struct bfr_filter *filter, bool dry_run,
                        void (*moved)(void *arg, const struct bfr_letter *letter), void *arg);

    /* Forget matching letters, and, with `held`, matching held batches that are not leased. As redrive. */
    uint64_t (*purge)(void *self, const struct bfr_filter *filter, bool held, bool dry_run,
                      void (*gone)(void *arg, const struct bfr_letter *letter), void *arg);

    /* Give up RAM copies of bodies that can be read back, about `bytes` of them; returns how many bytes it let go. */
    uint64_t (*evict)(void *self, uint64_t bytes);

    /* Walk the keys and the held batches known at start, oldest first. `held`: still in this queue. Optional.
     * [main, started, before the first put] */
    void (*recent)(void *self, void (*visit)(void *arg, const struct bfr_recent *recent, bool held, bool buried),
                   void *arg);
};

#ifdef __cplusplus
}
#endif
#endif
