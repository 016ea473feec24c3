// SPDX-License-Identifier: Apache-2.0
// Secrets: files of their own, never shown, refused when they are a mask.
#include "config_fake.h"

#include <sys/stat.h>
#include <unistd.h>

#define SECRET "hunter2-in-clear"

struct place {
    char directory[64];
    char config[96];
    char key[96];
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    if (place == NULL)
        return -1;
    snprintf(place->directory, sizeof place->directory, "/tmp/bfr-secret-XXXXXX");
    if (mkdtemp(place->directory) == NULL)
        return -1;
    snprintf(place->config, sizeof place->config, "%s/c.yaml", place->directory);
    snprintf(place->key, sizeof place->key, "%s/key", place->directory);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    (void)unlink(place->config);
    (void)unlink(place->key);
    int failed = rmdir(place->directory);
    free(place);
    return failed;
}

static void write_file(const char *path, const void *bytes, size_t size, mode_t mode)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(chmod(path, mode), 0);
}

// Read a configuration whose stage has `keys`; binds nothing.
static struct fake_run read_with(const struct place *place, const char *keys)
{
    char text[512];
    const struct bfr_config_flags flags = {0};
    int size = snprintf(text, sizeof text, "pipeline:\n  - plugin: fake\n    place: p\n%s", keys);
    write_file(place->config, text, (size_t)size, 0600);
    struct fake_run run = {.diag = bfr_diag_new()};
    run.config = bfr_config_read(place->config, &flags, run.diag);
    assert_int_equal(bfr_config_stage_count(run.config), 1);
    return run;
}

static void assert_key(const struct place *place, const void *bytes, size_t size, const char *expected)
{
    write_file(place->key, bytes, size, 0600);
    struct fake_run run = read_with(place, "    api_key_file: key\n"); // relative to the configuration
    const struct bfr_values *values = bfr_config_bind(run.config, 0, &fake_plugin, run.diag);
    assert_non_null(values);
    assert_string_equal(bfr_values_string(values, "api_key"), expected);
    fake_free(&run);
}

static void test_a_secret_file_loses_one_newline_at_its_end(void **state)
{
    assert_key(*state, "abc", 3, "abc");
    assert_key(*state, "abc\n", 4, "abc");
    assert_key(*state, "abc\r\n", 5, "abc");
    assert_key(*state, "abc\n\n", 5, "abc\n");
    assert_key(*state, " a b \n", 6, " a b ");
    assert_key(*state, "${HOME}$$", 9, "${HOME}$$"); // a secret is not expanded
}

// Reading a key of these bytes gives one finding; `before` and `after` stand around the file's name.
static void assert_finding(const struct place *place, const void *bytes, size_t size, mode_t mode, const char *before,
                           const char *after)
{
    char expected[512];
    write_file(place->key, bytes, size, mode);
    struct fake_run run = read_with(place, "    api_key_file: key\n");
    fake_finish(&run);
    snprintf(expected, sizeof expected, "%s:4:19: %s'%s'%s\n", place->config, before, place->key, after);
    assert_string_equal(run.findings, expected);
    fake_free(&run);
}

#define ERROR "error: stage 'fake': api_key_file: "

static void test_a_file_that_holds_no_secret_is_refused(void **state)
{
    char *large = malloc(65537);
    assert_non_null(large);
    memset(large, 'x', 65537);
    assert_finding(*state, "", 0, 0600, ERROR, " is empty; write the secret into it");
    assert_finding(*state, "\n", 1, 0600, ERROR, " is empty; write the secret into it");
    assert_finding(*state, SECRET "\0x", sizeof SECRET + 1, 0600, ERROR, " holds a NUL byte; a secret is text");
    assert_finding(*state, large, 65537, 0600, ERROR, " is larger than 64 KiB; is it the right file?");
    large[65536] = '\0';
    assert_key(*state, large, 65536, large);
    free(large);
}

static void test_a_secret_that_everybody_can_read_is_a_warning(void **state)
{
    assert_finding(*state, SECRET, strlen(SECRET), 0644,
                   "warning: stage 'fake': api_key_file: every user of this machine can read ", "; chmod o-r");
    struct place *place = *state;
    assert_int_equal(chmod(place->key, 0640), 0);
    struct fake_run run = read_with(place, "    api_key_file: key\n");
    fake_finish(&run);
    assert_string_equal(run.findings, "");
    fake_free(&run);
}

static void test_a_secret_is_in_no_message(void **state)
{
    static const char *const wrong[] = {
        "    api_key: [" SECRET "]\n",
        "    api_key: {" SECRET ": x}\n",
        "    api_key: " SECRET "\n    api_key_file: key\n",
        "    api_key: " SECRET "\n    x: y\n",
        "    api_key: &"
        "a " SECRET "\n",
        "    api_key: !x " SECRET "\n",
        "    api_key: \"" SECRET "\n",
        "    workers: \"${KEY}\"\n",
        "    ssl: \"${KEY}\"\n",
        "    mode: \"${KEY}\"\n",
        "    tags: {a: b}\n    room: x${KEY}\n",
    };
    static const char *const environment[] = {"KEY=" SECRET, NULL};
    const struct bfr_config_flags flags = {.environment = environment};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "pipeline:\n  - plugin: fake\n    place: p\n%s", wrong[i]);
        struct fake_run run = fake_parse(text, &flags);
        assert_true(bfr_diag_errors(run.diag) > 0);
        assert_null(strstr(run.findings, SECRET));
        fake_free(&run);
    }
}

static void test_a_mask_is_good_enough_for_check_and_refused_for_run(void **state)
{
    char expected[512];
    struct place *place = *state;
    struct fake_run run = read_with(place, "    api_key: '***'\n");
    assert_non_null(bfr_config_bind(run.config, 0, &fake_plugin, run.diag));
    assert_int_equal(bfr_diag_errors(run.diag), 0);
    assert_int_equal(bfr_config_refuse_masks(run.config, run.diag), 1);
    assert_int_equal(bfr_diag_errors(run.diag), 1);
    size_t size = 0;
    FILE *stream = open_memstream(&run.findings, &size);
    bfr_diag_print(run.diag, stream);
    assert_int_equal(fclose(stream), 0);
    snprintf(
        expected, sizeof expected,
        "%s:4:14: error: stage 'fake': api_key: '***' is how a secret is shown, not a secret; put the real one here, "
        "or its file under 'api_key_file'\n",
        place->config);
    assert_string_equal(run.findings, expected);
    fake_free(&run);
    run = read_with(place, "    api_key: real\n    mode: open\n");
    assert_non_null(bfr_config_bind(run.config, 0, &fake_plugin, run.diag));
    assert_int_equal(bfr_config_refuse_masks(run.config, run.diag), 0);
    fake_free(&run);
}

static void test_a_pipe_is_not_waited_for(void **state)
{
    struct place *place = *state;
    char expected[512];
    assert_int_equal(mkfifo(place->key, 0600), 0);
    struct fake_run run = read_with(place, "    api_key_file: key\n");
    fake_finish(&run);
    snprintf(expected, sizeof expected, "%s:4:19: error: stage 'fake': api_key_file: '%s' is not a regular file\n",
             place->config, place->key);
    assert_string_equal(run.findings, expected);
    fake_free(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_secret_file_loses_one_newline_at_its_end, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_a_file_that_holds_no_secret_is_refused, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_a_secret_that_everybody_can_read_is_a_warning, make_place, remove_place),
        cmocka_unit_test(test_a_secret_is_in_no_message),
        cmocka_unit_test_setup_teardown(test_a_mask_is_good_enough_for_check_and_refused_for_run, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(test_a_pipe_is_not_waited_for, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
