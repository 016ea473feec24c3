// SPDX-License-Identifier: Apache-2.0
// The table of log lines that repeat; see the header for the rule. Runs under the log's lock on whatever thread logs.
// Never allocates, never reads a clock: the caller says what time it is.
#include "log_fold.h"

#include <string.h>

static bool is_over(const struct bfr_log_slot *slot, uint64_t now_ns)
{
    return now_ns >= slot->opened_ns + BFR_LOG_FOLD_WINDOW_NS;
}

static bool is_of_kind(const struct bfr_log_slot *slot, uint32_t level, const char *inst, const char *message)
{
    return slot->level == level && strcmp(slot->message, message) == 0 && strcmp(slot->inst, inst) == 0;
}

static struct bfr_log_slot *find_slot(struct bfr_log_fold *fold, uint32_t level, const char *inst, const char *message)
{
    for (size_t i = 0; i < BFR_LOG_FOLD_SLOTS; i++) {
        if (is_of_kind(&fold->slots[i], level, inst, message))
            return &fold->slots[i];
    }
    return NULL;
}

// Write what is kept, if anything; the next window opens now.
static void write_kept(struct bfr_log_fold *fold, struct bfr_log_slot *slot, uint64_t now_ns)
{
    if (slot->counted > 0)
        fold->emit(&slot->line, slot->counted);
    slot->counted = 0;
    slot->opened_ns = now_ns;
}

static struct bfr_log_slot *free_slot(struct bfr_log_fold *fold, uint64_t now_ns)
{
    struct bfr_log_slot *oldest = &fold->slots[0];
    for (size_t i = 0; i < BFR_LOG_FOLD_SLOTS; i++) {
        struct bfr_log_slot *slot = &fold->slots[i];
        if (slot->level == 0)
            return slot;
        if (slot->opened_ns < oldest->opened_ns)
            oldest = slot;
    }
    write_kept(fold, oldest, now_ns);
    return oldest;
}

// FNV-1a. Two names that share a hash would be folded into one line: rarer than a log that is lost.
static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    if (name == NULL)
        return 0;
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return hash;
}

static void open_window(struct bfr_log_fold *fold, uint64_t now_ns, uint32_t level, const char *inst,
                        const char *message, uint64_t kept)
{
    size_t inst_size = strlen(inst) + 1, message_size = strlen(message) + 1;
    if (inst_size > sizeof fold->slots[0].inst || message_size > sizeof fold->slots[0].message)
        return;
    struct bfr_log_slot *slot = free_slot(fold, now_ns);
    slot->level = level;
    memcpy(slot->inst, inst, inst_size);
    memcpy(slot->message, message, message_size);
    slot->kept = kept;
    slot->counted = 0;
    slot->opened_ns = now_ns;
}

static void keep(struct bfr_log_slot *slot, const struct bfr_log_line *line)
{
    slot->counted++;
    slot->line.format = line->format;
    slot->line.size = line->size;
    memcpy(slot->line.text, line->text, line->size);
}

void bfr_log_fold_add(struct bfr_log_fold *fold, uint64_t now_ns, uint32_t level, const char *inst, const char *message,
                      const char *kept, struct bfr_log_line *line)
{
    struct bfr_log_slot *slot = find_slot(fold, level, inst, message);
    uint64_t name = hash_name(kept);
    if (slot == NULL) {
        open_window(fold, now_ns, level, inst, message, name);
        fold->emit(line, 1);
    } else if (slot->kept != name) {
        write_kept(fold, slot, now_ns);
        slot->kept = name;
        fold->emit(line, 1);
    } else if (is_over(slot, now_ns)) {
        fold->emit(line, slot->counted + 1);
        slot->counted = 0;
        slot->opened_ns = now_ns;
    } else {
        keep(slot, line);
    }
    bfr_log_fold_sweep(fold, now_ns);
}

void bfr_log_fold_sweep(struct bfr_log_fold *fold, uint64_t now_ns)
{
    for (size_t i = 0; i < BFR_LOG_FOLD_SLOTS; i++) {
        struct bfr_log_slot *slot = &fold->slots[i];
        if (slot->level == 0 || !is_over(slot, now_ns))
            continue;
        if (slot->counted > 0)
            write_kept(fold, slot, now_ns);
        else
            slot->level = 0;
    }
}

void bfr_log_fold_empty(struct bfr_log_fold *fold)
{
    for (size_t i = 0; i < BFR_LOG_FOLD_SLOTS; i++) {
        write_kept(fold, &fold->slots[i], 0);
        fold->slots[i].level = 0;
    }
}
