// SPDX-License-Identifier: Apache-2.0
// The books of the pipeline: one row per tenant, one mutex, called from any thread, calls nobody while it holds it.
//
// Cost. A booking is one short critical section (find the row, two or three additions) and groups share it, so one
// mutex is cheaper than what would replace it: counters per thread cannot be read as one consistent moment.
//
// Order. A queue may lend a batch to a pump before the thread that put it has booked it as accepted, so "stored" can be
// booked first. The row's `held` is then short by that batch for a moment. Each move keeps the equation by itself, so
// the books still balance; a snapshot shows the missing acceptance, which is certain to come, as made.
#include "pipe_ledger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "pipe_key.h"

// Beyond this many tenants the rest share one row, so that a sender who invents tenants cannot fill the memory.
#define TENANTS_MAX 65536
#define SHARED_ROW  "other"

enum column { RECOVERED, ACCEPTED, STORED, HELD, BURIED, PURGED, COLUMNS };
#define NONE COLUMNS

// What a move takes from and adds to. Additions of the left side of the equation come with one of the right.
static const struct {
    enum column from, to, also;
} moves[] = {
    [BFR_MOVE_RECOVERED_HELD] = {NONE, RECOVERED, HELD},
    [BFR_MOVE_RECOVERED_BURIED] = {NONE, RECOVERED, BURIED},
    [BFR_MOVE_ACCEPTED] = {NONE, ACCEPTED, HELD},
    [BFR_MOVE_PASSED] = {NONE, ACCEPTED, STORED},
    [BFR_MOVE_STORED] = {HELD, STORED, NONE},
    [BFR_MOVE_BURIED] = {HELD, BURIED, NONE},
    [BFR_MOVE_REDRIVEN] = {BURIED, HELD, NONE},
    [BFR_MOVE_PURGED_HELD] = {HELD, PURGED, NONE},
    [BFR_MOVE_PURGED_BURIED] = {BURIED, PURGED, NONE},
};

struct amount {
    int64_t batches, bytes;
};

struct row {
    struct row *next; // in its bucket
    uint64_t hash;
    struct amount columns[COLUMNS + 1]; // the last one is NONE's, never read
    char tenant[];
};

struct bfr_ledger {
    pthread_mutex_t lock;
    struct bfr_hash_seed seed;
    struct row **rows; // in order of appearance
    size_t count, capacity;
    struct row **buckets;
    size_t bucket_count; // power of two
    struct row *shared;  // made at the start, appears when it is needed
};

static struct row *row_new(const char *tenant, uint64_t hash)
{
    size_t size = strlen(tenant) + 1;
    struct row *row = calloc(1, sizeof *row + size);
    if (row != NULL) {
        row->hash = hash;
        memcpy(row->tenant, tenant, size);
    }
    return row;
}

struct bfr_ledger *bfr_ledger_new(void)
{
    struct bfr_ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL)
        return NULL;
    pthread_mutex_init(&ledger->lock, NULL);
    ledger->bucket_count = 64;
    ledger->buckets = calloc(ledger->bucket_count, sizeof(struct row *));
    ledger->shared = row_new(SHARED_ROW, 0);
    if (ledger->buckets == NULL || ledger->shared == NULL || !bfr_hash_seed_init(&ledger->seed)) {
        bfr_ledger_free(ledger);
        return NULL;
    }
    return ledger;
}

void bfr_ledger_free(struct bfr_ledger *ledger)
{
    if (ledger == NULL)
        return;
    for (size_t i = 0; i < ledger->count; i++)
        free(ledger->rows[i]);
    free(ledger->shared);
    free(ledger->rows);
    free(ledger->buckets);
    pthread_mutex_destroy(&ledger->lock);
    free(ledger);
}

static struct row *row_find(const struct bfr_ledger *ledger, const char *tenant, uint64_t hash)
{
    struct row *row = ledger->buckets[hash & (ledger->bucket_count - 1)];
    while (row != NULL && (row->hash != hash || strcmp(row->tenant, tenant) != 0))
        row = row->next;
    return row;
}

// Room for one more row; longer chains are the only harm when the buckets cannot grow.
static bool rows_grow(struct bfr_ledger *ledger)
{
    if (ledger->count < ledger->capacity)
        return true;
    size_t capacity = ledger->capacity == 0 ? 64 : 2 * ledger->capacity;
    struct row **rows = realloc(ledger->rows, capacity * sizeof(struct row *));
    if (rows == NULL)
        return false;
    ledger->rows = rows;
    ledger->capacity = capacity;

    struct row **buckets = calloc(capacity, sizeof(struct row *));
    if (buckets == NULL)
        return true;
    for (size_t i = 0; i < ledger->count; i++) {
        struct row **head = &buckets[rows[i]->hash & (capacity - 1)];
        rows[i]->next = *head;
        *head = rows[i];
    }
    free(ledger->buckets);
    ledger->buckets = buckets;
    ledger->bucket_count = capacity;
    return true;
}

static bool row_add(struct bfr_ledger *ledger, const char *tenant, uint64_t hash)
{
    if (!rows_grow(ledger))
        return false;
    struct row *row = row_new(tenant, hash);
    if (row == NULL)
        return false;
    struct row **head = &ledger->buckets[hash & (ledger->bucket_count - 1)];
    row->next = *head;
    *head = row;
    ledger->rows[ledger->count++] = row;
    return true;
}

bool bfr_ledger_admit(struct bfr_ledger *ledger, const char *tenant)
{
    uint64_t hash = bfr_hash(&ledger->seed, tenant, strlen(tenant));
    pthread_mutex_lock(&ledger->lock);
    bool known =
        row_find(ledger, tenant, hash) != NULL || ledger->count >= TENANTS_MAX || row_add(ledger, tenant, hash);
    pthread_mutex_unlock(&ledger->lock);
    return known;
}

// A tenant without a row belongs to the shared one: rows are made before a batch is accepted and never removed, so it
// is the same row each time.
static void book_one(struct bfr_ledger *ledger, const struct bfr_booking *booking, uint64_t hash)
{
    bfr_must(booking->move >= BFR_MOVE_RECOVERED_HELD && booking->move <= BFR_MOVE_PURGED_BURIED);
    struct row *row = row_find(ledger, booking->tenant, hash);
    if (row == NULL)
        row = ledger->shared;
    enum column from = moves[booking->move].from, to = moves[booking->move].to, also = moves[booking->move].also;
    int64_t batches = booking->batches == 0 ? 1 : (int64_t)booking->batches;
    row->columns[from].batches -= batches;
    row->columns[from].bytes -= (int64_t)booking->bytes;
    row->columns[to].batches += batches;
    row->columns[to].bytes += (int64_t)booking->bytes;
    row->columns[also].batches += batches;
    row->columns[also].bytes += (int64_t)booking->bytes;
}

void bfr_ledger_book(struct bfr_ledger *ledger, const struct bfr_booking *bookings, size_t count)
{
    uint64_t hashes[BFR_BOOKINGS_MAX];
    bfr_must(count <= BFR_BOOKINGS_MAX);
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        hashes[i] = bfr_hash(&ledger->seed, bookings[i].tenant, strlen(bookings[i].tenant));
    pthread_mutex_lock(&ledger->lock);
    for (size_t i = 0; i < count; i++)
        book_one(ledger, &bookings[i], hashes[i]);
    pthread_mutex_unlock(&ledger->lock);
}

// The row as shown: see "Order" above for a negative `held`.
static void row_show(const struct row *row, struct bfr_ledger_row *out)
{
    struct amount held = row->columns[HELD], accepted = row->columns[ACCEPTED];
    if (held.batches < 0) {
        accepted.batches -= held.batches;
        held.batches = 0;
    }
    if (held.bytes < 0) {
        accepted.bytes -= held.bytes;
        held.bytes = 0;
    }
    const struct amount *columns = row->columns;
    *out = (struct bfr_ledger_row){
        .size = sizeof *out,
        .tenant = row->tenant,
        .recovered_batches = (uint64_t)columns[RECOVERED].batches,
        .recovered_bytes = (uint64_t)columns[RECOVERED].bytes,
        .accepted_batches = (uint64_t)accepted.batches,
        .accepted_bytes = (uint64_t)accepted.bytes,
        .stored_batches = (uint64_t)columns[STORED].batches,
        .stored_bytes = (uint64_t)columns[STORED].bytes,
        .held_batches = (uint64_t)held.batches,
        .held_bytes = (uint64_t)held.bytes,
        .buried_batches = (uint64_t)columns[BURIED].batches,
        .buried_bytes = (uint64_t)columns[BURIED].bytes,
        .purged_batches = (uint64_t)columns[PURGED].batches,
        .purged_bytes = (uint64_t)columns[PURGED].bytes,
    };
}

static void row_sum(struct bfr_ledger_row *total, const struct bfr_ledger_row *row)
{
    total->recovered_batches += row->recovered_batches;
    total->recovered_bytes += row->recovered_bytes;
    total->accepted_batches += row->accepted_batches;
    total->accepted_bytes += row->accepted_bytes;
    total->stored_batches += row->stored_batches;
    total->stored_bytes += row->stored_bytes;
    total->held_batches += row->held_batches;
    total->held_bytes += row->held_bytes;
    total->buried_batches += row->buried_batches;
    total->buried_bytes += row->buried_bytes;
    total->purged_batches += row->purged_batches;
    total->purged_bytes += row->purged_bytes;
}

static const struct row *row_at(const struct bfr_ledger *ledger, size_t index)
{
    return index < ledger->count ? ledger->rows[index] : ledger->shared;
}

// Copies at most `room` rows, [0] being the total; returns how many there are. One moment.
static size_t snapshot(struct bfr_ledger *ledger, struct bfr_ledger_row *out, size_t room)
{
    struct bfr_ledger_row row;
    pthread_mutex_lock(&ledger->lock);
    size_t count = ledger->count + (ledger->count >= TENANTS_MAX ? 1 : 0);
    out[0] = (struct bfr_ledger_row){.size = sizeof *out};
    for (size_t i = 0; i < count; i++) {
        row_show(row_at(ledger, i), &row);
        row_sum(&out[0], &row);
        if (i + 1 < room)
            out[i + 1] = row;
    }
    pthread_mutex_unlock(&ledger->lock);
    return count + 1;
}

void bfr_ledger_visit(struct bfr_ledger *ledger, bool (*visit)(void *arg, const struct bfr_ledger_row *row), void *arg)
{
    struct bfr_ledger_row total;
    struct bfr_ledger_row *rows = &total;
    size_t room = 1, count;
    // The copy is made without the lock, so tenants may appear meanwhile: then once more with more room.
    while ((count = snapshot(ledger, rows, room)) > room) {
        struct bfr_ledger_row *more = calloc(count + 16, sizeof *more);
        if (more == NULL) {
            count = 1;
            break;
        }
        if (rows != &total)
            free(rows);
        rows = more;
        room = count + 16;
    }
    for (size_t i = 0; i < count; i++) {
        if (!visit(arg, &rows[i]))
            break;
    }
    if (rows != &total)
        free(rows);
}

int64_t bfr_ledger_unaccounted(struct bfr_ledger *ledger)
{
    struct bfr_ledger_row total;
    (void)snapshot(ledger, &total, 1);
    return (int64_t)(total.recovered_batches + total.accepted_batches) -
           (int64_t)(total.stored_batches + total.held_batches + total.buried_batches + total.purged_batches);
}
