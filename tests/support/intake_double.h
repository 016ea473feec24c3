// SPDX-License-Identifier: Apache-2.0
// A pipeline and an auth stage that do what a test says. Link intake_double.c instead of the real front doors
// (pipe_intake.h, plugin_auth.h); nothing else of either is needed by the webhook server.
#ifndef BFR_TEST_INTAKE_DOUBLE_H
#define BFR_TEST_INTAKE_DOUBLE_H

#include <pthread.h>

#include "pipe_intake.h"
#include "plugin_auth.h"

#define FAKE_BATCHES_MAX 256

struct bfr_pipeline {
    pthread_mutex_t lock;
    pthread_cond_t changed;

    // What to do; set by the test.
    uint32_t answer; // enum bfr_answer for what is submitted; 0: keep it waiting until fake_answer
    bool answer_on_other_thread;
    uint32_t room; // enum bfr_room
    uint64_t room_limit;
    bool evictable;        // the batches are copies that may be given up
    pthread_mutex_t *hold; // whoever submits waits for it, so that a test may hold up a loop; NULL: does not

    // What happened.
    uint64_t reserved; // minus released and submitted
    unsigned submitted;
    unsigned abandoned;
    unsigned abandoned_too_late;                 // the answer was on its way
    struct bfr_batch *batches[FAKE_BATCHES_MAX]; // kept until fake_intake_clear
    struct bfr_waiter *waiting;
};

struct bfr_auth {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t decision; // enum bfr_decision; BFR_LATER: keep it until fake_verdict
    uint32_t deny;
    unsigned asked;
    unsigned cancelled;
    bool has_token; // of the last question
    char token[128];
    char tenant[BFR_ID_MAX + 1];
    char dataset[BFR_ID_MAX + 1];
    uint32_t flags;
    struct bfr_question *question;
};

void fake_intake_init(struct bfr_pipeline *pipeline);
void fake_intake_fini(struct bfr_pipeline *pipeline); // releases the batches
void fake_intake_clear(struct bfr_pipeline *pipeline);
void fake_intake_may_evict(struct bfr_pipeline *pipeline); // from now on the batches are copies that may be given up
void fake_intake_await(struct bfr_pipeline *pipeline, unsigned submitted); // until so many were submitted
unsigned fake_intake_submitted(struct bfr_pipeline *pipeline);
// Take the one that waits, as a pipeline does before it answers: it cannot be abandoned any more.
struct bfr_waiter *fake_answer_begin(struct bfr_pipeline *pipeline);
void fake_intake_await_late_abandon(struct bfr_pipeline *pipeline);
// Answer the one that waits, from the calling thread.
void fake_answer(struct bfr_pipeline *pipeline, uint32_t answer);

void fake_auth_init(struct bfr_auth *auth);
void fake_auth_await(struct bfr_auth *auth, unsigned asked);
void fake_verdict(struct bfr_auth *auth, uint32_t decision, uint32_t deny);

#endif
