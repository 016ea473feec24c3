// SPDX-License-Identifier: Apache-2.0
// Paths, ids, filenames and the senders' metadata: every rule with its exact outcome.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http_meta.h"
#include "http_name.h"
#include "http_target.h"

static struct bfr_span span(const char *text)
{
    return (struct bfr_span){(const uint8_t *)text, strlen(text)};
}

static void test_any_prefix_leads_to_tenant_and_dataset(void **state)
{
    (void)state;
    static const struct {
        const char *path, *tenant, *dataset;
    } cases[] = {
        {"/acme/fw", "acme", "fw"},
        {"/webhook/acme/fw", "acme", "fw"},
        {"/api/v1/ingest/acme/fw", "acme", "fw"},
        {"/data/acme/fw?x=1&y=/z/", "acme", "fw"},
        {"/a--b/c--d", "a--b", "c--d"},
        {"/A._-9/b", "A._-9", "b"},
        {"/acme./fw.", "acme", "fw"},
        {"/acme/..fw/t/d", "t", "d"},
        {"/health/health", "health", "health"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_target target;
        assert_int_equal(bfr_target_parse(span(cases[i].path), &target), BFR_REFUSE_NONE);
        assert_int_equal(target.route, BFR_ROUTE_INGEST);
        assert_string_equal(target.tenant, cases[i].tenant);
        assert_string_equal(target.dataset, cases[i].dataset);
    }
}

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static void test_paths_and_ids_are_refused_with_their_reason(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum bfr_refusal refusal;
    } cases[] = {
        {"/", BFR_REFUSE_NO_ROUTE},       {"/acme", BFR_REFUSE_NO_ROUTE}, {"/healthz", BFR_REFUSE_NO_ROUTE},
        {"/Health", BFR_REFUSE_NO_ROUTE}, {"/acme/", BFR_REFUSE_PATH},    {"/acme/fw/", BFR_REFUSE_PATH},
        {"//fw", BFR_REFUSE_PATH},        {"/acme//fw", BFR_REFUSE_PATH}, {"/acme/f%77", BFR_REFUSE_PATH},
        {"/acme/.fw", BFR_REFUSE_ID},     {"/acme/..", BFR_REFUSE_ID},    {"/acme/.", BFR_REFUSE_ID},
        {"/./fw", BFR_REFUSE_ID},         {"/../fw", BFR_REFUSE_ID},      {"/a:b/fw", BFR_REFUSE_ID},
        {"/acme/f@w", BFR_REFUSE_ID},     {"/acme/f\\w", BFR_REFUSE_ID},  {"/acme/" X64 "x", BFR_REFUSE_ID},
        {"/" X64 "x/fw", BFR_REFUSE_ID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_target target;
        if (bfr_target_parse(span(cases[i].path), &target) != cases[i].refusal)
            fail_msg("%s", cases[i].path);
    }
    struct bfr_target target;
    assert_int_equal(bfr_target_parse(span("/" X64 "./" X64), &target), BFR_REFUSE_NONE);
    assert_string_equal(target.tenant, X64);
    assert_int_equal(bfr_target_parse(span("/health?now"), &target), BFR_REFUSE_NONE);
    assert_int_equal(target.route, BFR_ROUTE_HEALTH);
}

static void test_names_are_completed_as_the_bucket_reader_needs_them(void **state)
{
    (void)state;
    static const struct {
        const char *given, *stored;
    } cases[] = {
        {"acme--fw--1700000000000000000--ndjson.gz", "acme--fw--1700000000000000000--ndjson.gz"},
        {"acme--fw--1700000000000000000--.gz", "acme--fw--1700000000000000000--.gz"},
        {"acme--fw--1--ndjson", "acme--fw--1--ndjson.gz"},
        {"batch1.ndjson.gz", "batch1--ndjson.gz"},
        {"batch1.ndjson", "batch1--ndjson.gz"},
        {"acme--fw--1.ndjson.gz", "acme--fw--1--ndjson.gz"},
        {"other--fw--1.log.gz", "other--fw--1.log.gz"}, // three parts: not compared
        {"x.GZ", "x.GZ.gz"},
        {"a b.gz", "a b.gz"},
        {"\xc3\xa4.gz", "\xc3\xa4.gz"},
    };
    struct bfr_target target;
    assert_int_equal(bfr_target_parse(span("/acme/fw"), &target), BFR_REFUSE_NONE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char stored[BFR_NAME_ROOM];
        assert_int_equal(bfr_name_check(&target, span(cases[i].given), stored), BFR_REFUSE_NONE);
        assert_string_equal(stored, cases[i].stored);
    }
}

static void test_names_that_could_do_harm_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "a/b.gz",       "../x.gz", "a\\b.gz",     "a..gz",           "a.",
        "a..ndjson.gz", "..",      "a\tb.gz",     "a\x01.gz",        "a\x7f.gz",
        "\xff.gz",      "\xc3.gz", "\xc0\xaf.gz", "\xed\xa0\x80.gz", "\xf4\x90\x80\x80.gz",
        "\xc2\x85.gz",
    };
    struct bfr_target target;
    assert_int_equal(bfr_target_parse(span("/acme/fw"), &target), BFR_REFUSE_NONE);
    char stored[BFR_NAME_ROOM];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (bfr_name_check(&target, span(cases[i]), stored) != BFR_REFUSE_FILENAME)
            fail_msg("'%s'", cases[i]);
}

static void test_a_name_has_at_most_240_bytes_as_given_and_as_stored(void **state)
{
    (void)state;
    struct bfr_target target;
    assert_int_equal(bfr_target_parse(span("/acme/fw"), &target), BFR_REFUSE_NONE);
    char name[256];
    char stored[BFR_NAME_ROOM];
    memset(name, 'a', sizeof name);
    for (size_t size = 236; size <= 242; size++) {
        struct bfr_span plain = {(const uint8_t *)name, size};
        assert_int_equal(bfr_name_check(&target, plain, stored),
                         size + 3 <= 240 ? BFR_REFUSE_NONE : BFR_REFUSE_FILENAME);
        char with[256];
        snprintf(with, sizeof with, "%.*s.gz", (int)size - 3, name);
        assert_int_equal(bfr_name_check(&target, span(with), stored),
                         size <= 240 ? BFR_REFUSE_NONE : BFR_REFUSE_FILENAME);
    }
}

static void test_a_name_of_four_parts_must_begin_with_the_ids_of_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *path, *name;
        enum bfr_refusal refusal;
    } cases[] = {
        {"/acme/fw", "acme--fw--1--x.gz", BFR_REFUSE_NONE},
        {"/acme/fw", "acme--web--1--x.gz", BFR_REFUSE_FILENAME_IDS},
        {"/acme/fw", "other--fw--1--x.gz", BFR_REFUSE_FILENAME_IDS},
        {"/acme/fw", "acme--fwx--1--x.gz", BFR_REFUSE_FILENAME_IDS},
        {"/acme/fw", "xacme--fw--1--x.gz", BFR_REFUSE_FILENAME_IDS},
        {"/acme/fw", "ACME--fw--1--x.gz", BFR_REFUSE_FILENAME_IDS},
        {"/a--b/c", "a--b--c--1--x.gz", BFR_REFUSE_NONE},
        {"/a--b/c--d", "a--b--c--d--1--x.gz", BFR_REFUSE_NONE},
        {"/a/b--c--d", "a--b--c--d--1--x.gz", BFR_REFUSE_NONE},
        {"/acme./fw.", "acme.--fw.--1--x.gz", BFR_REFUSE_NONE},
        {"/acme./fw.", "acme--fw--1--x.gz", BFR_REFUSE_NONE},
        {"/acme/fw", "acme.--fw--1--x.gz", BFR_REFUSE_FILENAME_IDS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_target target;
        char stored[BFR_NAME_ROOM];
        assert_int_equal(bfr_target_parse(span(cases[i].path), &target), BFR_REFUSE_NONE);
        if (bfr_name_check(&target, span(cases[i].name), stored) != cases[i].refusal)
            fail_msg("%s %s", cases[i].path, cases[i].name);
    }
}

static void test_a_name_made_here_passes_its_own_check(void **state)
{
    (void)state;
    struct bfr_target target;
    char made[BFR_NAME_ROOM];
    char stored[BFR_NAME_ROOM];
    assert_int_equal(bfr_target_parse(span("/" X64 "/" X64), &target), BFR_REFUSE_NONE);
    bfr_name_make(&target, INT64_C(1700000000000000000), X16 X16 "12345678", made);
    assert_int_equal(bfr_name_check(&target, span(made), stored), BFR_REFUSE_NONE);
    assert_string_equal(made, stored);

    assert_int_equal(bfr_target_parse(span("/acme/fw"), &target), BFR_REFUSE_NONE);
    bfr_name_make(&target, INT64_C(1700000000000000000), "ndjson", made);
    assert_string_equal(made, "acme--fw--1700000000000000000--ndjson.gz");
    static const char *const unfit[] = {NULL, "", "../x", "a b", X64};
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        bfr_name_make(&target, 5, unfit[i], made);
        assert_string_equal(made, "acme--fw--0000000000000000005--unknown.gz");
    }
}

static void test_times_are_read_as_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-03-01T12:00:00Z", INT64_C(1772366400000000000)},
        {"2026-03-01T14:30:00+02:30", INT64_C(1772366400000000000)},
        {"2026-03-01t07:00:00-05:00", INT64_C(1772366400000000000)},
        {"2026-03-01T12:00:00.5Z", INT64_C(1772366400500000000)},
        {"2026-03-01T12:00:00.1234567899Z", INT64_C(1772366400123456789)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000000000)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = -1;
        assert_true(bfr_time_parse(cases[i].text, &ns));
        assert_true(ns == cases[i].ns);
    }
    static const char *const bad[] = {
        "",
        "now",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00Z",
        "2026-13-01T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00Zx",
        "2026-03-01T12:00:00+0200",
        "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "-026-03-01T12:00:00Z",
    };
    int64_t ns;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (bfr_time_parse(bad[i], &ns))
            fail_msg("%s", bad[i]);
    char text[32];
    bfr_time_format(INT64_C(1772366400123456789), text);
    assert_string_equal(text, "2026-03-01T12:00:00Z");
}

static void read_meta(const char *fields, struct bfr_gate *gate, struct bfr_meta *out)
{
    char head[1024];
    snprintf(head, sizeof head, "POST /t/d HTTP/1.1\r\nHost: r\r\nContent-Length: 9\r\n%s\r\n", fields);
    size_t used;
    bfr_gate_begin(gate);
    assert_int_equal(bfr_gate_feed(gate, (const uint8_t *)head, strlen(head), &used), BFR_GATE_HEAD);
    bfr_meta_read(gate, 9, 77, out);
}

static void test_metadata_is_taken_as_given(void **state)
{
    (void)state;
    struct bfr_gate gate;
    struct bfr_meta meta;
    read_meta("X-Proxy-Batch-ID: b1\r\nX-Proxy-Line-Count: 12\r\nX-Proxy-Original-Bytes: 9223372036854775807\r\n"
              "X-Proxy-Created-At: 2026-03-01T12:00:00Z\r\nX-Proxy-Data-Hint: syslog\r\nContent-Type: a/b\r\n",
              &gate, &meta);
    assert_string_equal(meta.batch_id, "b1");
    assert_string_equal(meta.data_hint, "syslog");
    assert_string_equal(meta.content_type, "a/b");
    assert_int_equal(meta.line_count, 12);
    assert_true(meta.original_bytes == INT64_MAX);
    assert_true(meta.created_ns == INT64_C(1772366400000000000));
    bfr_gate_end(&gate);
}

static void test_missing_and_bad_metadata_falls_back(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "X-Proxy-Batch-ID:\r\nX-Proxy-Line-Count:\r\nX-Proxy-Original-Bytes:\r\nX-Proxy-Created-At:\r\nX-Proxy-Data-"
        "Hint:\r\n",
        "X-Proxy-Batch-ID: \xff\r\nX-Proxy-Line-Count: -1\r\nX-Proxy-Original-Bytes: -5\r\nX-Proxy-Created-At: x\r\n"
        "X-Proxy-Data-Hint: \xc3\r\nContent-Type: \xff\r\n",
        "X-Proxy-Line-Count: 1.5\r\nX-Proxy-Original-Bytes: 9223372036854775808\r\n",
        "X-Proxy-Line-Count: +7\r\nX-Proxy-Original-Bytes: 99999999999999999999999\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_gate gate;
        struct bfr_meta meta;
        read_meta(cases[i], &gate, &meta);
        assert_string_equal(meta.batch_id, "unknown");
        assert_string_equal(meta.data_hint, "unknown");
        assert_string_equal(meta.content_type, "");
        assert_int_equal(meta.line_count, 1);
        assert_int_equal(meta.original_bytes, 9);
        assert_int_equal(meta.created_ns, 77);
        bfr_gate_end(&gate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_prefix_leads_to_tenant_and_dataset),
        cmocka_unit_test(test_paths_and_ids_are_refused_with_their_reason),
        cmocka_unit_test(test_names_are_completed_as_the_bucket_reader_needs_them),
        cmocka_unit_test(test_names_that_could_do_harm_are_refused),
        cmocka_unit_test(test_a_name_has_at_most_240_bytes_as_given_and_as_stored),
        cmocka_unit_test(test_a_name_of_four_parts_must_begin_with_the_ids_of_the_path),
        cmocka_unit_test(test_a_name_made_here_passes_its_own_check),
        cmocka_unit_test(test_times_are_read_as_rfc_3339),
        cmocka_unit_test(test_metadata_is_taken_as_given),
        cmocka_unit_test(test_missing_and_bad_metadata_falls_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
