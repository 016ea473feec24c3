// SPDX-License-Identifier: Apache-2.0
// See judge.h. What is known to be active is believed at any age. What is not is asked about, singly, and only an answer to
// a question put after the sender's counts against him: what was not there a moment before may have been created since, and
// he throws away what is refused.
#include "judge.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "decide.h"

// For so long a call that failed keeps others from being made for the same thing (who asks is answered 503), and an answer
// that refused makes the next question of it one that its sender has to pay for.
#define LATELY_NS UINT64_C(1000000000)

// One case: what is asked, what is known, and where the verdict goes.
struct bench {
    const struct directory *directory;
    struct facts *facts;
    const struct judge_question *question;
    const struct judge_limits *limits;
    struct bfr_verdict *out;
    struct fact_subject *need;
    bool *renew;
    uint32_t tenant;          // in the directory, active; or DIRECTORY_NONE
    struct fact *tenant_fact; // or NULL
};

static enum judge_need deny(const struct bench *bench, enum bfr_deny why, const char *text)
{
    (void)bfr_decide_deny(bench->out, why, text);
    return JUDGE_SETTLED;
}

static enum judge_need unsure(const struct bench *bench, const char *text)
{
    (void)bfr_decide_unknown(bench->out, text);
    return JUDGE_SETTLED;
}

static struct fact_subject subject_of(const struct bench *bench, enum fact_kind kind)
{
    struct fact_subject subject = {.kind = kind};

    snprintf(subject.tenant, sizeof subject.tenant, "%s", bench->question->tenant);
    if (kind == FACT_DATASET)
        snprintf(subject.dataset, sizeof subject.dataset, "%s", bench->question->dataset);
    if (kind == FACT_KEY)
        memcpy(subject.key, bench->question->key, sizeof subject.key);
    return subject;
}

static struct fact *find(const struct bench *bench, enum fact_kind kind)
{
    if (bench->facts == NULL)
        return NULL;
    struct fact_subject subject = subject_of(bench, kind);
    return bfr_facts_find(bench->facts, &subject);
}

static enum judge_need ask(const struct bench *bench, enum fact_kind kind)
{
    if (bench->facts != NULL)
        *bench->need = subject_of(bench, kind);
    return JUDGE_ASK;
}

static bool is_late(const struct bench *bench, uint64_t at_ns)
{
    return at_ns != 0 && at_ns + LATELY_NS >= bench->question->asked_ns;
}

// Does the fact's answer count in this case? A failure refuses nobody, so it may be from before the question.
static bool is_fresh(const struct bench *bench, const struct fact *fact)
{
    if (fact == NULL || fact->state == FACT_OPEN)
        return false;
    return fact->state == FACT_FAILED ? is_late(bench, fact->asked_ns) : fact->asked_ns >= bench->question->asked_ns;
}

// To be asked before anything can be said. Who asks again for what was refused a moment before must pay for it.
static enum judge_need ask_anew(const struct bench *bench, enum fact_kind kind, const struct fact *fact)
{
    bool refused =
        fact != NULL && (fact->state == FACT_GONE || fact->state == FACT_WRONG || fact->state == FACT_FOREIGN);

    (void)ask(bench, kind);
    return refused && is_late(bench, fact->asked_ns) ? JUDGE_ASK_AGAIN : JUDGE_ASK;
}

static bool is_good(const struct fact *fact)
{
    return fact != NULL && fact->state == FACT_GOOD;
}

// Lists that were asked for after the sender asked, and not long ago, may prove that something is not there when the look-up
// has failed. Older ones never: they cannot know what was created since.
static bool may_prove(const struct bench *bench, uint64_t got_ns)
{
    return got_ns >= bench->question->asked_ns && bench->limits->now_ns - got_ns < bench->limits->max_stale_ns;
}

// ---- tenant ----

static void find_tenant(struct bench *bench)
{
    const struct directory *directory = bench->directory;
    uint32_t number = directory == NULL ? DIRECTORY_NONE : bfr_directory_tenant(directory, bench->question->tenant);

    bench->tenant = DIRECTORY_NONE;
    if (number != DIRECTORY_NONE && directory->tenants[number].active &&
        directory->accounts[directory->tenants[number].account].active)
        bench->tenant = number;
    bench->tenant_fact = find(bench, FACT_TENANT);
}

// The tenant is not known to be active. Why not?
static enum judge_need judge_missing(const struct bench *bench)
{
    const struct fact *fact = bench->tenant_fact;

    if (is_fresh(bench, fact) && fact->state == FACT_GONE)
        return deny(bench, BFR_DENY_TENANT_GONE, "the control service knows no such active tenant");
    if (!is_fresh(bench, fact))
        return ask_anew(bench, FACT_TENANT, fact);
    if (bench->directory != NULL && bench->directory->whole && may_prove(bench, bench->directory->asked_ns))
        return deny(bench, BFR_DENY_TENANT_GONE, "no such active tenant in the control service's lists");
    return unsure(bench, "the tenant is not known, and the control service cannot be asked");
}

// ---- token ----

static bool is_own_token(const struct bench *bench)
{
    const uint8_t *key = bench->question->key;
    unsigned found = 0;

    if (bench->tenant != DIRECTORY_NONE) {
        const struct directory_tenant *tenant = &bench->directory->tenants[bench->tenant];
        found |= (unsigned)tenant->has_token & (unsigned)(CRYPTO_memcmp(tenant->token, key, sizeof tenant->token) == 0);
    }
    if (is_good(bench->tenant_fact)) {
        const struct fact *fact = bench->tenant_fact;
        found |= (unsigned)fact->has_token & (unsigned)(CRYPTO_memcmp(fact->token, key, sizeof fact->token) == 0);
    }
    return found != 0;
}

// The key was judged; the tenant's own token is looked at once more before that counts.
static enum judge_need judge_refused(const struct bench *bench, const struct fact *key)
{
    const struct fact *tenant = bench->tenant_fact;

    if (tenant != NULL && is_late(bench, tenant->failed_ns))
        return unsure(bench, "the token is not known, and the control service cannot be asked");
    if (!is_fresh(bench, tenant)) {
        (void)ask(bench, FACT_TENANT);
        return JUDGE_ASK_AGAIN;
    }
    if (tenant->state == FACT_GONE)
        return deny(bench, BFR_DENY_TENANT_GONE, "the control service knows no such active tenant");
    if (tenant->state == FACT_FAILED || key->state == FACT_FAILED)
        return unsure(bench, "the token is not known, and the control service cannot be asked");
    if (key->state == FACT_FOREIGN && strcmp(key->account, tenant->account) != 0) {
        (void)ask(bench, FACT_KEY); // the tenant has moved since the key was shown
        return JUDGE_ASK_AGAIN;
    }
    if (key->state == FACT_FOREIGN)
        return deny(bench, BFR_DENY_FOREIGN, "the key is not one of the tenant's account");
    if (bench->directory != NULL && bfr_directory_knows_token(bench->directory, bench->question->key))
        return deny(bench, BFR_DENY_FOREIGN, "the token belongs to another tenant");
    return deny(bench, BFR_DENY_TOKEN, "neither the tenant's token nor a key of its account");
}

// An accepted key stays accepted while the service cannot be asked about it again. One that was accepted before the start is
// due at once, however lately the machine was started.
static uint64_t due_ns(const struct bench *bench, const struct fact *key)
{
    uint64_t last_ns = key->failed_ns > key->asked_ns ? key->failed_ns : key->asked_ns;

    return last_ns == 0 ? 0 : last_ns + bench->limits->key_ns;
}

static bool is_due(const struct bench *bench, const struct fact *key)
{
    return bench->limits->now_ns > due_ns(bench, key);
}

// How long others need not ask the facts about it. When it is due, somebody asks again, or may not yet, and tries soon.
static uint64_t settled_until(const struct bench *bench, const struct fact *key)
{
    return is_due(bench, key) ? bench->limits->now_ns + LATELY_NS : due_ns(bench, key);
}

static enum judge_need judge_token(const struct bench *bench)
{
    const struct judge_question *question = bench->question;

    if (!question->require_token)
        return JUDGE_SETTLED;
    if (question->fault != BEARER_OK)
        return deny(bench, BFR_DENY_TOKEN, bfr_bearer_fault_text(question->fault));
    if (is_own_token(bench))
        return JUDGE_SETTLED;
    if (bench->facts == NULL && bench->limits->accepted != NULL &&
        bfr_accepted_find(bench->limits->accepted, question->tenant, question->key, bench->limits->now_ns))
        return JUDGE_SETTLED;
    struct fact *key = find(bench, FACT_KEY);
    if (is_good(key)) {
        *bench->renew = is_due(bench, key);
        bfr_accepted_put(bench->facts->accepted, question->tenant, question->key, settled_until(bench, key));
        if (*bench->renew)
            *bench->need = key->subject;
        bfr_fact_use(bench->facts, key);
        return JUDGE_SETTLED;
    }
    return is_fresh(bench, key) ? judge_refused(bench, key) : ask_anew(bench, FACT_KEY, key);
}

// ---- dataset ----

static enum judge_need judge_dataset(const struct bench *bench)
{
    const struct directory *directory = bench->directory;
    const struct directory_tenant *tenant = bench->tenant == DIRECTORY_NONE ? NULL : &directory->tenants[bench->tenant];

    if (bench->question->tenant_only)
        return JUDGE_SETTLED;
    if (tenant != NULL) {
        uint32_t number = bfr_directory_dataset(directory, bench->tenant, bench->question->dataset);
        if (number != DIRECTORY_NONE && directory->datasets[number].active)
            return JUDGE_SETTLED;
    }
    const struct fact *fact = find(bench, FACT_DATASET);
    if (is_good(fact))
        return JUDGE_SETTLED;
    if (is_fresh(bench, fact) && fact->state == FACT_GONE)
        return deny(bench, BFR_DENY_DATASET_GONE, "the control service knows no such active dataset of the tenant");
    if (!is_fresh(bench, fact))
        return ask_anew(bench, FACT_DATASET, fact);
    if (tenant != NULL && tenant->whole && may_prove(bench, tenant->sets_asked_ns))
        return deny(bench, BFR_DENY_DATASET_GONE, "no such active dataset in the control service's list");
    return unsure(bench, "the dataset is not known, and the control service cannot be asked");
}

enum judge_need bfr_judge(const struct directory *directory, struct facts *facts, const struct judge_question *question,
                          const struct judge_limits *limits, struct bfr_verdict *out, struct fact_subject *out_need,
                          bool *out_renew)
{
    struct bench bench = {directory, facts, question, limits, out, out_need, out_renew, DIRECTORY_NONE, NULL};

    *out_renew = false;
    out->decision = 0;
    find_tenant(&bench);
    if (bench.tenant == DIRECTORY_NONE && !is_good(bench.tenant_fact))
        return judge_missing(&bench);
    enum judge_need need = judge_token(&bench);
    if (need == JUDGE_SETTLED && out->decision == 0)
        need = judge_dataset(&bench);
    if (need != JUDGE_SETTLED || out->decision != 0)
        return need;
    (void)bfr_decide_allow(
        out, bench.tenant != DIRECTORY_NONE
                 ? bfr_directory_text(directory, directory->accounts[directory->tenants[bench.tenant].account].id)
                 : bench.tenant_fact->account);
    return JUDGE_SETTLED;
}
