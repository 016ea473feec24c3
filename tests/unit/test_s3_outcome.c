// SPDX-License-Identifier: Apache-2.0
// What answers of a store mean, and how its error documents are read: nobody's batch is buried for what everybody meets,
// and no document can do more than name a code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "s3_error.h"
#include "s3_outcome.h"

static void check(uint32_t status, const char *code, uint32_t outcome, uint32_t flags, uint32_t action)
{
    const struct s3_meaning *meaning = bfr_s3_meaning(status, code);

    if (meaning->outcome != outcome || meaning->flags != flags || meaning->action != action)
        fail_msg("%u %s: outcome %u flags %u action %u", status, code, meaning->outcome, meaning->flags,
                 meaning->action);
}

static void test_what_everybody_meets_is_an_outage(void **state)
{
    static const char *const codes[] = {"SlowDown",       "InternalError", "ServiceUnavailable",
                                        "RequestTimeout", "QuotaExceeded", "InvalidStorageClass"};
    (void)state;

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        check(400, codes[i], BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT);
    for (uint32_t status = 500; status < 600; status++)
        if (status != 501)
            check(status, "", BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT);
    check(403, "", BFR_RETRY, BFR_OUTAGE, S3_ACTION_DENIED);
    check(403, "AccessDenied", BFR_RETRY, BFR_OUTAGE, S3_ACTION_DENIED);
    check(403, "SignatureDoesNotMatch", BFR_RETRY, BFR_OUTAGE, S3_ACTION_DENIED);
    check(429, "NeverHeardOf", BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT);
    check(200, "", BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT);
    check(304, "", BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT);
}

static void test_what_can_be_learnt_from_has_its_action(void **state)
{
    (void)state;

    check(412, "", BFR_RETRY, 0, S3_ACTION_COMPARE);
    check(412, "PreconditionFailed", BFR_RETRY, 0, S3_ACTION_COMPARE);
    check(301, "PermanentRedirect", BFR_RETRY, BFR_OUTAGE, S3_ACTION_REGION);
    check(400, "AuthorizationHeaderMalformed", BFR_RETRY, BFR_OUTAGE, S3_ACTION_REGION);
    check(301, "", BFR_RETRY, BFR_OUTAGE, S3_ACTION_REGION);
    check(403, "RequestTimeTooSkewed", BFR_RETRY, BFR_OUTAGE, S3_ACTION_CLOCK);
    check(400, "ExpiredToken", BFR_RETRY, BFR_OUTAGE, S3_ACTION_CREDENTIALS);
    check(403, "InvalidAccessKeyId", BFR_RETRY, BFR_OUTAGE, S3_ACTION_CREDENTIALS);
    check(404, "NoSuchBucket", BFR_RETRY, BFR_OUTAGE, S3_ACTION_BUCKET);
    check(501, "NotImplemented", BFR_RETRY, BFR_OUTAGE, S3_ACTION_UNCONDITIONAL);
    check(400, "XAmzContentSHA256Mismatch", BFR_RETRY, 0, S3_ACTION_DAMAGE);
    check(400, "BadDigest", BFR_RETRY, 0, S3_ACTION_DAMAGE);
}

static void test_only_what_can_never_change_is_refused(void **state)
{
    static const char *const codes[] = {"EntityTooLarge", "KeyTooLongError", "InvalidURI", "XMinioInvalidObjectName"};
    (void)state;

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        check(400, codes[i], BFR_REJECT, 0, S3_ACTION_REPORT);
    check(413, "", BFR_REJECT, 0, S3_ACTION_REPORT);
    check(400, "", BFR_RETRY, 0, S3_ACTION_REPORT);             // unknown: tried again, charged
    check(422, "NeverHeardOf", BFR_RETRY, 0, S3_ACTION_REPORT); // likewise
}

static void test_every_row_can_be_reached_and_has_a_way_out(void **state)
{
    size_t count;
    const struct s3_meaning *rows = bfr_s3_meanings(&count);
    (void)state;

    assert_true(count > 40);
    assert_null(rows[count - 1].code);
    assert_int_equal(rows[count - 1].status, 0);
    for (size_t i = 0; i < count; i++) {
        uint32_t status = rows[i].code != NULL ? 400 : rows[i].status != 0 ? rows[i].status : 418;
        assert_ptr_equal(bfr_s3_meaning(status, rows[i].code != NULL ? rows[i].code : ""), &rows[i]);
        assert_true(strlen(rows[i].way_out) > 10);
        assert_true(rows[i].outcome == BFR_RETRY || (rows[i].outcome == BFR_REJECT && rows[i].flags == 0));
    }
}

static struct s3_error read_error(const char *text)
{
    struct s3_error error;

    bfr_s3_error_read((const uint8_t *)text, strlen(text), &error);
    return error;
}

static void test_an_error_document_is_read(void **state)
{
    (void)state;

    struct s3_error error =
        read_error("<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>"
                   "expecting &apos;eu-central-1&apos; &amp; not &lt;x&gt;</Message>"
                   "<Region>eu-central-1</Region></Error>");
    assert_string_equal(error.code, "AuthorizationHeaderMalformed");
    assert_string_equal(error.message, "expecting 'eu-central-1' & not <x>");
    assert_string_equal(error.region, "eu-central-1");
}

static void test_anything_else_gives_empty_texts(void **state)
{
    static const char *const texts[] = {
        "", "<", "<html><body>Bad Gateway</body></html>", "<Code>", "<Code>Cut", "<Code/><Message/>", "Code>x</Code>"};
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct s3_error error = read_error(texts[i]);
        assert_string_equal(error.code, "");
        assert_string_equal(error.region, "");
    }
    struct s3_error error;
    bfr_s3_error_read(NULL, 0, &error);
    assert_string_equal(error.code, "");
}

static void test_long_and_dirty_texts_are_cut_and_cleaned(void **state)
{
    char text[2048] = "<Code>";
    (void)state;

    memset(text + 6, 'x', 1000);
    strcpy(text + 1006, "</Code><Message>a\nb\r\x1b[31m\xff</Message>");
    struct s3_error error = read_error(text);
    assert_int_equal(strlen(error.code), sizeof error.code - 1);
    assert_string_equal(error.message, "a?b??[31m?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_everybody_meets_is_an_outage),
        cmocka_unit_test(test_what_can_be_learnt_from_has_its_action),
        cmocka_unit_test(test_only_what_can_never_change_is_refused),
        cmocka_unit_test(test_every_row_can_be_reached_and_has_a_way_out),
        cmocka_unit_test(test_an_error_document_is_read),
        cmocka_unit_test(test_anything_else_gives_empty_texts),
        cmocka_unit_test(test_long_and_dirty_texts_are_cut_and_cleaned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
