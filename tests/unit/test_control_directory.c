// SPDX-License-Identifier: Apache-2.0
// The directory of mode control by its parts: reading answers, the table, the file, the facts, and the verdicts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include <bfr/text.h>

#include "control_json.h"
#include "directory_cache.h"
#include "judge.h"
#include "lookup.h"

// ---- the table ----

static uint32_t add_tenant(struct directory *directory, const char *account, const char *id, bool active, uint8_t token)
{
    struct tenant_record record = {.id = id, .account = "", .name = "", .active = active, .has_token = token != 0};

    memset(record.token, token, sizeof record.token);
    uint32_t owner = bfr_directory_add_account(directory, &(struct account_record){account, true});
    assert_true(owner != DIRECTORY_NONE);
    return bfr_directory_add_tenant(directory, owner, &record);
}

static void add_dataset(struct directory *directory, uint32_t tenant, const char *id, bool active)
{
    assert_true(bfr_directory_add_dataset(directory, tenant,
                                          &(struct dataset_record){id, "A name", "ndjson", active}) != DIRECTORY_NONE);
}

// acme (a1, token 1): web, old (inactive); closed (a1, inactive); frozen (a2, which is inactive).
static struct directory *make_directory(uint64_t asked_ns)
{
    struct directory *directory = bfr_directory_new();

    assert_non_null(directory);
    uint32_t acme = add_tenant(directory, "a1", "acme", true, 1);
    add_dataset(directory, acme, "web", true);
    add_dataset(directory, acme, "old", false);
    (void)add_tenant(directory, "a1", "closed", false, 0);
    (void)add_tenant(directory, "a2", "frozen", true, 2);
    (void)bfr_directory_add_account(directory, &(struct account_record){"a2", false});
    directory->asked_ns = asked_ns;
    directory->whole = true;
    directory->tenants[acme].whole = true;
    directory->tenants[acme].sets_asked_ns = asked_ns;
    return directory;
}

static void test_two_hundred_thousand_datasets_fit_and_are_found(void **state)
{
    struct directory *directory = bfr_directory_new();
    char id[32];
    (void)state;

    for (int t = 0; t < 10000; t++) {
        snprintf(id, sizeof id, "tenant-%05d-abcdef", t);
        uint32_t tenant = add_tenant(directory, t % 2 ? "a1" : "a2", id, true, (uint8_t)(t | 1));
        for (int d = 0; d < 20; d++) {
            snprintf(id, sizeof id, "dataset-%02d-abcdef", d);
            add_dataset(directory, tenant, id, true);
        }
    }
    bfr_directory_trim(directory);
    assert_int_equal(directory->active_datasets, 200000);
    assert_true(bfr_directory_bytes(directory) < 64u << 20);
    print_message("200,000 datasets: %.1f MiB\n", (double)bfr_directory_bytes(directory) / 1048576);
    uint32_t tenant = bfr_directory_tenant(directory, "tenant-09999-abcdef");
    assert_true(bfr_directory_dataset(directory, tenant, "dataset-19-abcdef") != DIRECTORY_NONE);
    assert_true(bfr_directory_dataset(directory, tenant, "dataset-20-abcdef") == DIRECTORY_NONE);
    assert_true(bfr_directory_tenant(directory, "tenant-10000-abcdef") == DIRECTORY_NONE);
    bfr_directory_free(directory);
}

static void test_adding_a_tenant_again_replaces_it_and_keeps_the_count(void **state)
{
    struct directory *directory = make_directory(1);
    uint8_t token[DIRECTORY_HASH_SIZE];
    (void)state;

    assert_int_equal(directory->active_tenants, 2);
    uint32_t acme = add_tenant(directory, "a1", "acme", false, 9);
    assert_int_equal(acme, bfr_directory_tenant(directory, "acme"));
    assert_int_equal(directory->active_tenants, 1);
    memset(token, 9, sizeof token);
    assert_true(bfr_directory_knows_token(directory, token));
    assert_true(bfr_directory_dataset(directory, acme, "web") != DIRECTORY_NONE);
    bfr_directory_free(directory);
}

// ---- answers ----

static bool count_account(void *arg, const struct account_record *record)
{
    (void)record;
    (*(int *)arg)++;
    return true;
}

static enum control_read read_accounts(const char *text, int *out_count, bool *out_whole, const char **out_why)
{
    struct control_reader reader = {.on_account = count_account, .arg = out_count};

    *out_count = 0;
    return bfr_control_read_list((const uint8_t *)text, strlen(text), &reader, out_whole, out_why);
}

static void test_an_answer_of_another_shape_says_nothing(void **state)
{
    static const char *const rubbish[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "<html>",
        "{\"items\":{}}",
        "{\"items\":[1]}",
        "{\"items\":[{}]}",
        "{\"items\":[{\"id\":\"good\"},{\"id\":7}]}",
        "{\"items\":[{\"id\":\"\"}]}",
        "{\"items\":[{\"id\":\"a\",\"active\":\"yes\"}]}",
        "{\"items\":[{\"id\":\"a\",\"active\":1}]}",
        "{\"items\":[],\"total\":\"0\"}",
        "{\"items\":[{\"id\":\"a\"}]} x",
    };
    const char *why;
    bool whole;
    int count;
    (void)state;

    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        if (read_accounts(rubbish[i], &count, &whole, &why) != CONTROL_READ_RUBBISH || count != 0 || why == NULL)
            fail_msg("believed: %s", rubbish[i]);
    }
}

static void test_a_list_is_whole_unless_it_was_cut(void **state)
{
    const char *why;
    bool whole;
    int count;
    (void)state;

    assert_int_equal(read_accounts("{\"items\":null}", &count, &whole, &why), CONTROL_READ_OK);
    assert_true(whole && count == 0);
    assert_int_equal(read_accounts("{\"items\":[{\"id\":\"a\"}],\"total\":1,\"x\":{}}", &count, &whole, &why),
                     CONTROL_READ_OK);
    assert_true(whole && count == 1);
    assert_int_equal(read_accounts("{\"items\":[{\"id\":\"a\"}],\"total\":2}", &count, &whole, &why), CONTROL_READ_OK);
    assert_false(whole);

    char *text = malloc(20000);
    assert_non_null(text);
    size_t at = (size_t)sprintf(text, "{\"items\":[");
    for (int i = 0; i < 1000; i++)
        at += (size_t)sprintf(text + at, "%s{\"id\":\"a%d\"}", i == 0 ? "" : ",", i);
    sprintf(text + at, "]}");
    assert_int_equal(read_accounts(text, &count, &whole, &why), CONTROL_READ_OK);
    assert_true(count == 1000 && !whole);
    free(text);
}

static void test_ids_that_no_sender_can_name_are_left_out(void **state)
{
    const char *why;
    bool whole;
    int count;
    (void)state;

    assert_int_equal(read_accounts("{\"items\":[{\"id\":\"../a\"},{\"id\":\".a\"},{\"id\":\"a b\"},{\"id\":\"ok\"}]}",
                                   &count, &whole, &why),
                     CONTROL_READ_OK);
    assert_int_equal(count, 1);
}

static bool read_changes(const char *text, struct control_marks *out)
{
    return bfr_control_read_changes((const uint8_t *)text, strlen(text), out);
}

static void test_the_change_detector_must_cover_both_or_it_detects_nothing(void **state)
{
    struct control_marks one, two;
    (void)state;

    assert_true(read_changes("{\"tenants\":{\"hash\":\"x\"},\"datasets\":{\"hash\":\"y\"}}", &one));
    assert_true(read_changes("{\"tenants\":{\"hash\":\"x\"},\"datasets\":{\"hash\":\"z\"}}", &two));
    assert_true(one.tenants == two.tenants && one.datasets != two.datasets);
    assert_true(read_changes(
        "{\"tenants\":{\"hash\":\"x\"},\"datasets\":{\"hash\":\"y\"},\"account\":{\"hash\":\"n\"}}", &two));
    assert_true(one.tenants != two.tenants);
    assert_false(read_changes("{}", &one));
    assert_false(read_changes("{\"tenants\":{\"hash\":\"x\"}}", &one));
    assert_false(read_changes("{\"tenants\":{\"hash\":5},\"datasets\":{\"hash\":\"y\"}}", &one));
    assert_false(read_changes("[]", &one));
}

// ---- the file ----

static void add_key(struct keys *keys, const char *tenant, uint8_t key)
{
    uint8_t hash[DIRECTORY_HASH_SIZE];

    memset(hash, key, sizeof hash);
    bfr_keys_add(keys, tenant, hash);
}

static void test_the_file_gives_back_what_was_written_and_nothing_else(void **state)
{
    char path[64] = "/tmp/bfr-test-directory-XXXXXX";
    struct directory_cache cache, other;
    struct directory *made = make_directory(5), *got = NULL;
    struct bfr_err err = {.size = sizeof err};
    struct stat info;
    struct keys keys = {0}, got_keys;
    (void)state;

    assert_non_null(mkdtemp(path));
    snprintf(path + strlen(path), sizeof path - strlen(path), "/cache");
    bfr_directory_cache_init(&cache, path, "http://c", "");
    add_key(&keys, "globex", 9);
    add_key(&keys, "acme", 7);
    assert_int_equal(bfr_directory_cache_read(&cache, &got, &got_keys, &err), BFR_OK);
    assert_null(got);
    assert_int_equal(bfr_directory_cache_write(&cache, made, &keys, &err), BFR_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    assert_int_equal(bfr_directory_cache_read(&cache, &got, &got_keys, &err), BFR_OK);
    assert_non_null(got);
    assert_int_equal(got->active_tenants, made->active_tenants);
    assert_int_equal(got->active_datasets, 1);
    uint32_t acme = bfr_directory_tenant(got, "acme");
    assert_memory_equal(got->tenants[acme].token, made->tenants[0].token, DIRECTORY_HASH_SIZE);
    uint32_t web = bfr_directory_dataset(got, acme, "web");
    assert_string_equal(bfr_directory_text(got, got->datasets[web].name), "A name");
    assert_string_equal(bfr_directory_text(got, got->datasets[web].hint), "ndjson");
    assert_false(got->accounts[bfr_directory_account(got, "a2")].active);
    assert_false(got->whole); // what is on disk proves no absence
    assert_int_equal(got->asked_ns, 0);
    assert_int_equal(got_keys.count, 2);
    assert_memory_equal(got_keys.items, keys.items, 2 * sizeof *keys.items);
    bfr_directory_free(got);
    bfr_keys_free(&got_keys);

    // Somebody removes it: it is there again after the next round, changed or not.
    assert_int_equal(unlink(path), 0);
    assert_int_equal(bfr_directory_cache_write(&cache, made, &keys, &err), BFR_OK);
    assert_int_equal(access(path, F_OK), 0);

    bfr_directory_cache_init(&other, path, "http://c", "a1");
    assert_int_equal(bfr_directory_cache_read(&other, &got, &got_keys, &err), BFR_OK);
    assert_null(got);
    assert_int_equal(got_keys.count, 0);

    // Every single byte counts.
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && info.st_size > 0);
    for (off_t at = 0; at < info.st_size; at++) {
        char byte, wrong;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        wrong = (char)(byte ^ 1);
        assert_int_equal(pwrite(fd, &wrong, 1, at), 1);
        assert_int_equal(bfr_directory_cache_read(&cache, &got, &got_keys, &err), BFR_EFAIL);
        assert_int_equal(got_keys.count, 0);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    bfr_keys_free(&keys);
    bfr_directory_free(made);
}

// What a reader makes of a file with these lines and the checksum that they should have.
static uint32_t read_lines(const char *lines, struct directory **out, struct keys *out_keys, struct bfr_err *err)
{
    char path[] = "/tmp/bfr-test-directory-XXXXXX";
    uint8_t hash[DIRECTORY_HASH_SIZE];
    char hex[2 * DIRECTORY_HASH_SIZE + 1], text[1024];
    struct directory_cache cache;

    int fd = mkstemp(path);
    assert_true(fd >= 0);
    bfr_directory_cache_init(&cache, path, "http://c", "");
    snprintf(text, sizeof text, "bytefreezer-directory\t1\t%s\n%s", cache.scope, lines);
    assert_int_equal(EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL), 1);
    bfr_hex(hash, sizeof hash, hex);
    dprintf(fd, "%sE\t%s\n", text, hex);
    close(fd);
    uint32_t status = bfr_directory_cache_read(&cache, out, out_keys, err);
    unlink(path);
    return status;
}

#define TENANT_LINES "A\ta1\t1\nT\tacme\t1\t-\tAcme\nD\tweb\t1\t\tWeb\n"
#define A_HASH       "0707070707070707070707070707070707070707070707070707070707070707"

static void test_a_file_without_keys_is_read_and_one_with_a_key_that_is_none_is_not(void **state)
{
    static const char *const damaged[] = {TENANT_LINES "K\tacme\t" A_HASH "07\n", TENANT_LINES "K\tacme\t07\n",
                                          TENANT_LINES "K\tacme\n", TENANT_LINES "K\t\t" A_HASH "\n",
                                          TENANT_LINES "K\tacme\t" A_HASH "\nK\tacme\tx\n"};
    struct bfr_err err = {.size = sizeof err};
    struct directory *got = NULL;
    struct keys keys;
    (void)state;

    assert_int_equal(read_lines(TENANT_LINES, &got, &keys, &err), BFR_OK);
    assert_int_equal(got->active_datasets, 1);
    assert_int_equal(keys.count, 0);
    bfr_directory_free(got);
    assert_int_equal(read_lines(TENANT_LINES "K\tacme\t" A_HASH "\n", &got, &keys, &err), BFR_OK);
    assert_int_equal(keys.count, 1);
    assert_string_equal(keys.items[0].tenant, "acme");
    assert_int_equal(keys.items[0].key[31], 7);
    bfr_directory_free(got);
    bfr_keys_free(&keys);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        assert_int_equal(read_lines(damaged[i], &got, &keys, &err), BFR_EFAIL);
        assert_null(got);
        assert_int_equal(keys.count, 0);
    }
}

static void test_no_more_keys_go_to_disk_than_are_remembered(void **state)
{
    struct directory *directory = bfr_directory_new();
    struct lookups *lookups = bfr_lookups_new();
    struct keys keys = {0}, found = {0};
    (void)state;

    assert_int_equal(KEYS_MAX, FACTS_GOOD_MAX);
    for (unsigned i = 0; i < KEYS_MAX + 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "t%u", i);
        (void)add_tenant(directory, "a1", id, true, 0);
        add_key(&keys, id, (uint8_t)i);
    }
    assert_int_equal(keys.count, KEYS_MAX);
    bfr_lookups_restore(lookups, &keys);
    uint64_t changes = bfr_lookups_key_changes(lookups);
    assert_true(changes > 0);
    bfr_lookups_keys(lookups, directory, &found);
    bfr_keys_sort(&keys);
    assert_int_equal(found.count, KEYS_MAX);
    assert_memory_equal(found.items, keys.items, KEYS_MAX * sizeof *keys.items);
    assert_int_equal(bfr_lookups_key_changes(lookups), changes);
    bfr_keys_free(&found);
    bfr_keys_free(&keys);
    bfr_directory_free(directory);

    // Those of a tenant that the directory does not have are not kept.
    directory = bfr_directory_new();
    (void)add_tenant(directory, "a1", "t5", true, 0);
    bfr_lookups_keys(lookups, directory, &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].tenant, "t5");
    bfr_keys_free(&found);
    bfr_directory_free(directory);
    bfr_lookups_free(lookups);
}

// ---- facts ----

static struct fact_subject about(enum fact_kind kind, const char *tenant, const char *dataset, uint8_t key)
{
    struct fact_subject subject = {.kind = kind};

    snprintf(subject.tenant, sizeof subject.tenant, "%s", tenant);
    snprintf(subject.dataset, sizeof subject.dataset, "%s", dataset);
    memset(subject.key, key, sizeof subject.key);
    return subject;
}

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

static void test_a_key_that_is_refused_is_withdrawn_where_no_lock_is_taken(void **state)
{
    struct fact_subject subject = about(FACT_KEY, "acme", "", 7), need;
    struct directory *directory = make_directory(1);
    struct bfr_verdict verdict = {.size = sizeof verdict};
    struct facts facts;
    bool renew;
    (void)state;

    assert_true(bfr_facts_init(&facts));
    struct judge_limits limits = {.now_ns = 100, .key_ns = 50, .accepted = facts.accepted};
    struct judge_question question = {.tenant = "acme",
                                      .dataset = "web",
                                      .require_token = true,
                                      .fault = BEARER_OK,
                                      .key = subject.key,
                                      .asked_ns = 100};
    struct fact *fact = bfr_facts_get(&facts, &subject);
    bfr_fact_settle(&facts, fact, FACT_GOOD, 90);
    assert_int_equal(bfr_judge(directory, NULL, &question, &limits, &verdict, &need, &renew), JUDGE_ASK);
    assert_int_equal(bfr_judge(directory, &facts, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    limits.now_ns = 139;
    assert_int_equal(bfr_judge(directory, NULL, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    assert_int_equal(verdict.decision, BFR_ALLOW);
    limits.now_ns = 140; // due to be asked about again
    assert_int_equal(bfr_judge(directory, NULL, &question, &limits, &verdict, &need, &renew), JUDGE_ASK);
    limits.now_ns = 139;
    bfr_fact_settle(&facts, fact, FACT_FOREIGN, 120);
    assert_int_equal(bfr_judge(directory, NULL, &question, &limits, &verdict, &need, &renew), JUDGE_ASK);
    bfr_facts_free(&facts);
    bfr_directory_free(directory);
}

static void test_a_key_accepted_before_the_start_is_asked_about_at_once_and_stays_until_it_is_refused(void **state)
{
    struct fact_subject subject = about(FACT_KEY, "acme", "", 7), need;
    struct directory *directory = make_directory(1);
    struct bfr_verdict verdict = {.size = sizeof verdict};
    struct facts facts;
    bool renew;
    (void)state;

    assert_true(bfr_facts_init(&facts));
    struct judge_limits limits = {.now_ns = 1000, .max_stale_ns = 1, .key_ns = 5000, .accepted = facts.accepted};
    struct judge_question question = {.tenant = "acme",
                                      .dataset = "web",
                                      .require_token = true,
                                      .fault = BEARER_OK,
                                      .key = subject.key,
                                      .asked_ns = 1000};
    struct fact *fact = bfr_facts_get(&facts, &subject);
    bfr_fact_settle(&facts, fact, FACT_GOOD, 0);
    uint64_t changes = facts.key_changes;
    assert_int_equal(bfr_judge(directory, &facts, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    assert_int_equal(verdict.decision, BFR_ALLOW);
    assert_true(renew);
    assert_int_equal(need.kind, FACT_KEY);
    bfr_fact_settle(&facts, fact, FACT_FAILED, 1001); // the service is away
    assert_int_equal(bfr_judge(directory, &facts, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    assert_int_equal(verdict.decision, BFR_ALLOW);
    assert_int_equal(facts.key_changes, changes);
    bfr_fact_settle(&facts, fact, FACT_WRONG, 1002);
    assert_int_equal(facts.key_changes, changes + 1);
    assert_int_not_equal(bfr_judge(directory, &facts, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    bfr_fact_settle(&facts, fact, FACT_FOREIGN, 1003);
    assert_int_equal(facts.key_changes, changes + 1);
    bfr_facts_free(&facts);
    bfr_directory_free(directory);
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
    struct judge_limits limits = {.now_ns = 100 * S, .max_stale_ns = 120 * S, .key_ns = 30 * S};
    (void)state;

    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        const struct verdict_case *one = &verdicts[i];
        struct directory *directory = make_directory(one->directory_ns == 0 ? 5 * S : one->directory_ns);
        struct bfr_verdict verdict = {.size = sizeof verdict};
        struct fact_subject need = {.kind = 0};
        struct facts facts;
        uint8_t key[DIRECTORY_HASH_SIZE];
        bool renew;

        memset(key, one->key, sizeof key);
        assert_true(bfr_facts_init(&facts));
        add_facts(&facts, one);
        struct judge_question question = {.tenant = one->tenant,
                                          .dataset = one->dataset,
                                          .require_token = true,
                                          .fault = one->key == 0 ? BEARER_ABSENT : BEARER_OK,
                                          .key = one->key == 0 ? NULL : key,
                                          .asked_ns = 100 * S};
        enum judge_need got =
            bfr_judge(one->no_directory ? NULL : directory, &facts, &question, &limits, &verdict, &need, &renew);
        enum judge_need asks = one->again ? JUDGE_ASK_AGAIN : JUDGE_ASK;
        bool right = one->decision == 0 ? got == asks && need.kind == one->need
                                        : got == JUDGE_SETTLED && verdict.decision == one->decision &&
                                              (one->decision != BFR_DENY || verdict.deny == one->deny);
        if (!right)
            fail_msg("%s: got %d, decision %u deny %u (%s), need %d", one->what, got, verdict.decision, verdict.deny,
                     verdict.text, need.kind);
        bfr_facts_free(&facts);
        bfr_directory_free(directory);
    }
}

static void test_lists_older_than_max_stale_prove_nothing(void **state)
{
    struct judge_limits limits = {.now_ns = 105 * S, .max_stale_ns = 4 * S, .key_ns = 30 * S};
    struct directory *directory = make_directory(100 * S);
    struct bfr_verdict verdict = {.size = sizeof verdict};
    struct fact_subject subject = about(FACT_TENANT, "nosuch", "", 0), need;
    struct judge_question question = {.tenant = "nosuch", .dataset = "d", .asked_ns = 100 * S};
    struct facts facts;
    bool renew;
    (void)state;

    assert_true(bfr_facts_init(&facts));
    bfr_fact_settle(&facts, bfr_facts_get(&facts, &subject), FACT_FAILED, 100 * S);
    assert_int_equal(bfr_judge(directory, &facts, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    assert_int_equal(verdict.decision, BFR_UNKNOWN);
    limits = (struct judge_limits){.now_ns = 100 * S, .max_stale_ns = 0, .key_ns = 30 * S}; // none at all
    assert_int_equal(bfr_judge(directory, &facts, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    assert_int_equal(verdict.decision, BFR_UNKNOWN);
    limits = (struct judge_limits){.now_ns = 105 * S, .max_stale_ns = 6 * S, .key_ns = 30 * S};
    assert_int_equal(bfr_judge(directory, &facts, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    assert_int_equal(verdict.decision, BFR_DENY);
    directory->whole = false; // cut somewhere
    assert_int_equal(bfr_judge(directory, &facts, &question, &limits, &verdict, &need, &renew), JUDGE_SETTLED);
    assert_int_equal(verdict.decision, BFR_UNKNOWN);
    bfr_facts_free(&facts);
    bfr_directory_free(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_hundred_thousand_datasets_fit_and_are_found),
        cmocka_unit_test(test_adding_a_tenant_again_replaces_it_and_keeps_the_count),
        cmocka_unit_test(test_an_answer_of_another_shape_says_nothing),
        cmocka_unit_test(test_a_list_is_whole_unless_it_was_cut),
        cmocka_unit_test(test_ids_that_no_sender_can_name_are_left_out),
        cmocka_unit_test(test_the_change_detector_must_cover_both_or_it_detects_nothing),
        cmocka_unit_test(test_the_file_gives_back_what_was_written_and_nothing_else),
        cmocka_unit_test(test_a_file_without_keys_is_read_and_one_with_a_key_that_is_none_is_not),
        cmocka_unit_test(test_no_more_keys_go_to_disk_than_are_remembered),
        cmocka_unit_test(test_a_flood_of_misses_does_not_push_out_what_is_good),
        cmocka_unit_test(test_an_accepted_key_for_each_of_ten_thousand_tenants_is_kept),
        cmocka_unit_test(test_what_is_in_flight_is_never_forgotten),
        cmocka_unit_test(test_an_accepted_key_is_found_for_its_tenant_alone_until_it_ends_or_is_withdrawn),
        cmocka_unit_test(test_a_reader_beside_the_writer_never_sees_half_of_one_and_half_of_another),
        cmocka_unit_test(test_a_key_that_is_refused_is_withdrawn_where_no_lock_is_taken),
        cmocka_unit_test(test_a_key_accepted_before_the_start_is_asked_about_at_once_and_stays_until_it_is_refused),
        cmocka_unit_test(test_verdicts_by_certainty),
        cmocka_unit_test(test_lists_older_than_max_stale_prove_nothing),
    };
    return cmocka_run_group_tests_name("the directory of mode control", tests, NULL, NULL);
}
