// SPDX-License-Identifier: Apache-2.0
// Paths, filenames and times: whatever is accepted is safe as a path segment, and accepting it again changes nothing. The
// input is a path, a name and a time, one a line.
#include <stdint.h>
#include <string.h>

#include "bug.h"
#include "http_meta.h"
#include "http_name.h"
#include "http_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(const char *id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(id);
    bfr_must(size > 0 && size <= BFR_ID_MAX && strspn(id, allowed) == size && id[0] != '.');
}

static void check_name(const struct bfr_target *target, struct bfr_span name)
{
    char stored[BFR_NAME_ROOM];
    char again[BFR_NAME_ROOM];
    if (bfr_name_check(target, name, stored) != BFR_REFUSE_NONE)
        return;
    size_t size = strlen(stored);
    bfr_must(size >= 3 && size <= BFR_FILENAME_MAX && strcmp(stored + size - 3, ".gz") == 0);
    bfr_must(strpbrk(stored, "/\\") == NULL && strstr(stored, "..") == NULL);
    bfr_must(bfr_text_is_clean((const uint8_t *)stored, size));
    bfr_must(size < 10 || strcmp(stored + size - 10, ".ndjson.gz") != 0);
    struct bfr_span span = {(const uint8_t *)stored, size};
    // Becoming `--ndjson` may have made a fourth part, for which the ids count; nothing else may change.
    if (bfr_name_check(target, span, again) == BFR_REFUSE_NONE)
        bfr_must(strcmp(stored, again) == 0);
}

// The next line; data past the end is empty.
static struct bfr_span next_line(const uint8_t **data, size_t *size)
{
    const uint8_t *start = *data;
    const uint8_t *lf = *size > 0 ? memchr(start, '\n', *size) : NULL;
    struct bfr_span line = {start, lf != NULL ? (size_t)(lf - start) : *size};
    size_t used = line.size + (lf != NULL);
    *data += used;
    *size -= used;
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bfr_span path = next_line(&data, &size);
    struct bfr_span name = next_line(&data, &size);
    struct bfr_span time = next_line(&data, &size);
    struct bfr_target target;
    if (path.size > 0 && path.data[0] == '/' && bfr_target_parse(path, &target) == BFR_REFUSE_NONE &&
        target.route == BFR_ROUTE_INGEST) {
        check_id(target.tenant);
        check_id(target.dataset);
        if (name.size > 0)
            check_name(&target, name);
    }
    char text[64] = "";
    int64_t ns;
    memcpy(text, time.data, time.size < sizeof text ? time.size : sizeof text - 1);
    if (bfr_time_parse(text, &ns)) {
        char back[32];
        int64_t again;
        bfr_time_format(ns, back);
        // An offset may lead out of the years that can be written back.
        static const int64_t year_2262_ns = INT64_C(9214646400000000000);
        bfr_must(ns < 0 || ns >= year_2262_ns ||
                 (bfr_time_parse(back, &again) && again / 1000000000 == ns / 1000000000));
    }
    return 0;
}
