// SPDX-License-Identifier: Apache-2.0
// `dlq retry` and `dlq purge` on a stopped daemon's spool. As in the running queue (disk_redrive.c) a letter with files is taken
// back by a record that names it and the removal of its .json, so that it is dead or held wherever this ends.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filter.h"
#include "marks.h"
#include "recent_log.h"
#include "tool_letters.h"

#define AT_ONCE       4096
#define AT_ONCE_BYTES (UINT64_C(64) << 20)

// A letter that is about to be a record.
struct taken {
    struct tool_draft draft; // first, so that a list of these is one of drafts
    struct letter_note note;
    char *body;
};

struct change {
    const struct tool_request *request;
    struct disk_dir dir;
    bool purge;
    struct recent_log recent; // open for a purge
    bool recent_failed;
    uint64_t count; // letters that were changed, or would be
    uint64_t next_id;
    struct tool_draft *first, **last; // of taken
    size_t taken_count;
    uint64_t taken_bytes;
};

// --- in segments

struct mark_buffer {
    uint8_t *bytes;
    size_t used;
};

static void put_mark(struct mark_buffer *buffer, uint64_t nonce, uint64_t sequence, uint32_t consumer, uint32_t state)
{
    const struct mark mark = {.sequence = sequence, .consumer = consumer, .state = state};
    bfr_mark_encode(&mark, nonce, buffer->bytes + buffer->used);
    buffer->used += MARK_BYTES;
}

// The marks that change one letter.
static void put_change(const struct change *change, const struct tool_segment *segment,
                       const struct found_record *record, struct mark_buffer *buffer)
{
    uint64_t nonce = segment->file->nonce;
    uint32_t count = segment->found->sets[record->set].count;
    if (change->purge)
        put_mark(buffer, nonce, record->sequence, MARK_EVERY_CONSUMER, MARK_PURGED);
    for (uint32_t i = 0; i < count && !change->purge; i++)
        if ((record->buried >> i & 1) != 0)
            put_mark(buffer, nonce, record->sequence, i, MARK_WANTED);
}

// Its key is free: the same bytes are a new batch to the next daemon.
static void forget_key(struct change *change, const struct bfr_batch *batch)
{
    if (change->purge && !change->request->dry_run)
        change->recent_failed |= !bfr_recent_forget(&change->recent, batch);
}

// Is it a letter that was asked for? Without its envelope nobody knows: *out_good.
static bool is_asked_for(struct change *change, const struct tool_segment *segment, const struct found_record *found,
                         bool *out_good)
{
    if (!bfr_tool_is_letter(segment->found, found))
        return false;
    struct tool_record *record = bfr_tool_read(segment, found);
    if (record == NULL) {
        *out_good = false;
        return false;
    }
    char id[LETTER_ID_SIZE];
    bfr_letter_id(found->sequence, id);
    bool hit = bfr_filter_matches(&change->request->filter, &record->batch, id);
    if (hit)
        forget_key(change, &record->batch);
    free(record);
    return hit;
}

// All marks of one segment in one write. What counts for nothing is said to be done with first: it must not come to life when
// its letter goes.
static bool change_segment(void *arg, const struct tool_segment *segment)
{
    struct change *change = arg;
    const struct found *found = segment->found;
    size_t most = segment->ghost_count + found->count;
    for (size_t i = 0; i < found->count; i++)
        most += (size_t)__builtin_popcount(found->records[i].buried);
    struct mark_buffer buffer = {malloc(most * MARK_BYTES + 1), 0};
    uint64_t count = 0;
    bool good = buffer.bytes != NULL;
    for (size_t i = 0; buffer.bytes != NULL && i < segment->ghost_count; i++)
        put_mark(&buffer, segment->file->nonce, segment->ghosts[i], MARK_EVERY_CONSUMER, MARK_PURGED);
    for (size_t i = 0; buffer.bytes != NULL && i < found->count; i++) {
        if (!is_asked_for(change, segment, &found->records[i], &good))
            continue;
        put_change(change, segment, &found->records[i], &buffer);
        count++;
    }
    if (!change->request->dry_run && buffer.used > 0 && !bfr_marks_append(segment->file, buffer.bytes, buffer.used)) {
        bfr_tool_complain("segment %016" PRIx64 ": its marks cannot be written: %s", segment->file->id,
                          strerror(errno));
        good = false;
        count = 0;
    }
    change->count += count;
    free(buffer.bytes);
    return good;
}

// --- with files

static void drop_taken(struct change *change)
{
    while (change->first != NULL) {
        struct taken *taken = (struct taken *)(void *)change->first;
        change->first = taken->draft.next;
        bfr_letter_note_free(&taken->note);
        free(taken->body);
        free(taken);
    }
    change->last = &change->first;
    change->taken_count = 0;
    change->taken_bytes = 0;
}

static bool remove_letter(struct change *change, const struct letter_note *note)
{
    if (bfr_letter_remove(change->dir.letters, strtoull(note->id, NULL, 16))) {
        change->count++;
        return true;
    }
    bfr_tool_complain("dead letter %s cannot be removed: %s", note->id, strerror(errno));
    return false;
}

// Those taken become one segment, and then stop being letters.
static bool finish_taken(struct change *change)
{
    bool good = true;
    if (change->first == NULL)
        return true;
    if (bfr_tool_write_segment(&change->dir, change->next_id, change->first)) {
        change->next_id++;
        for (struct tool_draft *at = change->first; at != NULL; at = at->next)
            good = remove_letter(change, &((struct taken *)(void *)at)->note) && good;
        good = fsync(change->dir.letters) == 0 && good;
    } else {
        bfr_tool_complain("%zu dead letters are not taken back: cannot write segment %016" PRIx64 ": %s",
                          change->taken_count, change->next_id, strerror(errno));
        good = false;
    }
    drop_taken(change);
    return good;
}

// The note is ours, whatever comes of it.
static bool take_letter(struct change *change, struct letter_note *note)
{
    struct taken *taken = calloc(1, sizeof *taken);
    char *body = taken == NULL ? NULL : bfr_letter_read_body(change->dir.letters, note);
    if (body == NULL) {
        bfr_tool_complain("dead letter %s is not taken back: %s", note->id,
                          errno == EILSEQ ? "its .batch is damaged" : strerror(errno));
        bfr_letter_note_free(note);
        free(body);
        free(taken);
        return false;
    }
    taken->note = *note;
    taken->note.letter.id = taken->note.id;
    taken->body = body;
    taken->draft = (struct tool_draft){.batch = &taken->note.batch,
                                       .body = (const uint8_t *)body,
                                       .sinks = taken->note.consumers,
                                       .sink_count = taken->note.consumer_count,
                                       .letter = strtoull(note->id, NULL, 16)};
    *change->last = &taken->draft;
    change->last = &taken->draft.next;
    change->taken_count++;
    change->taken_bytes += note->batch.body_bytes;
    return change->taken_count < AT_ONCE && change->taken_bytes < AT_ONCE_BYTES ? true : finish_taken(change);
}

// Who is to have a letter back that does not say who buried it: a running daemon knows its sinks, a directory does not.
static bool name_sinks(const struct change *change, struct letter_note *note)
{
    const struct tool_request *request = change->request;
    if (change->purge || note->consumer_count > 0)
        return true;
    for (uint32_t i = 0; i < request->sink_count; i++)
        note->consumers[note->consumer_count++] = request->sinks[i];
    if (note->consumer_count == 0)
        bfr_tool_complain(
            "dead letter %s is not taken back: it does not say which sink buried it; name each sink of the "
            "configuration with --sink, or retry it when the daemon runs",
            note->id);
    return note->consumer_count > 0;
}

static bool change_file(struct change *change, uint64_t sequence)
{
    struct letter_note note;
    bool good = true;
    if (!bfr_letter_read(change->dir.letters, sequence, &note)) {
        bfr_tool_complain("dead letter %016" PRIx64 ": its .json cannot be read; it is left alone", sequence);
        return false;
    }
    bool hit = bfr_filter_matches(&change->request->filter, &note.batch, note.id);
    if (hit && !name_sinks(change, &note)) {
        bfr_letter_note_free(&note);
        return false;
    }
    if (hit && !change->purge && !change->request->dry_run)
        return take_letter(change, &note);
    if (hit && change->request->dry_run)
        change->count++;
    else if (hit && (good = remove_letter(change, &note)))
        forget_key(change, &note.batch);
    bfr_letter_note_free(&note);
    return good;
}

static bool change_files(struct change *change)
{
    size_t count = 0;
    uint64_t *filed = bfr_letter_list(change->dir.letters, !change->request->dry_run, &count);
    bool good = filed != NULL;
    for (size_t i = 0; filed != NULL && i < count; i++)
        good = change_file(change, filed[i]) && good;
    free(filed);
    good = finish_taken(change) && good;
    if (change->purge && !change->request->dry_run)
        good = fsync(change->dir.letters) == 0 && good;
    return good;
}

// --- the commands

static bool open_recent(struct change *change)
{
    bfr_recent_init(&change->recent);
    change->recent_failed =
        change->purge && !change->request->dry_run && !bfr_recent_open(&change->recent, change->dir.root);
    return !change->recent_failed;
}

static bool close_recent(struct change *change)
{
    change->recent_failed |= !bfr_recent_sync(&change->recent);
    bfr_recent_close(&change->recent);
    if (change->recent_failed)
        bfr_tool_complain(
            "cannot write recent.log of '%s'; what was purged may be taken for known when it is sent again "
            "within dedup.window",
            change->request->directory);
    return !change->recent_failed;
}

static int run(int argc, char **argv, bool purge)
{
    struct tool_request request;
    if (!bfr_tool_request_parse(argc, argv, false, &request) || request.json || (purge && request.sink_count > 0))
        return BFR_TOOL_USAGE;
    if (!request.selects) {
        bfr_tool_complain("say which dead letters: --tenant, --dataset, --file or --id; --tenant '*' is all of them");
        return BFR_TOOL_USAGE;
    }
    struct change change = {.request = &request, .purge = purge};
    change.last = &change.first;
    if (!bfr_tool_open(&change.dir, request.directory, TOOL_DLQ_WAY_OUT))
        return BFR_TOOL_FAILED;
    uint64_t first_id = change.next_id = bfr_tool_next_id(&change.dir);
    bool good = open_recent(&change);
    good = bfr_tool_each_segment(&change.dir, change_segment, &change) && change_files(&change) && good;
    good = close_recent(&change) && good;
    if (change.next_id != first_id && !bfr_tool_save_id(&change.dir, change.next_id))
        bfr_tool_complain("cannot write the checkpoint of '%s': %s", request.directory, strerror(errno));
    printf("%" PRIu64 " dead letters %s%s\n", change.count, request.dry_run ? "would be " : "",
           purge ? "purged" : "taken back");
    bfr_disk_dir_close(&change.dir);
    return good ? BFR_TOOL_GOOD : BFR_TOOL_FAILED;
}

int bfr_tool_dlq_retry(int argc, char **argv)
{
    return run(argc, argv, false);
}

int bfr_tool_dlq_purge(int argc, char **argv)
{
    return run(argc, argv, true);
}
