// SPDX-License-Identifier: Apache-2.0
// What adoption remembers between its steps. Shared by the files adopt_*.c alone; the keeper's.
#ifndef BFR_SPOOL_ADOPT_STATE_H
#define BFR_SPOOL_ADOPT_STATE_H

#include <limits.h>
#include <sys/stat.h>

#include "adopt.h"
#include "adopt_body.h"
#include "adopt_meta.h"
#include "adopt_tree.h"
#include "disk_seen.h"

#define ADOPT_PLACE_SIZE    640
#define ADOPT_FILES_AT_ONCE 32 // records on their way to the disk: one sync for all of them

// What became of a file. Zero is never valid.
enum adopt_fate {
    ADOPT_UNDER_WAY = 1, // its record is on the way
    ADOPT_ADOPTED,       // a dead letter now
    ADOPT_DOUBLE,        // the spool has had it before; the file is gone
    ADOPT_ASIDE,         // broken, in quarantine
    ADOPT_LEFT,          // stays where it is for good, and why was logged
    ADOPT_LATER,         // not now
    ADOPT_FULL,          // not now, and nothing else either
};

// A file in hand.
struct adopt_file {
    const struct adopt_tree *tree; // where it is
    struct stat info;
    struct adopt_meta meta;
    char filename[BFR_FILENAME_MAX + 1]; // of the batch
    struct adopt_body body;
};

struct adopt_item {
    char name[NAME_MAX + 1]; // of the file
    struct disk_entry *entry;
    struct disk_errand errand;
};

enum adopt_phase {
    ADOPT_PHASE_RECENT = 1, // take in what recent.log knows
    ADOPT_PHASE_LETTERS,    // and the dead letters
    ADOPT_PHASE_WALK,
    ADOPT_PHASE_PAUSE, // some could not be adopted
    ADOPT_PHASE_DONE,
};

struct adopt_sums {
    uint64_t adopted, letters, aside, doubles, metas, left, later;
};

struct adopt {
    struct disk_queue *queue;
    int base; // the configured directory
    enum adopt_phase phase;
    struct disk_seen *known; // names and source hashes that the spool has had; NULL: memory is short
    uint64_t *letters;       // to be taken in
    size_t letter_count, letter_next;
    uint64_t next_sequence; // of a dead letter: in a segment id of our own
    struct adopt_tree tree;
    struct adopt_item items[ADOPT_FILES_AT_ONCE];
    size_t item_count;
    uint64_t item_bytes;
    struct adopt_sums sums; // `later`: of this walk, the others of all
    uint64_t said_later;
    uint64_t retry_at_ns;
    uint64_t pause_ns;
    uint64_t aside_number;
};

// One entry that is no meta. ADOPT_UNDER_WAY: it is in items now.
enum adopt_fate bfr_adopt_take(struct adopt *adopt, const struct adopt_tree *tree);
// Wait for the records on their way; then their files go, then they may be leased.
// False: some could not be written, and are still files.
bool bfr_adopt_flush(struct adopt *adopt);
// A dead letter of the previous product, as one of ours. Its file goes once ours is on the disk.
enum adopt_fate bfr_adopt_letter(struct adopt *adopt, const struct adopt_file *file, const struct bfr_batch *batch);
// Move a broken file and its meta to quarantine/.
enum adopt_fate bfr_adopt_aside(struct adopt *adopt, const struct adopt_file *file, const char *why);

// Remove a file, and the meta beside it. False with errno: the file is still there.
bool bfr_adopt_remove(int directory, const char *name);
// "{tenant}/{dataset}/{part}/{name}", for people.
void bfr_adopt_place(const struct adopt_tree *tree, const char *name, char *out, size_t size);
// For every file that stays.
enum adopt_fate bfr_adopt_leave(struct adopt *adopt, const struct adopt_tree *tree, const char *why);
// The spool has this batch from now on.
void bfr_adopt_note(struct adopt *adopt, const struct bfr_batch *batch);
bool bfr_adopt_is_known(const struct adopt *adopt, const struct bfr_batch *batch);
bool bfr_adopt_stopping(void *adopt);

#endif
