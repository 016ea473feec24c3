// SPDX-License-Identifier: Apache-2.0
// Checks on an auth stage: an answer of the right form for whatever is asked, from several threads at once, and every
// late answer exactly once. Whom it lets in is its own business.
#include "check.h"

#include <pthread.h>
#include <string.h>

#include "stage.h"

#define SECRET "Bearer bfr-check-secret-7c1f"

enum { QUESTIONS = 6 };

// Known and unknown tenants, with a token, with garbage, with nothing; every second one about the tenant alone.
static struct bfr_request question(size_t index)
{
    static const struct bfr_span headers[] = {
        {NULL, 0}, {(const uint8_t *)SECRET, sizeof SECRET - 1}, {(const uint8_t *)"\x80\xff ,", 4}};
    bool tenant_only = index % 2 != 0;
    return (struct bfr_request){
        .size = sizeof(struct bfr_request),
        .flags = tenant_only ? BFR_REQUEST_TENANT_ONLY : 0,
        .tenant = index % QUESTIONS == 4 ? "nobody" : "acme",
        .dataset = tenant_only ? "unknown" : "fw",
        .authorization = headers[index % 3],
        .peer = "192.0.2.7",
    };
}

static void judge_verdict(const struct bfr_verdict *verdict)
{
    if (verdict->decision != BFR_ALLOW)
        must(strstr(verdict->text, "bfr-check-secret") == NULL, "its text shows the sender's token: %s", verdict->text);
}

// One question to its end; returns the decision.
static uint32_t ask(const struct subject *subject, struct bfr_fake *fake, size_t index)
{
    uint64_t ticket;
    struct bfr_verdict verdict;
    const struct bfr_request request = question(index);
    uint32_t decision = bfr_fake_ask(fake, &request, &ticket, &verdict);
    if (decision == BFR_LATER) {
        must(bfr_fake_wait_verdict(fake, ticket, subject->wait_ms, &verdict), "no verdict came within %u s",
             subject->wait_ms / 1000);
        decision = verdict.decision;
    }
    judge_verdict(&verdict);
    return decision;
}

static void answers(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    for (size_t i = 0; i < QUESTIONS; i++) {
        uint32_t first = ask(subject, fake, i), second = ask(subject, fake, i);
        must(first == second || first == BFR_UNKNOWN || second == BFR_UNKNOWN,
             "the same question was answered %u and then %u", first, second);
    }
    stage_close(subject, fake);
}

static void can_be_cancelled(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    for (size_t i = 0; i < 60; i++) {
        uint64_t ticket;
        struct bfr_verdict verdict;
        const struct bfr_request request = question(i);
        if (bfr_fake_ask(fake, &request, &ticket, &verdict) == BFR_LATER)
            bfr_fake_cancel(fake, ticket);
    }
    bfr_fake_cancel(fake, 1); // long gone: must be harmless
    stage_close(subject, fake);
}

struct asker {
    const struct subject *subject;
    struct bfr_fake *fake;
};

static void *ask_many(void *arg)
{
    const struct asker *asker = arg;
    const struct bfr_auth_vtable *auth = asker->subject->plugin->vtable;
    for (size_t i = 0; i < 500; i++) {
        struct bfr_verdict verdict = {.size = sizeof verdict};
        const struct bfr_request request = question(i);
        // A ticket the host does not know: a late verdict for it is ignored, as after a cancel.
        auth->authorize(bfr_fake_self(asker->fake), &request, UINT64_MAX - i, &verdict);
    }
    return NULL;
}

static void is_thread_safe(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    struct asker asker = {subject, fake};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        must(pthread_create(&threads[i], NULL, ask_many, &asker) == 0, "cannot start a thread");
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    stage_close(subject, fake);
}

const struct check auth_checks[] = {
    {"auth: answers, the same way twice, without showing a token", answers},
    {"auth: questions can be cancelled", can_be_cancelled},
    {"auth: asked from several threads at once", is_thread_safe},
    {NULL, NULL},
};
