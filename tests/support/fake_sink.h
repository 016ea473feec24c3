// SPDX-License-Identifier: Apache-2.0
// A sink for tests: each delivery gets the outcome that the test decides, at once, from another thread, when the test
// says so, or never. bfr_stage_self of a created stage is a struct fake_sink.
#ifndef BFR_TESTS_FAKE_SINK_H
#define BFR_TESTS_FAKE_SINK_H

#include <pthread.h>
#include <stdatomic.h>

#include <bfr/plugin.h>

#define FAKE_SINK_OPEN_MAX 1024
#define FAKE_SINK_HOLD     100 // as outcome: keep it, the test completes it

struct fake_answer {
    uint32_t outcome; // enum bfr_outcome or FAKE_SINK_HOLD
    uint32_t flags;
    uint32_t reason;
    uint64_t retry_after_ms;
};

struct fake_sink {
    const struct bfr_host *host;
    pthread_mutex_t lock;
    pthread_cond_t changed;

    // Set by the test. `decide` NULL: `answer` for everything. Called without a lock, on the thread that completes.
    struct fake_answer answer;
    struct fake_answer (*decide)(void *arg, const struct bfr_delivery *delivery);
    void *decide_arg;
    bool busy;             // put takes nothing
    size_t take_max;       // of one put; 0 = all
    bool lie;              // complete what put then does not take
    bool twice;            // complete everything a second time
    bool mute;             // drain and stop leave deliveries open
    bool late;             // complete what is open in stop instead of drain
    uint32_t stop_outcome; // what drain and stop complete with; 0 = BFR_RETRY
    bool threaded;         // complete on a thread of its own (set before start)

    // Read by the test.
    uint64_t puts, offered, taken;
    uint64_t in_flight, in_flight_peak;
    char last_filename[64];
    char last_tenant[64];
    atomic_bool drained, stopped;

    // Deliveries it has: copies, so that the test may complete late ones.
    struct fake_open {
        struct bfr_delivery delivery;
    } open[FAKE_SINK_OPEN_MAX];
    size_t open_count;
    uint64_t last_token;
    pthread_t thread;
    bool running, quit;
};

extern uint32_t fake_sink_window; // what max_in_flight says; set before the pipeline is made
extern const struct bfr_plugin fake_sink_plugin;

// Complete what is on hold, all of it; returns how many.
size_t fake_sink_complete(struct fake_sink *sink, uint32_t outcome, uint32_t flags);
// Complete a token, whatever it is.
void fake_sink_complete_token(struct fake_sink *sink, uint64_t token, const struct fake_answer *answer);

#endif
