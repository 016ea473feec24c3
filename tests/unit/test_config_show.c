// SPDX-License-Identifier: Apache-2.0
// What is printed: the configuration in effect, the schema, a plugin's options.
#include "config_fake.h"

#include <jansson.h>

static const char *const environment[] = {"NAME=north $x ${y}", NULL};
static const struct bfr_config_flags flags = {.environment = environment};

static char *show(const struct bfr_config *config)
{
    char *text = NULL;
    size_t size = 0;
    struct bfr_err err = {.size = sizeof err};
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(bfr_config_show(config, stream, &err), BFR_OK);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static const char rich[] =
    "app: {name: \"${NAME}\"}\n"
    "webhook: {bind: [127.0.0.1, '::1'], threads: 3, read_timeout_seconds: 1500ms}\n"
    "memory: {budget: 1GB}\n"
    "pipeline:\n"
    "  - plugin: fake\n"
    "    place: 'yes'\n"
    "    ssl: false\n"
    "    offset: -5\n"
    "    share: 0.125\n"
    "    directory: \"a b/c\"\n"
    "    hosts: ['1', \"two\\nlines\", '${NAME}', \"caf\xc3\xa9 \\\\ \\\"\", '', 'null', '- x']\n"
    "    tags: {'a \"quoted\" key': '$$1', b: 'x=y'}\n"
    "    api_key: hunter2\n"
    "  - {plugin: fake, name: second, place: /p, api_key: ''}\n"
    "services: [{plugin: fake, name: third, place: '0123'}]\n";

static void test_what_is_shown_reads_back_to_the_same(void **state)
{
    (void)state;
    struct fake_run first = fake_parse(rich, &flags);
    assert_string_equal(first.findings, "");
    char *text = show(first.config);
    struct fake_run second = fake_parse(text, &flags);
    assert_string_equal(second.findings, "");
    char *again = show(second.config);
    assert_string_equal(text, again);

    // Equal texts could both be wrong in the same way, so some of the hard ones are looked at.
    const struct bfr_settings *settings = bfr_config_settings(second.config);
    assert_string_equal(settings->app.name, "north $x ${y}");
    assert_int_equal(settings->webhook.threads, 3);
    assert_int_equal(settings->webhook.read_timeout_ms, 1500);
    assert_int_equal(settings->memory.budget, 1000000000);
    assert_int_equal(bfr_config_stage_count(second.config), 3);
    assert_true(bfr_config_stage(second.config, 2)->service);
    fake_free(&first);
    fake_free(&second);
    free(text);
    free(again);
}

static void test_hard_texts_survive_being_shown(void **state)
{
    (void)state;
    struct fake_run first = fake_parse(rich, &flags);
    char *text = show(first.config);
    struct bfr_diag *diag = bfr_diag_new();
    struct bfr_config *config = bfr_config_parse("/etc/c.yaml", text, &flags, diag);
    const struct bfr_values *values = bfr_config_bind(config, 0, &fake_plugin, diag);
    assert_non_null(values);
    size_t count = 0;
    const char *const *hosts = bfr_values_list(values, "hosts", &count);
    assert_int_equal(count, 7);
    assert_string_equal(hosts[0], "1");
    assert_string_equal(hosts[1], "two\nlines");
    assert_string_equal(hosts[2], "north $x ${y}");
    assert_string_equal(hosts[3], "caf\xc3\xa9 \\ \"");
    assert_string_equal(hosts[4], "");
    assert_string_equal(hosts[5], "null");
    assert_string_equal(hosts[6], "- x");
    const char *const *tags = bfr_values_list(values, "tags", &count);
    assert_int_equal(count, 2);
    assert_string_equal(tags[0], "a \"quoted\" key=$1");
    assert_string_equal(tags[1], "b=x=y");
    assert_string_equal(bfr_values_string(values, "place"), "yes");
    assert_string_equal(bfr_values_string(values, "directory"), "/etc/a b/c");
    assert_int_equal(bfr_values_integer(values, "offset"), -5);
    assert_true(bfr_values_number(values, "share") == 0.125);
    bfr_config_free(config);
    bfr_diag_free(diag);
    fake_free(&first);
    free(text);
}

static void test_secrets_are_masked_and_empty_ones_stay_empty(void **state)
{
    (void)state;
    struct fake_run run = fake_parse(rich, &flags);
    char *text = show(run.config);
    assert_null(strstr(text, "hunter2"));
    const char *first = strstr(text, "api_key: \"***\"\n");
    assert_non_null(first);
    assert_non_null(strstr(first, "api_key: \"\"\n"));
    assert_null(strstr(first + strlen("api_key: \"***\""), "***"));
    free(text);
    fake_free(&run);
}

static void test_a_stage_that_was_not_checked_cannot_be_shown(void **state)
{
    (void)state;
    struct bfr_err err = {.size = sizeof err};
    struct fake_run run = {.diag = bfr_diag_new()};
    run.config = bfr_config_parse("/etc/c.yaml", "pipeline: [fake]\n", &flags, run.diag);
    assert_int_equal(bfr_config_show(run.config, stderr, &err), BFR_EINVAL);
    assert_non_null(strstr(err.text, "'fake'"));
    fake_free(&run);
}

static json_t *load_schema(void)
{
    static const struct bfr_plugin service = {BFR_PLUGIN_HEAD, .kind = BFR_KIND_SERVICE, .name = "report",
                                              .version = "1",  .summary = "reports",     .life = &fake_life};
    const struct bfr_plugin *const plugins[] = {&fake_plugin, &service};
    struct bfr_err err = {.size = sizeof err};
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(bfr_config_schema(plugins, 2, stream, &err), BFR_OK);
    assert_int_equal(fclose(stream), 0);
    json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(schema);
    free(text);
    return schema;
}

static const json_t *dig(const json_t *at, const char *const *path)
{
    for (; *path != NULL; path++) {
        at = json_is_array(at) ? json_array_get(at, strtoul(*path, NULL, 10)) : json_object_get(at, *path);
        assert_non_null(at);
    }
    return at;
}

#define DIG(root, ...) dig(root, (const char *const[]){__VA_ARGS__, NULL})

static void test_the_schema_names_every_key(void **state)
{
    (void)state;
    static const char *const keys[][3] = {
        {"ack"}, {"ack_timeout"}, {"shutdown_delay"}, {"plugin_dir"}, {"pipeline"}, {"services"},
    };
    static const char *const nested[][2] = {
        {"app", "name"},
        {"logging", "level"},
        {"logging", "format"},
        {"webhook", "bind"},
        {"webhook", "port"},
        {"webhook", "threads"},
        {"webhook", "max_payload_size"},
        {"webhook", "read_timeout_seconds"},
        {"webhook", "write_timeout_seconds"},
        {"webhook", "idle_timeout_seconds"},
        {"webhook", "head_timeout"},
        {"webhook", "max_connections"},
        {"server", "bind"},
        {"server", "api_port"},
        {"memory", "budget"},
        {"memory", "wait"},
        {"retry", "initial"},
        {"retry", "max"},
        {"retry", "attempts"},
        {"retry", "probe_interval"},
        {"dedup", "window"},
        {"dedup", "max_entries"},
        {"metrics", "tenant_labels"},
        {"metrics", "dataset_labels"},
    };
    json_t *schema = load_schema();
    assert_string_equal(json_string_value(DIG(schema, "$schema")), "https://json-schema.org/draft/2020-12/schema");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        DIG(schema, "properties", keys[i][0]);
    for (size_t i = 0; i < sizeof nested / sizeof nested[0]; i++)
        DIG(schema, "properties", nested[i][0], "properties", nested[i][1], "description");
    const json_t *stage = DIG(schema, "properties", "pipeline", "items", "anyOf", "1");
    for (size_t i = 0; i < FAKE_OPTION_COUNT; i++)
        DIG(stage, "properties", fake_options[i].name, "description");
    DIG(stage, "properties", "api_key_file");
    assert_true(json_is_true(DIG(stage, "properties", "api_key", "writeOnly")));
    json_decref(schema);
}

static void test_the_schema_is_as_strict_as_the_check(void **state)
{
    (void)state;
    json_t *schema = load_schema();
    const json_t *stage = DIG(schema, "properties", "pipeline", "items", "anyOf", "1");
    assert_true(json_is_false(DIG(schema, "additionalProperties")));
    assert_true(json_is_false(DIG(schema, "properties", "webhook", "additionalProperties")));
    assert_true(json_is_false(DIG(stage, "additionalProperties")));
    assert_string_equal(json_string_value(DIG(schema, "required", "0")), "pipeline");
    assert_string_equal(json_string_value(DIG(stage, "required", "0")), "plugin");
    assert_string_equal(json_string_value(DIG(stage, "required", "1")), "place");
    assert_string_equal(json_string_value(DIG(stage, "properties", "mode", "anyOf", "0", "enum", "1")), "tokens");
    assert_int_equal(json_integer_value(DIG(stage, "properties", "workers", "anyOf", "0", "maximum")), 64);
    assert_int_equal(json_integer_value(DIG(stage, "properties", "offset", "anyOf", "0", "minimum")), -5);
    assert_int_equal(json_integer_value(DIG(schema, "properties", "webhook", "properties", "port", "default")), 8080);
    assert_string_equal(json_string_value(DIG(schema, "properties", "services", "items", "anyOf", "1", "properties",
                                              "plugin", "const")),
                        "report");
    json_decref(schema);
}

static void test_a_plugin_is_described_with_every_option(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    bfr_config_describe(&fake_plugin, stream);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(strncmp(text, "fake 1.0, sink: one option of every type\n\nOptions:\n", 51), 0);
    assert_non_null(strstr(text, "  place        text, required\n               where it goes\n"));
    assert_non_null(strstr(text, "  mode         one of open|tokens|control, default open\n"));
    assert_non_null(strstr(text, "  workers      whole number, at least 1, at most 64, default 10\n"));
    assert_non_null(strstr(text, "a plain number counts ms, default 5\n"));
    assert_non_null(strstr(text, "  api_key      text, secret (or its file as api_key_file)\n"));
    for (size_t i = 0; i < FAKE_OPTION_COUNT; i++)
        assert_non_null(strstr(text, fake_options[i].help));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_shown_reads_back_to_the_same),
        cmocka_unit_test(test_hard_texts_survive_being_shown),
        cmocka_unit_test(test_secrets_are_masked_and_empty_ones_stay_empty),
        cmocka_unit_test(test_a_stage_that_was_not_checked_cannot_be_shown),
        cmocka_unit_test(test_the_schema_names_every_key),
        cmocka_unit_test(test_the_schema_is_as_strict_as_the_check),
        cmocka_unit_test(test_a_plugin_is_described_with_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
