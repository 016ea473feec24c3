// SPDX-License-Identifier: Apache-2.0
// The environment over older forms, and its short names over a native file.
#include "config_translated.h"

#include "bfr/host.h"

#define OPEN "auth mode=open\nmemory\n"
#define DISK "disk directory=/var/spool/bytefreezer-receiver dlq_max_age=7\n"

#define CACHE " cache_file=/var/spool/bytefreezer-receiver/.bfr/directory.cache"

static void test_the_environment_alone_is_a_configuration(void **state)
{
    (void)state;
    static const char *const environment[] = {"RECEIVER_S3_BUCKET=b",
                                              "RECEIVER_S3_ACCESS_KEY=AK",
                                              "RECEIVER_S3_SECRET_KEY=SK",
                                              "RECEIVER_S3_REGION=eu-west-1",
                                              "RECEIVER_S3_ENDPOINT=http://s3",
                                              "RECEIVER_S3_SSL=TRUE",
                                              "RECEIVER_S3_USE_IAM_ROLE=0",
                                              "CONTROL_URL=http://c",
                                              "RECEIVER_CONTROL_SERVICE_API_KEY=k",
                                              "ACCOUNT_ID=a1",
                                              "RECEIVER_WEBHOOK_PORT=18080",
                                              "RECEIVER_API_PORT=18081",
                                              "LOG_LEVEL=debug",
                                              NULL};
    struct translated run = translate("", environment);
    assert_string_equal(run.findings, "");
    assert_string_equal(run.stages,
                        "auth mode=control" CACHE " control_url=http://c api_key=k account_id=a1 require_token=false "
                        "refresh_interval=30\nmemory\n" DISK
                        "s3 bucket_name=b region=eu-west-1 endpoint=http://s3 ssl=true use_iam_role=false "
                        "access_key=AK secret_key=SK\n"
                        "service control control_url=http://c api_key=k account_id=a1 reports=true errors=true "
                        "timeout=10\n");
    assert_int_equal(bfr_config_settings(run.config)->webhook.port, 18080);
    assert_int_equal(bfr_config_settings(run.config)->server.api_port, 18081);
    assert_int_equal(bfr_config_settings(run.config)->logging.level, BFR_LOG_DEBUG);
    translated_free(&run);
}

static void test_long_names_win_over_short_ones_and_both_over_the_file(void **state)
{
    (void)state;
    static const char *const all[] = {"BYTEFREEZER_RECEIVER_S3_BUCKET_NAME=long",
                                      "RECEIVER_S3_BUCKET_NAME=short",
                                      "RECEIVER_S3_BUCKET=shorter",
                                      "CONTROL_URL=http://bare",
                                      "RECEIVER_CONTROL_URL=http://prefixed",
                                      NULL};
    static const char file[] = "s3: {bucket_name: file}\ncontrol_service: {control_url: 'http://file'}\n"
                               "health_reporting: {enabled: false}\n";
    assert_translated(file, all,
                      "auth mode=control" CACHE
                      " control_url=http://prefixed require_token=false refresh_interval=30\nmemory\n" DISK
                      "s3 bucket_name=long\n"
                      "service control control_url=http://prefixed reports=false errors=true timeout=10\n",
                      "");
    assert_translated("s3: {bucket_name: file}\n", all + 1,
                      "auth mode=control" CACHE
                      " control_url=http://prefixed require_token=false refresh_interval=30\nmemory\n" DISK
                      "s3 bucket_name=short\n"
                      "service control control_url=http://prefixed reports=true errors=true timeout=10\n",
                      "");
}

static void test_an_empty_variable_is_unset(void **state)
{
    (void)state;
    static const char *const empty[] = {
        "BYTEFREEZER_RECEIVER_S3_BUCKET_NAME=", "RECEIVER_S3_BUCKET_NAME=", "RECEIVER_CONTROL_SERVICE_URL=", NULL};
    assert_translated("s3: {bucket_name: file}\n", empty, OPEN DISK "s3 bucket_name=file\n", "");
}

// Keys that hold a '_' were out of reach before.
static void test_long_names_reach_every_key_of_either_form(void **state)
{
    (void)state;
    static const char *const environment[] = {"BYTEFREEZER_RECEIVER_S3DESTINATION_BUCKET_NAME=a",
                                              "BYTEFREEZER_RECEIVER_SPOOLING_MAX_SIZE_BYTES=4194304",
                                              "BYTEFREEZER_RECEIVER_BYTEFREEZER_UPLOAD_WORKER_COUNT=4",
                                              "BYTEFREEZER_RECEIVER_DLQ_RETRY_ATTEMPTS=7",
                                              "BYTEFREEZER_RECEIVER_PROTOCOLS_WEBHOOK_PORT=9080",
                                              "BYTEFREEZER_RECEIVER_WEBHOOK_IDLE_TIMEOUT_SECONDS=77",
                                              "RECEIVER_WEBHOOK_PORT=1",
                                              NULL};
    struct translated run = translate("s3: {bucket_name: file}\nwebhook: {port: 2}\n", environment);
    assert_string_equal(run.findings, "");
    assert_string_equal(run.stages,
                        OPEN "disk directory=/var/spool/bytefreezer-receiver max_size_bytes=4194304 dlq_max_age=7\n"
                             "s3 bucket_name=a upload_worker_count=4\n");
    assert_int_equal(bfr_config_settings(run.config)->retry.attempts, 7);
    assert_int_equal(bfr_config_settings(run.config)->webhook.port, 9080); // the long name of an older key wins, too
    assert_int_equal(bfr_config_settings(run.config)->webhook.idle_timeout_ms, 77000);
    translated_free(&run);
}

static void test_a_name_that_matches_no_key_is_a_warning(void **state)
{
    (void)state;
    static const char *const environment[] = {"BYTEFREEZER_RECEIVER_S3_BUCKET_NAEM=x",
                                              "BYTEFREEZER_RECEIVER_SERVICE_HOST=10.0.0.1",
                                              "BYTEFREEZER_RECEIVER_SERVICE_PORT_HTTP=80",
                                              "BYTEFREEZER_RECEIVER_PORT=tcp://10.0.0.1:80",
                                              "BYTEFREEZER_RECEIVER_PORT_80_TCP=tcp://10.0.0.1:80",
                                              "BYTEFREEZER_RECEIVER_NOTHING=",
                                              NULL};
    assert_translated("s3: {bucket_name: b}\n", environment, OPEN DISK "s3 bucket_name=b\n",
                      "BYTEFREEZER_RECEIVER_S3_BUCKET_NAEM: warning: ignored: there is no such setting; did you mean "
                      "BYTEFREEZER_RECEIVER_S3_BUCKET_NAME?\n");
}

static void test_short_names_reach_the_stages_of_a_native_file(void **state)
{
    (void)state;
    static const char *const environment[] = {"RECEIVER_S3_ACCESS_KEY=AK",   "RECEIVER_S3_SECRET_KEY=SK",
                                              "RECEIVER_S3_BUCKET_NAME=env", "CONTROL_URL=http://c",
                                              "RECEIVER_ADMIN_TOKEN=t",      NULL};
    struct translated run = translate("pipeline:\n"
                                      "  - {plugin: auth, mode: control, control_url: 'http://file'}\n"
                                      "  - {plugin: s3, bucket_name: file, secret_key_file: /f}\n"
                                      "services: [control]\n",
                                      environment);
    assert_string_equal(run.findings, "");
    assert_string_equal(run.stages, "auth mode=control control_url=http://c\n"
                                    "s3 bucket_name=env access_key=AK secret_key=SK\n"
                                    "service control control_url=http://c\n");
    assert_string_equal(bfr_config_settings(run.config)->server.admin_token, "t");
    translated_free(&run);
}

static void test_short_names_are_not_for_a_stage_that_does_not_ask_the_control_service(void **state)
{
    (void)state;
    static const char *const environment[] = {"CONTROL_URL=http://c", NULL};
    assert_translated("pipeline: [{plugin: auth, mode: open}, {plugin: s3, bucket_name: b}]\n", environment,
                      "auth mode=open\ns3 bucket_name=b\n", "");
}

static void test_with_several_s3_stages_their_short_names_are_ignored(void **state)
{
    (void)state;
    static const char *const environment[] = {"RECEIVER_S3_BUCKET_NAME=env", NULL};
    assert_translated("pipeline: [{plugin: s3, bucket_name: a}, {plugin: s3, name: t, bucket_name: b}]\n", environment,
                      "s3 bucket_name=a\ns3 name=t bucket_name=b\n",
                      "RECEIVER_S3_BUCKET_NAME: warning: ignored: the pipeline has several s3 stages; write "
                      "${RECEIVER_S3_BUCKET_NAME} into the one that is meant\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_environment_alone_is_a_configuration),
        cmocka_unit_test(test_long_names_win_over_short_ones_and_both_over_the_file),
        cmocka_unit_test(test_an_empty_variable_is_unset),
        cmocka_unit_test(test_long_names_reach_every_key_of_either_form),
        cmocka_unit_test(test_a_name_that_matches_no_key_is_a_warning),
        cmocka_unit_test(test_short_names_reach_the_stages_of_a_native_file),
        cmocka_unit_test(test_short_names_are_not_for_a_stage_that_does_not_ask_the_control_service),
        cmocka_unit_test(test_with_several_s3_stages_their_short_names_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
