// SPDX-License-Identifier: Apache-2.0
// The two older forms of the configuration as data: every key of theirs, what sets it beside the file, and where it goes
// in the native form.
#ifndef BFR_CORE_CONFIG_LEGACY_TABLE_H
#define BFR_CORE_CONFIG_LEGACY_TABLE_H

#include <stdint.h>

#define BFR_LEGACY_PATHS     3
#define BFR_LEGACY_VARIABLES 3
#define BFR_LEGACY_TARGETS   2

// How an older value becomes a native one. Everywhere an empty text counts as not given.
enum bfr_legacy_conversion {
    BFR_LEGACY_AS_IS = 1,
    BFR_LEGACY_BOOL,     // true, "True", 1, ... as the previous product took them
    BFR_LEGACY_POSITIVE, // 0 counts as not given
    BFR_LEGACY_LEVEL,    // upper case, "warning"
    BFR_LEGACY_ENCODING, // json, else logfmt
    BFR_LEGACY_BUCKET    // a bucket's name, not a path
};

// Where a native value stands.
enum bfr_legacy_place {
    BFR_LEGACY_NOWHERE, // ends a list of targets
    BFR_LEGACY_CORE,    // key "section.key" of the core
    BFR_LEGACY_AUTH,    // option of a stage or service
    BFR_LEGACY_DISK,
    BFR_LEGACY_S3,
    BFR_LEGACY_CONTROL,
    BFR_LEGACY_OTLP,
    BFR_LEGACY_SOC,
    BFR_LEGACY_PLACES
};

struct bfr_legacy_target {
    uint32_t place; // enum bfr_legacy_place
    const char *key;
};

struct bfr_legacy_setting {
    const char *paths[BFR_LEGACY_PATHS];         // keys in the order in which they win: form B, its older name, form A
    const char *variables[BFR_LEGACY_VARIABLES]; // short names, in the order in which they win
    uint32_t convert;
    struct bfr_legacy_target
        targets[BFR_LEGACY_TARGETS]; // none: it steers the translation, or is kept for reports only
    const char *fallback;            // where it is not that of the native key
    const char *instead;             // what to write in a native file, where the targets do not say it
};

// The settings that the translation asks for by name; the others follow in any order.
enum bfr_legacy_index {
    BFR_LEGACY_CONTROL_ENABLED,
    BFR_LEGACY_CONTROL_URL,
    BFR_LEGACY_CONTROL_KEY,
    BFR_LEGACY_CONTROL_ACCOUNT,
    BFR_LEGACY_AUTHENTICATION,
    BFR_LEGACY_TENANTS_FILE,
    BFR_LEGACY_SPOOLING,
    BFR_LEGACY_SPOOL,
    BFR_LEGACY_BUCKET_NAME,
    BFR_LEGACY_HEALTH_REPORTING,
    BFR_LEGACY_ERROR_TRACKING,
    BFR_LEGACY_OTEL,
    BFR_LEGACY_OTEL_MODE,
    BFR_LEGACY_OTEL_PULL,
    BFR_LEGACY_OTEL_ENDPOINT,
    BFR_LEGACY_METRICS_HOST,
    BFR_LEGACY_METRICS_PORT,
    BFR_LEGACY_SOC_ENABLED,
    BFR_LEGACY_DEV,
    BFR_LEGACY_NAMED // how many
};

extern const struct bfr_legacy_setting bfr_legacy_settings[];
extern const uint32_t bfr_legacy_count;

// Sections (and `dev`) that only the older forms have; NULL-terminated.
extern const char *const bfr_legacy_sections[];

// Keys that are taken without effect, and what a person should know; a path that ends in '.' is all below it.
struct bfr_legacy_ignored {
    const char *path;
    const char *advice; // NULL: nobody needs to know
};
extern const struct bfr_legacy_ignored bfr_legacy_ignored[];
extern const uint32_t bfr_legacy_ignored_count;

// The plugin of a place; NULL for those that are no stage.
const char *bfr_legacy_plugin(uint32_t place);

#endif
