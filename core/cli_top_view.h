// SPDX-License-Identifier: Apache-2.0
// What `top` shows, as text. Draws what it is given, asks nobody. [main]
#ifndef BFR_CORE_CLI_TOP_VIEW_H
#define BFR_CORE_CLI_TOP_VIEW_H

#include <stdbool.h>

#include <jansson.h>

struct bfr_top_view {
    const char *place;    // URL of the API
    const char *trouble;  // why the last look failed; NULL: it did not
    const json_t *health; // replies of /api/v1/health and /api/v1/stats; NULL: none yet
    const json_t *stats;
    const json_t *earlier; // stats of the look before; NULL: there are no rates yet
    double seconds;        // between the two
    double age_s;          // of `stats`
    unsigned width;        // columns; no line has more
    unsigned height;       // lines at most; 0: as many as there are
    bool color;
    bool live; // with the line about keys
};

// Lines with their ends; free() it. NULL: memory is short.
char *bfr_top_view_draw(const struct bfr_top_view *view);

#endif
