// SPDX-License-Identifier: Apache-2.0
// Many GETs for one thread that waits for them: a window of calls is kept on its way, answers are handed over one at a time
// on the waiting thread. A service that fails several times in a row, or says that it is asked too often, is left alone.
#ifndef BFR_AUTH_FETCH_H
#define BFR_AUTH_FETCH_H

#include "control_call.h"

#define FETCH_WINDOW 8

struct fetch {
    struct fetcher *fetcher;
    uint32_t number; // which of the calls
    uint64_t asked_ns;
    char path[CONTROL_PATH_MAX];
    // The answer.
    enum control_answer answer;
    uint8_t *body;
    size_t body_bytes;
    char text[192]; // with any answer but CONTROL_OK: what came
    struct fetch *next;
};

struct fetcher {
    struct control *control;
    pthread_mutex_t lock;
    pthread_cond_t changed; // on CLOCK_MONOTONIC
    bool stopping;
    struct fetch *finished; // answered, not handed over yet
    struct fetch slots[FETCH_WINDOW];
};

// One sweep: `count` calls, number by number. `path` returns false to leave one out. `take` gets every answer, and
// CONTROL_FAILED for those that were not asked any more.
struct fetch_sweep {
    uint32_t count;
    bool (*path)(void *arg, uint32_t number, char *out);
    void (*take)(void *arg, const struct fetch *fetch);
    void *arg;
};

void bfr_fetcher_init(struct fetcher *fetcher, struct control *control);
void bfr_fetcher_fini(struct fetcher *fetcher);
// Everything ends soon, as failed. [any]
void bfr_fetcher_stop(struct fetcher *fetcher);
// Wait, at most so long. False: stopping. [the one thread]
bool bfr_fetcher_sleep(struct fetcher *fetcher, uint64_t wait_ns);
bool bfr_fetcher_stopping(struct fetcher *fetcher);
void bfr_fetcher_sweep(struct fetcher *fetcher, const struct fetch_sweep *sweep);

#endif
