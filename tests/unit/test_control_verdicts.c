// SPDX-License-Identifier: Apache-2.0
// The verdicts of mode control: what follows from the directory and the facts, and what must be asked first.
#include "control_fixture.h"
#include "judge.h"

// A question, what is known, and what comes of it.
struct bench {
    struct directory *directory;
    struct facts facts;
    struct judge_limits limits;
    struct judge_question question;
    struct bfr_verdict verdict;
    struct fact_subject need;
    bool renew;
};

static void set_up(struct bench *bench, uint64_t directory_ns)
{
    *bench = (struct bench){.directory = make_directory(directory_ns), .verdict = {.size = sizeof bench->verdict}};
    assert_true(bfr_facts_init(&bench->facts));
}

static void tear_down(struct bench *bench)
{
    bfr_facts_free(&bench->facts);
    bfr_directory_free(bench->directory);
}

// `facts` is the bench's, or NULL: as who does not hold their lock.
static enum judge_need judge(struct bench *bench, struct facts *facts)
{
    return bfr_judge(bench->directory, facts, &bench->question, &bench->limits, &bench->verdict, &bench->need,
                     &bench->renew);
}

// ---- keys ----

// Somebody asks now for acme's web with an account's key. Returns what is known of it: nothing yet.
static struct fact *ask_with_key(struct bench *bench, const struct fact_subject *key, uint64_t now_ns, uint64_t key_ns)
{
    bench->limits = (struct judge_limits){.now_ns = now_ns, .key_ns = key_ns, .accepted = bench->facts.accepted};
    bench->question = (struct judge_question){.tenant = "acme",
                                              .dataset = "web",
                                              .require_token = true,
                                              .fault = BEARER_OK,
                                              .key = key->key,
                                              .asked_ns = now_ns};
    return bfr_facts_get(&bench->facts, key);
}

static void test_a_key_that_is_refused_is_withdrawn_where_no_lock_is_taken(void **state)
{
    const struct fact_subject key = about(FACT_KEY, "acme", "", 7);
    struct bench bench;
    (void)state;

    set_up(&bench, 1);
    struct fact *fact = ask_with_key(&bench, &key, 100, 50);
    bfr_fact_settle(&bench.facts, fact, FACT_GOOD, 90);
    assert_int_equal(judge(&bench, NULL), JUDGE_ASK);
    assert_int_equal(judge(&bench, &bench.facts), JUDGE_SETTLED);
    bench.limits.now_ns = 139;
    assert_int_equal(judge(&bench, NULL), JUDGE_SETTLED);
    assert_int_equal(bench.verdict.decision, BFR_ALLOW);
    bench.limits.now_ns = 140; // due to be asked about again
    assert_int_equal(judge(&bench, NULL), JUDGE_ASK);
    bench.limits.now_ns = 139;
    bfr_fact_settle(&bench.facts, fact, FACT_FOREIGN, 120);
    assert_int_equal(judge(&bench, NULL), JUDGE_ASK);
    tear_down(&bench);
}

static void test_a_key_accepted_before_the_start_is_asked_about_at_once_and_stays_until_it_is_refused(void **state)
{
    const struct fact_subject key = about(FACT_KEY, "acme", "", 7);
    struct bench bench;
    (void)state;

    set_up(&bench, 1);
    struct fact *fact = ask_with_key(&bench, &key, 1000, 5000);
    bench.limits.max_stale_ns = 1;
    bfr_fact_settle(&bench.facts, fact, FACT_GOOD, 0);
    uint64_t changes = bench.facts.key_changes;
    assert_int_equal(judge(&bench, &bench.facts), JUDGE_SETTLED);
    assert_int_equal(bench.verdict.decision, BFR_ALLOW);
    assert_true(bench.renew);
    assert_int_equal(bench.need.kind, FACT_KEY);
    bfr_fact_settle(&bench.facts, fact, FACT_FAILED, 1001); // the service is away
    assert_int_equal(judge(&bench, &bench.facts), JUDGE_SETTLED);
    assert_int_equal(bench.verdict.decision, BFR_ALLOW);
    assert_int_equal(bench.facts.key_changes, changes);
    bfr_fact_settle(&bench.facts, fact, FACT_WRONG, 1002);
    assert_int_equal(bench.facts.key_changes, changes + 1);
    assert_int_not_equal(judge(&bench, &bench.facts), JUDGE_SETTLED);
    bfr_fact_settle(&bench.facts, fact, FACT_FOREIGN, 1003);
    assert_int_equal(bench.facts.key_changes, changes + 1);
    tear_down(&bench);
}

// ---- verdicts ----

#define S UINT64_C(1000000000)

// What is known beside the directory: one line per fact.
struct known {
    enum fact_kind kind;
    enum fact_state state;
    uint64_t asked_ns;
};

struct verdict_case {
    const char *what;
    const char *tenant, *dataset;
    uint8_t key; // 0: no Authorization
    bool no_directory;
    uint64_t directory_ns; // 0: 5 s
    struct known known[3];
    uint32_t decision; // 0: must ask about `need` first
    uint32_t deny;
    bool again; // at the sender's cost
    enum fact_kind need;
};

// The question is asked at 100 s; facts are about its tenant, its dataset, its key.
static const struct verdict_case verdicts[] = {
    {"known and right", "acme", "web", 1, .decision = BFR_ALLOW},
    {"no token", "acme", "web", 0, .decision = BFR_DENY, .deny = BFR_DENY_TOKEN},
    {"no token, dataset gone: token first", "acme", "old", 0, .decision = BFR_DENY, .deny = BFR_DENY_TOKEN},
    {"nothing known at all", "acme", "web", 1, .no_directory = true, .need = FACT_TENANT},
    {"nothing known, nobody to ask", "acme", "web", 1, .no_directory = true,
     .known = {{FACT_TENANT, FACT_FAILED, 100 * S}}, .decision = BFR_UNKNOWN},
    {"absent: asked first", "nosuch", "web", 1, .need = FACT_TENANT},
    {"absent, no token: asked first", "nosuch", "web", 0, .need = FACT_TENANT},
    {"absent for certain", "nosuch", "web", 0, .known = {{FACT_TENANT, FACT_GONE, 100 * S}}, .decision = BFR_DENY,
     .deny = BFR_DENY_TENANT_GONE},
    {"absent, by an old answer", "nosuch", "web", 1, .known = {{FACT_TENANT, FACT_GONE, 98 * S}}, .need = FACT_TENANT},
    {"absent, by an answer to a question put just before: asked all the same, at its cost", "nosuch", "web", 1,
     .known = {{FACT_TENANT, FACT_GONE, 100 * S - 1}}, .again = true, .need = FACT_TENANT},
    {"a failure a moment ago is not repeated", "nosuch", "web", 1,
     .known = {{FACT_TENANT, FACT_FAILED, 100 * S - S / 2}}, .decision = BFR_UNKNOWN},
    {"a failure before that is", "nosuch", "web", 1, .known = {{FACT_TENANT, FACT_FAILED, 98 * S}},
     .need = FACT_TENANT},
    {"absent, cannot be asked", "nosuch", "web", 1, .known = {{FACT_TENANT, FACT_FAILED, 100 * S}},
     .decision = BFR_UNKNOWN},
    {"absent from lists asked for since", "nosuch", "web", 1, .directory_ns = 100 * S,
     .known = {{FACT_TENANT, FACT_FAILED, 100 * S}}, .decision = BFR_DENY, .deny = BFR_DENY_TENANT_GONE},
    {"absent from lists asked for just before, cannot be asked", "nosuch", "web", 1, .directory_ns = 100 * S - 1,
     .known = {{FACT_TENANT, FACT_FAILED, 100 * S}}, .decision = BFR_UNKNOWN},
    {"created meanwhile", "nosuch", "web", 9,
     .known = {{FACT_TENANT, FACT_GOOD, 99 * S}, {FACT_DATASET, FACT_GOOD, 99 * S}, {FACT_KEY, FACT_GOOD, 99 * S}},
     .decision = BFR_ALLOW},
    {"created long ago, not in a list", "nosuch", "web", 9,
     .known = {{FACT_TENANT, FACT_GOOD, 1}, {FACT_DATASET, FACT_GOOD, 1}, {FACT_KEY, FACT_GOOD, 99 * S}},
     .decision = BFR_ALLOW},
    {"inactive: asked first", "closed", "web", 1, .need = FACT_TENANT},
    {"its account is inactive: asked first", "frozen", "web", 2, .need = FACT_TENANT},
    {"another key: asked about", "acme", "web", 7, .need = FACT_KEY},
    {"an accepted key", "acme", "web", 7, .known = {{FACT_KEY, FACT_GOOD, 99 * S}}, .decision = BFR_ALLOW},
    {"an accepted key, long ago", "acme", "web", 7, .known = {{FACT_KEY, FACT_GOOD, 1}}, .decision = BFR_ALLOW},
    {"nobody's key: the tenant is looked at again", "acme", "web", 7, .known = {{FACT_KEY, FACT_WRONG, 100 * S}},
     .again = true, .need = FACT_TENANT},
    {"nobody's key: the tenant is looked at again, however short ago it was", "acme", "web", 7,
     .known = {{FACT_KEY, FACT_WRONG, 100 * S}, {FACT_TENANT, FACT_GOOD, 100 * S - 1}}, .again = true,
     .need = FACT_TENANT},
    {"absent before, and from lists got since: asked all the same", "nosuch", "web", 1, .directory_ns = 95 * S,
     .known = {{FACT_TENANT, FACT_GONE, 90 * S}}, .need = FACT_TENANT},
    {"a dataset absent before, and from a list got since: asked all the same", "acme", "nosuch", 1,
     .directory_ns = 95 * S, .known = {{FACT_DATASET, FACT_GONE, 90 * S}}, .need = FACT_DATASET},
    {"nobody's key for certain", "acme", "web", 7,
     .known = {{FACT_KEY, FACT_WRONG, 100 * S}, {FACT_TENANT, FACT_GOOD, 100 * S}}, .decision = BFR_DENY,
     .deny = BFR_DENY_TOKEN},
    {"nobody's key, the tenant cannot be looked at", "acme", "web", 7,
     .known = {{FACT_KEY, FACT_WRONG, 100 * S}, {FACT_TENANT, FACT_FAILED, 100 * S}}, .decision = BFR_UNKNOWN},
    {"nobody's key, and the tenant is gone by now", "acme", "web", 7,
     .known = {{FACT_KEY, FACT_WRONG, 100 * S}, {FACT_TENANT, FACT_GONE, 100 * S}}, .decision = BFR_DENY,
     .deny = BFR_DENY_TENANT_GONE},
    {"the key cannot be asked about", "acme", "web", 7,
     .known = {{FACT_KEY, FACT_FAILED, 100 * S}, {FACT_TENANT, FACT_GOOD, 100 * S}}, .decision = BFR_UNKNOWN},
    {"a key of another account", "acme", "web", 7,
     .known = {{FACT_KEY, FACT_FOREIGN, 100 * S}, {FACT_TENANT, FACT_GOOD, 100 * S}}, .decision = BFR_DENY,
     .deny = BFR_DENY_FOREIGN},
    {"another tenant's token", "acme", "web", 2,
     .known = {{FACT_KEY, FACT_WRONG, 100 * S}, {FACT_TENANT, FACT_GOOD, 100 * S}}, .decision = BFR_DENY,
     .deny = BFR_DENY_FOREIGN},
    {"a refused key, by an answer to a question put just before: at its cost", "acme", "web", 7,
     .known = {{FACT_KEY, FACT_WRONG, 100 * S - 1}}, .again = true, .need = FACT_KEY},
    {"another account's key, by an answer to a question put just before: at its cost", "acme", "web", 7,
     .known = {{FACT_KEY, FACT_FOREIGN, 100 * S - 1}, {FACT_TENANT, FACT_GOOD, 100 * S}}, .again = true,
     .need = FACT_KEY},
    {"a refused key, by an old answer", "acme", "web", 7, .known = {{FACT_KEY, FACT_WRONG, 98 * S}}, .need = FACT_KEY},
    {"the own token, whatever a look-up said of the tenant", "acme", "web", 1,
     .known = {{FACT_TENANT, FACT_GONE, 100 * S}}, .decision = BFR_ALLOW},
    {"a dataset absent: asked first", "acme", "nosuch", 1, .need = FACT_DATASET},
    {"a dataset inactive: asked first", "acme", "old", 1, .need = FACT_DATASET},
    {"a dataset absent for certain", "acme", "nosuch", 1, .known = {{FACT_DATASET, FACT_GONE, 100 * S}},
     .decision = BFR_DENY, .deny = BFR_DENY_DATASET_GONE},
    {"a dataset absent, by an answer to a question put just before: at its cost", "acme", "nosuch", 1,
     .known = {{FACT_DATASET, FACT_GONE, 100 * S - 1}}, .again = true, .need = FACT_DATASET},
    {"a dataset absent, cannot be asked", "acme", "nosuch", 1, .known = {{FACT_DATASET, FACT_FAILED, 100 * S}},
     .decision = BFR_UNKNOWN},
    {"a dataset absent from a list asked for since", "acme", "nosuch", 1, .directory_ns = 100 * S,
     .known = {{FACT_DATASET, FACT_FAILED, 100 * S}}, .decision = BFR_DENY, .deny = BFR_DENY_DATASET_GONE},
    {"a dataset absent from a list asked for just before", "acme", "nosuch", 1, .directory_ns = 100 * S - 1,
     .known = {{FACT_DATASET, FACT_FAILED, 100 * S}}, .decision = BFR_UNKNOWN},
};

static void add_facts(struct facts *facts, const struct verdict_case *one)
{
    for (size_t i = 0; i < 3 && one->known[i].kind != 0; i++) {
        const struct known *known = &one->known[i];
        struct fact_subject subject = about(known->kind, one->tenant, known->kind == FACT_DATASET ? one->dataset : "",
                                            known->kind == FACT_KEY ? one->key : 0);
        struct fact *fact = bfr_facts_get(facts, &subject);
        assert_non_null(fact);
        bfr_fact_settle(facts, fact, known->state, known->asked_ns);
    }
}

static void test_verdicts_by_certainty(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        const struct verdict_case *one = &verdicts[i];
        struct bench bench;
        uint8_t key[DIRECTORY_HASH_SIZE];

        memset(key, one->key, sizeof key);
        set_up(&bench, one->directory_ns == 0 ? 5 * S : one->directory_ns);
        add_facts(&bench.facts, one);
        bench.limits = (struct judge_limits){.now_ns = 100 * S, .max_stale_ns = 120 * S, .key_ns = 30 * S};
        bench.question = (struct judge_question){.tenant = one->tenant,
                                                 .dataset = one->dataset,
                                                 .require_token = true,
                                                 .fault = one->key == 0 ? BEARER_ABSENT : BEARER_OK,
                                                 .key = one->key == 0 ? NULL : key,
                                                 .asked_ns = 100 * S};
        if (one->no_directory) {
            bfr_directory_free(bench.directory);
            bench.directory = NULL;
        }
        enum judge_need got = judge(&bench, &bench.facts);
        enum judge_need asks = one->again ? JUDGE_ASK_AGAIN : JUDGE_ASK;
        bool right = one->decision == 0 ? got == asks && bench.need.kind == one->need
                                        : got == JUDGE_SETTLED && bench.verdict.decision == one->decision &&
                                              (one->decision != BFR_DENY || bench.verdict.deny == one->deny);
        if (!right)
            fail_msg("%s: got %d, decision %u deny %u (%s), need %d", one->what, got, bench.verdict.decision,
                     bench.verdict.deny, bench.verdict.text, bench.need.kind);
        tear_down(&bench);
    }
}

static void test_lists_older_than_max_stale_prove_nothing(void **state)
{
    const struct fact_subject subject = about(FACT_TENANT, "nosuch", "", 0);
    struct bench bench;
    (void)state;

    set_up(&bench, 100 * S);
    bench.limits = (struct judge_limits){.now_ns = 105 * S, .max_stale_ns = 4 * S, .key_ns = 30 * S};
    bench.question = (struct judge_question){.tenant = "nosuch", .dataset = "d", .asked_ns = 100 * S};
    bfr_fact_settle(&bench.facts, bfr_facts_get(&bench.facts, &subject), FACT_FAILED, 100 * S);
    assert_int_equal(judge(&bench, &bench.facts), JUDGE_SETTLED);
    assert_int_equal(bench.verdict.decision, BFR_UNKNOWN);
    bench.limits = (struct judge_limits){.now_ns = 100 * S, .max_stale_ns = 0, .key_ns = 30 * S}; // none at all
    assert_int_equal(judge(&bench, &bench.facts), JUDGE_SETTLED);
    assert_int_equal(bench.verdict.decision, BFR_UNKNOWN);
    bench.limits = (struct judge_limits){.now_ns = 105 * S, .max_stale_ns = 6 * S, .key_ns = 30 * S};
    assert_int_equal(judge(&bench, &bench.facts), JUDGE_SETTLED);
    assert_int_equal(bench.verdict.decision, BFR_DENY);
    bench.directory->whole = false; // cut somewhere
    assert_int_equal(judge(&bench, &bench.facts), JUDGE_SETTLED);
    assert_int_equal(bench.verdict.decision, BFR_UNKNOWN);
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_that_is_refused_is_withdrawn_where_no_lock_is_taken),
        cmocka_unit_test(test_a_key_accepted_before_the_start_is_asked_about_at_once_and_stays_until_it_is_refused),
        cmocka_unit_test(test_verdicts_by_certainty),
        cmocka_unit_test(test_lists_older_than_max_stale_prove_nothing),
    };
    return cmocka_run_group_tests_name("the verdicts of mode control", tests, NULL, NULL);
}
