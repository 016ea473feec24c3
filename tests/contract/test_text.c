// SPDX-License-Identifier: Apache-2.0
// The helpers of bfr/text.h: texts that are cut without breaking a character, log fields, completions.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bfr/text.h>

static void test_error_text_is_cut_between_characters(void **state)
{
    (void)state;
    struct bfr_err err = {.size = sizeof err};
    char euros[3 * 400 + 1] = ""; // each character takes three bytes, so one would be cut in two
    for (int i = 0; i < 400; i++)
        memcpy(euros + 3 * i, "\xe2\x82\xac", 4);
    for (int shift = 0; shift < 3; shift++) {
        assert_int_equal(bfr_err_set(&err, BFR_EINVAL, "%.*s%s", shift, "ab", euros), BFR_EINVAL);
        size_t length = strlen(err.text);
        assert_true(length > sizeof err.text - 4 && length < sizeof err.text);
        size_t ascii = strspn(err.text, "ab");
        assert_int_equal((length - ascii) % 3, 0);
    }
}

static void test_bytes_that_are_no_utf8_stay(void **state)
{
    (void)state;
    struct bfr_err err = {.size = sizeof err};
    bfr_err_set(&err, BFR_EFAIL, "'%s'", "\x80\x80\x80\x80\x80\xff");
    assert_string_equal(err.text, "'\x80\x80\x80\x80\x80\xff'");
}

static void test_prefix_goes_in_front_and_arguments_may_be_the_text(void **state)
{
    (void)state;
    struct bfr_err err = {.size = sizeof err};
    bfr_err_set(&err, BFR_EFAIL, "no route");
    bfr_err_prefix(&err, "stage %s", "main");
    assert_string_equal(err.text, "stage main: no route");
    bfr_err_set(&err, BFR_EFAIL, "again: %s", err.text);
    assert_string_equal(err.text, "again: stage main: no route");
    bfr_err_prefix(NULL, "nobody listens");
    assert_int_equal(bfr_err_set(NULL, BFR_ENOMEM, "nobody listens"), BFR_ENOMEM);
}

static char logged[512];

static void record_log(const struct bfr_host *host, uint32_t level, const char *message, const char *const *fields)
{
    (void)host;
    int used = snprintf(logged, sizeof logged, "%u %s", level, message);
    for (; *fields != NULL; fields++)
        used += snprintf(logged + used, sizeof logged - (size_t)used, " %s", *fields);
}

static void test_log_fields_end_at_null_and_at_sixteen_pairs(void **state)
{
    (void)state;
    const struct bfr_host host = {.size = sizeof host, .log = record_log};
    bfr_log(&host, BFR_LOG_WARN, "upload failed", "batch", "a", "attempt", bfr_num(-3).text, NULL);
    assert_string_equal(logged, "3 upload failed batch a attempt -3");
    bfr_log(&host, BFR_LOG_INFO, "m", "1", "v", "2", "v", "3", "v", "4", "v", "5", "v", "6", "v", "7", "v", "8", "v",
            "9", "v", "10", "v", "11", "v", "12", "v", "13", "v", "14", "v", "15", "v", "16", "v", "17", "v", NULL);
    assert_non_null(strstr(logged, " 16 v"));
    assert_null(strstr(logged, "17"));
}

static struct bfr_completion completed;

static void record_completion(const struct bfr_host *host, const struct bfr_completion *const *list, size_t count)
{
    (void)host;
    assert_int_equal(count, 1);
    completed = *list[0];
}

static void test_completions_say_what_was_meant(void **state)
{
    (void)state;
    const struct bfr_host host = {.size = sizeof host, .complete = record_completion};
    const struct bfr_delivery delivery = {.size = sizeof delivery, .token = 7};
    bfr_complete_stored(&host, &delivery);
    assert_int_equal(completed.outcome, BFR_STORED);
    assert_int_equal(completed.size, sizeof completed);
    assert_null(completed.text);
    bfr_complete_retry(&host, &delivery, BFR_OUTAGE, "away");
    assert_int_equal(completed.outcome, BFR_RETRY);
    assert_int_equal(completed.flags, BFR_OUTAGE);
    assert_string_equal(completed.text, "away");
    bfr_complete_reject(&host, &delivery, BFR_REASON_CONFLICT, "other bytes");
    assert_int_equal(completed.outcome, BFR_REJECT);
    assert_int_equal(completed.reason, BFR_REASON_CONFLICT);
    assert_int_equal(completed.token, 7);
}

static void test_hex_and_names(void **state)
{
    (void)state;
    char out[9];
    bfr_hex((const uint8_t *)"\x00\x7f\xa0\xff", 4, out);
    assert_string_equal(out, "007fa0ff");
    assert_string_equal(bfr_reason_name(BFR_REASON_CONFLICT), "conflict");
    assert_string_equal(bfr_reason_name(BFR_REASON_BAD_GZIP), "bad_gzip");
    assert_string_equal(bfr_reason_name(BFR_REASON_EXPIRED), "expired");
    assert_string_equal(bfr_reason_name(0), "unknown");
    assert_string_equal(bfr_reason_name(99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_text_is_cut_between_characters),
        cmocka_unit_test(test_bytes_that_are_no_utf8_stay),
        cmocka_unit_test(test_prefix_goes_in_front_and_arguments_may_be_the_text),
        cmocka_unit_test(test_log_fields_end_at_null_and_at_sixteen_pairs),
        cmocka_unit_test(test_completions_say_what_was_meant),
        cmocka_unit_test(test_hex_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
