// SPDX-License-Identifier: Apache-2.0
// A dead letter as files: {id}.batch, the body as stored, and {id}.json, what is known about it, for people and for the way
// back. Knows no queue; for the queue and the tools.
#ifndef BFR_SPOOL_LETTER_FILE_H
#define BFR_SPOOL_LETTER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/queue.h>

#include "record.h"

#define LETTER_ID_SIZE 17 // 16 hex digits of the sequence

// What {id}.json says. Texts live as long as it does.
struct letter_note {
    struct bfr_letter letter;
    struct bfr_batch batch;                      // without a body: spans are none
    const char *consumers[RECORD_CONSUMERS_MAX]; // who buried it
    uint32_t consumer_count;
    int64_t buried_ns;
    char id[LETTER_ID_SIZE];
    void *texts;
};

void bfr_letter_id(uint64_t sequence, char out[LETTER_ID_SIZE]);
// False when `name` is not "{id}" followed by `suffix`.
bool bfr_letter_id_parse(const char *name, const char *suffix, uint64_t *sequence);

// What {id}.json says, for people and programs; NULL when memory is short. Free it.
char *bfr_letter_text(const struct letter_note *note, bool one_line);
// Write both files, durably, in the directory. `body` is in `span_count` parts. False with errno: nothing is there.
bool bfr_letter_write(int directory, const struct letter_note *note, const struct bfr_span *body, size_t span_count,
                      uint64_t *out_bytes);
// Read {id}.json. False with errno (EINVAL: not a letter's). Free with bfr_letter_note_free.
bool bfr_letter_read(int directory, uint64_t sequence, struct letter_note *out);
// Read {id}.batch and check it against the note. NULL with errno (EILSEQ: other bytes). Free it.
char *bfr_letter_read_body(int directory, const struct letter_note *note);
void bfr_letter_note_free(struct letter_note *note);
// Remove both files; durable after a sync of the directory. False with errno: it is still there.
bool bfr_letter_remove(int directory, uint64_t sequence);

// The sequences of all letters, rising; NULL with errno when memory is short or the directory cannot be read. `tidy`: remove
// what a crash left half done. Free it.
uint64_t *bfr_letter_list(int directory, bool tidy, size_t *out_count);
// What both files take.
uint64_t bfr_letter_bytes(int directory, uint64_t sequence);

#endif
