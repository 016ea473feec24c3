// SPDX-License-Identifier: Apache-2.0
// The directory of mode control: reading answers, the table, and the file.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include <bfr/text.h>

#include "control_fixture.h"
#include "control_json.h"
#include "directory_cache.h"
#include "lookup.h"

// ---- the table ----

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
    };
    return cmocka_run_group_tests_name("the directory of mode control", tests, NULL, NULL);
}
