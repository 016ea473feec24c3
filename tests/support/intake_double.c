// SPDX-License-Identifier: Apache-2.0
#include "intake_double.h"

#include <stdlib.h>
#include <string.h>

#include "bug.h"

void fake_intake_init(struct bfr_pipeline *pipeline)
{
    memset(pipeline, 0, sizeof *pipeline);
    pthread_mutex_init(&pipeline->lock, NULL);
    pthread_cond_init(&pipeline->changed, NULL);
    pipeline->answer = BFR_ANSWER_ACCEPTED;
    pipeline->room = BFR_ROOM_OK;
    pipeline->room_limit = UINT64_MAX;
}

void fake_intake_clear(struct bfr_pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    for (unsigned i = 0; i < pipeline->submitted && i < FAKE_BATCHES_MAX; i++)
        bfr_batch_release(pipeline->batches[i]);
    pipeline->submitted = 0;
    pthread_mutex_unlock(&pipeline->lock);
}

uint64_t bfr_intake_evict(struct bfr_pipeline *pipeline, uint64_t bytes)
{
    (void)bytes;
    pthread_mutex_lock(&pipeline->lock);
    unsigned held = pipeline->evictable ? pipeline->submitted : 0;
    pthread_mutex_unlock(&pipeline->lock);
    if (held > 0)
        fake_intake_clear(pipeline);
    return held;
}

void fake_intake_may_evict(struct bfr_pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    pipeline->evictable = true;
    pthread_mutex_unlock(&pipeline->lock);
}

void fake_intake_fini(struct bfr_pipeline *pipeline)
{
    fake_intake_clear(pipeline);
    pthread_cond_destroy(&pipeline->changed);
    pthread_mutex_destroy(&pipeline->lock);
}

void fake_intake_await(struct bfr_pipeline *pipeline, unsigned submitted)
{
    pthread_mutex_lock(&pipeline->lock);
    while (pipeline->submitted < submitted)
        pthread_cond_wait(&pipeline->changed, &pipeline->lock);
    pthread_mutex_unlock(&pipeline->lock);
}

unsigned fake_intake_submitted(struct bfr_pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    unsigned submitted = pipeline->submitted;
    pthread_mutex_unlock(&pipeline->lock);
    return submitted;
}

struct bfr_waiter *fake_answer_begin(struct bfr_pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    struct bfr_waiter *waiter = pipeline->waiting;
    pipeline->waiting = NULL;
    pthread_mutex_unlock(&pipeline->lock);
    bfr_must(waiter != NULL);
    return waiter;
}

void fake_intake_await_late_abandon(struct bfr_pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    while (pipeline->abandoned_too_late == 0)
        pthread_cond_wait(&pipeline->changed, &pipeline->lock);
    pthread_mutex_unlock(&pipeline->lock);
}

void fake_answer(struct bfr_pipeline *pipeline, uint32_t answer)
{
    struct bfr_waiter *waiter = fake_answer_begin(pipeline);
    waiter->on_answer(waiter, answer, "told by the test");
}

uint32_t bfr_intake_reserve(struct bfr_pipeline *pipeline, const char *tenant, uint64_t bytes)
{
    (void)tenant;
    pthread_mutex_lock(&pipeline->lock);
    uint32_t room = pipeline->room;
    if (room == BFR_ROOM_OK && pipeline->reserved + bytes > pipeline->room_limit)
        room = BFR_ROOM_FULL;
    if (room == BFR_ROOM_OK)
        pipeline->reserved += bytes;
    pthread_mutex_unlock(&pipeline->lock);
    return room;
}

void bfr_intake_release(struct bfr_pipeline *pipeline, const char *tenant, uint64_t bytes)
{
    (void)tenant;
    pthread_mutex_lock(&pipeline->lock);
    bfr_must(pipeline->reserved >= bytes);
    pipeline->reserved -= bytes;
    pthread_mutex_unlock(&pipeline->lock);
}

struct errand {
    struct bfr_waiter *waiter;
    uint32_t answer;
};

static void *run_errand(void *arg)
{
    struct errand errand = *(struct errand *)arg;
    free(arg);
    errand.waiter->on_answer(errand.waiter, errand.answer, NULL);
    return NULL;
}

static void answer_elsewhere(struct bfr_waiter *waiter, uint32_t answer)
{
    struct errand *errand = malloc(sizeof *errand);
    bfr_must(errand != NULL);
    *errand = (struct errand){waiter, answer};
    pthread_t thread;
    bfr_must(pthread_create(&thread, NULL, run_errand, errand) == 0);
    pthread_detach(thread);
}

void bfr_intake_submit(struct bfr_pipeline *pipeline, struct bfr_batch *batch, struct bfr_waiter *waiter)
{
    pthread_mutex_lock(&pipeline->lock);
    bfr_must(pipeline->reserved >= batch->body_bytes && pipeline->submitted < FAKE_BATCHES_MAX);
    pipeline->reserved -= batch->body_bytes;
    pipeline->batches[pipeline->submitted++] = batch;
    uint32_t answer = pipeline->answer;
    bool elsewhere = pipeline->answer_on_other_thread;
    pthread_mutex_t *hold = pipeline->hold;
    if (answer == 0)
        pipeline->waiting = waiter;
    pthread_cond_broadcast(&pipeline->changed);
    pthread_mutex_unlock(&pipeline->lock);
    if (hold != NULL) {
        pthread_mutex_lock(hold);
        pthread_mutex_unlock(hold);
    }
    if (answer != 0 && elsewhere)
        answer_elsewhere(waiter, answer);
    else if (answer != 0)
        waiter->on_answer(waiter, answer, NULL);
}

bool bfr_intake_abandon(struct bfr_pipeline *pipeline, struct bfr_waiter *waiter)
{
    pthread_mutex_lock(&pipeline->lock);
    bool waits = pipeline->waiting == waiter;
    if (waits) {
        pipeline->waiting = NULL;
        pipeline->abandoned++;
    } else {
        pipeline->abandoned_too_late++;
    }
    pthread_cond_broadcast(&pipeline->changed);
    pthread_mutex_unlock(&pipeline->lock);
    return waits;
}

void fake_auth_init(struct bfr_auth *auth)
{
    memset(auth, 0, sizeof *auth);
    pthread_mutex_init(&auth->lock, NULL);
    pthread_cond_init(&auth->changed, NULL);
    auth->decision = BFR_ALLOW;
}

void fake_auth_await(struct bfr_auth *auth, unsigned asked)
{
    pthread_mutex_lock(&auth->lock);
    while (auth->asked < asked)
        pthread_cond_wait(&auth->changed, &auth->lock);
    pthread_mutex_unlock(&auth->lock);
}

void fake_verdict(struct bfr_auth *auth, uint32_t decision, uint32_t deny)
{
    struct bfr_verdict verdict = {.size = sizeof verdict, .decision = decision, .deny = deny, .account = "late"};
    pthread_mutex_lock(&auth->lock);
    struct bfr_question *question = auth->question;
    auth->question = NULL;
    bfr_must(question != NULL);
    question->on_verdict(question, &verdict);
    pthread_mutex_unlock(&auth->lock);
}

uint32_t bfr_auth_ask(struct bfr_auth *auth, const struct bfr_request *request, struct bfr_question *question,
                      struct bfr_verdict *out)
{
    pthread_mutex_lock(&auth->lock);
    auth->asked++;
    auth->flags = request->flags;
    auth->has_token = request->authorization.data != NULL;
    size_t size =
        request->authorization.size < sizeof auth->token ? request->authorization.size : sizeof auth->token - 1;
    memset(auth->token, 0, sizeof auth->token);
    if (auth->has_token)
        memcpy(auth->token, request->authorization.data, size);
    strcpy(auth->tenant, request->tenant);
    strcpy(auth->dataset, request->dataset);
    out->decision = auth->decision;
    out->deny = auth->deny;
    strcpy(out->account, "acct");
    uint32_t decision = auth->decision;
    if (decision == BFR_LATER)
        auth->question = question;
    pthread_cond_broadcast(&auth->changed);
    pthread_mutex_unlock(&auth->lock);
    return decision;
}

bool bfr_auth_cancel(struct bfr_auth *auth, struct bfr_question *question)
{
    pthread_mutex_lock(&auth->lock);
    bool waits = auth->question == question;
    if (waits) {
        auth->question = NULL;
        auth->cancelled++;
    }
    pthread_cond_broadcast(&auth->changed);
    pthread_mutex_unlock(&auth->lock);
    return waits;
}
