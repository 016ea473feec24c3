// SPDX-License-Identifier: Apache-2.0
// The daemon's own settings, typed, as the parts of the core read them. Filled by config_load.c from the core option
// tables (config_core.c); field names follow the YAML keys. Owned by struct bfr_config.
#ifndef BFR_CORE_CONFIG_SETTINGS_H
#define BFR_CORE_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bfr_gzip_check_level { BFR_GZIP_CHECK_HEADER = 1, BFR_GZIP_CHECK_FULL = 2 };
enum bfr_ack_level { BFR_ACK_MEMORY = 1, BFR_ACK_DISK = 2, BFR_ACK_SINK = 3 };

// Paths; all "" when there is no TLS.
struct bfr_tls_settings {
    const char *certificate;
    const char *key;
    const char *client_ca; // "" = client certificates are not asked for
};

// 0 = no limit.
struct bfr_rate {
    uint64_t requests_per_second;
    uint64_t bytes_per_second;
};

struct bfr_tenant_quota {
    const char *tenant;
    struct bfr_rate rate;
};

struct bfr_settings {
    struct {
        const char *name;
    } app;
    struct {
        uint32_t level;  // enum bfr_log_level
        uint32_t format; // enum bfr_log_format
    } logging;
    struct {
        const char *const *bind; // addresses, IPv4 or IPv6, without brackets
        size_t bind_count;
        uint16_t port;             // 0: any free port, logged; for tests
        uint32_t threads;          // 0 = one per core
        uint64_t max_payload_size; // bytes, 0 = the effective limit (budget / 2, spool / 4)
        uint64_t read_timeout_ms;  // absolute, for a body
        uint64_t write_timeout_ms;
        uint64_t idle_timeout_ms;
        uint64_t head_timeout_ms; // absolute, for a head
        uint64_t min_body_rate;   // bytes per second, 0 = none
        uint32_t max_connections;
        struct bfr_tls_settings tls;
        const char *const *proxy_trusted; // networks, checked (config_cidr.h); none = no PROXY protocol
        size_t proxy_trusted_count;
        uint32_t gzip_check;                  // enum bfr_gzip_check_level
        uint32_t max_connections_per_address; // 0 = no limit
        uint64_t max_connection_age_ms;       // 0 = no limit
    } webhook;
    struct {
        const char *const *bind;
        size_t bind_count;
        uint16_t api_port;       // 0 as above
        const char *admin_token; // "" when there is none
        struct bfr_tls_settings tls;
    } server;
    struct {
        uint64_t budget; // bytes
        uint64_t wait_ms;
    } memory;
    struct {
        struct bfr_rate fallback; // `default`: of each tenant that is not listed
        const struct bfr_tenant_quota *tenants;
        size_t tenant_count;
    } quotas;
    uint32_t ack; // enum bfr_ack_level
    uint64_t ack_timeout_ms;
    uint64_t shutdown_delay_ms;
    struct {
        uint64_t initial_ms, max_ms;
        uint32_t attempts; // 0 = never give up
        uint64_t probe_interval_ms;
    } retry;
    struct {
        uint64_t window_ms;
        uint32_t max_entries;
    } dedup;
    struct {
        const char *const *bind;
        size_t bind_count;
        uint16_t port; // 0: no port of its own
        uint32_t tenant_labels;
        uint32_t dataset_labels;
    } metrics;
    const char *plugin_dir;
};

#endif
