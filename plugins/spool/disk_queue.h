// SPDX-License-Identifier: Apache-2.0
// The stable queue: records in segment files, and what of them is in RAM. Shared by the files disk_*.c alone.
//
// Threads. put, lease, ack, nack, bury, reserve, release, stats and the letters come from any thread. The commit thread
// alone writes segments, marks and recent.log. The keeper thread alone loads, unloads, punches and removes segments and
// files letters; people's calls (letters, redrive, purge) do such things too, so both hold `work` meanwhile.
// Locks: `work`, then `mutex`. `mutex` is never held across file work or a call of the host (but its
// clock).
#ifndef BFR_SPOOL_DISK_QUEUE_H
#define BFR_SPOOL_DISK_QUEUE_H

#include <pthread.h>

#include <bfr/plugin.h>

#include "backlog.h"
#include "disk_dir.h"
#include "disk_figures.h"
#include "recent_log.h"
#include "segment_load.h"
#include "settle.h"
#include "tenants.h"
#include "trouble.h"

#define DISK_CONSUMERS_MAX RECORD_CONSUMERS_MAX
#define DISK_NS_PER_MS     UINT64_C(1000000)
#define DISK_NS_PER_S      UINT64_C(1000000000)
#define DISK_SPARES        2
#define DISK_NO_NUMBER     UINT8_MAX

// Which of a consumer's two backlogs a batch waits in: as it was put, or as it was read from the disk again.
enum disk_lane { LANE_FRESH = 0, LANE_AGED = 1, LANE_COUNT = 2 };

struct disk_options {
    const char *directory;
    uint64_t max_size_bytes;
    uint64_t segment_bytes; // effective: at most a sixteenth of max_size_bytes
    uint64_t min_free_bytes;
    uint64_t commit_interval_ms;
    uint64_t ram_copies_bytes;
    double fresh_share;
    double tenant_share;
    double dlq_max_share;
    uint64_t dlq_max_age_ms;
    uint64_t recent_window_ms;
    uint64_t recent_max_entries;
};

// The consumers of some records, and which of them this queue serves. Never freed before the queue.
struct disk_set {
    struct disk_set *next;
    uint32_t count;
    char *names[RECORD_CONSUMERS_MAX];
    uint8_t number_of[DISK_CONSUMERS_MAX]; // by our consumer: its number in the record; DISK_NO_NUMBER: not asked
    uint32_t served;                       // bit i: consumer i of the set is one of ours
};

// One segment file. In queue->segments from its creation until it is removed.
struct disk_segment {
    struct list link;
    struct segment_file file; // descriptors are open while resident
    bool sealed;              // never written again
    bool indexed;             // has a good .idx
    bool resident;            // what our consumers want of it are entries in RAM
    bool counted;             // the host's books have its records
    bool marks_lost;          // memory was short for a mark: what is in RAM knows better than the disk
    bool fresh;               // written in this life
    bool emptying;            // at start: the last life was moving what is in it
    unsigned pins;            // file work under way: descriptors stay open, the file stays
    uint64_t live;            // records that are held or are letters kept here
    uint64_t parked;          // of these: wanted only by consumers that are not configured, so not in RAM
    uint64_t settled_bytes;   // whole records, since the last punch
    uint64_t punched_bytes;
    uint64_t records;     // sequence numbers given, or, of one that was found, those that can still get marks
    uint64_t index_bytes; // of its .idx, written or to be written
    uint64_t marks_bytes; // likewise of its .done: what a settlement of all its records takes
    uint64_t side_bytes;  // what these two count for in queue->side_bytes
    int64_t oldest_ns;    // received: of the oldest record when it was last loaded or written
    uint64_t retry_at_ns; // file work on it failed: not before then again
    struct list entries;  // struct disk_entry, by offset
    uint8_t *marks;       // encoded, not yet written
    size_t marks_used, marks_room;
};

// One batch for one consumer. What the host knows as its lease is the first member.
struct disk_claim {
    struct bfr_lease lease;
    struct disk_entry *entry;
    struct backlog_entry waiting;
    uint8_t state; // enum claim_state
};

struct adopt; // adopt_state.h

// A thread that waits for records it had written by itself (redrive, moving).
struct disk_errand;

// One record whose batch is held, or a letter that has no file yet. Before its put is complete it is known to the commit
// thread alone.
struct disk_entry {
    struct list link;             // in segment->entries
    struct list copy;             // in queue->copies while there is a copy that may be given up
    struct list unfiled;          // in queue->unfiled while it is a letter
    struct disk_segment *segment; // NULL before it is written
    const struct disk_set *set;
    struct tenant *tenant;
    const struct bfr_batch *batch; // a copy in RAM, one reference of ours; NULL: read it back
    struct disk_entry *next;       // on the way to the disk
    struct disk_errand *errand;    // who had it written; NULL: a put of the host, completed with `token`
    uint64_t token;
    uint64_t sequence;
    uint64_t letter; // the dead letter that it takes back; 0: none
    uint64_t offset;
    uint64_t body_bytes;
    uint32_t envelope_bytes;
    uint32_t body_crc32c;
    int64_t received_ns;
    uint32_t confirmed; // by the record's numbering of its consumers
    uint32_t buried;
    uint8_t lane;   // enum disk_lane
    bool offered;   // false: not to be leased or touched by anyone but who made it
    bool moved;     // written again from another segment: counted there until that one is done with
    bool read_back; // the copy came from the disk
    bool pinned;    // somebody looks at it without the mutex: who ends it leaves it to him (`gone`)
    bool gone;
    struct settle settle;
    struct trouble trouble;
    struct disk_claim claims[]; // one per configured consumer
};

struct disk_errand {
    size_t open; // not written yet
    size_t failed;
};

struct disk_queue {
    const struct bfr_host *host;
    struct disk_options options;
    char **consumers; // names
    uint32_t consumer_count;
    struct disk_dir dir;
    struct disk_figures figures;
    struct recent_log recent; // has a lock of its own

    pthread_mutex_t work; // one at a time changes which files there are
    uint64_t *filed;      // `work`: sequences of letters found as files at start, rising; so that none is kept twice
    size_t filed_count;
    uint64_t letters_retry_ns; // `work`: filing failed, not before then again
    uint64_t letters_look_ns;  // `work`: when to look for old ones again
    uint64_t *moved; // `work`: records of segments that were being emptied, rising, until everything is counted
    size_t moved_count;
    bool copies_unmarked;   // `work`: the mark of a copy could not be written
    struct disk_seen *seen; // `work`: keys of scanned segments, until everything is counted

    pthread_mutex_t mutex;    // guards all that follows
    struct backlog *backlogs; // [consumer * LANE_COUNT + lane]
    uint64_t *served_bytes;   // likewise: whose turn it is
    struct tenants tenants;
    struct disk_set *sets; // the first one made is that of new records
    const struct disk_set *own_set;
    struct list segments; // oldest first
    struct list copies;   // entries with a copy in RAM, oldest first
    struct list unfiled;  // letters without a file, oldest first
    uint64_t entry_count; // entries that may wait in a backlog
    uint64_t resident_segments;
    uint64_t held_batches, held_bytes;
    uint64_t buried_batches, buried_bytes;
    uint64_t copies_bytes;
    bool letters_wait;         // there was no room for the next letter's file, and that was said
    char missing_consumer[64]; // one that batches wait for and that is not configured; empty: none
    char trouble_text[256];    // what was set aside since the start; empty: nothing
    int marks_error;           // errno of the last sync of marks; 0: good
    int recent_error;          // likewise of recent.log

    // Room.
    uint64_t reserved_bytes; // bodies on their way
    uint64_t reserved_calls; // in how many steps they were reserved: each costs something beside its body
    uint64_t segments_bytes; // of all segment files, less what was punched
    uint64_t spares_bytes;
    uint64_t side_bytes;    // marks and indexes, those to come for what is there too
    uint64_t letters_bytes; // files of letters
    uint64_t aside_bytes;   // quarantine
    uint64_t recent_bytes;  // recent.log
    uint64_t fixed_bytes;   // directories and the like, as of the last look
    uint64_t free_bytes;    // of the file system, as of the last look
    bool refused;           // someone was sent away since room last came back

    // The way to the disk.
    struct disk_entry *pending_first, **pending_last;
    size_t pending_count; // taken and not completed
    uint64_t pending_bytes;
    uint64_t pending_since_ns; // when the oldest one that waits came; 0: none
    bool pending_awaited;      // somebody waits for one of them: no gathering
    pthread_cond_t commit_wanted;
    pthread_cond_t commit_done; // something was completed, errands and marks too
    bool commit_stop;
    bool commit_runs;
    bool marks_wanted;
    uint64_t marks_begun, marks_ended; // passes over all marks
    bool marks_failed;                 // the last of them, at least in part
    uint64_t marks_since_ns;           // when the oldest unwritten mark or recent entry was made; 0: none
    pthread_t commit_thread;
    struct disk_segment *current; // being written; the commit thread alone changes it
    uint64_t next_segment_id;
    uint64_t checkpoint;          // ids below it may be used
    uint64_t spares[DISK_SPARES]; // ids of {id}.free; 0: none
    bool failing;
    uint64_t retry_at_ns;
    char failure[256]; // why the last write failed; empty: it did not
    uint64_t commits, commit_batches;

    // The keeper.
    pthread_cond_t keeper_wanted;
    bool keeper_stop;
    bool keeper_runs;
    bool keeper_poke; // news since it last looked
    uint64_t keeper_turns;
    bool recovered; // every segment is counted
    bool punch_unsupported;
    bool moving;         // the reserve may be used
    struct adopt *adopt; // the keeper's: files of the previous product; NULL: none left
    uint64_t list_round; // indexes made so far
    pthread_t keeper_thread;
};

static inline struct backlog *bfr_disk_backlog(struct disk_queue *queue, uint32_t consumer, uint8_t lane)
{
    return &queue->backlogs[consumer * LANE_COUNT + lane];
}

#endif
