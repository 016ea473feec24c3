// SPDX-License-Identifier: Apache-2.0
// Deliveries and questions: what was handed to the stage, what came back, and every answer that should not have come.
// The test's thread puts and waits; the plugin answers from any thread.
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_live(const struct bfr_fake *fake)
{
    return fake->state == BFR_FAKE_STARTED || fake->state == BFR_FAKE_DRAINING;
}

// The record a completion is for, or NULL when it is for none; the breach is recorded.
static struct bfr_fake_record *find_record(struct bfr_fake *fake, const struct bfr_completion *completion)
{
    uint64_t token = completion->token;
    if (!is_live(fake)) {
        bfr_fake_breach(fake, "completed token %llu when the stage was not running", (unsigned long long)token);
        return NULL;
    }
    if (token == 0 || token > fake->record_count) {
        bfr_fake_breach(fake, "completed token %llu, which was never delivered", (unsigned long long)token);
        return NULL;
    }
    struct bfr_fake_record *record = &fake->records[token - 1];
    if (record->ended || record->refused) {
        bfr_fake_breach(fake, "completed token %llu %s", (unsigned long long)token,
                        record->ended ? "twice" : "after put had refused it");
        return NULL;
    }
    return record;
}

static void judge_completion(struct bfr_fake *fake, const struct bfr_completion *completion)
{
    if (completion->size < sizeof *completion)
        bfr_fake_breach(fake, "a completion has size %u; set it to sizeof(struct bfr_completion)", completion->size);
    if (completion->outcome < BFR_STORED || completion->outcome > BFR_FATAL)
        bfr_fake_breach(fake, "a completion has outcome %u, which is none of enum bfr_outcome", completion->outcome);
    if ((completion->flags & ~BFR_OUTAGE) != 0 || (completion->flags != 0 && completion->outcome != BFR_RETRY))
        bfr_fake_breach(fake, "a completion has flags %u with outcome %u", completion->flags, completion->outcome);
    if (completion->outcome == BFR_REJECT &&
        (completion->reason < BFR_REASON_CONFLICT || completion->reason > BFR_REASON_EXPIRED))
        bfr_fake_breach(fake, "a batch was rejected with reason %u, which is none of enum bfr_reason",
                        completion->reason);
    if (completion->outcome != BFR_STORED && (completion->text == NULL || completion->text[0] == '\0'))
        bfr_fake_breach(fake, "a batch was not stored and no text says why");
    if (completion->text != NULL && strchr(completion->text, '\n') != NULL)
        bfr_fake_breach(fake, "a completion's text has more than one line");
}

// Ends the record and returns what is to be freed once the lock is gone.
static struct bfr_delivery *end_record(struct bfr_fake_record *record, const struct bfr_completion *completion)
{
    struct bfr_delivery *delivery = record->delivery;
    record->delivery = NULL;
    record->ended = true;
    record->end = (struct bfr_fake_end){.outcome = completion->outcome,
                                        .flags = completion->flags,
                                        .reason = completion->reason,
                                        .retry_after_ms = completion->retry_after_ms};
    snprintf(record->end.text, sizeof record->end.text, "%s", completion->text != NULL ? completion->text : "");
    return delivery;
}

static void complete(const struct bfr_host *host, const struct bfr_completion *const *completions, size_t count)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    for (size_t i = 0; i < count; i++) {
        struct bfr_delivery *delivery = NULL;
        pthread_mutex_lock(&fake->lock);
        judge_completion(fake, completions[i]);
        struct bfr_fake_record *record = find_record(fake, completions[i]);
        if (record != NULL)
            delivery = end_record(record, completions[i]);
        pthread_cond_broadcast(&fake->news);
        pthread_mutex_unlock(&fake->lock);
        if (delivery != NULL)
            host->batch_release(host, delivery->batch);
        free(delivery);
    }
}

static void ready(const struct bfr_host *host)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    pthread_mutex_lock(&fake->lock);
    if (!is_live(fake))
        bfr_fake_breach(fake, "called ready when the stage was not running");
    fake->ready = true;
    pthread_cond_broadcast(&fake->news);
    pthread_mutex_unlock(&fake->lock);
}

static void judge_verdict(struct bfr_fake *fake, uint32_t decision, const struct bfr_verdict *verdict)
{
    if (decision < BFR_ALLOW || decision > BFR_UNKNOWN)
        bfr_fake_breach(fake, "a verdict has decision %u, which is none of enum bfr_decision", decision);
    if (decision == BFR_DENY && (verdict->deny < BFR_DENY_TOKEN || verdict->deny > BFR_DENY_DATASET_GONE))
        bfr_fake_breach(fake, "a denial has deny %u, which is none of enum bfr_deny", verdict->deny);
    if (decision == BFR_ALLOW && memchr(verdict->account, '\0', sizeof verdict->account) == NULL)
        bfr_fake_breach(fake, "a verdict's account has no end");
    if (decision != BFR_ALLOW && memchr(verdict->text, '\0', sizeof verdict->text) == NULL)
        bfr_fake_breach(fake, "a verdict's text has no end");
    else if (decision != BFR_ALLOW && verdict->text[0] == '\0')
        bfr_fake_breach(fake, "a sender was not allowed in and no text says why");
}

// A ticket that is unknown, cancelled or answered is ignored, as host.h promises.
static void verdict(const struct bfr_host *host, uint64_t ticket, const struct bfr_verdict *answer)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    pthread_mutex_lock(&fake->lock);
    if (!is_live(fake))
        bfr_fake_breach(fake, "called verdict when the stage was not running");
    if (answer->size < sizeof *answer)
        bfr_fake_breach(fake, "a verdict has size %u; set it to sizeof(struct bfr_verdict)", answer->size);
    judge_verdict(fake, answer->decision, answer);
    if (ticket > 0 && ticket <= fake->ticket_count && !fake->tickets[ticket - 1].answered) {
        fake->tickets[ticket - 1].answered = true;
        fake->tickets[ticket - 1].verdict = *answer;
    }
    pthread_cond_broadcast(&fake->news);
    pthread_mutex_unlock(&fake->lock);
}

void bfr_fake_fill_deliveries(struct bfr_host *table)
{
    table->complete = complete;
    table->ready = ready;
    table->verdict = verdict;
}

static struct bfr_delivery *add_record(struct bfr_fake *fake, const struct bfr_batch *batch)
{
    struct bfr_delivery *delivery = bfr_fake_grow(NULL, 1, sizeof *delivery);
    fake->table.batch_retain(&fake->table, batch);
    pthread_mutex_lock(&fake->lock);
    // Twice as many each time: a test may put tens of thousands.
    if ((fake->record_count & (fake->record_count - 1)) == 0)
        fake->records = bfr_fake_grow(fake->records, 2 * fake->record_count + 1, sizeof *fake->records);
    fake->records[fake->record_count++] = (struct bfr_fake_record){.delivery = delivery};
    *delivery =
        (struct bfr_delivery){.size = sizeof *delivery, .attempt = 1, .token = fake->record_count, .batch = batch};
    pthread_mutex_unlock(&fake->lock);
    return delivery;
}

// After put: what lies behind `taken` was not to be touched. Returns the delivery to be freed, if any.
static struct bfr_delivery *settle_record(struct bfr_fake *fake, uint64_t token, bool taken)
{
    struct bfr_delivery *unused = NULL;
    pthread_mutex_lock(&fake->lock);
    struct bfr_fake_record *record = &fake->records[token - 1];
    record->taken = taken;
    record->refused = !taken;
    if (!taken && record->ended)
        bfr_fake_breach(fake, "put completed token %llu and then did not count it as taken", (unsigned long long)token);
    if (!taken) {
        unused = record->delivery;
        record->delivery = NULL;
    }
    pthread_mutex_unlock(&fake->lock);
    return unused;
}

typedef size_t (*put_fn)(void *self, const struct bfr_delivery *const *deliveries, size_t count);

static put_fn put_of(const struct bfr_plugin *plugin)
{
    if (plugin->kind == BFR_KIND_QUEUE)
        return ((const struct bfr_queue_vtable *)plugin->vtable)->put;
    return ((const struct bfr_sink_vtable *)plugin->vtable)->put;
}

size_t bfr_fake_put(struct bfr_fake *fake, const struct bfr_batch *const *batches, size_t count, uint64_t *out_tokens)
{
    const struct bfr_delivery **deliveries = bfr_fake_grow(NULL, count + 1, sizeof(struct bfr_delivery *));
    uint64_t *tokens = bfr_fake_grow(NULL, count + 1, sizeof *tokens);
    for (size_t i = 0; i < count; i++) {
        deliveries[i] = add_record(fake, batches[i]);
        tokens[i] = deliveries[i]->token;
    }
    size_t taken = put_of(fake->plugin)(fake->self, deliveries, count);
    if (taken > count) {
        pthread_mutex_lock(&fake->lock);
        bfr_fake_breach(fake, "put was given %zu deliveries and took %zu", count, taken);
        pthread_mutex_unlock(&fake->lock);
        taken = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct bfr_delivery *unused = settle_record(fake, tokens[i], i < taken);
        if (unused != NULL)
            bfr_fake_batch_release(fake, unused->batch);
        free(unused);
    }
    if (out_tokens != NULL)
        memcpy(out_tokens, tokens, taken * sizeof *tokens);
    free(tokens);
    free(deliveries);
    return taken;
}

static size_t count_open(const struct bfr_fake *fake)
{
    size_t count = 0;
    for (size_t i = 0; i < fake->record_count; i++)
        count += fake->records[i].taken && !fake->records[i].ended;
    return count;
}

size_t bfr_fake_open(struct bfr_fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    size_t count = count_open(fake);
    pthread_mutex_unlock(&fake->lock);
    return count;
}

// Wait, with the lock held, until test(fake, token) or the deadline.
static bool wait_for(struct bfr_fake *fake, bool (*test)(const struct bfr_fake *fake, uint64_t token), uint64_t token,
                     uint32_t timeout_ms)
{
    struct timespec deadline = bfr_fake_deadline(timeout_ms);
    int failure = 0;
    while (!test(fake, token) && failure == 0) {
        if (fake->posts != NULL) {
            pthread_mutex_unlock(&fake->lock);
            bfr_fake_run_posts(fake);
            pthread_mutex_lock(&fake->lock);
        } else {
            failure = pthread_cond_timedwait(&fake->news, &fake->lock, &deadline);
        }
    }
    return test(fake, token);
}

static bool has_ended(const struct bfr_fake *fake, uint64_t token)
{
    return fake->records[token - 1].ended;
}

static bool none_open(const struct bfr_fake *fake, uint64_t token)
{
    (void)token;
    return count_open(fake) == 0;
}

static bool is_ready(const struct bfr_fake *fake, uint64_t token)
{
    (void)token;
    return fake->ready;
}

static bool is_answered(const struct bfr_fake *fake, uint64_t ticket)
{
    return fake->tickets[ticket - 1].answered;
}

bool bfr_fake_wait(struct bfr_fake *fake, uint64_t token, uint32_t timeout_ms, struct bfr_fake_end *out)
{
    pthread_mutex_lock(&fake->lock);
    bool ended = wait_for(fake, has_ended, token, timeout_ms);
    if (ended && out != NULL)
        *out = fake->records[token - 1].end;
    pthread_mutex_unlock(&fake->lock);
    return ended;
}

bool bfr_fake_wait_all(struct bfr_fake *fake, uint32_t timeout_ms)
{
    pthread_mutex_lock(&fake->lock);
    bool ended = wait_for(fake, none_open, 0, timeout_ms);
    pthread_mutex_unlock(&fake->lock);
    return ended;
}

bool bfr_fake_wait_ready(struct bfr_fake *fake, uint32_t timeout_ms)
{
    pthread_mutex_lock(&fake->lock);
    bool called = wait_for(fake, is_ready, 0, timeout_ms);
    fake->ready = false;
    pthread_mutex_unlock(&fake->lock);
    return called;
}

static uint64_t add_ticket(struct bfr_fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    fake->tickets = bfr_fake_grow(fake->tickets, fake->ticket_count + 1, sizeof *fake->tickets);
    fake->tickets[fake->ticket_count++] = (struct bfr_fake_ticket){.later = false};
    uint64_t ticket = fake->ticket_count;
    pthread_mutex_unlock(&fake->lock);
    return ticket;
}

uint32_t bfr_fake_ask(struct bfr_fake *fake, const struct bfr_request *request, uint64_t *out_ticket,
                      struct bfr_verdict *out)
{
    const struct bfr_auth_vtable *auth = fake->plugin->vtable;
    uint64_t ticket = add_ticket(fake);
    *out = (struct bfr_verdict){.size = sizeof *out};
    uint32_t decision = auth->authorize(fake->self, request, ticket, out);
    pthread_mutex_lock(&fake->lock);
    fake->tickets[ticket - 1].later = decision == BFR_LATER;
    if (decision != BFR_LATER) {
        judge_verdict(fake, decision, out);
        if (fake->tickets[ticket - 1].answered)
            bfr_fake_breach(fake, "authorize decided at once and called verdict as well");
        if (out->decision != decision)
            bfr_fake_breach(fake, "authorize returned %u and wrote decision %u", decision, out->decision);
    }
    pthread_mutex_unlock(&fake->lock);
    *out_ticket = ticket;
    return decision;
}

bool bfr_fake_wait_verdict(struct bfr_fake *fake, uint64_t ticket, uint32_t timeout_ms, struct bfr_verdict *out)
{
    pthread_mutex_lock(&fake->lock);
    bool answered = wait_for(fake, is_answered, ticket, timeout_ms);
    if (answered)
        *out = fake->tickets[ticket - 1].verdict;
    pthread_mutex_unlock(&fake->lock);
    return answered;
}

void bfr_fake_cancel(struct bfr_fake *fake, uint64_t ticket)
{
    const struct bfr_auth_vtable *auth = fake->plugin->vtable;
    pthread_mutex_lock(&fake->lock);
    fake->tickets[ticket - 1].cancelled = true;
    pthread_mutex_unlock(&fake->lock);
    if (BFR_HAS_CALL(auth, cancel))
        auth->cancel(fake->self, ticket);
}
