// SPDX-License-Identifier: Apache-2.0
// Runs a table of bad configurations: each case is one test, which compares every finding with its exact text.
#ifndef BFR_TEST_CONFIG_CASES_H
#define BFR_TEST_CONFIG_CASES_H

#include "config_fake.h"

struct config_case {
    const char *name;
    const char *text;     // of the file /etc/c.yaml
    const char *expected; // one line a finding, without the file's name
};

static const char *const case_environment[] = {"WORD=word", "HOME=/root", "LATIN=caf\xe9", NULL};

// The expected findings with the file's name in front of each line; to be freed.
static inline char *with_file_name(const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    for (const char *line = expected; *line != '\0';) {
        size_t length = strcspn(line, "\n") + 1;
        fprintf(stream, "/etc/c.yaml:%.*s", (int)length, line);
        line += length;
    }
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void run_case(void **state)
{
    const struct config_case *bad = *state;
    const struct bfr_config_flags flags = {.environment = case_environment};
    struct fake_run run = fake_parse(bad->text, &flags);
    char *expected = with_file_name(bad->expected);
    assert_string_equal(run.findings, expected);
    assert_true(bfr_diag_errors(run.diag) > 0);
    assert_non_null(bfr_config_settings(run.config)->plugin_dir); // settings are readable even so
    free(expected);
    fake_free(&run);
}

static inline int run_cases(const char *group, const struct config_case *cases, size_t count)
{
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    if (tests == NULL)
        return 1;
    for (size_t i = 0; i < count; i++) {
        tests[i].name = cases[i].name;
        tests[i].test_func = run_case;
        tests[i].initial_state = (void *)(uintptr_t)&cases[i];
    }
    int failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
    free(tests);
    return failed;
}

#endif
