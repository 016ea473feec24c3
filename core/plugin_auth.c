// SPDX-License-Identifier: Apache-2.0
// Tickets: which question a late verdict belongs to. Questions are asked and cancelled on the loops, verdicts come on
// any thread. The open questions hang in a table of shards, each with a lock of its own; no lock is held while the
// plugin or an asker is called. Decides nothing itself.
#include "plugin_auth.h"

#include <pthread.h>
#include <stdlib.h>

#include "bug.h"
#include "plugin_verdict.h"

#define SHARDS 64 // with some ten thousand open questions, chains stay short

// A verdict that is being delivered, so that cancel can wait for its end. On the stack of the delivering thread.
struct delivery {
    uint64_t ticket;
    pthread_t thread;
    struct delivery *next;
};

struct shard {
    pthread_mutex_t lock;
    pthread_cond_t delivered;
    struct bfr_question *open;   // asked, neither answered nor cancelled
    struct delivery *deliveries; // running
};

struct bfr_auth {
    struct bfr_stage *stage; // NULL: everything is allowed
    atomic_uint_fast64_t last_ticket;
    struct shard shards[SHARDS];
};

static struct shard *shard_of(struct bfr_auth *auth, uint64_t ticket)
{
    return &auth->shards[ticket % SHARDS];
}

static void open_question(struct bfr_auth *auth, struct bfr_question *question)
{
    struct shard *shard = shard_of(auth, question->ticket);
    pthread_mutex_lock(&shard->lock);
    question->next = shard->open;
    shard->open = question;
    pthread_mutex_unlock(&shard->lock);
}

// With the shard's lock held. Returns the question and takes it out of the table, or NULL.
static struct bfr_question *take_question(struct shard *shard, uint64_t ticket)
{
    for (struct bfr_question **link = &shard->open; *link != NULL; link = &(*link)->next) {
        struct bfr_question *question = *link;
        if (question->ticket == ticket) {
            *link = question->next;
            question->next = NULL;
            return question;
        }
    }
    return NULL;
}

static struct bfr_question *find_question(const struct shard *shard, uint64_t ticket)
{
    struct bfr_question *question = shard->open;
    while (question != NULL && question->ticket != ticket)
        question = question->next;
    return question;
}

static void end_delivery(struct shard *shard, struct delivery *delivery)
{
    pthread_mutex_lock(&shard->lock);
    struct delivery **link = &shard->deliveries;
    while (*link != delivery)
        link = &(*link)->next;
    *link = delivery->next;
    pthread_cond_broadcast(&shard->delivered);
    pthread_mutex_unlock(&shard->lock);
}

// With the shard's lock held. From within on_verdict itself there is nothing to wait for.
static bool delivered_elsewhere(const struct shard *shard, uint64_t ticket)
{
    const struct delivery *delivery = shard->deliveries;
    while (delivery != NULL && delivery->ticket != ticket)
        delivery = delivery->next;
    return delivery != NULL && !pthread_equal(delivery->thread, pthread_self());
}

// A verdict has come. Returns the question whose asker is to be told, with the delivery listed, or NULL.
static struct bfr_question *claim_question(struct shard *shard, const struct bfr_verdict *verdict,
                                           struct delivery *delivery)
{
    pthread_mutex_lock(&shard->lock);
    struct bfr_question *question = find_question(shard, delivery->ticket);
    if (question != NULL && question->early != NULL) {
        // `authorize` has not returned: bfr_auth_ask gives this as its own answer. The first one counts.
        if (question->early->decision == 0)
            *question->early = *verdict;
        question = NULL;
    }
    if (question != NULL) {
        (void)take_question(shard, delivery->ticket);
        delivery->next = shard->deliveries;
        shard->deliveries = delivery;
    }
    pthread_mutex_unlock(&shard->lock);
    return question;
}

// The hook behind host->verdict. A ticket that is not open was answered or cancelled: that is nobody's fault.
static void on_verdict(void *arg, uint64_t ticket, const struct bfr_verdict *said)
{
    struct bfr_auth *auth = arg;
    if (ticket == 0 || ticket > atomic_load_explicit(&auth->last_ticket, memory_order_relaxed)) {
        bfr_stage_misuse(auth->stage, "verdict for a ticket that was never given");
        return;
    }
    struct bfr_verdict verdict;
    bfr_verdict_read(auth->stage, said, &verdict);
    struct shard *shard = shard_of(auth, ticket);
    struct delivery delivery = {.ticket = ticket, .thread = pthread_self()};
    struct bfr_question *question = claim_question(shard, &verdict, &delivery);
    if (question == NULL)
        return;
    question->on_verdict(question, &verdict); // may free the question
    end_delivery(shard, &delivery);
}

// `authorize` has returned. True: the verdict is still to come. False: *early may hold one that came meanwhile.
static bool keep_open(struct bfr_auth *auth, struct bfr_question *question, bool later)
{
    struct shard *shard = shard_of(auth, question->ticket);
    pthread_mutex_lock(&shard->lock);
    bool open = later && question->early->decision == 0;
    if (!open)
        (void)take_question(shard, question->ticket);
    question->early = NULL;
    pthread_mutex_unlock(&shard->lock);
    return open;
}

static bool running(const struct bfr_stage *stage)
{
    enum bfr_stage_state state = bfr_stage_state(stage);
    return state == BFR_STAGE_STARTED || state == BFR_STAGE_DRAINING;
}

// The plugin answered at once. Its return value and *out must not contradict each other.
static uint32_t settle_now(struct bfr_auth *auth, uint32_t decision, const struct bfr_verdict *early,
                           struct bfr_verdict *out)
{
    if (early->decision != 0)
        bfr_stage_misuse(auth->stage, "a question answered twice, through verdict and by authorize");
    if (out->decision == 0)
        out->decision = decision;
    if (out->decision != decision)
        out->decision = 0; // neither is believed
    bfr_verdict_sanitize(auth->stage, out);
    return out->decision;
}

static uint32_t ask_stage(struct bfr_auth *auth, const struct bfr_request *request, struct bfr_question *question,
                          struct bfr_verdict *out)
{
    struct bfr_stage *stage = auth->stage;
    struct bfr_verdict early = {.decision = 0};
    question->early = &early;
    question->ticket = atomic_fetch_add_explicit(&auth->last_ticket, 1, memory_order_relaxed) + 1;
    open_question(auth, question);
    bfr_verdict_say(out, 0, "");
    uint32_t decision = bfr_stage_auth(stage)->authorize(bfr_stage_self(stage), request, question->ticket, out);
    if (keep_open(auth, question, decision == BFR_LATER))
        return BFR_LATER;

    question->ticket = 0;
    if (decision != BFR_LATER)
        return settle_now(auth, decision, &early, out);
    *out = early;
    return out->decision;
}

uint32_t bfr_auth_ask(struct bfr_auth *auth, const struct bfr_request *request, struct bfr_question *question,
                      struct bfr_verdict *out)
{
    question->ticket = 0;
    if (auth->stage != NULL && running(auth->stage))
        return ask_stage(auth, request, question, out);
    if (auth->stage == NULL)
        bfr_verdict_say(out, BFR_ALLOW, "");
    else
        bfr_verdict_say(out, BFR_UNKNOWN, "the auth stage does not run");
    return out->decision;
}

bool bfr_auth_cancel(struct bfr_auth *auth, struct bfr_question *question)
{
    uint64_t ticket = question->ticket;
    if (ticket == 0)
        return false;
    struct shard *shard = shard_of(auth, ticket);
    pthread_mutex_lock(&shard->lock);
    bool open = take_question(shard, ticket) != NULL;
    while (!open && delivered_elsewhere(shard, ticket))
        pthread_cond_wait(&shard->delivered, &shard->lock);
    pthread_mutex_unlock(&shard->lock);
    question->ticket = 0; // the table knows it no longer

    const struct bfr_auth_vtable *table = open ? bfr_stage_auth(auth->stage) : NULL;
    if (table != NULL && BFR_HAS_CALL(table, cancel) && running(auth->stage))
        table->cancel(bfr_stage_self(auth->stage), ticket);
    return open;
}

// The table of a stage that can be asked for its directory, or NULL.
static const struct bfr_auth_vtable *directory_table(const struct bfr_auth *auth)
{
    return auth->stage != NULL && running(auth->stage) ? bfr_stage_auth(auth->stage) : NULL;
}

bool bfr_auth_directory(const struct bfr_auth *auth, struct bfr_directory *out)
{
    const struct bfr_auth_vtable *table = directory_table(auth);
    *out = (struct bfr_directory){.size = sizeof *out};
    return table != NULL && BFR_HAS_CALL(table, directory) && table->directory(bfr_stage_self(auth->stage), out);
}

bool bfr_auth_tenants(const struct bfr_auth *auth, const char *tenant, uint64_t skip,
                      bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg)
{
    const struct bfr_auth_vtable *table = directory_table(auth);
    struct bfr_directory figures = {.size = sizeof figures};
    if (table == NULL || !BFR_HAS_CALL(table, tenants) || !bfr_auth_directory(auth, &figures))
        return false;
    table->tenants(bfr_stage_self(auth->stage), tenant, skip, visit, arg);
    return true;
}

struct bfr_auth *bfr_auth_new(struct bfr_stage *stage)
{
    struct bfr_auth *auth = calloc(1, sizeof *auth);
    if (auth == NULL)
        return NULL;
    auth->stage = stage;
    atomic_init(&auth->last_ticket, 0);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&auth->shards[i].lock, NULL);
        pthread_cond_init(&auth->shards[i].delivered, NULL);
    }
    if (stage != NULL)
        bfr_stage_hook(stage, &(struct bfr_stage_hooks){.on_verdict = on_verdict, .arg = auth});
    return auth;
}

void bfr_auth_free(struct bfr_auth *auth)
{
    if (auth == NULL)
        return;
    bfr_must(auth->stage == NULL || !running(auth->stage));
    for (size_t i = 0; i < SHARDS; i++) {
        bfr_must(auth->shards[i].open == NULL); // its asker would wait for ever
        pthread_cond_destroy(&auth->shards[i].delivered);
        pthread_mutex_destroy(&auth->shards[i].lock);
    }
    free(auth);
}
