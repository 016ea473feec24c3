// SPDX-License-Identifier: Apache-2.0
// The environment, the flags, and where the file is looked for.
#include "config_fake.h"

#include <sys/stat.h>
#include <unistd.h>

#include "bfr/host.h"

#define PIPELINE "pipeline: [{plugin: fake, place: p}]\n"

// Settings from `text` under a list of variables, which must be good.
static struct fake_run under(const char *text, const char *const *environment)
{
    const struct bfr_config_flags flags = {.environment = environment};
    struct fake_run run = fake_parse(text, &flags);
    assert_int_equal(bfr_diag_errors(run.diag), 0);
    return run;
}

static void assert_findings(const char *text, const char *const *environment, const char *expected)
{
    const struct bfr_config_flags flags = {.environment = environment};
    struct fake_run run = fake_parse(text, &flags);
    assert_string_equal(run.findings, expected);
    fake_free(&run);
}

static void test_a_variable_wins_over_the_file(void **state)
{
    (void)state;
    static const char *const environment[] = {"BYTEFREEZER_RECEIVER_WEBHOOK_PORT=9000",
                                              "BYTEFREEZER_RECEIVER_WEBHOOK_READ_TIMEOUT_SECONDS=5",
                                              "BYTEFREEZER_RECEIVER_MEMORY_BUDGET=1GiB",
                                              "BYTEFREEZER_RECEIVER_ACK=sink",
                                              "BYTEFREEZER_RECEIVER_ACK_TIMEOUT=3s",
                                              "BYTEFREEZER_RECEIVER_PLUGIN_DIR=plugins",
                                              "BYTEFREEZER_RECEIVER_WEBHOOK_BIND=127.0.0.1",
                                              "BYTEFREEZER_RECEIVER_APP_NAME=${NOT_EXPANDED}",
                                              NULL};
    struct fake_run run = under("webhook: {port: 1, threads: 2}\nack: memory\n" PIPELINE, environment);
    const struct bfr_settings *settings = bfr_config_settings(run.config);
    assert_string_equal(run.findings, "");
    assert_int_equal(settings->webhook.port, 9000);
    assert_int_equal(settings->webhook.threads, 2); // what no variable sets stays
    assert_int_equal(settings->webhook.read_timeout_ms, 5000);
    assert_int_equal(settings->memory.budget, 1 << 30); // also in a section that the file does not have
    assert_int_equal(settings->ack, BFR_ACK_SINK);
    assert_int_equal(settings->ack_timeout_ms, 3000);
    assert_string_equal(settings->plugin_dir, "/etc/plugins");
    assert_int_equal(settings->webhook.bind_count, 1);
    assert_string_equal(settings->app.name, "${NOT_EXPANDED}");
    fake_free(&run);
}

static void test_the_long_name_wins_over_the_short_one(void **state)
{
    (void)state;
    static const char *const both[] = {"RECEIVER_WEBHOOK_PORT=1001", "BYTEFREEZER_RECEIVER_WEBHOOK_PORT=1002",
                                       "RECEIVER_API_PORT=1003", "LOG_LEVEL=warn", NULL};
    struct fake_run run = under("server: {api_port: 5}\nlogging: {level: debug}\n" PIPELINE, both);
    assert_int_equal(bfr_config_settings(run.config)->webhook.port, 1002);
    assert_int_equal(bfr_config_settings(run.config)->server.api_port, 1003);
    assert_int_equal(bfr_config_settings(run.config)->logging.level, BFR_LOG_WARN);
    fake_free(&run);
}

static void test_an_empty_variable_is_unset(void **state)
{
    (void)state;
    static const char *const empty[] = {"BYTEFREEZER_RECEIVER_WEBHOOK_PORT=", "RECEIVER_WEBHOOK_PORT=1001",
                                        "RECEIVER_API_PORT=", "LOG_LEVEL=", NULL};
    struct fake_run run = under("server: {api_port: 5}\n" PIPELINE, empty);
    assert_string_equal(run.findings, "");
    assert_int_equal(bfr_config_settings(run.config)->webhook.port, 1001);
    assert_int_equal(bfr_config_settings(run.config)->server.api_port, 5);
    fake_free(&run);
}

static void test_flags_win_over_everything(void **state)
{
    (void)state;
    static const char *const environment[] = {"BYTEFREEZER_RECEIVER_LOGGING_LEVEL=error", "LOG_LEVEL=warn",
                                              "BYTEFREEZER_RECEIVER_PLUGIN_DIR=/env", NULL};
    const struct bfr_config_flags flags = {.environment = environment, .log_level = "debug", .plugin_dir = "/flag"};
    struct fake_run run = fake_parse("logging: {level: info}\nplugin_dir: /file\n" PIPELINE, &flags);
    assert_string_equal(run.findings, "");
    assert_int_equal(bfr_config_settings(run.config)->logging.level, BFR_LOG_DEBUG);
    assert_string_equal(bfr_config_settings(run.config)->plugin_dir, "/flag");
    fake_free(&run);
}

static void test_a_path_on_the_command_line_is_relative_to_the_working_directory(void **state)
{
    (void)state;
    char here[4000], expected[4096];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/plugins", here);
    const struct bfr_config_flags flags = {.plugin_dir = "plugins"};
    struct fake_run run = fake_parse(PIPELINE, &flags);
    assert_string_equal(bfr_config_settings(run.config)->plugin_dir, expected);
    fake_free(&run);
}

static void test_a_wrong_value_is_reported_as_the_variables(void **state)
{
    (void)state;
    static const char *const wrong[] = {"BYTEFREEZER_RECEIVER_RETRY_MAX=soon", "RECEIVER_API_PORT=x", "LOG_LEVEL=INFO",
                                        "BYTEFREEZER_RECEIVER_APP_NAME=caf\xe9", NULL};
    assert_findings(
        PIPELINE, wrong,
        "BYTEFREEZER_RECEIVER_APP_NAME: error: holds bytes that are not UTF-8\n"
        "LOG_LEVEL: error: logging.level: 'INFO' is not a choice; write one of debug, info, warn, error; did "
        "you mean 'info'?\n"
        "RECEIVER_API_PORT: error: server.api_port: 'x' is not a whole number; write a whole number from 0 to "
        "65535, for example 8081\n"
        "BYTEFREEZER_RECEIVER_RETRY_MAX: error: retry.max: 'soon' is not a duration; write a number with ms, s, "
        "m, h or d behind it, for example 60s\n");
}

static void test_a_wrong_flag_is_reported_as_the_flags(void **state)
{
    (void)state;
    const struct bfr_config_flags flags = {.log_level = "loud", .plugin_dir = ""};
    struct fake_run run = fake_parse(PIPELINE, &flags);
    assert_string_equal(run.findings,
                        "--log-level: error: logging.level: 'loud' is not a choice; write one of debug, info, "
                        "warn, error\n"
                        "--plugin-dir: error: plugin_dir: is empty; name the directory of the plugins, or leave "
                        "it out\n");
    fake_free(&run);
}

static void test_a_conflict_between_file_and_variable_names_the_variable(void **state)
{
    (void)state;
    static const char *const same[] = {"RECEIVER_API_PORT=9000", NULL};
    assert_findings("webhook: {port: 9000}\n" PIPELINE, same,
                    "RECEIVER_API_PORT: error: server.api_port and webhook.port are both 9000; give each a port of its "
                    "own\n");
}

static void test_a_misspelt_variable_is_a_warning(void **state)
{
    (void)state;
    static const char *const names[] = {"BYTEFREEZER_RECEIVER_WEBHOOK_PROT=1", "BYTEFREEZER_RECEIVER_S3_BUCKET=b",
                                        "BYTEFREEZER_RECEIVER_SOMETHING_ELSE=1",
                                        "BYTEFREEZER_RECEIVER_WEBHOOK_PORT_8080_TCP_ADDR=10.0.0.1", NULL};
    assert_findings(PIPELINE, names,
                    "BYTEFREEZER_RECEIVER_WEBHOOK_PROT: warning: ignored: there is no such setting; did you mean "
                    "BYTEFREEZER_RECEIVER_WEBHOOK_PORT?\n"
                    "BYTEFREEZER_RECEIVER_S3_BUCKET: warning: ignored: this is a key of the older form, which has no "
                    "'pipeline', and the file has one; write ${BYTEFREEZER_RECEIVER_S3_BUCKET} where its value "
                    "belongs\n"
                    "BYTEFREEZER_RECEIVER_SOMETHING_ELSE: warning: ignored: there is no such setting\n");
}

// What Kubernetes puts into a pod that runs beside a service called bytefreezer-receiver-webhook.
static void test_service_links_of_kubernetes_are_no_settings(void **state)
{
    (void)state;
    static const char *const links[] = {"BYTEFREEZER_RECEIVER_WEBHOOK_PORT=tcp://10.96.1.2:8080",
                                        "BYTEFREEZER_RECEIVER_WEBHOOK_SERVICE_HOST=10.96.1.2",
                                        "BYTEFREEZER_RECEIVER_WEBHOOK_SERVICE_PORT=8080", NULL};
    struct fake_run run = under("webhook: {port: 7000}\n" PIPELINE, links);
    assert_int_equal(bfr_config_settings(run.config)->webhook.port, 7000);
    assert_string_equal(run.findings,
                        "BYTEFREEZER_RECEIVER_WEBHOOK_PORT: warning: ignored: this is a Kubernetes service link, not a "
                        "setting; set 'enableServiceLinks: false' in the pod to be rid of it\n");
    fake_free(&run);
}

static void test_a_section_that_is_no_mapping_stays_an_error(void **state)
{
    (void)state;
    static const char *const port[] = {"RECEIVER_WEBHOOK_PORT=1", NULL};
    assert_findings("webhook: [1]\n" PIPELINE, port,
                    "/etc/c.yaml:1:10: error: webhook: found a list where its keys should be; write them below it, for "
                    "example  bind: [0.0.0.0, '::']\n");
}

// The rest works in a directory of its own.

struct place {
    char before[4096];
    char directory[64];
};

static int enter_directory(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    if (place == NULL || getcwd(place->before, sizeof place->before) == NULL)
        return -1;
    snprintf(place->directory, sizeof place->directory, "/tmp/bfr-config-XXXXXX");
    *state = place;
    return mkdtemp(place->directory) == NULL ? -1 : chdir(place->directory);
}

static int leave_directory(void **state)
{
    struct place *place = *state;
    (void)unlink("config.yaml");
    (void)unlink("other.yaml");
    (void)rmdir("sub");
    int failed = chdir(place->before) != 0 || rmdir(place->directory) != 0;
    free(place);
    return failed ? -1 : 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
}

static void test_the_file_is_found_in_the_promised_order(void **state)
{
    (void)state;
    static const char *const named[] = {"CONFIG_FILE=other.yaml", NULL};
    static const char *const empty[] = {"CONFIG_FILE=", NULL};
    if (access("/etc/bytefreezer-receiver/config.yaml", F_OK) == 0 || access("/etc/bytefreezer/config.yaml", F_OK) == 0)
        skip(); // this machine has a configuration of its own
    write_file("config.yaml", "app: {name: here}\n" PIPELINE);
    write_file("other.yaml", "app: {name: other}\n" PIPELINE);
    const struct bfr_config_flags with_name = {.environment = named}, with_empty = {.environment = empty};

    struct fake_run run = fake_read("config.yaml", &with_name); // --config wins
    assert_string_equal(bfr_config_settings(run.config)->app.name, "here");
    assert_string_equal(bfr_config_path(run.config), "config.yaml");
    fake_free(&run);
    run = fake_read(NULL, &with_name);
    assert_string_equal(bfr_config_settings(run.config)->app.name, "other");
    fake_free(&run);
    run = fake_read(NULL, &with_empty);
    assert_string_equal(bfr_config_settings(run.config)->app.name, "here");
    assert_string_equal(bfr_config_path(run.config), "./config.yaml");
    fake_free(&run);

    assert_int_equal(unlink("config.yaml"), 0);
    run = fake_read(NULL, &with_empty); // defaults and the environment
    assert_string_equal(bfr_config_settings(run.config)->app.name, "bytefreezer-receiver");
    assert_string_equal(bfr_config_path(run.config), "environment");
    fake_free(&run);
}

static void test_a_daemon_without_a_file_reads_none_again(void **state)
{
    (void)state;
    static const char *const named[] = {"CONFIG_FILE=config.yaml", NULL};
    const struct bfr_config_flags flags = {.environment = named, .again = true};
    write_file("config.yaml", "app: {name: here}\n" PIPELINE);
    struct fake_run run = fake_read(NULL, &flags);
    assert_false(bfr_config_is_file(run.config));
    assert_string_equal(bfr_config_settings(run.config)->app.name, "bytefreezer-receiver");
    fake_free(&run);
}

static void test_a_named_file_must_be_there(void **state)
{
    (void)state;
    static const char *const named[] = {"CONFIG_FILE=absent.yaml", NULL};
    const struct bfr_config_flags flags = {.environment = named};
    write_file("config.yaml", PIPELINE);
    struct fake_run run = fake_read(NULL, &flags);
    assert_string_equal(run.findings,
                        "absent.yaml: error: cannot read the configuration: No such file or directory; check "
                        "the path\n");
    fake_free(&run);
    run = fake_read(".", &flags);
    assert_string_equal(run.findings, ".: error: cannot read the configuration: Is a directory; name the file in it\n");
    fake_free(&run);
}

static void test_paths_are_relative_to_the_file(void **state)
{
    struct place *place = *state;
    char expected[128];
    const struct bfr_config_flags flags = {0};
    write_file("config.yaml", "plugin_dir: p\n" PIPELINE);
    assert_int_equal(mkdir("sub", 0700), 0);
    static const char *const ways[] = {"config.yaml", "./config.yaml", "sub/../config.yaml"};
    static const char *const directories[] = {"", "", "/sub/.."};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        snprintf(expected, sizeof expected, "%s%s/p", place->directory, directories[i]);
        struct fake_run run = fake_read(ways[i], &flags);
        assert_string_equal(bfr_config_settings(run.config)->plugin_dir, expected);
        fake_free(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_variable_wins_over_the_file),
        cmocka_unit_test(test_the_long_name_wins_over_the_short_one),
        cmocka_unit_test(test_an_empty_variable_is_unset),
        cmocka_unit_test(test_flags_win_over_everything),
        cmocka_unit_test(test_a_path_on_the_command_line_is_relative_to_the_working_directory),
        cmocka_unit_test(test_a_wrong_value_is_reported_as_the_variables),
        cmocka_unit_test(test_a_wrong_flag_is_reported_as_the_flags),
        cmocka_unit_test(test_a_conflict_between_file_and_variable_names_the_variable),
        cmocka_unit_test(test_a_misspelt_variable_is_a_warning),
        cmocka_unit_test(test_service_links_of_kubernetes_are_no_settings),
        cmocka_unit_test(test_a_section_that_is_no_mapping_stays_an_error),
        cmocka_unit_test_setup_teardown(test_the_file_is_found_in_the_promised_order, enter_directory, leave_directory),
        cmocka_unit_test_setup_teardown(test_a_daemon_without_a_file_reads_none_again, enter_directory,
                                        leave_directory),
        cmocka_unit_test_setup_teardown(test_a_named_file_must_be_there, enter_directory, leave_directory),
        cmocka_unit_test_setup_teardown(test_paths_are_relative_to_the_file, enter_directory, leave_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
