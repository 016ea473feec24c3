// SPDX-License-Identifier: Apache-2.0
// Good configurations: defaults, every key, every type of option, variables, limits of the format.
#include "config_fake.h"

#include "bfr/host.h"
#include "log.h"

#define PIPELINE "pipeline: [{plugin: fake, place: p}]\n"

static const char *const environment[] = {"NAME=north", "EMPTY=", "PORT=9001", "YAML=[a, b]", NULL};
static const struct bfr_config_flags with_environment = {.environment = environment};
static const struct bfr_config_flags no_flags = {0};

// Parse what must be good.
static struct fake_run good(const char *text, const struct bfr_config_flags *flags)
{
    struct fake_run run = fake_parse(text, flags);
    assert_string_equal(run.findings, "");
    assert_int_equal(bfr_diag_errors(run.diag), 0);
    return run;
}

static void test_defaults_are_those_of_the_documentation(void **state)
{
    (void)state;
    struct fake_run run = good(PIPELINE, &no_flags);
    const struct bfr_settings *settings = bfr_config_settings(run.config);
    assert_string_equal(settings->app.name, "bytefreezer-receiver");
    assert_int_equal(settings->logging.level, BFR_LOG_INFO);
    assert_int_equal(settings->logging.format, BFR_LOG_LOGFMT);
    assert_int_equal(settings->webhook.bind_count, 2);
    assert_string_equal(settings->webhook.bind[0], "0.0.0.0");
    assert_string_equal(settings->webhook.bind[1], "::");
    assert_int_equal(settings->webhook.port, 8080);
    assert_int_equal(settings->webhook.threads, 0);
    assert_int_equal(settings->webhook.max_payload_size, 10 << 20);
    assert_int_equal(settings->webhook.read_timeout_ms, 30000);
    assert_int_equal(settings->webhook.write_timeout_ms, 30000);
    assert_int_equal(settings->webhook.idle_timeout_ms, 120000);
    assert_int_equal(settings->webhook.head_timeout_ms, 10000);
    assert_int_equal(settings->webhook.max_connections, 10000);
    assert_int_equal(settings->server.bind_count, 1);
    assert_string_equal(settings->server.bind[0], "0.0.0.0");
    assert_int_equal(settings->server.api_port, 8081);
    assert_int_equal(settings->memory.budget, 256 << 20);
    assert_int_equal(settings->memory.wait_ms, 5000);
    assert_int_equal(settings->ack, BFR_ACK_MEMORY);
    assert_int_equal(settings->ack_timeout_ms, 25000);
    assert_int_equal(settings->shutdown_delay_ms, 2000);
    assert_int_equal(settings->retry.initial_ms, 1000);
    assert_int_equal(settings->retry.max_ms, 60000);
    assert_int_equal(settings->retry.attempts, 0);
    assert_int_equal(settings->retry.probe_interval_ms, 1000);
    assert_int_equal(settings->dedup.window_ms, 3600000);
    assert_int_equal(settings->dedup.max_entries, 200000);
    assert_int_equal(settings->metrics.tenant_labels, 200);
    assert_int_equal(settings->metrics.dataset_labels, 500);
    assert_int_equal(settings->plugin_dir[0], '/');
    fake_free(&run);
}

static void test_every_core_key_reaches_its_setting(void **state)
{
    (void)state;
    struct fake_run run = good("app: {name: n}\n"
                               "logging: {level: debug, format: json}\n"
                               "webhook:\n"
                               "  bind: 127.0.0.1\n"
                               "  port: 0\n"
                               "  threads: 4\n"
                               "  max_payload_size: 1MB\n"
                               "  read_timeout_seconds: 31\n"
                               "  write_timeout_seconds: 500ms\n"
                               "  idle_timeout_seconds: 2m\n"
                               "  head_timeout: 3\n"
                               "  max_connections: 7\n"
                               "server: {bind: ['::1', 127.0.0.1], api_port: 0}\n"
                               "memory: {budget: 2MiB, wait: 0}\n"
                               "ack: sink\n"
                               "ack_timeout: 9s\n"
                               "shutdown_delay: 0s\n"
                               "retry: {initial: 2s, max: 2s, attempts: 5, probe_interval: 250ms}\n"
                               "dedup: {window: 1d, max_entries: 10}\n"
                               "metrics: {tenant_labels: 0}\n"
                               "plugin_dir: plugins\n" PIPELINE,
                               &no_flags);
    const struct bfr_settings *settings = bfr_config_settings(run.config);
    assert_string_equal(settings->app.name, "n");
    assert_int_equal(settings->logging.level, BFR_LOG_DEBUG);
    assert_int_equal(settings->logging.format, BFR_LOG_JSON);
    assert_int_equal(settings->webhook.bind_count, 1);
    assert_string_equal(settings->webhook.bind[0], "127.0.0.1");
    assert_int_equal(settings->webhook.port, 0);
    assert_int_equal(settings->webhook.threads, 4);
    assert_int_equal(settings->webhook.max_payload_size, 1000000);
    assert_int_equal(settings->webhook.read_timeout_ms, 31000);
    assert_int_equal(settings->webhook.write_timeout_ms, 500);
    assert_int_equal(settings->webhook.idle_timeout_ms, 120000);
    assert_int_equal(settings->webhook.head_timeout_ms, 3000);
    assert_int_equal(settings->webhook.max_connections, 7);
    assert_int_equal(settings->server.bind_count, 2);
    assert_string_equal(settings->server.bind[1], "127.0.0.1");
    assert_int_equal(settings->server.api_port, 0);
    assert_int_equal(settings->memory.budget, 2 << 20);
    assert_int_equal(settings->memory.wait_ms, 0);
    assert_int_equal(settings->ack, BFR_ACK_SINK);
    assert_int_equal(settings->ack_timeout_ms, 9000);
    assert_int_equal(settings->shutdown_delay_ms, 0);
    assert_int_equal(settings->retry.initial_ms, 2000);
    assert_int_equal(settings->retry.max_ms, 2000);
    assert_int_equal(settings->retry.attempts, 5);
    assert_int_equal(settings->retry.probe_interval_ms, 250);
    assert_int_equal(settings->dedup.window_ms, 86400000);
    assert_int_equal(settings->dedup.max_entries, 10);
    assert_int_equal(settings->metrics.tenant_labels, 0);
    assert_string_equal(settings->plugin_dir, "/etc/plugins");
    fake_free(&run);
}

static const struct bfr_values *only_stage(struct fake_run *run, const char *keys)
{
    char text[1024];
    snprintf(text, sizeof text, "pipeline:\n  - plugin: fake\n    place: p\n%s", keys);
    struct bfr_diag *diag = bfr_diag_new();
    *run = (struct fake_run){.diag = diag, .config = bfr_config_parse("/etc/c.yaml", text, &with_environment, diag)};
    assert_int_equal(bfr_config_stage_count(run->config), 1);
    const struct bfr_values *values = bfr_config_bind(run->config, 0, &fake_plugin, diag);
    assert_int_equal(bfr_diag_errors(diag), 0);
    assert_non_null(values);
    return values;
}

static void test_an_option_has_what_the_core_says_unless_the_stage_does(void **state)
{
    (void)state;
    static const struct bfr_option options[] = {
        {.name = "place", .type = BFR_OPTION_STRING, .help = "where it goes"},
        {.name = "window",
         .type = BFR_OPTION_DURATION,
         .fallback = "7s",
         .help = "how long",
         .inherits = "dedup.window"},
        {.name = "share", .type = BFR_OPTION_NUMBER, .fallback = "0", .help = "part", .inherits = "lanes.fresh_share"},
        {.name = "other",
         .type = BFR_OPTION_INTEGER,
         .fallback = "3",
         .help = "of another type",
         .inherits = "dedup.window"},
        {.name = "unknown",
         .type = BFR_OPTION_INTEGER,
         .fallback = "4",
         .help = "no such key",
         .inherits = "dedup.such"},
    };
    struct bfr_plugin plugin = fake_plugin;
    plugin.options = options;
    plugin.option_count = sizeof options / sizeof options[0];
    const char *text = "dedup: {window: 2h}\nlanes: {fresh_share: 0.25}\npipeline:\n  - {plugin: fake, place: p}\n"
                       "  - {plugin: fake, name: own, place: p, window: 3h}\n";
    struct bfr_diag *diag = bfr_diag_new();
    struct fake_run run = {.diag = diag, .config = bfr_config_parse("/etc/c.yaml", text, &with_environment, diag)};
    const struct bfr_values *values = bfr_config_bind(run.config, 0, &plugin, diag);
    const struct bfr_values *own = bfr_config_bind(run.config, 1, &plugin, diag);
    assert_int_equal(bfr_diag_errors(diag), 0);
    assert_int_equal(bfr_values_integer(values, "window"), 2 * 3600000);
    assert_true(bfr_values_number(values, "share") == 0.25);
    assert_int_equal(bfr_values_integer(values, "other"), 3);
    assert_int_equal(bfr_values_integer(values, "unknown"), 4);
    assert_int_equal(bfr_values_integer(own, "window"), 3 * 3600000);
    fake_free(&run);
}

static void test_a_stage_gets_its_fallbacks(void **state)
{
    (void)state;
    struct fake_run run;
    const struct bfr_values *values = only_stage(&run, "");
    size_t count = 0;
    assert_string_equal(bfr_values_string(values, "mode"), "open");
    assert_true(bfr_values_bool(values, "ssl"));
    assert_int_equal(bfr_values_integer(values, "workers"), 10);
    assert_true(bfr_values_number(values, "share") == 0.5);
    assert_int_equal(bfr_values_integer(values, "room"), 1 << 30);
    assert_int_equal(bfr_values_integer(values, "interval_ms"), 5);
    assert_false(bfr_values_has(values, "directory"));
    assert_string_equal(bfr_values_string(values, "directory"), "");
    assert_false(bfr_values_has(values, "api_key"));
    assert_string_equal(bfr_values_list(values, "hosts", &count)[1], "b");
    assert_int_equal(count, 2);
    (void)bfr_values_list(values, "tags", &count);
    assert_int_equal(count, 0);
    fake_free(&run);
}

static void test_a_stage_gets_values_of_every_type(void **state)
{
    (void)state;
    struct fake_run run;
    const struct bfr_values *values = only_stage(&run, "    mode: tokens\n"
                                                       "    ssl: false\n"
                                                       "    workers: 64\n"
                                                       "    offset: -5\n"
                                                       "    share: 0.25\n"
                                                       "    room: 65536\n"
                                                       "    interval_ms: 1m\n"
                                                       "    directory: data/x\n"
                                                       "    hosts: single\n"
                                                       "    tags: {z: 1, a: 'two words'}\n"
                                                       "    api_key: 007\n");
    size_t count = 0;
    assert_string_equal(bfr_values_string(values, "mode"), "tokens");
    assert_false(bfr_values_bool(values, "ssl"));
    assert_int_equal(bfr_values_integer(values, "workers"), 64);
    assert_int_equal(bfr_values_integer(values, "offset"), -5);
    assert_true(bfr_values_number(values, "share") == 0.25);
    assert_int_equal(bfr_values_integer(values, "room"), 65536);
    assert_int_equal(bfr_values_integer(values, "interval_ms"), 60000);
    assert_string_equal(bfr_values_string(values, "directory"), "/etc/data/x");
    assert_string_equal(bfr_values_list(values, "hosts", &count)[0], "single");
    assert_int_equal(count, 1);
    const char *const *tags = bfr_values_list(values, "tags", &count);
    assert_int_equal(count, 2);
    assert_string_equal(tags[0], "z=1"); // in the order of the file
    assert_string_equal(tags[1], "a=two words");
    assert_string_equal(bfr_values_string(values, "api_key"), "007"); // a text stays what it was, digits or not
    fake_free(&run);
}

static void test_variables_are_expanded_in_values(void **state)
{
    (void)state;
    struct fake_run run;
    const struct bfr_values *values = only_stage(&run, "    workers: ${WORKERS:-12}\n"
                                                       "    api_key: a$$b$c-${NAME}-${EMPTY}-${EMPTY:-e}-${UNSET:-}$\n"
                                                       "    hosts: ['${NAME}', \"${YAML}\"]\n"
                                                       "    tags: {'${NAME}': '$${NAME}'}\n"
                                                       "    directory: ${NAME}/${UNSET:-deep}\n");
    size_t count = 0;
    assert_int_equal(bfr_values_integer(values, "workers"), 12);
    assert_string_equal(bfr_values_string(values, "api_key"), "a$b$c-north--e-$");
    const char *const *hosts = bfr_values_list(values, "hosts", &count);
    assert_int_equal(count, 2);
    assert_string_equal(hosts[0], "north");
    assert_string_equal(hosts[1], "[a, b]"); // what a variable holds is never read as YAML
    assert_string_equal(bfr_values_list(values, "tags", &count)[0], "${NAME}=${NAME}"); // keys are left alone
    assert_string_equal(bfr_values_string(values, "directory"), "/etc/north/deep");
    fake_free(&run);
}

static void test_a_variable_may_stand_for_a_core_value(void **state)
{
    (void)state;
    struct fake_run run = good("webhook: {port: \"${PORT}\"}\n" PIPELINE, &with_environment);
    assert_int_equal(bfr_config_settings(run.config)->webhook.port, 9001);
    fake_free(&run);
}

static void test_stages_are_listed_in_order_with_their_places(void **state)
{
    (void)state;
    struct fake_run run = {.diag = bfr_diag_new()};
    run.config = bfr_config_parse("/etc/c.yaml",
                                  "pipeline:\n"
                                  "  - memory\n"
                                  "  - {plugin: fs, name: main_1}\n"
                                  "services:\n"
                                  "  - plugin: control\n",
                                  &no_flags, run.diag);
    assert_int_equal(bfr_diag_errors(run.diag), 0);
    assert_int_equal(bfr_config_stage_count(run.config), 3);
    const struct bfr_stage_entry *entry = bfr_config_stage(run.config, 0);
    assert_string_equal(entry->plugin, "memory");
    assert_string_equal(entry->name, "memory");
    assert_false(entry->service);
    entry = bfr_config_stage(run.config, 1);
    assert_string_equal(entry->plugin, "fs");
    assert_string_equal(entry->name, "main_1");
    assert_int_equal(entry->place.line, 3);
    assert_int_equal(entry->place.column, 5);
    assert_string_equal(entry->place.file, "/etc/c.yaml");
    assert_true(bfr_config_stage(run.config, 2)->service);
    fake_free(&run);
}

static void test_harmless_forms_are_accepted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\xef\xbb\xbf" PIPELINE,                             // a byte order mark
        "---\n" PIPELINE "...\n",                            // markers of one document
        "%YAML 1.1\n---\n" PIPELINE,                         // and its version
        "webhook:\nserver:   # all defaults\n" PIPELINE,     // sections without a key
        "services: []\n" PIPELINE,                           //
        "pipeline:\r\n  - plugin: fake\r\n    place: p\r\n", // lines of another system
        "'webhook': {\"port\": '8080'}\n" PIPELINE,          // quotes do not matter
        "memory: {budget: 16MiB}\n" PIPELINE,                // a default payload that does not fit is cut
        "memory: {budget: 16MiB}\nwebhook: {max_payload_size: 0}\n" PIPELINE,
        "app: {name: \"caf\xc3\xa9 \xf0\x9f\xa7\x8a\"}\n" PIPELINE,
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct fake_run run = good(texts[i], &no_flags);
        assert_int_equal(bfr_config_stage_count(run.config), 1);
        fake_free(&run);
    }
}

static void test_columns_count_characters(void **state)
{
    (void)state;
    struct fake_run run = fake_parse("\xef\xbb\xbf"
                                     "app: {name: \"\xc3\xa9\xc3\xa9\", x: 1}\n" PIPELINE,
                                     &no_flags);
    assert_string_equal(run.findings, "/etc/c.yaml:1:19: error: app: unknown key 'x'; known here: name\n");
    fake_free(&run);
}

static void test_a_mistake_does_not_hide_the_settings_around_it(void **state)
{
    (void)state;
    struct fake_run run =
        fake_parse("ack: never\nplugin_dir: /here\nwebhook: {port: x, threads: 3}\n" PIPELINE, &no_flags);
    const struct bfr_settings *settings = bfr_config_settings(run.config);
    assert_int_equal(bfr_diag_errors(run.diag), 2);
    assert_string_equal(settings->plugin_dir, "/here"); // stages are looked for where they are
    assert_int_equal(settings->ack, BFR_ACK_MEMORY);
    assert_int_equal(settings->webhook.port, 8080);
    assert_int_equal(settings->webhook.threads, 3);
    fake_free(&run);
}

// `count` times `text`, then `tail`; to be freed.
static char *repeated(const char *text, size_t count, const char *tail)
{
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    assert_non_null(stream);
    for (size_t i = 0; i < count; i++)
        fputs(text, stream);
    fputs(tail, stream);
    assert_int_equal(fclose(stream), 0);
    return out;
}

static void assert_findings(char *text, const char *expected)
{
    struct fake_run run = fake_parse(text, &no_flags);
    assert_string_equal(run.findings, expected);
    fake_free(&run);
    free(text);
}

static void test_nesting_is_limited(void **state)
{
    (void)state;
    assert_findings(repeated("[", 40, "\n"),
                    "/etc/c.yaml:1:33: error: nested more than 32 levels deep; no key needs that many\n");
    assert_findings(repeated("[", 500000, "\n"),
                    "/etc/c.yaml:1:33: error: nested more than 32 levels deep; no key needs that many\n");
    assert_findings(repeated("{a: ", 33, "\n"),
                    "/etc/c.yaml:1:129: error: nested more than 32 levels deep; no key needs that many\n");
}

static void test_the_size_of_a_file_is_limited(void **state)
{
    (void)state;
    assert_findings(repeated("# sixteen bytes\n", 65536, "#"),
                    "/etc/c.yaml: error: larger than 1024 KiB; is this a configuration?\n");
    assert_findings(repeated("# sixteen bytes\n", 65536 - 16, PIPELINE), "");
}

static void test_the_keys_of_a_mapping_are_limited(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    for (int i = 0; i < 1001; i++)
        fprintf(stream, "k%d: 1\n", i);
    assert_int_equal(fclose(stream), 0);
    assert_findings(text, "/etc/c.yaml:1001:1: error: more than 1000 keys in one mapping\n");
}

static void test_defaults_need_no_file(void **state)
{
    (void)state;
    struct bfr_values *values =
        bfr_values_defaults(fake_options + 1, FAKE_OPTION_COUNT - 1, sizeof fake_options[0]); // all but the required
    assert_string_equal(bfr_values_string(values, "mode"), "open");
    assert_false(bfr_values_has(values, "api_key"));
    bfr_values_free(values);
    bfr_values_free(NULL);
    values = bfr_values_defaults(NULL, 0, 0);
    bfr_values_free(values);
}

// A plugin compiled with a later minor has longer rows; one compiled with a shorter struct has shorter ones.
static void test_rows_of_another_length_are_read(void **state)
{
    (void)state;
    struct longer {
        struct bfr_option row;
        const char *news;
    };
    static const struct longer rows[] = {
        {{.name = "one", .type = BFR_OPTION_INTEGER, .fallback = "1"}, "x"},
        {{.name = "two", .type = BFR_OPTION_INTEGER, .fallback = "2"}, "y"},
    };
    struct bfr_values *values = bfr_values_defaults(&rows[0].row, 2, sizeof rows[0]);
    assert_int_equal(bfr_values_integer(values, "two"), 2);
    bfr_values_free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_those_of_the_documentation),
        cmocka_unit_test(test_every_core_key_reaches_its_setting),
        cmocka_unit_test(test_an_option_has_what_the_core_says_unless_the_stage_does),
        cmocka_unit_test(test_a_stage_gets_its_fallbacks),
        cmocka_unit_test(test_a_stage_gets_values_of_every_type),
        cmocka_unit_test(test_variables_are_expanded_in_values),
        cmocka_unit_test(test_a_variable_may_stand_for_a_core_value),
        cmocka_unit_test(test_stages_are_listed_in_order_with_their_places),
        cmocka_unit_test(test_harmless_forms_are_accepted),
        cmocka_unit_test(test_columns_count_characters),
        cmocka_unit_test(test_a_mistake_does_not_hide_the_settings_around_it),
        cmocka_unit_test(test_nesting_is_limited),
        cmocka_unit_test(test_the_size_of_a_file_is_limited),
        cmocka_unit_test(test_the_keys_of_a_mapping_are_limited),
        cmocka_unit_test(test_defaults_need_no_file),
        cmocka_unit_test(test_rows_of_another_length_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
