// SPDX-License-Identifier: Apache-2.0
// Folding of repeated log lines, in a table of fixed size. The rule, exactly:
//
//   1. Events are of one kind when level, inst and message are the same texts; fields do not count, but two: "kept" names
//      what was put aside for a person, who cannot look for what no line names, and "finding" is what is wrong in a file. An
//      event that names another one than the last event of its kind is written at once, after what was kept of that kind.
//   2. The first event of a kind is written at once and opens a window of one second.
//   3. Further events of that kind within the window are counted; the last one's line is kept.
//   4. After the window: an event that comes is written at once; without one, the kept line is written at the next
//      sweep (any log call, or the main loop's tick). Either stands for all that were counted, says so with repeated=N
//      (N includes itself), shows its own time and fields, and opens the next window.
//   5. A window that ends with nothing counted is forgotten. When the table is full, the oldest window makes room and its
//      kept line is written. So no event goes uncounted, and a kind costs about one line a second.
//
// Debug lines do not come here, nor does a kind whose texts are longer than a slot holds.
#ifndef BFR_CORE_LOG_FOLD_H
#define BFR_CORE_LOG_FOLD_H

#include "log_line.h"

#define BFR_LOG_FOLD_SLOTS     16
#define BFR_LOG_FOLD_WINDOW_NS UINT64_C(1000000000)

struct bfr_log_slot {
    uint32_t level; // 0: free
    char inst[48];
    char message[128];
    uint64_t kept;      // what the last event named, as a hash; 0: nothing
    uint64_t opened_ns; // monotonic
    uint64_t counted;   // events since the last line that was written; the last of them is in `line`
    struct bfr_log_line line;
};

// Not thread-safe: the log's lock protects it. Zeroed = empty, but for `emit`.
struct bfr_log_fold {
    void (*emit)(struct bfr_log_line *line, uint64_t events); // write this line; may end it in place
    struct bfr_log_slot slots[BFR_LOG_FOLD_SLOTS];
};

// One event whose line has been begun; `kept`: its field of that name, NULL when it has none.
void bfr_log_fold_add(struct bfr_log_fold *fold, uint64_t now_ns, uint32_t level, const char *inst, const char *message,
                      const char *kept, struct bfr_log_line *line);
// Write what was counted in windows that are over.
void bfr_log_fold_sweep(struct bfr_log_fold *fold, uint64_t now_ns);
// Write all that was counted and empty the table: the end of the process.
void bfr_log_fold_empty(struct bfr_log_fold *fold);

#endif
