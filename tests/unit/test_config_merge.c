// SPDX-License-Identifier: Apache-2.0
// A file that was read again, on the one in force: what changes, what waits, and what of the old one is still there.
#include "config_fake.h"

#include "config_in_force.h"
#include "config_merge.h"
#include "config_values.h"

static const struct bfr_config_flags flags = {.plugin_dir = NULL};

#define PIPELINE                                                                                                       \
    "pipeline: [{plugin: fake, place: here, token: t1, api_key: k1}, {plugin: fake, name: b, place: '1'}]\n"

static struct bfr_config *parse(const char *text)
{
    struct fake_run run = fake_parse(text, &flags);
    assert_string_equal(run.findings, "");
    struct bfr_config *config = run.config;
    run.config = NULL;
    fake_free(&run);
    return config;
}

// What came of reading `after` while `before` is in force.
struct bench {
    struct bfr_config *running;
    struct bfr_config *fresh;
    struct bfr_texts needs;
    char keys[500];
};

static void merge(struct bench *bench, const char *before, const char *after)
{
    *bench = (struct bench){.running = parse(before), .fresh = parse(after)};
    assert_true(bfr_config_merge(bench->fresh, bench->running, &bench->needs));
    bfr_texts_join(&bench->needs, bench->keys, sizeof bench->keys);
}

static void finish(struct bench *bench)
{
    bfr_texts_clear(&bench->needs);
    bfr_config_free(bench->fresh);
    bfr_config_free(bench->running);
}

static void test_live_keys_change_and_the_rest_stays_and_is_named(void **state)
{
    struct bench bench;
    (void)state;
    merge(&bench, "webhook: {port: 80, max_payload_size: 1MiB}\nack_timeout: 5s\n" PIPELINE,
          "webhook: {port: 81, max_payload_size: 2MiB, bind: ['::1']}\nack_timeout: 6s\nack: sink\n"
          "quotas: {tenants: {acme: {requests_per_second: 3}}}\n" PIPELINE);
    const struct bfr_settings *settings = bfr_config_settings(bench.fresh);
    assert_string_equal(bench.keys, "ack, webhook.bind, webhook.port");
    assert_int_equal(settings->webhook.port, 80);
    assert_int_equal(settings->webhook.bind_count, 2);
    assert_int_equal(settings->ack, BFR_ACK_MEMORY);
    assert_int_equal(settings->webhook.max_payload_size, 2 << 20);
    assert_int_equal(settings->ack_timeout_ms, 6000);
    assert_int_equal(settings->quotas.tenant_count, 1);
    finish(&bench);
}

static void test_what_means_the_same_is_no_change(void **state)
{
    struct bench bench;
    (void)state;
    merge(&bench, "memory: {budget: 1MiB}\nwebhook: {bind: 127.0.0.1, max_payload_size: 0}\n" PIPELINE,
          "memory: {budget: 1048576}\nwebhook: {bind: [127.0.0.1], port: 8080, max_payload_size: 0}\n" PIPELINE);
    assert_string_equal(bench.keys, "");
    assert_null(bfr_config_change(bench.fresh, 0));
    assert_null(bfr_config_change(bench.fresh, 1));
    finish(&bench);
}

static void test_certificates_may_be_exchanged_but_tls_not_switched(void **state)
{
    struct bench bench;
    (void)state;
    merge(&bench, "webhook: {tls: {certificate: /a, key: /b}}\n" PIPELINE,
          "webhook: {tls: {certificate: /c, key: /d}}\nserver: {tls: {certificate: /e, key: /f}}\n" PIPELINE);
    assert_string_equal(bench.keys, "server.tls.certificate, server.tls.key");
    assert_string_equal(bfr_config_settings(bench.fresh)->webhook.tls.certificate, "/c");
    assert_string_equal(bfr_config_settings(bench.fresh)->server.tls.certificate, "");
    finish(&bench);
}

static void test_another_pipeline_waits_for_a_restart_as_a_whole(void **state)
{
    struct bench bench;
    (void)state;
    merge(&bench, PIPELINE,
          "pipeline: [{plugin: fake, place: there}]\nservices: [{plugin: fake, name: s, place: x}]\n");
    assert_string_equal(bench.keys, "pipeline, services, stage 'fake': place, stage 'fake': api_key");
    assert_int_equal(bfr_config_stage_count(bench.fresh), 2);
    assert_string_equal(bfr_config_stage(bench.fresh, 1)->name, "b");
    finish(&bench);
}

static const char *option(const struct bfr_values *values, const char *name)
{
    assert_non_null(values);
    return bfr_values_string(values, name);
}

// The promise of host.h: a text that a reload cannot change stays where it is for the stage's life.
static void test_texts_of_a_stage_stay_where_they_are_through_many_reloads(void **state)
{
    struct bench bench;
    (void)state;
    merge(&bench, PIPELINE,
          "pipeline: [{plugin: fake, place: here, token: t2, api_key: k1}, {plugin: fake, name: b, place: '1'}]\n");
    const char *place = option(bfr_config_change(bench.fresh, 0), "place");
    assert_string_equal(option(bfr_config_change(bench.fresh, 0), "token"), "t2");
    assert_string_equal(bench.keys, "");
    struct bfr_in_force *in_force = bfr_in_force_new(bench.running, 1);
    bfr_in_force_replace(in_force, bench.fresh, 1, &bench.needs);
    for (int i = 3; i < 9; i++) {
        char text[200];
        snprintf(
            text, sizeof text,
            "pipeline: [{plugin: fake, place: here, token: t%d, api_key: k2}, {plugin: fake, name: b, place: '1'}]\n",
            i);
        struct bfr_config *fresh = parse(text);
        const struct bfr_config *running = bfr_in_force_enter(in_force);
        bfr_in_force_leave(in_force);
        assert_true(bfr_config_merge(fresh, running, &bench.needs));
        assert_ptr_equal(option(bfr_config_change(fresh, 0), "place"), place);
        assert_string_equal(option(bfr_config_change(fresh, 0), "api_key"), "k1"); // not live
        bfr_in_force_replace(in_force, fresh, i, &bench.needs);
    }
    assert_string_equal(place, "here");
    assert_int_equal(bfr_in_force_report(in_force)->generation, 8);
    assert_int_equal(bfr_in_force_report(in_force)->since_ns, 8);
    assert_string_equal(bfr_in_force_report(in_force)->needs_restart.list[0], "stage 'fake': api_key");
    bfr_in_force_free(in_force);
}

static void test_a_reload_that_failed_leaves_its_errors_and_no_more(void **state)
{
    (void)state;
    struct bfr_texts errors = {0};
    struct bfr_in_force *in_force = bfr_in_force_new(parse(PIPELINE), 1);
    const struct bfr_config *before = bfr_in_force_enter(in_force);
    bfr_in_force_leave(in_force);
    bfr_texts_add(&errors, "c.yaml:%d:1: wrong", 3);
    bfr_in_force_keep(in_force, 5, &errors);
    assert_int_equal(errors.count, 0); // taken over
    assert_ptr_equal(bfr_in_force_enter(in_force), before);
    const struct bfr_reload_report *report = bfr_in_force_report(in_force);
    assert_false(report->ok);
    assert_int_equal(report->generation, 1);
    assert_int_equal(report->since_ns, 1);
    assert_string_equal(report->errors.list[0], "c.yaml:3:1: wrong");
    bfr_in_force_leave(in_force);
    bfr_in_force_free(in_force);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_keys_change_and_the_rest_stays_and_is_named),
        cmocka_unit_test(test_what_means_the_same_is_no_change),
        cmocka_unit_test(test_certificates_may_be_exchanged_but_tls_not_switched),
        cmocka_unit_test(test_another_pipeline_waits_for_a_restart_as_a_whole),
        cmocka_unit_test(test_texts_of_a_stage_stay_where_they_are_through_many_reloads),
        cmocka_unit_test(test_a_reload_that_failed_leaves_its_errors_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
