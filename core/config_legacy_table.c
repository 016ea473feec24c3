// SPDX-License-Identifier: Apache-2.0
// The table of the older forms' keys. Constant data: a key is added here and nowhere else.
#include "config_legacy_table.h"

#include <stddef.h>

#define CORE(name)                                                                                                     \
    {                                                                                                                  \
        BFR_LEGACY_CORE, name                                                                                          \
    }
#define AUTH(name)                                                                                                     \
    {                                                                                                                  \
        BFR_LEGACY_AUTH, name                                                                                          \
    }
#define DISK(name)                                                                                                     \
    {                                                                                                                  \
        BFR_LEGACY_DISK, name                                                                                          \
    }
#define S3(name)                                                                                                       \
    {                                                                                                                  \
        BFR_LEGACY_S3, name                                                                                            \
    }
#define CONTROL(name)                                                                                                  \
    {                                                                                                                  \
        BFR_LEGACY_CONTROL, name                                                                                       \
    }
#define OTLP(name)                                                                                                     \
    {                                                                                                                  \
        BFR_LEGACY_OTLP, name                                                                                          \
    }
#define SOC(name)                                                                                                      \
    {                                                                                                                  \
        BFR_LEGACY_SOC, name                                                                                           \
    }

const struct bfr_legacy_setting bfr_legacy_settings[] = {
    [BFR_LEGACY_CONTROL_ENABLED] = {.paths = {"control_service.enabled"},
                                    .convert = BFR_LEGACY_BOOL,
                                    .instead = "an auth stage with 'mode: control'"},
    [BFR_LEGACY_CONTROL_URL] = {.paths = {"control_service.control_url", "control_service.base_url"},
                                .variables = {"RECEIVER_CONTROL_SERVICE_URL", "RECEIVER_CONTROL_URL", "CONTROL_URL"},
                                .convert = BFR_LEGACY_AS_IS,
                                .targets = {AUTH("control_url"), CONTROL("control_url")}},
    [BFR_LEGACY_CONTROL_KEY] = {.paths = {"control_service.api_key"},
                                .variables = {"RECEIVER_CONTROL_SERVICE_API_KEY"},
                                .convert = BFR_LEGACY_AS_IS,
                                .targets = {AUTH("api_key"), CONTROL("api_key")}},
    [BFR_LEGACY_CONTROL_ACCOUNT] = {.paths = {"control_service.account_id"},
                                    .variables = {"ACCOUNT_ID"},
                                    .convert = BFR_LEGACY_AS_IS,
                                    .targets = {AUTH("account_id"), CONTROL("account_id")}},
    [BFR_LEGACY_AUTHENTICATION] = {.paths = {"authentication.enabled", "auth.enabled"},
                                   .convert = BFR_LEGACY_BOOL,
                                   .targets = {AUTH("require_token")},
                                   .fallback = "false"},
    [BFR_LEGACY_TENANTS_FILE] = {.paths = {"authentication.tenants_file"},
                                 .convert = BFR_LEGACY_AS_IS,
                                 .instead = "'tenants_file' in an auth stage with 'mode: tokens'"},
    [BFR_LEGACY_SPOOLING] = {.paths = {"spooling.enabled"},
                             .convert = BFR_LEGACY_BOOL,
                             .fallback = "true",
                             .instead = "a disk stage in the pipeline, or none"},
    [BFR_LEGACY_SPOOL] = {.paths = {"spooling.directory", "spooling.base_path", "bytefreezer.spool_path"},
                          .convert = BFR_LEGACY_AS_IS,
                          .targets = {DISK("directory")},
                          .fallback = "/var/spool/bytefreezer-receiver"},
    [BFR_LEGACY_BUCKET_NAME] = {.paths = {"s3.bucket_name", "s3.bucket", "s3destination.bucket_name"},
                                .variables = {"RECEIVER_S3_BUCKET_NAME", "RECEIVER_S3_BUCKET"},
                                .convert = BFR_LEGACY_BUCKET,
                                .targets = {S3("bucket_name")}},
    [BFR_LEGACY_HEALTH_REPORTING] = {.paths = {"health_reporting.enabled"},
                                     .convert = BFR_LEGACY_BOOL,
                                     .targets = {CONTROL("reports")},
                                     .fallback = "true"},
    [BFR_LEGACY_ERROR_TRACKING] = {.paths = {"error_tracking.enabled"},
                                   .convert = BFR_LEGACY_BOOL,
                                   .targets = {CONTROL("errors")},
                                   .fallback = "true"},
    [BFR_LEGACY_OTEL] = {.paths = {"otel.enabled"},
                         .convert = BFR_LEGACY_BOOL,
                         .fallback = "false",
                         .instead = "metrics.port, or an entry 'otlp' under services:"},
    [BFR_LEGACY_OTEL_MODE] = {.paths = {"otel.mode"},
                              .convert = BFR_LEGACY_AS_IS,
                              .instead = "metrics.port, or an entry 'otlp' under services:"},
    [BFR_LEGACY_OTEL_PULL] = {.paths = {"otel.prometheus_mode"},
                              .convert = BFR_LEGACY_BOOL,
                              .instead = "metrics.port, or an entry 'otlp' under services:"},
    [BFR_LEGACY_OTEL_ENDPOINT] = {.paths = {"otel.otlp_endpoint", "otel.endpoint"},
                                  .convert = BFR_LEGACY_AS_IS,
                                  .targets = {OTLP("endpoint")}},
    // These two are put by the translation, because they count only while something is to be pulled.
    [BFR_LEGACY_METRICS_HOST] = {.paths = {"otel.metrics_host"},
                                 .convert = BFR_LEGACY_AS_IS,
                                 .fallback = "0.0.0.0",
                                 .instead = "metrics.bind"},
    [BFR_LEGACY_METRICS_PORT] = {.paths = {"otel.metrics_port"},
                                 .convert = BFR_LEGACY_POSITIVE,
                                 .fallback = "9091",
                                 .instead = "metrics.port"},
    [BFR_LEGACY_SOC_ENABLED] = {.paths = {"soc.enabled"},
                                .convert = BFR_LEGACY_BOOL,
                                .fallback = "false",
                                .instead = "an entry 'soc' under services:, or none"},
    [BFR_LEGACY_DEV] = {.paths = {"dev"}, .convert = BFR_LEGACY_BOOL, .fallback = "false"},

    {.paths = {"logging.level"}, .convert = BFR_LEGACY_LEVEL, .targets = {CORE("logging.level")}},
    {.paths = {"logging.encoding"}, .convert = BFR_LEGACY_ENCODING, .targets = {CORE("logging.format")}},
    {.paths = {"webhook.port", "server.webhook_port", "protocols.webhook.port"},
     .convert = BFR_LEGACY_AS_IS,
     .targets = {CORE("webhook.port")}},
    {.paths = {"webhook.max_payload_size", "protocols.webhook.max_payload_size"},
     .convert = BFR_LEGACY_AS_IS,
     .targets = {CORE("webhook.max_payload_size")}},
    {.paths = {"webhook.read_timeout_seconds"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {CORE("webhook.read_timeout_seconds")}},
    {.paths = {"webhook.write_timeout_seconds"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {CORE("webhook.write_timeout_seconds")}},
    {.paths = {"spooling.retry_attempts", "spooling.max_retries", "dlq.retry_attempts"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {CORE("retry.attempts")},
     .fallback = "3"},
    {.paths = {"spooling.retry_interval_seconds", "dlq.retry_interval_seconds"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {CORE("retry.max")},
     .fallback = "60"},

    {.paths = {"housekeeping.interval_seconds", "housekeeping.intervalseconds"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {AUTH("refresh_interval")},
     .fallback = "30"},
    {.paths = {"control_service.timeout_seconds", "control_service.timeout"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {AUTH("timeout")}},

    {.paths = {"spooling.max_size_bytes"}, .convert = BFR_LEGACY_POSITIVE, .targets = {DISK("max_size_bytes")}},
    {.paths = {"dlq.max_age_days"}, .convert = BFR_LEGACY_AS_IS, .targets = {DISK("dlq_max_age")}, .fallback = "7"},

    {.paths = {"s3.region", "s3destination.region"},
     .variables = {"RECEIVER_S3_REGION"},
     .convert = BFR_LEGACY_AS_IS,
     .targets = {S3("region")}},
    {.paths = {"s3.endpoint", "s3destination.endpoint"},
     .variables = {"RECEIVER_S3_ENDPOINT"},
     .convert = BFR_LEGACY_AS_IS,
     .targets = {S3("endpoint")}},
    {.paths = {"s3.ssl", "s3destination.ssl"},
     .variables = {"RECEIVER_S3_SSL"},
     .convert = BFR_LEGACY_BOOL,
     .targets = {S3("ssl")}},
    {.paths = {"s3.use_iam_role", "s3destination.use_iam_role"},
     .variables = {"RECEIVER_S3_USE_IAM_ROLE"},
     .convert = BFR_LEGACY_BOOL,
     .targets = {S3("use_iam_role")}},
    {.paths = {"s3.access_key", "s3destination.access_key"},
     .variables = {"RECEIVER_S3_ACCESS_KEY"},
     .convert = BFR_LEGACY_AS_IS,
     .targets = {S3("access_key")}},
    {.paths = {"s3.secret_key", "s3destination.secret_key"},
     .variables = {"RECEIVER_S3_SECRET_KEY"},
     .convert = BFR_LEGACY_AS_IS,
     .targets = {S3("secret_key")}},
    {.paths = {"spooling.upload_worker_count", "bytefreezer.upload_worker_count"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {S3("upload_worker_count")}},

    {.paths = {"health_reporting.report_interval"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {CONTROL("report_interval")}},
    {.paths = {"health_reporting.timeout_seconds"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {CONTROL("timeout")},
     .fallback = "10"},
    {.paths = {"health_reporting.register_on_startup"},
     .convert = BFR_LEGACY_BOOL,
     .targets = {CONTROL("register_on_startup")}},
    {.paths = {"otel.push_interval_seconds", "otel.scrapeIntervalseconds"},
     .convert = BFR_LEGACY_POSITIVE,
     .targets = {OTLP("push_interval")}},
    {.paths = {"otel.service_name"},
     .convert = BFR_LEGACY_AS_IS,
     .targets = {OTLP("service_name")},
     .fallback = "bytefreezer-receiver"},
    {.paths = {"soc.endpoint"}, .convert = BFR_LEGACY_AS_IS, .targets = {SOC("endpoint")}},
    {.paths = {"soc.timeout"}, .convert = BFR_LEGACY_POSITIVE, .targets = {SOC("timeout")}},

    // Kept for what is reported to the control service, and shown by the API; they change nothing here.
    {.paths = {"app.version"}, .convert = BFR_LEGACY_AS_IS},
    {.paths = {"protocols.webhook.enabled"}, .convert = BFR_LEGACY_BOOL, .fallback = "true"},
    {.paths = {"protocols.webhook.supported_formats"}, .convert = BFR_LEGACY_AS_IS},
    {.paths = {"protocols.webhook.enable_format_header"}, .convert = BFR_LEGACY_BOOL, .fallback = "false"},
    {.paths = {"protocols.upload.enabled"}, .convert = BFR_LEGACY_BOOL, .fallback = "false"},
    {.paths = {"protocols.upload.max_file_size"}, .convert = BFR_LEGACY_AS_IS, .fallback = "0"},
    {.paths = {"protocols.upload.allowed_extensions"}, .convert = BFR_LEGACY_AS_IS},
    {.paths = {"s3.secret_name", "s3destination.secret_name"}, .convert = BFR_LEGACY_AS_IS},
    {.paths = {"dlq.enabled"}, .convert = BFR_LEGACY_BOOL, .fallback = "true"},
    {.paths = {"dlq.directory"}, .convert = BFR_LEGACY_AS_IS},
    {.paths = {"dlq.max_size_bytes"}, .convert = BFR_LEGACY_AS_IS, .fallback = "0"},
    {.paths = {"dlq.cleanup_interval_seconds"}, .convert = BFR_LEGACY_AS_IS, .fallback = "300"},
    {.paths = {"housekeeping.enabled"}, .convert = BFR_LEGACY_BOOL, .fallback = "true"},
};

const uint32_t bfr_legacy_count = sizeof bfr_legacy_settings / sizeof bfr_legacy_settings[0];

const char *const bfr_legacy_sections[] = {
    "s3",        "s3destination", "spooling",         "bytefreezer",
    "protocols", "dlq",           "control_service",  "authentication",
    "auth",      "housekeeping",  "health_reporting", "error_tracking",
    "otel",      "soc",           "rate_limit",       "dev",
    NULL,
};

const struct bfr_legacy_ignored bfr_legacy_ignored[] = {
    {"protocols.upload.", NULL},
    {"spooling.queue_interval_seconds", "nothing polls the queue: batches move on at once"},
    {"auth.api_keys", "tokens come from the control service, or from 'authentication: {tenants_file: ...}'"},
    {"rate_limit.", "limits stand under 'quotas:'"},
};

const uint32_t bfr_legacy_ignored_count = sizeof bfr_legacy_ignored / sizeof bfr_legacy_ignored[0];

const char *bfr_legacy_plugin(uint32_t place)
{
    static const char *const plugins[BFR_LEGACY_PLACES] = {
        [BFR_LEGACY_AUTH] = "auth",       [BFR_LEGACY_DISK] = "disk", [BFR_LEGACY_S3] = "s3",
        [BFR_LEGACY_CONTROL] = "control", [BFR_LEGACY_OTLP] = "otlp", [BFR_LEGACY_SOC] = "soc",
    };
    return place < BFR_LEGACY_PLACES ? plugins[place] : NULL;
}
