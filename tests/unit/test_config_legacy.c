// SPDX-License-Identifier: Apache-2.0
// The two older forms as files: what they are translated to, and what is said about keys that have no meaning any more.
#include "config_translated.h"

#include "bfr/host.h"
#include "log.h"

#define BUCKET "s3: {bucket_name: b}\n"
#define OPEN   "auth mode=open\n"
#define DISK   "disk directory=/var/spool/bytefreezer-receiver dlq_max_age=7\n"
#define S3     "s3 bucket_name=b\n"
#define CACHE  " cache_file=/var/spool/bytefreezer-receiver/.bfr/directory.cache"

static void test_form_b_is_translated(void **state)
{
    (void)state;
    assert_translated(
        "s3:\n"
        "  bucket_name: intake\n"
        "  region: eu-west-1\n"
        "  endpoint: minio:9000\n"
        "  ssl: \"true\"\n"
        "  use_iam_role: False\n"
        "  access_key: AK\n"
        "  secret_key: pa$$word\n"
        "spooling: {enabled: 1, directory: spool, max_size_bytes: \"1073741824\", "
        "upload_worker_count: 3}\n"
        "dlq: {max_age_days: 0}\n"
        "control_service: {enabled: true, control_url: 'https://c', api_key: k, account_id: a1, "
        "timeout_seconds: 15}\n"
        "authentication: {enabled: true}\n"
        "health_reporting: {enabled: true, report_interval: 20, timeout_seconds: 0, "
        "register_on_startup: false}\n"
        "error_tracking: {enabled: false}\n"
        "housekeeping: {interval_seconds: 600}\n",
        NULL,
        "auth mode=control cache_file=spool/.bfr/directory.cache control_url=https://c api_key=k account_id=a1 "
        "require_token=true refresh_interval=600 timeout=15\n"
        "memory\n"
        "disk directory=spool max_size_bytes=1073741824 dlq_max_age=0\n"
        "s3 bucket_name=intake region=eu-west-1 endpoint=minio:9000 ssl=true use_iam_role=false "
        "access_key=AK secret_key=pa$$word upload_worker_count=3\n"
        "service control control_url=https://c api_key=k account_id=a1 reports=true errors=false "
        "report_interval=20 timeout=10 register_on_startup=false\n",
        "");
}

static void test_form_a_is_translated(void **state)
{
    (void)state;
    struct translated run = translate("server: {api_port: \"9081\"}\n"
                                      "logging: {level: WARNING, encoding: json}\n"
                                      "protocols:\n"
                                      "  webhook: {enabled: true, port: \"9080\", max_payload_size: 2048, "
                                      "supported_formats: [ndjson, csv], enable_format_header: true}\n"
                                      "  upload: {enabled: false, max_file_size: 1, allowed_extensions: [gz], x: 1}\n"
                                      "s3destination: {bucket_name: b, secret_name: unused}\n"
                                      "bytefreezer: {upload_worker_count: 5, spool_path: /spool}\n"
                                      "dlq: {enabled: true, directory: /spool/dlq, retry_attempts: 4, "
                                      "retry_interval_seconds: 30, max_size_bytes: 0, cleanup_interval_seconds: 300, "
                                      "max_age_days: 3}\n"
                                      "app: {name: n, version: 1.2.3}\n",
                                      NULL);
    assert_string_equal(run.findings, "");
    assert_string_equal(run.stages, OPEN "memory\ndisk directory=/spool dlq_max_age=3\n"
                                         "s3 bucket_name=b upload_worker_count=5\n");
    const struct bfr_settings *settings = bfr_config_settings(run.config);
    assert_string_equal(settings->app.name, "n");
    assert_int_equal(settings->server.api_port, 9081);
    assert_int_equal(settings->webhook.port, 9080);
    assert_int_equal(settings->webhook.max_payload_size, 2048);
    assert_int_equal(settings->logging.level, BFR_LOG_WARN);
    assert_int_equal(settings->logging.format, BFR_LOG_JSON);
    assert_int_equal(settings->retry.attempts, 4);
    assert_int_equal(settings->retry.max_ms, 30000);
    translated_free(&run);
}

static void test_form_b_wins_over_form_a_and_both_are_named(void **state)
{
    (void)state;
    struct translated run = translate("webhook: {port: 1}\nprotocols: {webhook: {port: 2}}\n"
                                      "server: {webhook_port: 3}\n"
                                      "s3: {bucket_name: b}\ns3destination: {bucket_name: a, region: r}\n"
                                      "spooling: {retry_attempts: 3}\ndlq: {retry_attempts: 3}\n",
                                      NULL);
    assert_int_equal(bfr_config_settings(run.config)->webhook.port, 1);
    assert_string_equal(run.stages, OPEN "memory\n" DISK "s3 bucket_name=b region=r\n");
    assert_string_equal(
        run.findings,
        "/etc/c.yaml:2:23: warning: protocols.webhook.port is ignored: webhook.port gives the same setting, and wins\n"
        "/etc/c.yaml:3:10: warning: server.webhook_port is ignored: webhook.port gives the same setting, and wins\n"
        "/etc/c.yaml:5:17: warning: s3destination.bucket_name is ignored: s3.bucket_name gives the same setting, and "
        "wins\n"
        "/etc/c.yaml:7:7: warning: dlq.retry_attempts is ignored: spooling.retry_attempts gives the same setting, and "
        "wins\n");
    translated_free(&run);
}

static void test_older_names_are_understood(void **state)
{
    (void)state;
    struct translated run = translate("s3: {bucket: b}\nserver: {webhook_port: 7}\n"
                                      "spooling: {base_path: /p, max_retries: 5}\n"
                                      "control_service: {base_url: 'http://c', timeout: 30}\n"
                                      "auth: {enabled: true, api_keys: [x]}\n"
                                      "housekeeping: {intervalseconds: 10}\n"
                                      "health_reporting: {enabled: false}\n",
                                      NULL);
    assert_string_equal(run.stages, "auth mode=control cache_file=/p/.bfr/directory.cache control_url=http://c "
                                    "require_token=true refresh_interval=10 timeout=30\n"
                                    "memory\ndisk directory=/p dlq_max_age=7\n" S3
                                    "service control control_url=http://c reports=false errors=true timeout=10\n");
    assert_string_equal(run.findings, "/etc/c.yaml:5:23: warning: 'auth.api_keys' is ignored: tokens come from the "
                                      "control service, or from 'authentication: {tenants_file: ...}'\n");
    assert_int_equal(bfr_config_settings(run.config)->webhook.port, 7);
    assert_int_equal(bfr_config_settings(run.config)->retry.attempts, 5);
    translated_free(&run);
}

static void test_defaults_are_those_of_the_older_forms(void **state)
{
    (void)state;
    struct translated run = translate("s3: {bucket_name: b}\nspooling: {retry_attempts: 0, max_size_bytes: 0}\n"
                                      "webhook: {max_payload_size: 0}\n",
                                      NULL);
    const struct bfr_settings *settings = bfr_config_settings(run.config);
    assert_string_equal(run.findings, "");
    assert_string_equal(run.stages, OPEN "memory\n" DISK S3);
    assert_int_equal(settings->retry.attempts, 3); // 0 is the default, not "for ever"
    assert_int_equal(settings->retry.max_ms, 60000);
    assert_int_equal(settings->webhook.max_payload_size, 0); // 0 is "whatever fits"
    assert_int_equal(settings->ack, BFR_ACK_MEMORY);
    translated_free(&run);
}

static void test_without_spooling_there_is_no_disk_stage(void **state)
{
    (void)state;
    assert_translated(BUCKET "spooling: {enabled: 'false'}\n", NULL, OPEN "memory\n" S3, "");
}

static void test_keys_without_a_value_are_not_given(void **state)
{
    (void)state;
    assert_translated(
        "s3: {bucket_name: b, region: '', endpoint: null, access_key: ~}\nspooling:\notel: {}\napp:\n  name:\n", NULL,
        OPEN "memory\n" DISK S3, "");
}

static void test_a_missing_bucket_is_an_error_that_says_both_ways_out(void **state)
{
    (void)state;
    static const char error[] =
        "/etc/c.yaml: error: no bucket is given; write  s3: {bucket_name: NAME}  or set "
        "RECEIVER_S3_BUCKET_NAME (a file in the native form has a 'pipeline', the smallest is  pipeline: [{plugin: "
        "memory}, {plugin: fs, directory: /srv/batches}])\n";
    static const char *const texts[] = {"", "# nothing yet\n", "ack: sink\n", "s3: {bucket_name: ''}\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct translated run = translate(texts[i], NULL);
        assert_string_equal(run.findings, error);
        translated_free(&run);
    }
}

static void test_a_bucket_with_a_slash_is_refused(void **state)
{
    (void)state;
    static const char *const environment[] = {"RECEIVER_S3_BUCKET_NAME=gs/bucket", NULL};
    struct translated run = translate("s3: {bucket_name: 'a/b'}\n", NULL);
    assert_string_equal(run.findings,
                        "/etc/c.yaml:1:19: error: s3.bucket_name: 'a/b' holds a '/', so it is a path and not a "
                        "bucket; give the name of the bucket alone\n");
    translated_free(&run);
    run = translate("", environment);
    assert_string_equal(run.findings, "RECEIVER_S3_BUCKET_NAME: error: RECEIVER_S3_BUCKET_NAME: 'gs/bucket' holds a "
                                      "'/', so it is a path and not a bucket; give the name of the bucket alone\n");
    translated_free(&run);
}

static void test_unknown_keys_are_warnings_with_the_nearest_name(void **state)
{
    (void)state;
    assert_translated("s3: {bucket_name: b, regoin: x, zzz: 1}\nwebhook: {prot: 1}\nspoling: {}\n"
                      "rate_limit: {rps: 5}\nspooling: {queue_interval_seconds: 1}\n",
                      NULL, OPEN "memory\n" DISK S3,
                      "/etc/c.yaml:1:22: warning: unknown key 's3.regoin' is ignored; did you mean 's3.region'?\n"
                      "/etc/c.yaml:1:33: warning: unknown key 's3.zzz' is ignored\n"
                      "/etc/c.yaml:2:11: warning: webhook: unknown key 'prot' is ignored; did you mean 'port'?\n"
                      "/etc/c.yaml:3:1: warning: unknown key 'spoling' is ignored; did you mean 'spooling'?\n"
                      "/etc/c.yaml:4:14: warning: 'rate_limit.rps' is ignored: limits stand under 'quotas:'\n"
                      "/etc/c.yaml:5:12: warning: 'spooling.queue_interval_seconds' is ignored: nothing polls the "
                      "queue: batches move on at once\n");
}

static void test_native_keys_are_valid_in_an_older_form(void **state)
{
    (void)state;
    struct translated run = translate(BUCKET "ack: disk\nplugin_dir: p\nretry: {attempts: 9}\n"
                                             "memory: {budget: 64MiB}\nspooling: {retry_attempts: 4}\n"
                                             "server: {admin_token: t}\nservices: [{plugin: mine, x: y}]\n",
                                      NULL);
    const struct bfr_settings *settings = bfr_config_settings(run.config);
    assert_string_equal(run.findings, "");
    assert_int_equal(settings->ack, BFR_ACK_DISK);
    assert_string_equal(settings->plugin_dir, "/etc/p");
    assert_int_equal(settings->retry.attempts, 9); // the native key is the newer one
    assert_int_equal(settings->memory.budget, 64 << 20);
    assert_string_equal(settings->server.admin_token, "t");
    assert_string_equal(run.stages, OPEN "memory\n" DISK S3 "service mine x=y\n");
    translated_free(&run);
}

// Leaving out the URL alone must not open the receiver to everyone.
static void test_control_without_a_url_is_warned_about_and_lets_nobody_in(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "control_service: {enabled: true, control_url: ''}\n" BUCKET,
        "control_service: {api_key: k}\n" BUCKET,
        "control_service: {account_id: a}\n" BUCKET,
    };
    static const char *const keys[] = {"", " api_key=k", " account_id=a"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char stages[512];
        snprintf(stages, sizeof stages,
                 "auth mode=control" CACHE "%s require_token=false refresh_interval=30\nmemory\n" DISK S3, keys[i]);
        assert_translated(texts[i], NULL, stages,
                          "/etc/c.yaml: warning: control_service is enabled and has no control_url: every batch is "
                          "answered 503 until it has one; set control_service.control_url or "
                          "RECEIVER_CONTROL_SERVICE_URL\n");
    }
}

static void test_tenants_may_come_from_a_file(void **state)
{
    (void)state;
    assert_translated(BUCKET "authentication: {enabled: true, tenants_file: t.yaml}\n", NULL,
                      "auth mode=tokens tenants_file=t.yaml require_token=true\nmemory\n" DISK S3, "");
    assert_translated(BUCKET "control_service: {enabled: false, control_url: 'http://c'}\n"
                             "authentication: {tenants_file: t.yaml}\n",
                      NULL, "auth mode=tokens tenants_file=t.yaml require_token=false\nmemory\n" DISK S3, "");
    struct translated run = translate(BUCKET "authentication: {enabled: true}\n", NULL);
    assert_string_equal(run.findings,
                        "/etc/c.yaml:2:27: error: authentication.enabled needs to know the tokens; set "
                        "control_service.control_url, or name a file of tenants under authentication.tenants_file\n");
    translated_free(&run);
}

static void test_what_is_neither_true_nor_false_is_an_error(void **state)
{
    (void)state;
    struct translated run = translate("s3: {bucket_name: b, ssl: maybe}\n", NULL);
    assert_string_equal(run.findings, "/etc/c.yaml:1:27: error: s3.ssl: 'maybe' is neither true nor false\n");
    translated_free(&run);
}

static void test_development_tenants_are_no_more(void **state)
{
    (void)state;
    assert_translated(BUCKET "dev: true\n", NULL, OPEN "memory\n" DISK S3,
                      "/etc/c.yaml:2:6: warning: dev has no effect: there are no made-up tenants; for an open receiver "
                      "leave out control_service\n");
    assert_translated(BUCKET "dev: false\n", NULL, OPEN "memory\n" DISK S3, "");
}

static void test_metrics_that_are_pulled_have_a_port_of_their_own(void **state)
{
    (void)state;
    static const char *const pulled[] = {
        "otel: {enabled: true, prometheus_mode: true, endpoint: 'x:4317'}\n",
        "otel: {enabled: true}\n",
        "otel: {enabled: true, mode: prometheus, otlp_endpoint: 'x:4317', metrics_host: 0.0.0.0, metrics_port: 9091}\n",
    };
    for (size_t i = 0; i < sizeof pulled / sizeof pulled[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, BUCKET "%s", pulled[i]);
        struct translated run = translate(text, NULL);
        assert_string_equal(run.findings, "");
        assert_int_equal(bfr_config_settings(run.config)->metrics.port, 9091);
        assert_int_equal(bfr_config_settings(run.config)->metrics.bind_count, 1);
        translated_free(&run);
    }
    struct translated run = translate(BUCKET "otel: {enabled: false, metrics_port: 9091}\n", NULL);
    assert_int_equal(bfr_config_settings(run.config)->metrics.port, 0);
    translated_free(&run);
}

static void test_pushed_metrics_and_alerts_become_services(void **state)
{
    (void)state;
    assert_translated(BUCKET "otel: {enabled: true, otlp_endpoint: 'x:4317'}\n"
                             "soc: {enabled: true, endpoint: 'http://s'}\n",
                      NULL,
                      OPEN "memory\n" DISK S3 "service otlp endpoint=x:4317 service_name=bytefreezer-receiver\n"
                           "service soc endpoint=http://s\n",
                      "");
}

static void test_a_service_that_the_file_names_itself_stays_the_only_one(void **state)
{
    (void)state;
    assert_translated(BUCKET "soc: {enabled: true, endpoint: 'http://s'}\n"
                             "services: [{plugin: soc, endpoint: 'http://mine'}]\n",
                      NULL, OPEN "memory\n" DISK S3 "service soc endpoint=http://mine\n", "");
}

static void test_an_older_key_beside_a_pipeline_says_what_to_write(void **state)
{
    (void)state;
    assert_translated(
        "pipeline: [{plugin: memory}]\n"
        "s3: {bucket_name: b}\n"
        "spooling: {retry_attempts: 3, enabled: true}\n"
        "otel: {enabled: true}\n"
        "soc: {endpoint: x}\n"
        "dlq: {cleanup_interval_seconds: 3}\n"
        "logging: {encoding: json}\n"
        "server: {webhook_port: 1}\n"
        "dev: true\n",
        NULL, "memory\n",
        "/etc/c.yaml:2:6: error: 's3.bucket_name' is a key of the older form, which has no 'pipeline', and this file "
        "has one; write 'bucket_name' in the s3 stage of the pipeline\n"
        "/etc/c.yaml:3:12: error: 'spooling.retry_attempts' is a key of the older form, which has no 'pipeline', and "
        "this file has one; write retry.attempts instead\n"
        "/etc/c.yaml:3:31: error: 'spooling.enabled' is a key of the older form, which has no 'pipeline', and this "
        "file has one; write a disk stage in the pipeline, or none instead\n"
        "/etc/c.yaml:4:8: error: 'otel.enabled' is a key of the older form, which has no 'pipeline', and this file has "
        "one; write metrics.port, or an entry 'otlp' under services: instead\n"
        "/etc/c.yaml:5:7: error: 'soc.endpoint' is a key of the older form, which has no 'pipeline', and this file has "
        "one; write 'endpoint' in the entry 'soc' under services:\n"
        "/etc/c.yaml:6:7: error: 'dlq.cleanup_interval_seconds' is a key of the older form, which has no 'pipeline', "
        "and this file has one; remove it, it has no meaning here\n"
        "/etc/c.yaml:7:11: error: 'logging.encoding' is a key of the older form, which has no 'pipeline', and this "
        "file has one; write logging.format instead\n"
        "/etc/c.yaml:8:10: error: 'server.webhook_port' is a key of the older form, which has no 'pipeline', and this "
        "file has one; write webhook.port instead\n"
        "/etc/c.yaml:9:1: error: 'dev' is a key of the older form, which has no 'pipeline', and this file has one; "
        "remove it, it has no meaning here\n");
}

static void assert_older(const struct bfr_config *config, const char *key, const char *expected)
{
    char text[64] = "unset";
    assert_int_equal(bfr_config_older_text(config, key, text, sizeof text), BFR_OK);
    assert_string_equal(text, expected);
}

static void test_keys_without_an_effect_are_kept_for_reports(void **state)
{
    (void)state;
    char text[8] = "unset";
    struct translated run = translate(BUCKET "protocols: {webhook: {supported_formats: [ndjson, csv]}}\n"
                                             "dlq: {enabled: false, directory: /d, retry_attempts: 9}\n"
                                             "webhook: {read_timeout_seconds: 90s, port: 81}\n",
                                      NULL);
    assert_older(run.config, "protocols.webhook.supported_formats", "ndjson,csv");
    assert_older(run.config, "protocols.webhook.enable_format_header", "false");
    assert_older(run.config, "dlq.enabled", "false");
    assert_older(run.config, "dlq.directory", "/d");
    assert_older(run.config, "dlq.cleanup_interval_seconds", "300");
    assert_older(run.config, "dlq.retry_attempts", "9");
    assert_older(run.config, "spooling.retry_attempts", "9"); // one setting, by either name
    assert_older(run.config, "spooling.retry_interval_seconds", "60");
    assert_older(run.config, "webhook.read_timeout_seconds", "90");
    assert_older(run.config, "webhook.max_payload_size", "10485760");
    assert_older(run.config, "server.webhook_port", "81");
    assert_older(run.config, "spooling.enabled", "true");
    assert_older(run.config, "control_service.enabled", "false");
    assert_older(run.config, "health_reporting.enabled", "false");
    assert_int_equal(bfr_config_older_text(run.config, "s3.nothing", text, sizeof text), BFR_EINVAL);
    assert_string_equal(text, "");
    translated_free(&run);
}

static const struct bfr_option store_options[] = {
    {.name = "bucket_name", .type = BFR_OPTION_STRING, .help = "h"},
    {.name = "secret_key", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_SECRET, .help = "h"},
    {.name = "session_token", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_SECRET, .help = "h"},
    {.name = "ssl", .type = BFR_OPTION_BOOL, .fallback = "false", .help = "h"},
};
static const struct bfr_plugin store = {.name = "s3",
                                        .kind = BFR_KIND_SINK,
                                        .options = store_options,
                                        .option_count = 4,
                                        .option_size = sizeof store_options[0]};

static void test_a_native_file_is_reported_by_the_older_names_without_its_secrets(void **state)
{
    (void)state;
    struct translated run =
        translate("pipeline: [{plugin: s3, bucket_name: b, secret_key: s, ssl: true}]\nretry: {attempts: 2}\n", NULL);
    assert_non_null(bfr_config_bind(run.config, 0, &store, run.diag));
    assert_older(run.config, "s3.bucket_name", "b");
    assert_older(run.config, "s3destination.bucket_name", "b");
    assert_older(run.config, "s3.secret_key", "***");
    assert_older(run.config, "s3.ssl", "true");
    assert_older(run.config, "s3.access_key", "");
    assert_older(run.config, "dlq.retry_attempts", "2");
    assert_older(run.config, "spooling.enabled", "false");
    translated_free(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form_b_is_translated),
        cmocka_unit_test(test_form_a_is_translated),
        cmocka_unit_test(test_form_b_wins_over_form_a_and_both_are_named),
        cmocka_unit_test(test_older_names_are_understood),
        cmocka_unit_test(test_defaults_are_those_of_the_older_forms),
        cmocka_unit_test(test_without_spooling_there_is_no_disk_stage),
        cmocka_unit_test(test_keys_without_a_value_are_not_given),
        cmocka_unit_test(test_a_missing_bucket_is_an_error_that_says_both_ways_out),
        cmocka_unit_test(test_a_bucket_with_a_slash_is_refused),
        cmocka_unit_test(test_unknown_keys_are_warnings_with_the_nearest_name),
        cmocka_unit_test(test_native_keys_are_valid_in_an_older_form),
        cmocka_unit_test(test_control_without_a_url_is_warned_about_and_lets_nobody_in),
        cmocka_unit_test(test_tenants_may_come_from_a_file),
        cmocka_unit_test(test_what_is_neither_true_nor_false_is_an_error),
        cmocka_unit_test(test_development_tenants_are_no_more),
        cmocka_unit_test(test_metrics_that_are_pulled_have_a_port_of_their_own),
        cmocka_unit_test(test_pushed_metrics_and_alerts_become_services),
        cmocka_unit_test(test_a_service_that_the_file_names_itself_stays_the_only_one),
        cmocka_unit_test(test_keys_without_an_effect_are_kept_for_reports),
        cmocka_unit_test(test_a_native_file_is_reported_by_the_older_names_without_its_secrets),
        cmocka_unit_test(test_an_older_key_beside_a_pipeline_says_what_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
