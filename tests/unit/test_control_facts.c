// SPDX-License-Identifier: Apache-2.0
// What look-ups found out: what is remembered and for how long, and the accepted keys that are found without a lock.
#include <pthread.h>
#include <stdatomic.h>

#include "control_fixture.h"

// ---- facts ----

static void supersede(struct facts *facts, enum fact_kind kind, uint64_t before_ns)
{
    for (uint32_t piece = 0; piece < FACTS_PIECES; piece++)
        bfr_facts_supersede(facts, piece, kind, before_ns);
}

// One at a time, as far as there are any.
static uint32_t carry(struct facts *facts, enum fact_kind kind)
{
    uint32_t carried = 0;
    struct fact *fact;

    for (uint32_t piece = 0; piece < FACTS_PIECES; piece++)
        for (uint32_t skip = 0; bfr_facts_carry(facts, piece, kind, skip, &fact, 1) == 1; skip++)
            carried++;
    return carried;
}

static void test_a_flood_of_misses_does_not_push_out_what_is_good(void **state)
{
    struct facts facts;
    struct fact_subject good = about(FACT_TENANT, "good", "", 0);
    (void)state;

    assert_true(bfr_facts_init(&facts));
    bfr_fact_settle(&facts, bfr_facts_get(&facts, &good), FACT_GOOD, 1);
    for (int i = 0; i < 3 * FACTS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "x%d", i);
        struct fact_subject subject = about(FACT_TENANT, id, "", 0);
        bfr_fact_settle(&facts, bfr_facts_get(&facts, &subject), FACT_GONE, 1);
    }
    assert_non_null(bfr_facts_find(&facts, &good));
    assert_int_equal(facts.rest_count, FACTS_MAX);
    supersede(&facts, FACT_TENANT, 2);
    assert_non_null(bfr_facts_find(&facts, &good)); // no directory has it
    assert_int_equal(carry(&facts, FACT_DATASET), 0);
    assert_int_equal(carry(&facts, FACT_TENANT), 1);
    supersede(&facts, FACT_TENANT, 1);
    assert_non_null(bfr_facts_find(&facts, &good)); // asked for when the refresh began: the refresh may not know it
    bfr_fact_settle(&facts, bfr_facts_find(&facts, &good), FACT_GOOD, 1);
    supersede(&facts, FACT_TENANT, 2);
    assert_non_null(bfr_facts_find(&facts, &good)); // settled anew since it was carried
    assert_int_equal(carry(&facts, FACT_TENANT), 1);
    supersede(&facts, FACT_TENANT, 2);
    assert_null(bfr_facts_find(&facts, &good));
    bfr_facts_free(&facts);
}

static void test_an_accepted_key_for_each_of_ten_thousand_tenants_is_kept(void **state)
{
    struct facts facts;
    (void)state;

    assert_true(bfr_facts_init(&facts));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10000; i++) {
            char id[16];
            snprintf(id, sizeof id, "t%d", i);
            struct fact_subject subject = about(FACT_KEY, id, "", 7);
            assert_true(round == 0 || bfr_facts_find(&facts, &subject) != NULL);
            bfr_fact_settle(&facts, bfr_facts_get(&facts, &subject), FACT_GOOD, 1);
        }
    }
    assert_true(bfr_facts_bytes(&facts) < 16 << 20);
    bfr_facts_free(&facts);
}

static void test_what_is_in_flight_is_never_forgotten(void **state)
{
    struct facts facts;
    (void)state;

    assert_true(bfr_facts_init(&facts));
    for (int i = 0; i < FACTS_MAX; i++) {
        struct fact_subject subject = about(FACT_KEY, "t", "", (uint8_t)i);
        subject.key[1] = (uint8_t)(i >> 8);
        struct fact *fact = bfr_facts_get(&facts, &subject);
        assert_non_null(fact);
        fact->in_flight = true;
    }
    struct fact_subject more = about(FACT_TENANT, "more", "", 0);
    assert_null(bfr_facts_get(&facts, &more));
    TAILQ_FIRST(&facts.rest)->in_flight = false;
    assert_non_null(bfr_facts_get(&facts, &more));
    bfr_facts_free(&facts);
}

// ---- accepted keys ----

static void test_an_accepted_key_is_found_for_its_tenant_alone_until_it_ends_or_is_withdrawn(void **state)
{
    struct accepted *accepted = bfr_accepted_new();
    uint8_t key[DIRECTORY_HASH_SIZE], near[DIRECTORY_HASH_SIZE];
    (void)state;

    assert_non_null(accepted);
    memset(key, 7, sizeof key);
    memcpy(near, key, sizeof near);
    near[DIRECTORY_HASH_SIZE - 1] ^= 1;
    assert_false(bfr_accepted_find(accepted, "acme", key, 0));
    bfr_accepted_put(accepted, "acme", key, 100);
    assert_true(bfr_accepted_find(accepted, "acme", key, 99));
    assert_false(bfr_accepted_find(accepted, "acme", key, 100));
    assert_false(bfr_accepted_find(accepted, "acm", key, 99));
    assert_false(bfr_accepted_find(accepted, "acme2", key, 99));
    assert_false(bfr_accepted_find(accepted, "acme", near, 99));
    bfr_accepted_put(accepted, "globex", key, 0); // not there: nothing of another's is withdrawn
    assert_true(bfr_accepted_find(accepted, "acme", key, 99));
    bfr_accepted_put(accepted, "acme", key, 0);
    assert_false(bfr_accepted_find(accepted, "acme", key, 1));
    bfr_accepted_free(accepted);
}

#define RIVALS 6 // for the four slots of one set

struct race {
    struct accepted *accepted;
    atomic_bool over;
    char tenants[RIVALS][16];
    uint8_t keys[RIVALS][DIRECTORY_HASH_SIZE];
    unsigned crossed;
};

// Each tenant has its own key, and they all belong in one set.
static void make_rivals(struct race *race)
{
    unsigned number = 0;

    for (unsigned i = 0; i < RIVALS; i++) {
        do
            snprintf(race->tenants[i], sizeof race->tenants[i], "t%u", number++);
        while ((bfr_index_hash(0, race->tenants[i]) & 0xFFFF) != (bfr_index_hash(0, race->tenants[0]) & 0xFFFF));
        memset(race->keys[i] + 8, (int)i, DIRECTORY_HASH_SIZE - 8);
    }
}

static void *read_accepted(void *arg)
{
    struct race *race = arg;

    while (!atomic_load(&race->over))
        for (unsigned i = 0; i < RIVALS * RIVALS; i++)
            race->crossed += i / RIVALS != i % RIVALS &&
                             bfr_accepted_find(race->accepted, race->tenants[i / RIVALS], race->keys[i % RIVALS], 1);
    return NULL;
}

static void test_a_reader_beside_the_writer_never_sees_half_of_one_and_half_of_another(void **state)
{
    struct race race = {.accepted = bfr_accepted_new()};
    pthread_t reader;
    (void)state;

    assert_non_null(race.accepted);
    make_rivals(&race);
    assert_int_equal(pthread_create(&reader, NULL, read_accepted, &race), 0);
    for (unsigned i = 0; i < 300000; i++)
        bfr_accepted_put(race.accepted, race.tenants[i % RIVALS], race.keys[i % RIVALS], 2 + i);
    atomic_store(&race.over, true);
    pthread_join(reader, NULL);
    assert_int_equal(race.crossed, 0);
    bfr_accepted_free(race.accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flood_of_misses_does_not_push_out_what_is_good),
        cmocka_unit_test(test_an_accepted_key_for_each_of_ten_thousand_tenants_is_kept),
        cmocka_unit_test(test_what_is_in_flight_is_never_forgotten),
        cmocka_unit_test(test_an_accepted_key_is_found_for_its_tenant_alone_until_it_ends_or_is_withdrawn),
        cmocka_unit_test(test_a_reader_beside_the_writer_never_sees_half_of_one_and_half_of_another),
    };
    return cmocka_run_group_tests_name("the facts of mode control", tests, NULL, NULL);
}
