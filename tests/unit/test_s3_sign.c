// SPDX-License-Identifier: Apache-2.0
// Signatures against AWS's published vectors: the Signature Version 4 test suite (aws-sig-v4-test-suite) and the examples of
// the S3 API reference, "Signature Calculations for the Authorization Header".
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "s3_request.h"
#include "s3_sign.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct vector {
    const char *name;
    const char *method, *path, *query;
    const char *lines[6];
    const char *payload;
    const char *signature;
};

// Region us-east-1, service "service", 20150830T123600Z.
static const struct vector suite[] = {
    {"get-vanilla", "GET", "/", "", {NULL}, EMPTY, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param1=value1&Param2=value2",
     {NULL},
     EMPTY,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-unreserved",
     "GET",
     "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     "",
     {NULL},
     EMPTY,
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8",
     "GET",
     "/%E1%88%B4",
     "",
     {NULL},
     EMPTY,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-vanilla-utf8-query",
     "GET",
     "/",
     "%E1%88%B4=bar",
     {NULL},
     EMPTY,
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     {"my-header1: value1", "my-header2: \"a   b   c\""},
     EMPTY,
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla",
     "POST",
     "/",
     "",
     {NULL},
     EMPTY,
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-sort",
     "POST",
     "/",
     "",
     {"my-header1: value1"},
     EMPTY,
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case",
     "POST",
     "/",
     "",
     {"my-header1: VALUE1"},
     EMPTY,
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-sts-header-before",
     "POST",
     "/",
     "",
     {"x-amz-security-token: AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4"
      "FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8p"
      "hUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64"
      "lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="},
     EMPTY,
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     {"content-type: application/x-www-form-urlencoded"},
     "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
     "abcdefghijklmnopqrstuvwxyz",
     {NULL},
     EMPTY,
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-empty-query-key",
     "GET",
     "/",
     "Param1=value1",
     {NULL},
     EMPTY,
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-header-value-order",
     "GET",
     "/",
     "",
     {"my-header1: value4,value1,value3,value2"},
     EMPTY,
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
};

// examplebucket.s3.amazonaws.com, us-east-1, s3, 20130524T000000Z; x-amz-content-sha256 is signed too.
static const struct vector examples[] = {
    {"GET Object",
     "GET",
     "/test.txt",
     "",
     {"range: bytes=0-9"},
     EMPTY,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT Object",
     "PUT",
     "/test%24file.text",
     "",
     {"date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class: REDUCED_REDUNDANCY"},
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET Bucket Lifecycle",
     "GET",
     "/",
     "lifecycle=",
     {NULL},
     EMPTY,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET Bucket (List Objects)",
     "GET",
     "/",
     "max-keys=2&prefix=J",
     {NULL},
     EMPTY,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static size_t add_lines(const struct vector *vector, const char **lines, size_t count)
{
    for (size_t i = 0; i < 6 && vector->lines[i] != NULL; i++)
        lines[count++] = vector->lines[i];
    return count;
}

static void check(struct s3_signer *signer, const struct s3_signable *what, const struct vector *vector)
{
    char out[S3_AUTHORIZATION_SIZE];

    assert_true(bfr_s3_sign(signer, what, out));
    const char *signature = strstr(out, "Signature=");
    assert_non_null(signature);
    if (strcmp(signature + 10, vector->signature) != 0)
        fail_msg("%s: %s instead of %s", vector->name, out, vector->signature);
}

static struct s3_signable of_suite(const struct vector *vector, const char **lines)
{
    lines[0] = "x-amz-date: 20150830T123600Z";
    lines[1] = "host: example.amazonaws.com";
    return (struct s3_signable){.method = vector->method,
                                .path = vector->path,
                                .query = vector->query,
                                .lines = lines,
                                .count = add_lines(vector, lines, 2),
                                .payload = vector->payload,
                                .time = "20150830T123600Z",
                                .region = "us-east-1",
                                .service = "service",
                                .access_key = "AKIDEXAMPLE",
                                .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
}

static void test_the_suite_of_aws(void **state)
{
    struct s3_signer signer = {0};
    (void)state;

    for (size_t i = 0; i < sizeof suite / sizeof suite[0]; i++) {
        const char *lines[8];
        struct s3_signable what = of_suite(&suite[i], lines);
        check(&signer, &what, &suite[i]);
    }
}

static void check_example(struct s3_signer *signer, const struct vector *vector)
{
    char payload[100] = "x-amz-content-sha256: ";
    const char *lines[9] = {"host: examplebucket.s3.amazonaws.com", "x-amz-date: 20130524T000000Z", payload};
    struct s3_signable what = {.method = vector->method,
                               .path = vector->path,
                               .query = vector->query,
                               .lines = lines,
                               .count = add_lines(vector, lines, 3),
                               .payload = vector->payload,
                               .time = "20130524T000000Z",
                               .region = "us-east-1",
                               .service = "s3",
                               .access_key = "AKIAIOSFODNN7EXAMPLE",
                               .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

    strcat(payload, vector->payload);
    check(signer, &what, vector);
}

static void test_the_examples_of_s3(void **state)
{
    struct s3_signer signer = {0};
    (void)state;

    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++)
        check_example(&signer, &examples[i]);
}

// The key of the day is kept, and must not outlive what it was made of.
static void test_a_kept_key_is_never_used_for_another_scope(void **state)
{
    struct s3_signer signer = {0};
    const char *lines[8];
    char out[S3_AUTHORIZATION_SIZE], again[S3_AUTHORIZATION_SIZE];
    (void)state;

    struct s3_signable what = of_suite(&suite[0], lines);
    check(&signer, &what, &suite[0]);
    check_example(&signer, &examples[0]); // other secret, day and service
    check(&signer, &what, &suite[0]);
    what.region = "eu-west-1";
    assert_true(bfr_s3_sign(&signer, &what, out));
    struct s3_signer fresh = {0};
    assert_true(bfr_s3_sign(&fresh, &what, again));
    assert_string_equal(out, again);
    assert_null(strstr(out, suite[0].signature));
}

static void test_the_whole_header_is_as_documented(void **state)
{
    struct s3_signer signer = {0};
    const char *lines[8];
    char out[S3_AUTHORIZATION_SIZE];
    (void)state;

    struct s3_signable what = of_suite(&suite[0], lines);
    assert_true(bfr_s3_sign(&signer, &what, out));
    assert_string_equal(out, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                             "SignedHeaders=host;x-amz-date, "
                             "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

static void test_time_is_utc_in_the_basic_form(void **state)
{
    char text[S3_TIME_SIZE];
    (void)state;

    bfr_s3_sign_time(INT64_C(1369353600) * 1000000000, text);
    assert_string_equal(text, "20130524T000000Z");
    bfr_s3_sign_time(INT64_C(1440938160) * 1000000000 + 999999999, text);
    assert_string_equal(text, "20150830T123600Z");
}

static void test_all_but_unreserved_characters_are_encoded(void **state)
{
    char out[64];
    (void)state;

    assert_int_equal(bfr_s3_encode("a-._~Z9", true, out, sizeof out), 7);
    assert_string_equal(out, "a-._~Z9");
    bfr_s3_encode("test$file.text", true, out, sizeof out);
    assert_string_equal(out, "test%24file.text");
    bfr_s3_encode("a/b c+d%\xC3\xA9", true, out, sizeof out);
    assert_string_equal(out, "a/b%20c%2Bd%25%C3%A9");
    bfr_s3_encode("a/b", false, out, sizeof out);
    assert_string_equal(out, "a%2Fb");
    assert_int_equal(bfr_s3_encode("abc", true, out, 3), 0);
    assert_string_equal(out, "");
    assert_int_equal(bfr_s3_encode("a ", true, out, 4), 0);
    assert_int_equal(bfr_s3_encode("a ", true, out, 5), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_suite_of_aws),
        cmocka_unit_test(test_the_examples_of_s3),
        cmocka_unit_test(test_a_kept_key_is_never_used_for_another_scope),
        cmocka_unit_test(test_the_whole_header_is_as_documented),
        cmocka_unit_test(test_time_is_utc_in_the_basic_form),
        cmocka_unit_test(test_all_but_unreserved_characters_are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
