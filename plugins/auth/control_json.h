// SPDX-License-Identifier: Apache-2.0
// What the control service answers, read strictly where it matters: an answer of another shape or with a field of another
// type says nothing at all, rather than something wrong. Pure; any thread. Tokens leave only as SHA-256 hashes.
#ifndef BFR_AUTH_CONTROL_JSON_H
#define BFR_AUTH_CONTROL_JSON_H

#include <bfr/status.h>

#include "directory.h"

// Where the records of an answer go. False ends the reading (memory is short). Of the three, the one that is set says what
// is in the answer.
struct control_reader {
    bool (*on_account)(void *arg, const struct account_record *record);
    bool (*on_tenant)(void *arg, const struct tenant_record *record);
    bool (*on_dataset)(void *arg, const struct dataset_record *record);
    void *arg;
};

enum control_read {
    CONTROL_READ_OK = 1,
    CONTROL_READ_RUBBISH = 2, // nothing of it is to be believed; nothing was given to the reader
    CONTROL_READ_NO_MEMORY = 3
};

// {"items": [...], "total": n}. *out_whole: nothing was cut from it. `out_why` (with RUBBISH) is static.
BFR_MUST_CHECK enum control_read bfr_control_read_list(const uint8_t *data, size_t size,
                                                       const struct control_reader *reader, bool *out_whole,
                                                       const char **out_why);
// One object.
BFR_MUST_CHECK enum control_read bfr_control_read_one(const uint8_t *data, size_t size,
                                                      const struct control_reader *reader, const char **out_why);

// The change detector's answer as two numbers that differ when what they stand for does.
struct control_marks {
    uint64_t tenants; // accounts and tenants
    uint64_t datasets;
};
BFR_MUST_CHECK bool bfr_control_read_changes(const uint8_t *data, size_t size, struct control_marks *out);

// Ids as the edge lets them in; no other can ever be asked for.
bool bfr_control_id_is_good(const char *id);

#endif
