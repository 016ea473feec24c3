// SPDX-License-Identifier: Apache-2.0
// See lookup.h. A question is judged; when something must be asked first, it waits at that fact; when the call has ended it
// is judged again. The facts it waits for get fewer with each round, and the rounds are counted.
#include "lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "allowance.h"
#include "decide.h"
#include "lookup_call.h"

#define CALLS_MAX       64 // on their way at once
#define WAITERS_MAX     8192
#define ROUNDS_MAX      12 // three questions and a token looked at again, each after the end of an older call
#define TICKET_BUCKETS  256
#define PEERS           1024
#define CARRIED_AT_ONCE 8 // facts copied under the lock at one time

static const struct rate all_rate = {.per_s = 100.0, .burst = 400.0};
static const struct rate peer_rate = {.per_s = 5.0, .burst = 50.0};

struct waiter {
    TAILQ_ENTRY(waiter) at_fact;
    TAILQ_ENTRY(waiter) by_ticket;
    struct fact *fact; // at which it waits
    uint64_t ticket;
    struct judge_question question; // its texts are the ones below
    char tenant[BFR_ID_MAX + 1];
    char dataset[BFR_ID_MAX + 1];
    uint8_t key[DIRECTORY_HASH_SIZE];
    uint64_t peer;
    bool charged; // the peer has paid for it
    unsigned rounds;
    size_t token_bytes;
    uint8_t token[]; // a secret
};
TAILQ_HEAD(tickets, waiter);

struct lookups {
    pthread_mutex_t lock;
    bool stopping;
    struct facts facts;
    struct tickets tickets[TICKET_BUCKETS];
    unsigned waiters;
    unsigned calls;
    struct allowance all;
    struct allowance peers[PEERS]; // by hash: those who share a place share the allowance
};

struct lookups *bfr_lookups_new(void)
{
    struct lookups *lookups = calloc(1, sizeof *lookups);

    if (lookups == NULL)
        return NULL;
    if (!bfr_facts_init(&lookups->facts)) {
        free(lookups);
        return NULL;
    }
    pthread_mutex_init(&lookups->lock, NULL);
    for (size_t i = 0; i < TICKET_BUCKETS; i++)
        TAILQ_INIT(&lookups->tickets[i]);
    return lookups;
}

void bfr_lookups_free(struct lookups *lookups)
{
    if (lookups == NULL)
        return;
    bfr_facts_free(&lookups->facts);
    pthread_mutex_destroy(&lookups->lock);
    free(lookups);
}

struct judge_limits bfr_control_limits(const struct control *control)
{
    return (struct judge_limits){.now_ns = control->host->monotonic_ns(control->host),
                                 .max_stale_ns = control->max_stale_ns,
                                 .key_ns = control->refresh_ms * UINT64_C(1000000),
                                 .accepted = control->lookups->facts.accepted};
}

// ---- allowances ----

// Looking at a token that does not match, or at what was refused a moment before, costs its sender, once for each question.
// With the lock held.
static bool may_call(struct lookups *lookups, struct waiter *waiter, bool at_cost, uint64_t now_ns)
{
    if (lookups->calls >= CALLS_MAX)
        return false;
    if (at_cost && !waiter->charged) {
        if (!bfr_allowance_spend(&lookups->peers[waiter->peer % PEERS], peer_rate, now_ns))
            return false;
        waiter->charged = true;
    }
    return bfr_allowance_spend(&lookups->all, all_rate, now_ns);
}

// Asking again about an accepted key can wait: half of everything is left to those who must wait for an answer.
static bool may_renew(struct lookups *lookups, uint64_t now_ns)
{
    bfr_allowance_refill(&lookups->all, all_rate, now_ns);
    return lookups->calls < CALLS_MAX / 2 && lookups->all.left > all_rate.burst / 2;
}

// ---- calls ----

// The account of a tenant that is known, or NULL.
static const char *account_of(const struct control *control, const struct directory *directory, const char *tenant)
{
    struct fact_subject subject = {.kind = FACT_TENANT};

    if (control->account[0] != '\0')
        return control->account;
    // A look-up that is still remembered is newer than the directory: the tenant may have moved.
    snprintf(subject.tenant, sizeof subject.tenant, "%s", tenant);
    const struct fact *fact = bfr_facts_find(&control->lookups->facts, &subject);
    if (fact != NULL && fact->state == FACT_GOOD)
        return fact->account;
    uint32_t number = directory == NULL ? DIRECTORY_NONE : bfr_directory_tenant(directory, tenant);
    if (number == DIRECTORY_NONE)
        return NULL;
    return bfr_directory_text(directory, directory->accounts[directory->tenants[number].account].id);
}

static void end_call(struct lookup_call *call, enum fact_state state);

// With the lock held. NULL: not allowed now, memory is short, or the account is needed and not known.
static struct lookup_call *make_call(struct control *control, const struct directory *directory, struct fact *fact,
                                     struct waiter *waiter, bool at_cost, uint64_t now_ns)
{
    if (!may_call(control->lookups, waiter, at_cost, now_ns))
        return NULL;
    const struct bfr_span token = {waiter->token, waiter->token_bytes};
    struct lookup_call *call =
        bfr_lookup_call_new(control, &fact->subject, account_of(control, directory, fact->subject.tenant), token);
    if (call == NULL)
        return NULL;
    call->on_end = end_call;
    call->fact = fact;
    call->asked_ns = now_ns;
    call->peer = waiter->peer;
    fact->in_flight = true;
    control->lookups->calls++;
    return call;
}

// ---- questions ----

static struct tickets *bucket_of(struct lookups *lookups, uint64_t ticket)
{
    return &lookups->tickets[ticket % TICKET_BUCKETS];
}

static void free_waiter(struct waiter *waiter)
{
    OPENSSL_cleanse(waiter->token, waiter->token_bytes);
    free(waiter);
}

static void wait_at(struct lookups *lookups, struct fact *fact, struct waiter *waiter)
{
    waiter->fact = fact;
    TAILQ_INSERT_TAIL(&fact->waiting, waiter, at_fact);
    TAILQ_INSERT_TAIL(bucket_of(lookups, waiter->ticket), waiter, by_ticket);
    lookups->waiters++;
}

// With the lock held. BFR_LATER: the waiter waits, and is not the caller's any more. *out_call is to be begun.
static uint32_t judge_waiter(struct control *control, const struct directory *directory, struct waiter *waiter,
                             struct bfr_verdict *out, struct lookup_call **out_call)
{
    struct lookups *lookups = control->lookups;
    struct judge_limits limits = bfr_control_limits(control);
    struct fact_subject need;
    bool renew = false;

    if (lookups->stopping || waiter->rounds++ >= ROUNDS_MAX || lookups->waiters >= WAITERS_MAX)
        return bfr_decide_unknown(out, "too many questions wait for the control service, or the stage stops");
    enum judge_need verdict = bfr_judge(directory, &lookups->facts, &waiter->question, &limits, out, &need, &renew);
    if (verdict == JUDGE_SETTLED && !(renew && may_renew(lookups, limits.now_ns)))
        return out->decision;
    struct fact *fact = bfr_facts_get(&lookups->facts, &need);
    if (fact != NULL && !fact->in_flight)
        *out_call = make_call(control, directory, fact, waiter, verdict == JUDGE_ASK_AGAIN || need.kind == FACT_KEY,
                              limits.now_ns);
    if (verdict == JUDGE_SETTLED)
        return out->decision;
    if (fact == NULL || !fact->in_flight)
        return bfr_decide_unknown(out, "not known, and too many look-ups for now");
    wait_at(lookups, fact, waiter);
    return BFR_LATER;
}

// Returns the decision, or BFR_LATER.
static uint32_t advance(struct control *control, struct waiter *waiter, struct bfr_verdict *out)
{
    struct lookups *lookups = control->lookups;
    struct lookup_call *call = NULL;

    const struct directory *directory = (const struct directory *)bfr_live_enter(&control->live);
    pthread_mutex_lock(&lookups->lock);
    uint32_t decision = judge_waiter(control, directory, waiter, out, &call);
    pthread_mutex_unlock(&lookups->lock);
    bfr_live_leave(&control->live);
    if (decision != BFR_LATER)
        free_waiter(waiter);
    if (call != NULL)
        bfr_lookup_call_begin(call);
    return decision;
}

static struct waiter *make_waiter(const struct judge_question *question, struct bfr_span token, const char *peer,
                                  uint64_t ticket)
{
    struct waiter *waiter = calloc(1, sizeof *waiter + token.size);

    if (waiter == NULL)
        return NULL;
    waiter->ticket = ticket;
    waiter->peer = bfr_index_hash(0, peer);
    waiter->question = *question;
    snprintf(waiter->tenant, sizeof waiter->tenant, "%s", question->tenant);
    snprintf(waiter->dataset, sizeof waiter->dataset, "%s", question->dataset);
    waiter->question.tenant = waiter->tenant;
    waiter->question.dataset = waiter->dataset;
    if (question->key != NULL) {
        memcpy(waiter->key, question->key, sizeof waiter->key);
        waiter->question.key = waiter->key;
    }
    waiter->token_bytes = token.size;
    if (token.size > 0)
        memcpy(waiter->token, token.data, token.size);
    return waiter;
}

uint32_t bfr_lookups_ask(struct control *control, const struct judge_question *question, struct bfr_span token,
                         const char *peer, uint64_t ticket, struct bfr_verdict *out)
{
    struct waiter *waiter = make_waiter(question, token, peer, ticket);

    return waiter == NULL ? bfr_decide_unknown(out, "out of memory") : advance(control, waiter, out);
}

void bfr_lookups_cancel(struct control *control, uint64_t ticket)
{
    struct lookups *lookups = control->lookups;
    struct tickets *bucket = bucket_of(lookups, ticket);
    struct waiter *waiter;

    pthread_mutex_lock(&lookups->lock);
    TAILQ_FOREACH(waiter, bucket, by_ticket)
    if (waiter->ticket == ticket)
        break;
    if (waiter != NULL) {
        TAILQ_REMOVE(bucket, waiter, by_ticket);
        TAILQ_REMOVE(&waiter->fact->waiting, waiter, at_fact);
        lookups->waiters--;
    }
    pthread_mutex_unlock(&lookups->lock);
    if (waiter != NULL)
        free_waiter(waiter);
}

// ---- answers ----

// With the lock held: all who wait at the fact, in a list of their own, where no cancel finds them.
static void take_waiters(struct lookups *lookups, struct fact *fact, struct waiters *out)
{
    struct waiter *waiter;

    TAILQ_INIT(out);
    TAILQ_CONCAT(out, &fact->waiting, at_fact);
    TAILQ_FOREACH(waiter, out, at_fact)
    {
        TAILQ_REMOVE(bucket_of(lookups, waiter->ticket), waiter, by_ticket);
        lookups->waiters--;
    }
}

static void settle(struct lookup_call *call, enum fact_state state, struct waiters *out)
{
    struct lookups *lookups = call->control->lookups;
    struct fact *fact = call->fact;

    pthread_mutex_lock(&lookups->lock);
    bool was_gone = fact->state == FACT_GONE;
    lookups->calls--;
    fact->in_flight = false;
    if (state == FACT_GOOD && call->subject.kind == FACT_TENANT) {
        snprintf(fact->account, sizeof fact->account, "%s", call->account);
        fact->has_token = call->has_token;
        memcpy(fact->token, call->token, sizeof fact->token);
    }
    if (call->subject.kind == FACT_KEY)
        snprintf(fact->account, sizeof fact->account, "%s", call->under);
    if (state == FACT_GOOD && (was_gone || call->subject.kind == FACT_KEY))
        lookups->peers[call->peer % PEERS].left += 1.0; // what was right costs nothing
    bfr_fact_settle(&lookups->facts, fact, state, call->asked_ns);
    take_waiters(lookups, fact, out);
    pthread_mutex_unlock(&lookups->lock);
}

static void count(const struct control *control, enum fact_state state)
{
    static const char *const results[] = {[FACT_GOOD] = "good",
                                          [FACT_GONE] = "gone",
                                          [FACT_WRONG] = "wrong_key",
                                          [FACT_FOREIGN] = "foreign_key",
                                          [FACT_FAILED] = "failed"};
    control->host->metric_add(control->host, control->metrics.lookups, (const char *const[]){results[state]}, 1);
}

static void end_call(struct lookup_call *call, enum fact_state state)
{
    struct control *control = call->control;
    struct waiters waiters;

    count(control, state);
    settle(call, state, &waiters);
    bfr_lookup_call_free(call);
    struct waiter *waiter = TAILQ_FIRST(&waiters);
    while (waiter != NULL) {
        struct waiter *next = TAILQ_NEXT(waiter, at_fact); // it is freed, or waits in another list by then
        struct bfr_verdict verdict = {.size = sizeof verdict};
        uint64_t ticket = waiter->ticket;
        if (advance(control, waiter, &verdict) != BFR_LATER)
            control->host->verdict(control->host, ticket, &verdict);
        waiter = next;
    }
}

// ---- from outside ----

void bfr_lookups_stop(struct lookups *lookups)
{
    pthread_mutex_lock(&lookups->lock);
    lookups->stopping = true;
    pthread_mutex_unlock(&lookups->lock);
}

// Piece by piece: a loop that needs the lock waits for a few facts, not for all of them.
void bfr_lookups_supersede(struct lookups *lookups, enum fact_kind kind, uint64_t before_ns)
{
    for (uint32_t piece = 0; piece < FACTS_PIECES; piece++) {
        pthread_mutex_lock(&lookups->lock);
        bfr_facts_supersede(&lookups->facts, piece, kind, before_ns);
        pthread_mutex_unlock(&lookups->lock);
    }
}

// Copies of the next ones in a piece.
static uint32_t carry(struct lookups *lookups, uint32_t piece, enum fact_kind kind, uint32_t skip, struct fact *out)
{
    struct fact *found[CARRIED_AT_ONCE];

    pthread_mutex_lock(&lookups->lock);
    uint32_t count = bfr_facts_carry(&lookups->facts, piece, kind, skip, found, CARRIED_AT_ONCE);
    for (uint32_t i = 0; i < count; i++)
        out[i] = *found[i];
    pthread_mutex_unlock(&lookups->lock);
    return count;
}

void bfr_lookups_good(struct lookups *lookups, enum fact_kind kind, void (*visit)(void *arg, const struct fact *fact),
                      void *arg)
{
    struct fact facts[CARRIED_AT_ONCE];

    for (uint32_t piece = 0; piece < FACTS_PIECES; piece++) {
        uint32_t count, seen = 0;
        do {
            count = carry(lookups, piece, kind, seen, facts);
            for (uint32_t i = 0; i < count; i++)
                visit(arg, &facts[i]);
            seen += count;
        } while (count == CARRIED_AT_ONCE);
    }
}

struct key_search {
    const struct directory *directory;
    struct keys *out;
};

static void add_key(void *arg, const struct fact *fact)
{
    struct key_search *search = arg;

    if (bfr_directory_tenant(search->directory, fact->subject.tenant) != DIRECTORY_NONE)
        bfr_keys_add(search->out, fact->subject.tenant, fact->subject.key);
}

void bfr_lookups_keys(struct lookups *lookups, const struct directory *directory, struct keys *out)
{
    struct key_search search = {directory, out};

    bfr_lookups_good(lookups, FACT_KEY, add_key, &search);
    bfr_keys_sort(out);
}

uint64_t bfr_lookups_key_changes(struct lookups *lookups)
{
    pthread_mutex_lock(&lookups->lock);
    uint64_t changes = lookups->facts.key_changes;
    pthread_mutex_unlock(&lookups->lock);
    return changes;
}

// As if asked about long ago: whoever shows such a key first has it asked about again.
static void restore_key(struct lookups *lookups, const struct key_record *record)
{
    struct fact_subject subject = {.kind = FACT_KEY};

    memcpy(subject.tenant, record->tenant, sizeof subject.tenant);
    memcpy(subject.key, record->key, sizeof subject.key);
    struct fact *fact = bfr_facts_get(&lookups->facts, &subject);
    if (fact != NULL)
        bfr_fact_settle(&lookups->facts, fact, FACT_GOOD, 0);
}

void bfr_lookups_restore(struct lookups *lookups, const struct keys *keys)
{
    pthread_mutex_lock(&lookups->lock);
    for (uint32_t i = 0; i < keys->count; i++)
        restore_key(lookups, &keys->items[i]);
    pthread_mutex_unlock(&lookups->lock);
}

uint64_t bfr_lookups_bytes(struct lookups *lookups)
{
    pthread_mutex_lock(&lookups->lock);
    uint64_t bytes = sizeof *lookups + bfr_facts_bytes(&lookups->facts);
    pthread_mutex_unlock(&lookups->lock);
    return bytes;
}
