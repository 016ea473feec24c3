// SPDX-License-Identifier: Apache-2.0
// tenants.yaml: what is accepted, and the exact words for what is not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "tenants_file.h"

#define H64          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HASH         "\"sha256:" H64 "\""
#define TENANT(name) "{tenant: " name ", datasets: [web], tokens: [" HASH "]}"
#define ID_RULE      "an id has 1 to 64 of A-Z a-z 0-9 . _ - and no leading dot"
#define HASH_RULE    "not a token hash (\"sha256:\" and 64 hex digits); make one with 'bytefreezer-receiver token hash'"

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/bfr-test-tenants-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static struct roster *read_good(const char *text, bool require_token)
{
    struct bfr_err err = {.size = sizeof err};
    struct roster *roster = NULL;
    bool open_to_all = true;

    write_text(text);
    if (bfr_tenants_file_read(path, require_token, &roster, &open_to_all, &err) != BFR_OK)
        fail_msg("%s", err.text);
    assert_false(open_to_all);
    return roster;
}

static void test_the_documented_form_is_read(void **state)
{
    uint8_t hash[32], other[32] = {0};
    (void)state;

    struct roster *roster =
        read_good("tenants:\n"
                  "  - {account: a1, tenant: acme, datasets: [fw, web], tokens: [" HASH "]}\n"
                  "  - tenant: beta\n"
                  "    datasets: \"*\"\n"
                  "    tokens:\n"
                  "      - \"sha256:" H64 "\"\n"
                  "      - sha256:FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFffffffffffffffffffffffffffffffff\n",
                  true);
    for (size_t i = 0; i < 32; i++)
        hash[i] = (uint8_t)(0x01 + 0x22 * (i % 8));
    const struct roster_tenant *acme = bfr_roster_find(roster, "acme");
    const struct roster_tenant *beta = bfr_roster_find(roster, "beta");
    assert_string_equal(acme->account, "a1");
    assert_string_equal(beta->account, "");
    assert_true(bfr_roster_has_dataset(roster, acme, "fw"));
    assert_true(bfr_roster_has_dataset(roster, acme, "web"));
    assert_false(bfr_roster_has_dataset(roster, acme, "we"));
    assert_true(bfr_roster_has_dataset(roster, beta, "anything"));
    assert_true(bfr_roster_owns_token(roster, acme, hash));
    assert_true(bfr_roster_owns_token(roster, beta, hash));
    assert_false(bfr_roster_owns_token(roster, acme, other));
    assert_false(bfr_roster_owns_token(roster, NULL, hash));
    assert_true(bfr_roster_knows_token(roster, hash));
    memset(hash, 0xff, sizeof hash);
    assert_true(bfr_roster_owns_token(roster, beta, hash));
    assert_false(bfr_roster_owns_token(roster, acme, hash));
    assert_null(bfr_roster_find(roster, "gamma"));
    // The places that acme does not fill are compared as zeros: they must not open it.
    assert_false(bfr_roster_owns_token(roster, acme, other));
    bfr_roster_free(roster);
}

// One token for all tenants of an account: whoever asks for it must not walk over all of them.
static void test_a_token_of_many_tenants_is_known_by_one_entry(void **state)
{
    (void)state;
    static const uint8_t shared[ROSTER_HASH_SIZE] = {1}, own[ROSTER_HASH_SIZE] = {2};
    struct roster *roster = bfr_roster_new();
    assert_non_null(roster);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        assert_true(bfr_roster_add_tenant(roster, "a", name));
        assert_true(bfr_roster_add_token(roster, shared));
    }
    assert_true(bfr_roster_add_token(roster, own));
    assert_int_equal(roster->by_token.used, 2);
    assert_true(bfr_roster_knows_token(roster, shared));
    assert_true(bfr_roster_knows_token(roster, own));
    assert_true(bfr_roster_owns_token(roster, bfr_roster_find(roster, "t0"), shared));
    assert_true(bfr_roster_owns_token(roster, bfr_roster_find(roster, "t999"), shared));
    assert_true(bfr_roster_owns_token(roster, bfr_roster_find(roster, "t999"), own));
    assert_false(bfr_roster_owns_token(roster, bfr_roster_find(roster, "t0"), own));
    bfr_roster_free(roster);
}

static void test_anchors_and_an_empty_list_are_fine(void **state)
{
    (void)state;
    struct roster *roster = read_good("tenants:\n"
                                      "  - {tenant: a, datasets: &sets [fw], tokens: &keys [" HASH "]}\n"
                                      "  - {tenant: b, datasets: *sets, tokens: *keys}\n",
                                      true);
    assert_true(bfr_roster_has_dataset(roster, bfr_roster_find(roster, "b"), "fw"));
    bfr_roster_free(roster);
    bfr_roster_free(read_good("tenants: []\n", true));
    bfr_roster_free(read_good("tenants: [{tenant: a, datasets: [], tokens: []}, {tenant: b, datasets: '*'}]\n", false));
}

static void test_thousands_of_tenants_are_found(void **state)
{
    char name[16];
    FILE *file = fopen(path, "w");
    (void)state;

    fputs("tenants:\n", file);
    for (int i = 0; i < 5000; i++)
        fprintf(file, "- {tenant: t%d, datasets: [d%d], tokens: [\"sha256:%064x\"]}\n", i, i, i + 1);
    assert_int_equal(fclose(file), 0);
    struct bfr_err err = {.size = sizeof err};
    struct roster *roster = NULL;
    bool open_to_all;
    assert_int_equal(bfr_tenants_file_read(path, true, &roster, &open_to_all, &err), BFR_OK);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        const struct roster_tenant *tenant = bfr_roster_find(roster, name);
        assert_string_equal(tenant->tenant, name);
        name[0] = 'd';
        assert_true(bfr_roster_has_dataset(roster, tenant, name));
        assert_false(bfr_roster_has_dataset(roster, tenant, i == 7 ? "d8" : "d7"));
        if (i == 7)
            assert_true(bfr_roster_has_dataset(roster, tenant, "d7"));
    }
    bfr_roster_free(roster);
}

// `expected`: the message with "@" for the file's path.
struct bad_file {
    const char *text;
    const char *expected;
};

static const struct bad_file bad_files[] = {
    {"", "@: empty; write 'tenants:' and a list"},
    {"# nothing\n", "@: empty; write 'tenants:' and a list"},
    {"- a\n", "@:1:1: must be a mapping with the key 'tenants'"},
    {"{}\n", "@:1:1: 'tenants' is missing"},
    {"tenants: 7\n", "@:1:10: tenants must be a list"},
    {"tenants:\n", "@:1:9: tenants must be a list"},
    {"tenants: []\ntenant: []\n", "@:2:1: unknown key 'tenant'; known here: tenants"},
    {"tenants: []\ntenants: []\n", "@:2:1: 'tenants' is given twice"},
    {"tenants: [acme]\n", "@:1:11: a tenant must be a mapping with the keys account, tenant, datasets, tokens"},
    {"tenants:\n- {tenant: a, dataset: [x], datasets: [x], tokens: [" HASH "]}\n",
     "@:2:15: unknown key 'dataset'; known here: account, tenant, datasets, tokens"},
    {"tenants:\n- {tenant: a, tenant: b, datasets: [x], tokens: [" HASH "]}\n", "@:2:15: 'tenant' is given twice"},
    {"tenants:\n- {datasets: [x], tokens: [" HASH "]}\n", "@:2:3: 'tenant' is missing"},
    {"tenants:\n- {tenant: a, tokens: [" HASH "]}\n",
     "@:2:3: 'datasets' is missing; list ids, or write datasets: \"*\" for all"},
    {"tenants:\n- {tenant: a, datasets: [x]}\n",
     "@:2:3: 'tokens' is missing; list at least one \"sha256:<64 hex digits>\""},
    {"tenants:\n- {tenant: a, datasets: [x], tokens: []}\n",
     "@:2:38: no token, so nobody can send for this tenant; add one or remove the tenant"},
    {"tenants:\n- {tenant: a, datasets: [x], tokens: " HASH "}\n",
     "@:2:38: tokens must be a list of \"sha256:<64 hex digits>\""},
    {"tenants:\n- {tenant: a, datasets: web, tokens: [" HASH "]}\n",
     "@:2:25: datasets must be a list of ids, or \"*\" for all"},
    {"tenants:\n- {tenant: a, datasets: [\"*\"], tokens: [" HASH "]}\n", "@:2:26: bad dataset; " ID_RULE},
    {"tenants:\n- {tenant: .a, datasets: [x], tokens: [" HASH "]}\n", "@:2:12: bad tenant; " ID_RULE},
    {"tenants:\n- {tenant: a/b, datasets: [x], tokens: [" HASH "]}\n", "@:2:12: bad tenant; " ID_RULE},
    {"tenants:\n- {tenant: '', datasets: [x], tokens: [" HASH "]}\n", "@:2:12: bad tenant; " ID_RULE},
    {"tenants:\n- {tenant: \"a\\0b\", datasets: [x], tokens: [" HASH "]}\n", "@:2:12: bad tenant; " ID_RULE},
    {"tenants:\n- {tenant: [a], datasets: [x], tokens: [" HASH "]}\n", "@:2:12: bad tenant; " ID_RULE},
    {"tenants:\n- {tenant: " H64 "0, datasets: [x], tokens: [" HASH "]}\n", "@:2:12: bad tenant; " ID_RULE},
    {"tenants:\n- {account: 'a b', tenant: a, datasets: [x], tokens: [" HASH "]}\n", "@:2:13: bad account; " ID_RULE},
    {"tenants:\n- " TENANT("a") "\n- " TENANT("a") "\n", "@:3:12: tenant 'a' is listed twice; merge the two entries"},
    {"tenants:\n- {tenant: a, datasets: [x], tokens: [hunter2]}\n", "@:2:39: " HASH_RULE},
    {"tenants:\n- {tenant: a, datasets: [x], tokens: [\"sha256:12\"]}\n", "@:2:39: " HASH_RULE},
    {"tenants:\n- {tenant: a, datasets: [x], tokens: [\"sha256:" H64 "0\"]}\n", "@:2:39: " HASH_RULE},
    {"tenants:\n- {tenant: a, datasets: [x], tokens: [\"sha512:" H64 "\"]}\n", "@:2:39: " HASH_RULE},
    {"tenants:\n- {tenant: a, datasets: [x], tokens: "
     "[\"sha256:g123456789abcdef0123456789abcdef0123456789abcdef0123456789"
     "abcdef\"]}\n",
     "@:2:39: " HASH_RULE},
    {"tenants:\n- {tenant: .a, datasets: [.x], tokens: [x]}\n",
     "@:2:12: bad tenant; " ID_RULE "; @:2:27: bad dataset; " ID_RULE "; @:2:41: " HASH_RULE},
    {"tenants: []\n---\ntenants: []\n", "@:3:1: a second YAML document; put all tenants into the first"},
    {"tenants: [\n", "@:2:1: did not find expected node content"},
    {"tenants: *nobody\n", "@:1:10: found undefined alias"},
    {"tenants: \"\xff\"\n", "@: invalid leading UTF-8 octet at byte 10"},
};

static void expand(const char *text, char *out, size_t size)
{
    size_t length = 0;

    for (out[0] = '\0'; *text != '\0' && length < size; text++)
        length +=
            (size_t)snprintf(out + length, size - length, *text == '@' ? "%s" : "%.1s", *text == '@' ? path : text);
}

static void test_every_fault_is_told_with_its_place(void **state)
{
    char expected[2048];
    (void)state;

    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        struct bfr_err err = {.size = sizeof err};
        struct roster *roster = NULL;
        bool open_to_all;
        write_text(bad_files[i].text);
        expand(bad_files[i].expected, expected, sizeof expected);
        if (bfr_tenants_file_read(path, true, &roster, &open_to_all, &err) != BFR_EINVAL)
            fail_msg("accepted: %s", bad_files[i].text);
        assert_string_equal(err.text, expected);
        assert_null(roster);
    }
}

static void test_what_does_not_fit_is_counted(void **state)
{
    struct bfr_err err = {.size = sizeof err};
    struct roster *roster = NULL;
    bool open_to_all;
    FILE *file = fopen(path, "w");
    size_t shown = 0;
    unsigned more = 0;
    (void)state;

    fputs("tenants:\n", file);
    for (int i = 0; i < 100; i++)
        fputs("- {tenant: .x, datasets: '*', tokens: [" HASH "]}\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(bfr_tenants_file_read(path, true, &roster, &open_to_all, &err), BFR_EINVAL);
    for (const char *at = err.text; (at = strstr(at, "bad tenant")) != NULL; at++)
        shown++;
    const char *tail = strstr(err.text, "; and ");
    assert_non_null(tail);
    assert_int_equal(sscanf(tail, "; and %u more", &more), 1);
    assert_true(shown >= 4);
    assert_int_equal(shown + more, 100);
}

static void test_too_many_tokens_are_refused(void **state)
{
    struct bfr_err err = {.size = sizeof err};
    struct roster *roster = NULL;
    bool open_to_all;
    FILE *file = fopen(path, "w");
    (void)state;

    fputs("tenants: [{tenant: a, datasets: '*', tokens: [", file);
    for (int i = 0; i < ROSTER_TOKENS_MAX + 1; i++)
        fputs(HASH ",", file);
    fputs("]}]\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(bfr_tenants_file_read(path, true, &roster, &open_to_all, &err), BFR_EINVAL);
    assert_non_null(strstr(err.text, "65 tokens; one tenant can have 64"));
}

static void test_a_file_that_is_none_is_refused(void **state)
{
    struct bfr_err err = {.size = sizeof err};
    struct roster *roster = NULL;
    bool open_to_all;
    (void)state;

    assert_int_equal(bfr_tenants_file_read("/nonexistent/t.yaml", true, &roster, &open_to_all, &err), BFR_EINVAL);
    assert_string_equal(err.text, "/nonexistent/t.yaml: cannot open: No such file or directory; tenants_file must name "
                                  "a file that the service can read");
    assert_int_equal(bfr_tenants_file_read("/tmp", true, &roster, &open_to_all, &err), BFR_EINVAL);
    assert_string_equal(err.text, "/tmp: not a regular file; tenants_file must name one");
}

static void test_a_file_that_anyone_may_write_is_noticed(void **state)
{
    struct bfr_err err = {.size = sizeof err};
    struct roster *roster = NULL;
    bool open_to_all = false;
    (void)state;

    write_text("tenants: []\n");
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(bfr_tenants_file_read(path, true, &roster, &open_to_all, &err), BFR_OK);
    assert_true(open_to_all);
    bfr_roster_free(roster);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_path, remove_path)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(test_the_documented_form_is_read),
        WITH_FILE(test_a_token_of_many_tenants_is_known_by_one_entry),
        WITH_FILE(test_anchors_and_an_empty_list_are_fine),
        WITH_FILE(test_thousands_of_tenants_are_found),
        WITH_FILE(test_every_fault_is_told_with_its_place),
        WITH_FILE(test_what_does_not_fit_is_counted),
        WITH_FILE(test_too_many_tokens_are_refused),
        WITH_FILE(test_a_file_that_is_none_is_refused),
        WITH_FILE(test_a_file_that_anyone_may_write_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
