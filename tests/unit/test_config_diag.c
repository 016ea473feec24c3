// SPDX-License-Identifier: Apache-2.0
// Findings: their order, their form, and hints.
#include "config_fake.h"
#include "config_hint.h"

static char *print(const struct bfr_diag *diag)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    bfr_diag_print(diag, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void test_findings_are_printed_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct bfr_diag *diag = bfr_diag_new();
    bfr_diag_error(diag, (struct bfr_place){"b.yaml", 2, 1}, "third");
    bfr_diag_warning(diag, (struct bfr_place){"b.yaml", 1, 9}, "second");
    bfr_diag_error(diag, (struct bfr_place){"a.yaml", 1, 1}, "in another file");
    bfr_diag_error(diag, (struct bfr_place){"b.yaml", 10, 1}, "fourth");
    bfr_diag_error(diag, (struct bfr_place){"b.yaml", 1, 2}, "first");
    bfr_diag_error(diag, (struct bfr_place){"b.yaml", 0, 0}, "the file as a whole");
    char *text = print(diag);
    assert_string_equal(text, "b.yaml: error: the file as a whole\n"
                              "b.yaml:1:2: error: first\n"
                              "b.yaml:1:9: warning: second\n"
                              "b.yaml:2:1: error: third\n"
                              "b.yaml:10:1: error: fourth\n"
                              "a.yaml:1:1: error: in another file\n");
    assert_int_equal(bfr_diag_errors(diag), 5);
    free(text);
    bfr_diag_free(diag);
}

static void test_a_finding_is_printed_once(void **state)
{
    (void)state;
    struct bfr_diag *diag = bfr_diag_new();
    for (int i = 0; i < 3; i++)
        bfr_diag_error(diag, (struct bfr_place){"a.yaml", 1, 1}, "same");
    bfr_diag_error(diag, (struct bfr_place){"a.yaml", 1, 1}, "other");
    char *text = print(diag);
    assert_string_equal(text, "a.yaml:1:1: error: same\na.yaml:1:1: error: other\n");
    free(text);
    bfr_diag_free(diag);
}

static void test_a_finding_outlives_the_name_of_its_file(void **state)
{
    (void)state;
    char name[] = "a.yaml";
    struct bfr_diag *diag = bfr_diag_new();
    bfr_diag_error(diag, (struct bfr_place){name, 1, 1}, "x");
    memset(name, '!', sizeof name - 1);
    char *text = print(diag);
    assert_string_equal(text, "a.yaml:1:1: error: x\n");
    free(text);
    bfr_diag_free(diag);
}

static void test_a_finding_is_one_line_whatever_it_quotes(void **state)
{
    (void)state;
    struct bfr_diag *diag = bfr_diag_new();
    bfr_diag_error(diag, (struct bfr_place){"a.yaml", 1, 1}, "found %s", bfr_quote("a\nb\033[31mc\x7f").text);
    char *text = print(diag);
    assert_string_equal(text, "a.yaml:1:1: error: found 'a?b?[31mc?'\n");
    free(text);
    bfr_diag_free(diag);
}

static void test_a_long_quotation_is_cut_between_characters(void **state)
{
    (void)state;
    char text[256];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    struct bfr_quoted quoted = bfr_quote(text);
    size_t length = strlen(quoted.text);
    assert_true(length < sizeof quoted.text);
    assert_string_equal(quoted.text + length - 4, "...'");
    assert_int_equal((length - strlen("'...'")) % 2, 0); // whole two-byte characters
}

static void test_distance_counts_slips_of_the_finger(void **state)
{
    (void)state;
    assert_int_equal(bfr_hint_distance("port", "port"), 0);
    assert_int_equal(bfr_hint_distance("prot", "port"), 1); // swapped
    assert_int_equal(bfr_hint_distance("por", "port"), 1);
    assert_int_equal(bfr_hint_distance("portt", "port"), 1);
    assert_int_equal(bfr_hint_distance("pert", "port"), 1);
    assert_int_equal(bfr_hint_distance("PORT", "port"), 0);
    assert_int_equal(bfr_hint_distance("", "port"), 4);
    assert_int_equal(bfr_hint_distance("kitten", "sitting"), 3);
}

static void test_only_a_near_name_is_a_hint(void **state)
{
    (void)state;
    struct bfr_hint hint = {.word = "max_byte"};
    bfr_hint_offer(&hint, "max_pages");
    bfr_hint_offer(&hint, "directory");
    assert_null(hint.nearest);
    bfr_hint_offer(&hint, "max_bytes");
    assert_string_equal(hint.nearest, "max_bytes");
    bfr_hint_offer(&hint, "max_bites"); // farther
    assert_string_equal(hint.nearest, "max_bytes");
    struct bfr_hint single = {.word = "x"};
    bfr_hint_offer(&single, "y"); // one letter replaced is another word
    assert_null(single.nearest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings_are_printed_in_the_order_of_the_file),
        cmocka_unit_test(test_a_finding_is_printed_once),
        cmocka_unit_test(test_a_finding_outlives_the_name_of_its_file),
        cmocka_unit_test(test_a_finding_is_one_line_whatever_it_quotes),
        cmocka_unit_test(test_a_long_quotation_is_cut_between_characters),
        cmocka_unit_test(test_distance_counts_slips_of_the_finger),
        cmocka_unit_test(test_only_a_near_name_is_a_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
