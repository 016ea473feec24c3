// SPDX-License-Identifier: Apache-2.0
// The tables of the core's own keys and how their values become struct bfr_settings. Constant data and pure functions.
// A key is added here, in config_settings.h and in bfr_core_fill; everything else (checks, environment, show, schema)
// follows from the table.
#include "config_core.h"

#include <string.h>

#include <bfr/host.h>

#include "bug.h"
#include "log.h"

#ifndef BFR_PLUGIN_DIR
#define BFR_PLUGIN_DIR "/usr/lib/bytefreezer-receiver/plugins"
#endif

static const struct bfr_option top_options[] = {
    {.name = "ack",
     .type = BFR_OPTION_STRING,
     .fallback = "memory",
     .choices = "memory|disk|sink",
     .help = "how far a batch must have come before its sender gets 200"},
    {.name = "ack_timeout",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "25s",
     .min = "1ms",
     .max = "1h",
     .help = "time from the first byte of a request's head after which the reply is 503"},
    {.name = "shutdown_delay",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "2s",
     .max = "1h",
     .help = "time between failing readiness and closing the ports when the daemon stops"},
    {.name = "plugin_dir",
     .type = BFR_OPTION_PATH,
     .fallback = BFR_PLUGIN_DIR,
     .help = "directory of the plugins' .so files"},
};

static const struct bfr_option app_options[] = {
    {.name = "name",
     .type = BFR_OPTION_STRING,
     .fallback = "bytefreezer-receiver",
     .help = "what the daemon calls itself"},
};

static const struct bfr_option logging_options[] = {
    {.name = "level",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_LIVE,
     .fallback = "info",
     .choices = "debug|info|warn|error",
     .help = "least important kind of event that is logged"},
    {.name = "format",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_LIVE,
     .fallback = "logfmt",
     .choices = "logfmt|json",
     .help = "form of a log line"},
};

static const struct bfr_option webhook_options[] = {
    {.name = "bind",
     .type = BFR_OPTION_LIST,
     .fallback = "[0.0.0.0, '::']",
     .help = "address or list of addresses to listen on, IPv4 or IPv6"},
    {.name = "port",
     .type = BFR_OPTION_INTEGER,
     .fallback = "8080",
     .max = "65535",
     .help = "port for batches; 0 = any free one"},
    {.name = "threads",
     .type = BFR_OPTION_STRING,
     .fallback = "auto",
     .help = "HTTP threads: 'auto' = one per core, or a number from 1 to 64"},
    {.name = "max_payload_size",
     .type = BFR_OPTION_SIZE,
     .flags = BFR_OPTION_LIVE,
     .fallback = "10MiB",
     .help = "largest body that is accepted; 0 = whatever fits"},
    {.name = "read_timeout_seconds",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .unit = "s",
     .fallback = "30",
     .min = "1ms",
     .max = "24h",
     .help = "time in which a whole body must arrive"},
    {.name = "write_timeout_seconds",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .unit = "s",
     .fallback = "30",
     .min = "1ms",
     .max = "24h",
     .help = "time in which a reply must be taken"},
    {.name = "idle_timeout_seconds",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .unit = "s",
     .fallback = "120",
     .min = "1ms",
     .max = "24h",
     .help = "time after which a quiet connection is closed"},
    {.name = "head_timeout",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "10s",
     .min = "1ms",
     .max = "24h",
     .help = "time in which a request's head must arrive"},
    {.name = "min_body_rate",
     .type = BFR_OPTION_SIZE,
     .flags = BFR_OPTION_LIVE,
     .fallback = "1KiB",
     .help = "bytes per second that a body must bring on average once it takes longer than 5 s; 0 = any"},
    {.name = "max_connections",
     .type = BFR_OPTION_INTEGER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "10000",
     .min = "1",
     .max = "1000000",
     .help = "connections at one time"},
    {.name = "max_connections_per_address",
     .type = BFR_OPTION_INTEGER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "0",
     .max = "1000000",
     .help = "connections at one time from one IPv4 address or IPv6 /64 network; 0 = no limit"},
    {.name = "max_connection_age",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "0s",
     .max = "365d",
     .help = "time after which a connection is ended behind its next reply, 10 % more or less; 0 = never"},
    {.name = "gzip_check",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_LIVE,
     .fallback = "header",
     .choices = "header|full",
     .help = "what is checked of a gzip body before it is accepted: its header, or all of it by decompressing"},
};

// Of the webhook and of the API alike.
static const struct bfr_option tls_options[] = {
    {.name = "certificate",
     .type = BFR_OPTION_PATH,
     .flags = BFR_OPTION_LIVE,
     .fallback = "",
     .help = "PEM file with the certificate, then those between it and the root; empty = no TLS"},
    {.name = "key",
     .type = BFR_OPTION_PATH,
     .flags = BFR_OPTION_LIVE,
     .fallback = "",
     .help = "PEM file with its private key, not encrypted"},
    {.name = "client_ca",
     .type = BFR_OPTION_PATH,
     .flags = BFR_OPTION_LIVE,
     .fallback = "",
     .help = "PEM file with the authorities of client certificates, which are required then"},
};

static const struct bfr_option proxy_options[] = {
    {.name = "trusted",
     .type = BFR_OPTION_LIST,
     .fallback = "[]",
     .help = "networks of balancers, each of whose connections must begin with a PROXY header"},
};

static const struct bfr_option server_options[] = {
    {.name = "bind",
     .type = BFR_OPTION_LIST,
     .fallback = "[0.0.0.0]",
     .help = "address or list of addresses of the API"},
    {.name = "api_port",
     .type = BFR_OPTION_INTEGER,
     .fallback = "8081",
     .max = "65535",
     .help = "port of the API and the metrics; 0 = any free one"},
    {.name = "admin_token",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET | BFR_OPTION_LIVE,
     .fallback = "",
     .help = "bearer token of the guarded calls; empty: they are for this machine alone"},
};

static const struct bfr_option memory_options[] = {
    {.name = "budget",
     .type = BFR_OPTION_SIZE,
     .fallback = "256MiB",
     .min = "1MiB",
     .help = "bodies held in RAM, all together"},
    {.name = "wait",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "5s",
     .max = "1h",
     .help = "time a body waits for memory before it is refused with 503"},
};

static const struct bfr_option retry_options[] = {
    {.name = "initial",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "1s",
     .min = "1ms",
     .max = "24h",
     .help = "longest wait before the second attempt"},
    {.name = "max",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "60s",
     .min = "1ms",
     .max = "24h",
     .help = "longest wait between attempts"},
    {.name = "attempts",
     .type = BFR_OPTION_INTEGER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "0",
     .max = "1000000",
     .help = "failures blamed on a batch before it becomes a dead letter; 0 = never"},
    {.name = "probe_interval",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "1s",
     .min = "1ms",
     .max = "1h",
     .help = "time between probes while a sink is out"},
};

static const struct bfr_option lanes_options[] = {
    {.name = "fresh_share",
     .type = BFR_OPTION_NUMBER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "0.5",
     .min = "0",
     .max = "1",
     .help = "share of the way out, by bytes, for new batches while there is a backlog from the disk"},
};

static const struct bfr_option dedup_options[] = {
    {.name = "window",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "1h",
     .max = "365d",
     .help = "time for which a batch's name is remembered"},
    {.name = "max_entries",
     .type = BFR_OPTION_INTEGER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "200000",
     .min = "1",
     .max = "100000000",
     .help = "names remembered at most"},
};

static const struct bfr_option metrics_options[] = {
    {.name = "bind",
     .type = BFR_OPTION_LIST,
     .fallback = "[0.0.0.0]",
     .help = "address or list of addresses of the metrics' own port"},
    {.name = "port",
     .type = BFR_OPTION_INTEGER,
     .fallback = "0",
     .max = "65535",
     .help = "a port for /metrics alone; 0 = it is served on the API port only"},
    {.name = "tenant_labels",
     .type = BFR_OPTION_INTEGER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "200",
     .max = "100000",
     .help = "tenants with metrics of their own; the rest are counted as 'other'"},
    {.name = "dataset_labels",
     .type = BFR_OPTION_INTEGER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "500",
     .max = "100000",
     .help = "datasets, of all tenants together, with metrics of their own; the rest are counted as 'other'"},
};

// Of one tenant; `quotas.tenants` has the same keys (config_quotas.c).
static const struct bfr_option rate_options[] = {
    {.name = "requests_per_second",
     .type = BFR_OPTION_INTEGER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "0",
     .max = "1000000",
     .help = "requests that a tenant may send, on average over a second; 0 = no limit"},
    {.name = "bytes_per_second",
     .type = BFR_OPTION_SIZE,
     .flags = BFR_OPTION_LIVE,
     .fallback = "0",
     .help = "bytes of bodies that a tenant may send, as they come over the network; 0 = no limit"},
};

#define SECTION(name, help, table)                                                                                     \
    {                                                                                                                  \
        (name), (help), (table), (uint32_t)(sizeof(table) / sizeof((table)[0]))                                        \
    }

const struct bfr_core_section bfr_core_sections[BFR_CORE_SECTIONS] = {
    [BFR_CORE_TOP] = SECTION("", "", top_options),
    [BFR_CORE_APP] = SECTION("app", "the daemon itself", app_options),
    [BFR_CORE_LOGGING] = SECTION("logging", "log lines on standard error", logging_options),
    [BFR_CORE_WEBHOOK] = SECTION("webhook", "where batches arrive", webhook_options),
    [BFR_CORE_WEBHOOK_TLS] = SECTION("webhook.tls", "TLS on the webhook port", tls_options),
    [BFR_CORE_WEBHOOK_PROXY] =
        SECTION("webhook.proxy_protocol", "client addresses told by balancers in front of the webhook", proxy_options),
    [BFR_CORE_SERVER] = SECTION("server", "API, metrics and dashboard", server_options),
    [BFR_CORE_SERVER_TLS] = SECTION("server.tls", "TLS on the API port", tls_options),
    [BFR_CORE_MEMORY] = SECTION("memory", "bodies held in RAM", memory_options),
    [BFR_CORE_RETRY] = SECTION("retry", "when a sink fails", retry_options),
    [BFR_CORE_LANES] = SECTION("lanes", "new batches beside a backlog", lanes_options),
    [BFR_CORE_DEDUP] = SECTION("dedup", "recognising repeated batches", dedup_options),
    [BFR_CORE_METRICS] = SECTION("metrics", "figures for monitoring", metrics_options),
    [BFR_CORE_QUOTAS] = {"quotas", "what each tenant may send; beyond it the reply is 429", NULL, 0},
    [BFR_CORE_QUOTAS_DEFAULT] = SECTION("quotas.default", "each tenant that is not under quotas.tenants", rate_options),
};

size_t bfr_core_children(const char *parent, const char *out[BFR_CORE_SECTIONS])
{
    size_t length = strlen(parent);
    size_t count = 0;
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const char *name = bfr_core_sections[s].name;
        if (length > 0 && strncmp(name, parent, length) == 0 && name[length] == '.')
            out[count++] = name + length + 1;
    }
    out[count] = NULL;
    return count;
}

const char *bfr_core_section_of(const char *key)
{
    for (size_t s = BFR_CORE_TOP + 1; s < BFR_CORE_SECTIONS; s++) {
        for (uint32_t i = 0; i < bfr_core_sections[s].count; i++) {
            if (strcmp(bfr_core_sections[s].options[i].name, key) == 0)
                return bfr_core_sections[s].name;
        }
    }
    return NULL;
}

struct word {
    const char *name;
    uint32_t value;
};

static const struct word levels[] = {
    {"debug", BFR_LOG_DEBUG}, {"info", BFR_LOG_INFO}, {"warn", BFR_LOG_WARN}, {"error", BFR_LOG_ERROR}, {NULL, 0}};
static const struct word formats[] = {{"logfmt", BFR_LOG_LOGFMT}, {"json", BFR_LOG_JSON}, {NULL, 0}};
static const struct word gzip_checks[] = {{"header", BFR_GZIP_CHECK_HEADER}, {"full", BFR_GZIP_CHECK_FULL}, {NULL, 0}};
static const struct word acks[] = {
    {"memory", BFR_ACK_MEMORY}, {"disk", BFR_ACK_DISK}, {"sink", BFR_ACK_SINK}, {NULL, 0}};

// The value of a word that has passed the check against the same choices.
static uint32_t word_value(const struct word *words, const char *name)
{
    for (; words->name != NULL; words++) {
        if (strcmp(words->name, name) == 0)
            return words->value;
    }
    bfr_bug("a choice in the option table has no value");
}

static uint64_t whole(const struct bfr_values *values, const char *name)
{
    return (uint64_t)bfr_values_integer(values, name);
}

static void fill_webhook(const struct bfr_values *values, struct bfr_settings *out)
{
    out->webhook.bind = bfr_values_list(values, "bind", &out->webhook.bind_count);
    out->webhook.port = (uint16_t)whole(values, "port");
    uint32_t threads = bfr_core_threads(bfr_values_string(values, "threads"));
    out->webhook.threads =
        threads == UINT32_MAX ? 0 : threads; // what is neither a number nor "auto" is reported elsewhere
    out->webhook.max_payload_size = whole(values, "max_payload_size");
    out->webhook.read_timeout_ms = whole(values, "read_timeout_seconds");
    out->webhook.write_timeout_ms = whole(values, "write_timeout_seconds");
    out->webhook.idle_timeout_ms = whole(values, "idle_timeout_seconds");
    out->webhook.head_timeout_ms = whole(values, "head_timeout");
    out->webhook.min_body_rate = whole(values, "min_body_rate");
    out->webhook.max_connections = (uint32_t)whole(values, "max_connections");
    out->webhook.max_connections_per_address = (uint32_t)whole(values, "max_connections_per_address");
    out->webhook.max_connection_age_ms = whole(values, "max_connection_age");
    out->webhook.gzip_check = word_value(gzip_checks, bfr_values_string(values, "gzip_check"));
}

static void fill_tls(const struct bfr_values *values, struct bfr_tls_settings *out)
{
    out->certificate = bfr_values_string(values, "certificate");
    out->key = bfr_values_string(values, "key");
    out->client_ca = bfr_values_string(values, "client_ca");
}

struct bfr_rate bfr_core_rate(const struct bfr_values *values)
{
    return (struct bfr_rate){whole(values, "requests_per_second"), whole(values, "bytes_per_second")};
}

void bfr_core_fill(const struct bfr_values *const *sections, struct bfr_settings *out)
{
    out->app.name = bfr_values_string(sections[BFR_CORE_APP], "name");
    out->logging.level = word_value(levels, bfr_values_string(sections[BFR_CORE_LOGGING], "level"));
    out->logging.format = word_value(formats, bfr_values_string(sections[BFR_CORE_LOGGING], "format"));
    fill_webhook(sections[BFR_CORE_WEBHOOK], out);
    fill_tls(sections[BFR_CORE_WEBHOOK_TLS], &out->webhook.tls);
    out->webhook.proxy_trusted =
        bfr_values_list(sections[BFR_CORE_WEBHOOK_PROXY], "trusted", &out->webhook.proxy_trusted_count);
    fill_tls(sections[BFR_CORE_SERVER_TLS], &out->server.tls);
    out->metrics.bind = bfr_values_list(sections[BFR_CORE_METRICS], "bind", &out->metrics.bind_count);
    out->metrics.port = (uint16_t)whole(sections[BFR_CORE_METRICS], "port");
    out->server.bind = bfr_values_list(sections[BFR_CORE_SERVER], "bind", &out->server.bind_count);
    out->server.api_port = (uint16_t)whole(sections[BFR_CORE_SERVER], "api_port");
    out->server.admin_token = bfr_values_string(sections[BFR_CORE_SERVER], "admin_token");
    out->quotas.fallback = bfr_core_rate(sections[BFR_CORE_QUOTAS_DEFAULT]);
    out->memory.budget = whole(sections[BFR_CORE_MEMORY], "budget");
    out->memory.wait_ms = whole(sections[BFR_CORE_MEMORY], "wait");
    out->ack = word_value(acks, bfr_values_string(sections[BFR_CORE_TOP], "ack"));
    out->ack_timeout_ms = whole(sections[BFR_CORE_TOP], "ack_timeout");
    out->shutdown_delay_ms = whole(sections[BFR_CORE_TOP], "shutdown_delay");
    out->plugin_dir = bfr_values_string(sections[BFR_CORE_TOP], "plugin_dir");
    out->retry.initial_ms = whole(sections[BFR_CORE_RETRY], "initial");
    out->retry.max_ms = whole(sections[BFR_CORE_RETRY], "max");
    out->retry.attempts = (uint32_t)whole(sections[BFR_CORE_RETRY], "attempts");
    out->retry.probe_interval_ms = whole(sections[BFR_CORE_RETRY], "probe_interval");
    out->dedup.window_ms = whole(sections[BFR_CORE_DEDUP], "window");
    out->dedup.max_entries = (uint32_t)whole(sections[BFR_CORE_DEDUP], "max_entries");
    out->metrics.tenant_labels = (uint32_t)whole(sections[BFR_CORE_METRICS], "tenant_labels");
    out->metrics.dataset_labels = (uint32_t)whole(sections[BFR_CORE_METRICS], "dataset_labels");
}
