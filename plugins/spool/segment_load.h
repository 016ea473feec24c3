// SPDX-License-Identifier: Apache-2.0
// One segment on disk to the list of records in it that are not settled: from its index when that is good, else by a scan,
// with the marks applied. For recovery, for loading what does not fit in RAM at once, and for the tools.
#ifndef BFR_SPOOL_SEGMENT_LOAD_H
#define BFR_SPOOL_SEGMENT_LOAD_H

#include "segment_scan.h"

// A record that at least one of its consumers still wants, or that was buried and is kept here.
struct found_record {
    uint64_t sequence;
    uint64_t offset; // of its header
    uint64_t body_bytes;
    uint32_t envelope_bytes;
    uint32_t body_crc32c;
    int64_t received_ns;
    uint32_t tenant;    // into found->tenants
    uint32_t set;       // into found->sets
    uint32_t confirmed; // bit i: consumer i of the set has confirmed
    uint32_t buried;    // bit i: consumer i of the set has buried it
    uint32_t burial;    // as the last mark of a burial has it: reason, attempts << 8; not in the index
};

// The consumers of some records, in their order.
struct found_set {
    const char *names[RECORD_CONSUMERS_MAX];
    uint32_t count;
};

struct found {
    struct found_record *records; // by offset
    size_t count;
    char **tenants;
    size_t tenant_count;
    uint32_t *slots; // a hash table of the tenants, as far as they were looked up; found.c alone
    size_t slot_room, slot_count;
    struct found_set *sets;
    size_t set_count;
    uint64_t end_bytes;
    bool scanned;    // there was no good index
    bool marks_lost; // the marks could not be read to their end
};

// What was seen on the way that a person should know of; NULL = do not tell.
struct found_events {
    void (*on_gap)(void *arg, uint64_t from, uint64_t to, bool torn);
    // Only with a scan: every good record, settled ones too, with its envelope (for the duplicate memory).
    void (*on_record)(void *arg, const struct record_header *header, uint64_t offset, const uint8_t *envelope,
                      bool settled);
    void *arg;
};

// False with errno. `out` is empty then. `directory` -1: look at the records themselves, whatever the index says.
BFR_MUST_CHECK bool bfr_segment_load(struct segment_file *segment, int directory, const struct found_events *events,
                                     struct found *out);
void bfr_found_free(struct found *found);

// Write {id}.idx for what `found` lists. False with errno; an index is only ever a saving.
BFR_MUST_CHECK bool bfr_segment_index_write(const struct segment_file *segment, int directory,
                                            const struct found *found);
// False: there is none, or it is damaged, or it speaks of another life of the file.
BFR_MUST_CHECK bool bfr_segment_index_read(const struct segment_file *segment, int directory, struct found *out);

// For building a list: the number of that name or set, added if need be. False when memory is short.
BFR_MUST_CHECK bool bfr_found_tenant(struct found *found, const char *tenant, uint32_t *out);
// The same for one that is known not to be there.
BFR_MUST_CHECK bool bfr_found_tenant_new(struct found *found, const char *tenant, uint32_t *out);
BFR_MUST_CHECK bool bfr_found_set(struct found *found, const char *const *names, uint32_t count, uint32_t *out);
BFR_MUST_CHECK bool bfr_found_add(struct found *found, const struct found_record *record);

#endif
