// SPDX-License-Identifier: Apache-2.0
// Reading a whole segment: every record with good checksums, wherever it stands, and the stretches that should hold one and
// do not. For recovery and for the tools. Knows no queue; allocates one window; reads only.
#ifndef BFR_SPOOL_SEGMENT_SCAN_H
#define BFR_SPOOL_SEGMENT_SCAN_H

#include "segment.h"

struct scan_events {
    // A good record; `envelope` is valid during the call. Of a settled one only header and envelope have been checked.
    void (*on_record)(void *arg, const struct record_header *header, uint64_t offset, const uint8_t *envelope,
                      bool settled);
    // Bytes [from, to) hold no good record although something was written there. `torn`: the last write of the segment,
    // never confirmed to anybody; else damage.
    void (*on_gap)(void *arg, uint64_t from, uint64_t to, bool torn);
    // Is that record done with? Then its body may be gone (a hole) without being damage.
    bool (*is_settled)(void *arg, const struct record_header *header, const uint8_t *envelope);
    void *arg;
};

// False with errno when memory is short or the file cannot be read at all. A block that cannot be read is part of a gap.
// *out_end is where the last good record ends.
BFR_MUST_CHECK bool bfr_segment_scan(const struct segment_file *segment, const struct scan_events *events,
                                     uint64_t *out_end);

#endif
