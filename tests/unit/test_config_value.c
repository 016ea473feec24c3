// SPDX-License-Identifier: Apache-2.0
// Single values: strict forms, exact numbers, no overflow.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_value.h"

static void test_only_true_and_false_are_booleans(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "yes", "no", "on", "True", "FALSE", "1", "0", " true", "true "};
    bool value = false;
    assert_null(bfr_value_bool("true", &value));
    assert_true(value);
    assert_null(bfr_value_bool("false", &value));
    assert_false(value);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_non_null(bfr_value_bool(wrong[i], &value));
}

static void test_integers_reach_to_the_ends_of_64_bits(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_null(bfr_value_integer("0", &value));
    assert_int_equal(value, 0);
    assert_null(bfr_value_integer("-17", &value));
    assert_int_equal(value, -17);
    assert_null(bfr_value_integer("9223372036854775807", &value));
    assert_true(value == INT64_MAX);
    assert_null(bfr_value_integer("-9223372036854775807", &value));
    assert_true(value == -INT64_MAX);
    assert_string_equal(bfr_value_integer("9223372036854775808", &value), "is too large to count");
    assert_string_equal(bfr_value_integer("99999999999999999999999", &value), "is too large to count");
}

static void test_what_only_looks_like_an_integer_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",  "-",   "--1", "+1", " 1",  "1 ",    "1.0",   "1e3",
                                        "x", "0x1", "01",  "00", "-01", "1_000", "1,000", "\xd9\xa1"};
    int64_t value = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(bfr_value_integer(wrong[i], &value), "is not a whole number");
}

static void test_numbers_are_decimal_fractions(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",      ".5",  "5.", "1e3",  "nan",   "inf",
                                        "0x1p3", "1,5", "+1", "01.5", "1.2.3", "-"};
    double value = 0;
    assert_null(bfr_value_number("0.5", &value));
    assert_true(value == 0.5);
    assert_null(bfr_value_number("-12", &value));
    assert_true(value == -12);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(bfr_value_number(wrong[i], &value), "is not a number");
}

struct scaled {
    const char *text;
    int64_t value;
};

static void test_sizes_count_bytes(void **state)
{
    (void)state;
    static const struct scaled right[] = {
        {"0", 0},
        {"4096", 4096},
        {"64KiB", 65536},
        {"10MiB", 10485760},
        {"1GiB", 1073741824},
        {"2TiB", INT64_C(2199023255552)},
        {"10KB", 10000},
        {"1MB", 1000000},
        {"1GB", 1000000000},
        {"1TB", 1000000000000},
        {"8388607TiB", INT64_C(8388607) << 40},
    };
    static const char *const wrong[] = {"", "KiB", "1kib", "1 KiB", "1.5GiB", "1KiBs", "-1", "1K", "1B", "01KiB"};
    int64_t value = 0;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        assert_null(bfr_value_size(right[i].text, &value));
        assert_true(value == right[i].value);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(bfr_value_size(wrong[i], &value), "is not a size");
    assert_string_equal(bfr_value_size("8388608TiB", &value), "is too large to count");
}

static void test_durations_count_milliseconds(void **state)
{
    (void)state;
    static const struct scaled right[] = {{"0", 0},       {"500ms", 500},  {"30s", 30000},   {"30", 30000},
                                          {"5m", 300000}, {"2h", 7200000}, {"7d", 604800000}};
    static const char *const wrong[] = {"", "s", "1 s", "1.5s", "-1s", "1h30m", "1S", "1min", "1w", "010s"};
    int64_t value = 0;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        assert_null(bfr_value_duration(right[i].text, NULL, &value));
        assert_true(value == right[i].value);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(bfr_value_duration(wrong[i], NULL, &value), "is not a duration");
}

static void test_a_plain_duration_counts_in_the_unit_of_its_key(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_null(bfr_value_duration("5", "ms", &value));
    assert_int_equal(value, 5);
    assert_null(bfr_value_duration("5", "d", &value));
    assert_int_equal(value, 432000000);
    assert_null(bfr_value_duration("5s", "ms", &value));
    assert_int_equal(value, 5000);
}

static void test_every_duration_fits_into_64_bits_as_nanoseconds(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_null(bfr_value_duration("9223372036854ms", NULL, &value));
    assert_true(value <= INT64_MAX / 1000000);
    assert_string_equal(bfr_value_duration("9223372036855ms", NULL, &value), "is too large to count");
    assert_string_equal(bfr_value_duration("9223372036854775807d", NULL, &value), "is too large to count");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_true_and_false_are_booleans),
        cmocka_unit_test(test_integers_reach_to_the_ends_of_64_bits),
        cmocka_unit_test(test_what_only_looks_like_an_integer_is_refused),
        cmocka_unit_test(test_numbers_are_decimal_fractions),
        cmocka_unit_test(test_sizes_count_bytes),
        cmocka_unit_test(test_durations_count_milliseconds),
        cmocka_unit_test(test_a_plain_duration_counts_in_the_unit_of_its_key),
        cmocka_unit_test(test_every_duration_fits_into_64_bits_as_nanoseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
