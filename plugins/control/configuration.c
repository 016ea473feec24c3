// SPDX-License-Identifier: Apache-2.0
// See configuration.h. A table says where each value comes from.
#include "configuration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE 1024
#define MASK      "***"

enum shape { TEXT = 1, SECRET, URL, NUMBER, SECONDS, SWITCH, WORDS };

// `group` NULL: at the top.
static const struct field {
    const char *group, *key;
    enum shape shape;
    const char *setting;
} fields[] = {
    {NULL, "version", TEXT, "app.version"},
    {"api", "port", NUMBER, "server.api_port"},
    {"webhook", "port", NUMBER, "webhook.port"},
    {"webhook", "max_payload_size", NUMBER, "webhook.max_payload_size"},
    {"webhook", "supported_formats", WORDS, "protocols.webhook.supported_formats"},
    {"webhook", "enable_format_header", SWITCH, "protocols.webhook.enable_format_header"},
    {"webhook", "enabled", SWITCH, "protocols.webhook.enabled"},
    {"upload", "enabled", SWITCH, "protocols.upload.enabled"},
    {"upload", "max_file_size", NUMBER, "protocols.upload.max_file_size"},
    {"upload", "allowed_extensions", WORDS, "protocols.upload.allowed_extensions"},
    {"bytefreezer", "upload_worker_count", NUMBER, "spooling.upload_worker_count"},
    {"bytefreezer", "spool_path", TEXT, "spooling.directory"},
    {"s3_destination", "bucket_name", TEXT, "s3.bucket_name"},
    {"s3_destination", "region", TEXT, "s3.region"},
    {"s3_destination", "endpoint", URL, "s3.endpoint"},
    {"s3_destination", "ssl", SWITCH, "s3.ssl"},
    {"s3_destination", "access_key", SECRET, "s3.access_key"},
    {"s3_destination", "secret_key", SECRET, "s3.secret_key"},
    {"dlq", "enabled", SWITCH, "dlq.enabled"},
    {"dlq", "directory", TEXT, "dlq.directory"},
    {"dlq", "retry_attempts", NUMBER, "dlq.retry_attempts"},
    {"dlq", "retry_interval_seconds", NUMBER, "dlq.retry_interval_seconds"},
    {"dlq", "max_size_bytes", NUMBER, "dlq.max_size_bytes"},
    {"dlq", "cleanup_interval_seconds", NUMBER, "dlq.cleanup_interval_seconds"},
    {"dlq", "max_age_days", NUMBER, "dlq.max_age_days"},
    {"housekeeping", "enabled", SWITCH, "housekeeping.enabled"},
    {"housekeeping", "interval_seconds", NUMBER, "housekeeping.interval_seconds"},
    {"control_service", "enabled", SWITCH, "control_service.enabled"},
    {"control_service", "control_url", URL, "control_service.control_url"},
    {"control_service", "api_key", SECRET, "control_service.api_key"},
    {"control_service", "timeout", SECONDS, "control_service.timeout_seconds"},
    {"authentication", "enabled", SWITCH, "authentication.enabled"},
    {"otel", "enabled", SWITCH, "otel.enabled"},
    {"otel", "endpoint", URL, "otel.endpoint"},
    {"otel", "service_name", TEXT, "otel.service_name"},
    {"otel", "prometheus_mode", SWITCH, "otel.prometheus_mode"},
    {"soc", "enabled", SWITCH, "soc.enabled"},
    {"soc", "endpoint", URL, "soc.endpoint"},
    {"soc", "timeout", SECONDS, "soc.timeout"},
};

static const char *const capabilities[] = {"webhook_ingestion", "spooling", "dead_letter_queue"};

static const char *authority_of(const char *url)
{
    const char *start = strstr(url, "://");
    return start != NULL ? start + 3 : url;
}

const char *bfr_url_login(const char *url)
{
    const char *start = authority_of(url);
    return memrchr(start, '@', strcspn(start, "/?#"));
}

void bfr_configuration_public_url(const char *url, char *out, size_t room)
{
    const char *start = authority_of(url), *at = bfr_url_login(url);
    if (at == NULL)
        snprintf(out, room, "%s", url);
    else
        snprintf(out, room, "%.*s" MASK "%s", (int)(start - url), url, at);
}

static json_t *words(char *text)
{
    json_t *list = json_array();
    char *rest = NULL;
    for (const char *word = strtok_r(text, ",", &rest); word != NULL && list != NULL; word = strtok_r(NULL, ",", &rest))
        json_array_append_new(list, json_string(word));
    return list;
}

// `text` may be changed. What is not a number counts as 0, what is not UTF-8 as empty.
static json_t *value_of(enum shape shape, char *text)
{
    char shown[TEXT_SIZE];
    switch (shape) {
    case SECRET:
        return json_string(text[0] == '\0' ? "" : MASK);
    case URL:
        bfr_configuration_public_url(text, shown, sizeof shown);
        break;
    case NUMBER:
        return json_integer(strtoll(text, NULL, 10));
    case SECONDS:
        snprintf(shown, sizeof shown, "%llds", strtoll(text, NULL, 10));
        break;
    case SWITCH:
        return json_boolean(strcmp(text, "true") == 0);
    case WORDS:
        return words(text);
    default:
        snprintf(shown, sizeof shown, "%s", text);
    }
    json_t *value = json_string(shown);
    return value != NULL ? value : json_string("");
}

static json_t *group_of(json_t *out, const char *name)
{
    if (name == NULL)
        return out;
    json_t *group = json_object_get(out, name);
    if (group == NULL) {
        json_object_set_new(out, name, json_object());
        group = json_object_get(out, name);
    }
    return group;
}

static void put_facts(json_t *out, const struct configuration_facts *facts)
{
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%llds", (long long)facts->timeout_seconds);
    json_object_set_new(out, "service_type", json_string("bytefreezer-receiver"));
    json_object_set_new(out, "instance_api", json_string(facts->instance));
    json_object_set_new(out, "instance_id", json_string(facts->instance));
    json_object_set_new(out, "report_interval", json_integer(facts->report_seconds));
    json_object_set_new(out, "timeout", json_string(timeout));
    if (facts->account[0] != '\0')
        json_object_set_new(out, "account_id", json_string(facts->account));
    json_object_set_new(out, "capabilities", json_array());
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
        json_array_append_new(json_object_get(out, "capabilities"), json_string(capabilities[i]));
}

json_t *bfr_configuration_report(const struct bfr_host *host, const struct bfr_settings_1 *settings,
                                 const struct configuration_facts *facts)
{
    char text[TEXT_SIZE];
    json_t *out = json_object();
    if (out == NULL)
        return NULL;
    put_facts(out, facts);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        text[0] = '\0';
        if (settings != NULL)
            (void)settings->text(host, fields[i].setting, text, sizeof text);
        json_object_set_new(group_of(out, fields[i].group), fields[i].key, value_of(fields[i].shape, text));
    }
    return out;
}
