// SPDX-License-Identifier: Apache-2.0
// The sidecar: whoever sees the data finds it, it tells the envelope, and it never costs anyone a file.
#include "fs_stage.h"

#include <jansson.h>

static json_t *read_sidecar(struct stage *stage, const char *below)
{
    json_t *object = json_load_file(path_of(stage, below), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    return object;
}

static const char *member(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    return text;
}

static void assert_describes(struct stage *stage, const char *below, const char *body)
{
    uint8_t sha256[32];
    char hex[65];
    json_t *object = read_sidecar(stage, below);

    bfr_fake_sha256(body, strlen(body), sha256);
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
    assert_string_equal(member(object, "stored_sha256"), hex);
    assert_int_equal(json_integer_value(json_object_get(object, "bytes")), strlen(body));
    json_decref(object);
}

static void test_the_sidecar_has_the_envelope(void **state)
{
    struct stage stage = open_stage("sidecar=true");
    (void)state;

    assert_int_equal(store(&stage, "acme", "web", "a.gz", "hello").outcome, BFR_STORED);
    assert_content(&stage, "acme/web/a.gz", "hello");
    assert_int_equal(count_entries(&stage, "acme/web"), 2);
    assert_describes(&stage, "acme/web/a.gz.json", "hello");
    json_t *object = read_sidecar(&stage, "acme/web/a.gz.json");
    assert_string_equal(member(object, "tenant"), "acme");
    assert_string_equal(member(object, "dataset"), "web");
    assert_string_equal(member(object, "filename"), "a.gz");
    assert_string_equal(member(object, "filename_source"), "proxy");
    assert_non_null(strstr(member(object, "received_at"), "Z"));
    json_decref(object);
    close_stage(&stage);
}

static void test_without_the_option_there_is_none(void **state)
{
    struct stage stage = open_stage("sidecar=false");
    (void)state;

    assert_int_equal(store(&stage, "acme", "web", "a.gz", "hello").outcome, BFR_STORED);
    assert_int_equal(count_entries(&stage, "acme/web"), 1);
    close_stage(&stage);
}

static void test_a_conflict_leaves_the_first_ones_sidecar(void **state)
{
    struct stage stage = open_stage("sidecar=true");
    (void)state;

    assert_int_equal(store(&stage, "acme", "web", "a.gz", "first").outcome, BFR_STORED);
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "second").outcome, BFR_REJECT);
    assert_describes(&stage, "acme/web/a.gz.json", "first");
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "first").outcome, BFR_STORED);
    assert_int_equal(count_entries(&stage, "acme/web"), 2);
    close_stage(&stage);
}

// Data from before the option was set: a conflict must not give it a sidecar about other bytes, a duplicate may.
static void test_data_without_a_sidecar_never_gets_a_wrong_one(void **state)
{
    struct stage stage = open_stage("sidecar=true");
    (void)state;

    make_dir(&stage, "acme");
    make_dir(&stage, "acme/web");
    write_file(&stage, "acme/web/a.gz", "first");
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "second").outcome, BFR_REJECT);
    assert_false(exists(&stage, "acme/web/a.gz.json"));
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "first").outcome, BFR_STORED);
    assert_describes(&stage, "acme/web/a.gz.json", "first");
    close_stage(&stage);
}

// A crash between the two renames leaves a sidecar without data.
static void test_an_orphan_of_an_earlier_try_is_replaced(void **state)
{
    struct stage stage = open_stage("sidecar=true");
    (void)state;

    assert_int_equal(store(&stage, "acme", "web", "a.gz", "first").outcome, BFR_STORED);
    assert_int_equal(unlink(path_of(&stage, "acme/web/a.gz")), 0);
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "second").outcome, BFR_STORED);
    assert_content(&stage, "acme/web/a.gz", "second");
    assert_describes(&stage, "acme/web/a.gz.json", "second");
    close_stage(&stage);
}

static void test_a_batch_called_like_a_sidecar_is_not_replaced(void **state)
{
    struct stage stage = open_stage("sidecar=true");
    (void)state;

    assert_int_equal(store(&stage, "acme", "web", "a.json", "{\"data\": 1}").outcome, BFR_STORED);
    struct bfr_fake_end end = store(&stage, "acme", "web", "a", "x");
    assert_int_equal(end.outcome, BFR_REJECT);
    assert_int_equal(end.reason, BFR_REASON_CONFLICT);
    assert_text_has(&end, "a.json");
    assert_content(&stage, "acme/web/a.json", "{\"data\": 1}");
    assert_false(exists(&stage, "acme/web/a"));
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sidecar_has_the_envelope),
        cmocka_unit_test(test_without_the_option_there_is_none),
        cmocka_unit_test(test_a_conflict_leaves_the_first_ones_sidecar),
        cmocka_unit_test(test_data_without_a_sidecar_never_gets_a_wrong_one),
        cmocka_unit_test(test_an_orphan_of_an_earlier_try_is_replaced),
        cmocka_unit_test(test_a_batch_called_like_a_sidecar_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
