// SPDX-License-Identifier: Apache-2.0
// Which batches have been met while scanning: after a failed sync one batch may stand in two segments, and both records
// check. Knows no queue; used by one thread at a time.
#ifndef BFR_SPOOL_DISK_SEEN_H
#define BFR_SPOOL_DISK_SEEN_H

#include <stdbool.h>

#include <bfr/batch.h>

struct disk_seen;

struct disk_seen *bfr_disk_seen_new(void); // NULL when memory is short
void bfr_disk_seen_free(struct disk_seen *seen);
// Note the batch of that tenant, dataset, filename and content, waiting for these consumers; true when it was noted before,
// of another record: one that is read again (its segment has no index, or could not be read to its end) is not its own
// double, and neither is one that came after a record which is settled: that may have been purged, and sent again. NULL notes
// nothing.
bool bfr_disk_seen_add(struct disk_seen *seen, const struct bfr_batch *batch, const char *const *consumers,
                       uint32_t consumer_count, uint64_t sequence);
// The same for a record that is settled: an earlier one that still waits was never trusted, and written again as this one.
void bfr_disk_seen_add_settled(struct disk_seen *seen, const struct bfr_batch *batch, const char *const *consumers,
                               uint32_t consumer_count, uint64_t sequence);
// Has it been noted? NULL has nothing.
bool bfr_disk_seen_has(const struct disk_seen *seen, const struct bfr_batch *batch, const char *const *consumers,
                       uint32_t consumer_count);

#endif
