/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: how a plugin declares its YAML keys. The host parses, checks, expands and masks; the plugin asks
 * for typed values with the getters of host.h and never sees YAML, the environment or a default it did not declare.
 * The same table prints `plugins info NAME`, the JSON Schema and the reference page.
 */
#ifndef BFR_OPTION_H
#define BFR_OPTION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Type of an option's value. Zero is never valid. */
enum bfr_option_type {
    BFR_OPTION_STRING = 1,  /* config_string */
    BFR_OPTION_BOOL = 2,    /* config_bool: true or false */
    BFR_OPTION_INTEGER = 3, /* config_integer */
    BFR_OPTION_NUMBER = 4,  /* config_number: decimal fraction */
    BFR_OPTION_SIZE = 5, /* config_integer, bytes: 4096, 64KiB, 10MiB, 1GiB, 1TiB (1024), 10KB, 1MB, 1GB, 1TB (1000) */
    BFR_OPTION_DURATION = 6, /* config_integer, milliseconds: 500ms, 30s, 5m, 2h, 7d; a plain number counts in `unit` */
    BFR_OPTION_PATH = 7,     /* config_string; made absolute: a relative path is relative to the configuration file */
    BFR_OPTION_LIST = 8,     /* config_list: a YAML list of strings; a single string is a list of one */
    BFR_OPTION_MAP = 9       /* config_list: a YAML mapping of strings, as "key=value" elements in file order */
};

/* Flags of an option. */
#define BFR_OPTION_REQUIRED UINT32_C(1) /* the stage is refused without it */
#define BFR_OPTION_SECRET   UINT32_C(2) /* masked wherever it is shown; also accepted as `<name>_file` */
#define BFR_OPTION_LIVE     UINT32_C(4) /* a reload may change it while the stage runs (life.h, reload) */

/*
 * One key. All texts are static. `fallback`, `min` and `max` are written as the value is written in YAML ("64KiB").
 */
struct bfr_option {
    const char *name;     /* YAML key: [a-z][a-z0-9_]* */
    uint32_t type;        /* enum bfr_option_type */
    uint32_t flags;       /* BFR_OPTION_* */
    const char *fallback; /* value when the key is absent; NULL: unset (config_has is false). In that of a PATH, or of a
                             STRING without choices, the host replaces ${NAME:-text} from the environment */
    const char *min;      /* INTEGER, NUMBER, SIZE, DURATION: smallest value allowed; NULL: 0 */
    const char *max;      /* likewise the largest; NULL: no limit */
    const char *choices;  /* STRING: the allowed values, separated by '|'; NULL: any */
    const char *unit;     /* DURATION: what a plain number means: "ms", "s", "m", "h" or "d"; NULL: "s" */
    const char *help;     /* one line for people */
    /* A key of the core, as "dedup.window", whose value the option has when the stage gives none; of the same type. The
     * fallback serves where there is no core. NULL: none. */
    const char *inherits;
};

#ifdef __cplusplus
}
#endif
#endif
