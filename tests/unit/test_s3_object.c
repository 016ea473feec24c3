// SPDX-License-Identifier: Apache-2.0
// Where an object goes and what is noted with it: hosts and styles of URLs, metadata from the batch's envelope, keys as
// metadata services give them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "s3_endpoint.h"
#include "s3_envelope.h"
#include "s3_keys.h"

static void check_host(const char *endpoint, bool ssl, int path_style, const char *bucket, const char *host, bool https,
                       bool in_path)
{
    struct s3_endpoint out;
    struct bfr_err err = {.size = sizeof err};

    if (bfr_s3_endpoint_make(endpoint, ssl, path_style, "eu-west-1", bucket, &out, &err) != BFR_OK)
        fail_msg("%s: %s", endpoint, err.text);
    assert_string_equal(out.host, host);
    assert_int_equal(out.https, https);
    assert_int_equal(out.path_style, in_path);
}

static void test_without_an_endpoint_the_bucket_is_in_the_host_on_aws(void **state)
{
    (void)state;
    check_host("", false, -1, "intake", "intake.s3.eu-west-1.amazonaws.com", true, false);
    check_host("", false, 1, "intake", "s3.eu-west-1.amazonaws.com", true, true);
    check_host("", false, -1, "in.take", "s3.eu-west-1.amazonaws.com", true, true);    // no certificate covers it
    check_host("", false, -1, "Old_Bucket", "s3.eu-west-1.amazonaws.com", true, true); // no host name
}

static void test_with_an_endpoint_the_bucket_is_in_the_path(void **state)
{
    (void)state;
    check_host("minio:9000", false, -1, "intake", "minio:9000", false, true);
    check_host("minio:9000", true, -1, "intake", "minio:9000", true, true);
    check_host("https://minio/", false, -1, "intake", "minio", true, true);
    check_host("HTTP://minio:80", true, -1, "intake", "minio", false, true);
    check_host("https://minio:443", false, -1, "intake", "minio", true, true);
    check_host("https://minio:80", false, -1, "intake", "minio:80", true, true);
    check_host("http://minio:9000", false, 0, "intake", "intake.minio:9000", false, false);
}

static void test_ipv6_keeps_its_brackets(void **state)
{
    (void)state;
    check_host("[::1]:9000", false, -1, "intake", "[::1]:9000", false, true);
    check_host("https://[2001:db8::5]", false, -1, "intake", "[2001:db8::5]", true, true);
}

static void test_an_endpoint_that_is_none_is_refused_with_a_way_out(void **state)
{
    static const char *const bad[] = {"ftp://x", "http://", "http://x/y",           "x:0", "x:65536",   "x:1x", "[::1",
                                      "x y",     "::1",     "http://user:secret@x", "x?y", "https://x#"};
    struct s3_endpoint out;
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bfr_err err = {.size = sizeof err};
        assert_int_equal(bfr_s3_endpoint_make(bad[i], false, -1, "eu-west-1", "intake", &out, &err), BFR_EINVAL);
        assert_non_null(strstr(err.text, "write it as"));
        assert_null(strstr(err.text, "secret@"));
    }
}

static void test_a_region_is_what_can_stand_in_a_host_name(void **state)
{
    (void)state;
    assert_true(bfr_s3_region_is_good("eu-central-1"));
    assert_true(bfr_s3_region_is_good("RegionOne")); // OpenStack's
    assert_false(bfr_s3_region_is_good(""));
    assert_false(bfr_s3_region_is_good("evil.example.com/"));
    assert_false(bfr_s3_region_is_good("-x"));
    assert_false(bfr_s3_region_is_good("a-region-name-that-is-longer-than-any-region-name-has-ever-been-so-far"));
}

static struct bfr_batch batch_called(const char *tenant, const char *dataset, const char *filename)
{
    return (struct bfr_batch){
        .size = sizeof(struct bfr_batch), .tenant = tenant, .dataset = dataset, .filename = filename};
}

static void check_type(const char *tenant, const char *filename, const char *expected)
{
    struct bfr_batch batch = batch_called(tenant, "web", filename);
    char out[BFR_FILENAME_MAX + 1];

    bfr_s3_data_type(&batch, out, sizeof out);
    assert_string_equal(out, expected);
}

static void test_the_type_is_the_fourth_part_else_the_extension_else_raw(void **state)
{
    (void)state;
    check_type("acme", "acme--web--1700000000000000001--ndjson.gz", "ndjson");
    check_type("a--b", "a--b--web--1700000000000000001--syslog.gz", "syslog");
    check_type("acme", "acme--web--1700000000000000001--.gz", "raw");
    check_type("acme", "acme--web--1700000000.csv.gz", "csv");
    check_type("acme", "batch.json.gz", "json");
    check_type("acme", "batch.gz", "raw");
    check_type("acme", "batch", "raw");
}

static void check_created(const char *filename, int64_t expected_s)
{
    struct bfr_batch batch = batch_called("acme", "web", filename);
    int64_t ns = -1;

    assert_true(bfr_s3_created_ns(&batch, &ns));
    assert_int_equal(ns / 1000000000, expected_s);
}

static void test_the_time_in_the_name_is_read_in_all_its_forms(void **state)
{
    static const char *const silent[] = {"batch.gz",
                                         "acme--web--soon--x.gz",
                                         "acme--web--123--x.gz",
                                         "acme--web.gz",
                                         "acme--web--99999999999999999999--x.gz",
                                         "beta--web--1700000000--x.gz"};
    (void)state;

    check_created("acme--web--1700000000000000001--ndjson.gz", 1700000000);
    check_created("acme--web--1700000000--ndjson.gz", 1700000000);
    check_created("acme--web--1700000000.csv.gz", 1700000000);
    check_created("acme--web--2023-11-14T22:13:20Z--x.gz", 1700000000);
    check_created("acme--web--20231114T221320Z--x.gz", 1700000000);
    check_created("acme--web--20231114-221320--x.gz", 1700000000);
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        struct bfr_batch batch = batch_called("acme", "web", silent[i]);
        int64_t ns;
        assert_false(bfr_s3_created_ns(&batch, &ns));
    }
}

static const char *line_of(const struct s3_request *request, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < request->count; i++)
        if (strncmp(request->lines[i], name, length) == 0 && request->lines[i][length] == ':')
            return request->lines[i] + length + 2;
    return NULL;
}

static void test_metadata_that_a_header_cannot_carry_is_encoded(void **state)
{
    static struct s3_request request;
    (void)state;

    bfr_s3_request_begin(&request, "PUT", "", NULL);
    bfr_s3_request_add_meta(&request, "a", "plain name.gz");
    bfr_s3_request_add_meta(&request, "b", "\xC3\xA4");
    bfr_s3_request_add_meta(&request, "c", "two  blanks");
    bfr_s3_request_add_meta(&request, "d", " lead");
    bfr_s3_request_add_meta(&request, "e", "=?x");
    bfr_s3_request_add_meta(&request, "f", "a\r\nx-amz-acl: public-read");
    assert_string_equal(line_of(&request, "x-amz-meta-a"), "plain name.gz");
    assert_string_equal(line_of(&request, "x-amz-meta-b"), "=?UTF-8?B?w6Q=?=");
    assert_string_equal(line_of(&request, "x-amz-meta-c"), "=?UTF-8?B?dHdvICBibGFua3M=?=");
    assert_string_equal(line_of(&request, "x-amz-meta-d"), "=?UTF-8?B?IGxlYWQ=?=");
    assert_string_equal(line_of(&request, "x-amz-meta-e"), "=?UTF-8?B?PT94?=");
    for (size_t i = 0; i < request.count; i++)
        assert_null(strpbrk(request.lines[i], "\r\n"));
    assert_false(request.overflow);
}

static void test_a_request_that_does_not_fit_says_so(void **state)
{
    static struct s3_request request;
    char large[S3_REQUEST_TEXT];
    (void)state;

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    bfr_s3_request_begin(&request, "PUT", "", NULL);
    bfr_s3_request_add(&request, "a", "b");
    struct s3_mark mark = bfr_s3_request_mark(&request);
    bfr_s3_request_add(&request, "token", "secret");
    bfr_s3_request_rewind(&request, mark);
    assert_int_equal(request.count, 1);
    assert_null(memmem(request.text, sizeof request.text, "secret", 6));
    bfr_s3_request_add(&request, "x", "%s", large);
    assert_true(request.overflow);
    bfr_s3_request_begin(&request, "PUT", "", NULL);
    assert_false(request.overflow);
    for (size_t i = 0; i < S3_FIELDS_MAX; i++)
        bfr_s3_request_add(&request, "n", "v");
    assert_false(request.overflow);
    bfr_s3_request_add(&request, "n", "v");
    assert_true(request.overflow);
    bfr_s3_request_begin(&request, "PUT", "", NULL);
    bfr_s3_request_add_segment(&request, large);
    assert_true(request.overflow);
}

static bool read_keys(struct s3_keys *keys, const char *text)
{
    return bfr_s3_keys_read_json(keys, (const uint8_t *)text, strlen(text));
}

static void test_keys_are_read_from_a_services_document(void **state)
{
    static struct s3_keys keys;
    (void)state;

    assert_true(read_keys(&keys,
                          "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s/+\",\"Token\":\"t==\","
                          "\"Expiration\":\"2023-11-14T22:13:20Z\"}"));
    assert_string_equal(keys.access_key, "A");
    assert_string_equal(keys.secret_key, "s/+");
    assert_string_equal(keys.session_token, "t==");
    assert_int_equal(keys.expires_ns, INT64_C(1700000000) * 1000000000);
    assert_true(read_keys(&keys, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}"));
    assert_string_equal(keys.session_token, "");
    assert_true(keys.expires_ns == INT64_MAX);
}

static void test_a_document_that_is_none_leaves_no_keys(void **state)
{
    static struct s3_keys keys;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"AccessKeyId\":\"A\"}",
                                      "{\"AccessKeyId\":1,\"SecretAccessKey\":\"s\"}",
                                      "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"s\"}",
                                      "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expiration\":\"soon\"}",
                                      "{\"AccessKeyId\":\"A\\r\\nx: y\",\"SecretAccessKey\":\"s\"}",
                                      "{\"AccessKeyId\":\"A b\",\"SecretAccessKey\":\"s\"}"};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        strcpy(keys.secret_key, "old");
        assert_false(read_keys(&keys, bad[i]));
        assert_string_equal(keys.access_key, "");
        assert_string_equal(keys.secret_key, "");
    }
}

static void test_times_of_services_are_read(void **state)
{
    int64_t ns;
    (void)state;

    assert_true(bfr_s3_keys_read_time("2023-11-14T22:13:20.123456Z", &ns));
    assert_int_equal(ns / 1000000000, 1700000000);
    assert_true(bfr_s3_keys_read_time("2023-11-14T22:13:20+00:00", &ns));
    assert_false(bfr_s3_keys_read_time("2023-11-14T22:13:20+01:00", &ns));
    assert_false(bfr_s3_keys_read_time("2023-11-14", &ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_an_endpoint_the_bucket_is_in_the_host_on_aws),
        cmocka_unit_test(test_with_an_endpoint_the_bucket_is_in_the_path),
        cmocka_unit_test(test_ipv6_keeps_its_brackets),
        cmocka_unit_test(test_an_endpoint_that_is_none_is_refused_with_a_way_out),
        cmocka_unit_test(test_a_region_is_what_can_stand_in_a_host_name),
        cmocka_unit_test(test_the_type_is_the_fourth_part_else_the_extension_else_raw),
        cmocka_unit_test(test_the_time_in_the_name_is_read_in_all_its_forms),
        cmocka_unit_test(test_metadata_that_a_header_cannot_carry_is_encoded),
        cmocka_unit_test(test_a_request_that_does_not_fit_says_so),
        cmocka_unit_test(test_keys_are_read_from_a_services_document),
        cmocka_unit_test(test_a_document_that_is_none_leaves_no_keys),
        cmocka_unit_test(test_times_of_services_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
