// SPDX-License-Identifier: Apache-2.0
// See pipe_tap.h. A ring of notes, each with a turn number that says whose it is: writers draw a place by one compare and
// exchange, fill it and hand it over by its turn; the reader hands it back for the next round. (The bounded queue of D. Vyukov,
// with one reader.) No lock, so a writer that is put to sleep holds up only the notes behind its own, and nobody's batch.
#include "pipe_tap.h"

#include <stdlib.h>
#include <string.h>

#include "bug.h"

#define MASK (BFR_TAP_NOTES - 1)

struct place {
    _Atomic uint64_t turn; // == number: free for the writer of that number; number + 1: written
    struct bfr_tap_note note;
};

struct ring {
    struct bfr_tap tap; // first: its address leads back here
    _Atomic(struct place *) places;
    uint64_t read; // the reader's
    _Atomic uint64_t lost;
    _Alignas(64) _Atomic uint64_t written; // drawn by writers
};

static struct ring *ring_of(struct bfr_tap *tap)
{
    return (struct ring *)tap;
}

struct bfr_tap *bfr_tap_new(void)
{
    struct ring *ring = aligned_alloc(_Alignof(struct ring), sizeof *ring);
    if (ring == NULL)
        return NULL;
    memset(ring, 0, sizeof *ring);
    return &ring->tap;
}

void bfr_tap_free(struct bfr_tap *tap)
{
    if (tap == NULL)
        return;
    free(atomic_load(&ring_of(tap)->places));
    free(ring_of(tap));
}

// --- writers

static void copy_text(char *out, size_t room, const char *text)
{
    size_t size = text == NULL ? 0 : strnlen(text, room - 1);
    if (size > 0)
        memcpy(out, text, size);
    out[size] = '\0';
}

static void fill(struct bfr_tap_note *note, const struct bfr_batch *batch, bool duplicate)
{
    note->received_ns = batch->received_ns;
    note->bytes = batch->body_bytes;
    note->duplicate = duplicate;
    memcpy(note->stored_sha256, batch->stored_sha256, sizeof note->stored_sha256);
    copy_text(note->account, sizeof note->account, batch->account);
    copy_text(note->tenant, sizeof note->tenant, batch->tenant);
    copy_text(note->dataset, sizeof note->dataset, batch->dataset);
    copy_text(note->filename, sizeof note->filename, batch->filename);
}

// A place of one's own, its number in *out; NULL: all are taken.
static struct place *draw(struct ring *ring, struct place *places, uint64_t *out)
{
    uint64_t number = atomic_load_explicit(&ring->written, memory_order_relaxed);
    for (;;) {
        struct place *place = &places[number & MASK];
        uint64_t turn = atomic_load_explicit(&place->turn, memory_order_acquire);
        if (turn == number && atomic_compare_exchange_weak_explicit(&ring->written, &number, number + 1,
                                                                    memory_order_relaxed, memory_order_relaxed)) {
            *out = number;
            return place;
        }
        if (turn < number) // still that of the round before
            return NULL;
        if (turn > number) // somebody was faster
            number = atomic_load_explicit(&ring->written, memory_order_relaxed);
    }
}

void bfr_tap_write(struct bfr_tap *tap, const struct bfr_batch *batch, bool duplicate)
{
    struct ring *ring = ring_of(tap);
    struct place *places = atomic_load_explicit(&ring->places, memory_order_acquire);
    uint64_t number = 0;
    struct place *place = places == NULL ? NULL : draw(ring, places, &number);
    if (place == NULL) {
        atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
        return;
    }
    fill(&place->note, batch, duplicate);
    atomic_store_explicit(&place->turn, number + 1, memory_order_release);
}

// --- the reader

static struct place *make_places(void)
{
    struct place *places = calloc(BFR_TAP_NOTES, sizeof *places);
    for (uint64_t i = 0; places != NULL && i < BFR_TAP_NOTES; i++)
        atomic_init(&places[i].turn, i);
    return places;
}

bool bfr_tap_open(struct bfr_tap *tap)
{
    struct ring *ring = ring_of(tap);
    struct bfr_tap_note stale;
    struct place *places = atomic_load_explicit(&ring->places, memory_order_relaxed);
    if (places == NULL && (places = make_places()) == NULL)
        return false;
    atomic_store_explicit(&ring->places, places, memory_order_release);
    while (bfr_tap_read(tap, &stale))
        ;
    (void)bfr_tap_lost(tap);
    atomic_store(&tap->listening, true);
    return true;
}

void bfr_tap_close(struct bfr_tap *tap)
{
    atomic_store(&tap->listening, false);
}

bool bfr_tap_read(struct bfr_tap *tap, struct bfr_tap_note *out)
{
    struct ring *ring = ring_of(tap);
    struct place *places = atomic_load_explicit(&ring->places, memory_order_relaxed);
    bfr_must(places != NULL); // opened before
    struct place *place = &places[ring->read & MASK];
    if (atomic_load_explicit(&place->turn, memory_order_acquire) != ring->read + 1)
        return false;
    *out = place->note;
    atomic_store_explicit(&place->turn, ring->read + BFR_TAP_NOTES, memory_order_release);
    ring->read++;
    return true;
}

uint64_t bfr_tap_lost(struct bfr_tap *tap)
{
    struct ring *ring = ring_of(tap);
    return atomic_exchange_explicit(&ring->lost, 0, memory_order_relaxed);
}
