// SPDX-License-Identifier: Apache-2.0
// What the names in the previous product's tree mean here. Pure.
#ifndef BFR_SPOOL_ADOPT_NAME_H
#define BFR_SPOOL_ADOPT_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include <bfr/batch.h>

// A directory's name as an id: one trailing dot is dropped, as the edge drops it. False: it is none.
bool bfr_adopt_id(const char *name, char out[BFR_ID_MAX + 1]);
// A file's name as the object will be called: `.gz` is added where it is missing, and a tail `.ndjson.gz` becomes
// `--ndjson.gz`, as the edge does it. False: no batch can have that name.
bool bfr_adopt_filename(const char *name, char out[BFR_FILENAME_MAX + 1]);
// The data hint that {tenant}--{dataset}--{time}--{hint}.gz ends in; "unknown" when the name is not of that form.
void bfr_adopt_hint(const char *filename, const char *tenant, const char *dataset, char *out, size_t size);
// Well-formed UTF-8 without control characters.
bool bfr_adopt_text_is_clean(const char *text);

#endif
