// SPDX-License-Identifier: Apache-2.0
// The layout of ABI 1.0 as it was released, for LP64 systems: where every slot is, how large it is, what every constant
// means. Compiled with every build and never run. A line here that fails is a plugin somewhere that breaks: put the
// slot back. New slots go to the end of their struct, raise BFR_ABI_MINOR and get lines in a file of their own.
#include <bfr/ext/activity.h>
#include <bfr/ext/metrics.h>
#include <bfr/ext/settings.h>
#include <bfr/ext/status.h>
#include <bfr/plugin.h>

#if defined(__LP64__)

#define SLOT(type, slot, offset, bytes)                                                                                \
    _Static_assert(offsetof(struct type, slot) == (offset) && sizeof(((struct type *)0)->slot) == (bytes),             \
                   #type "." #slot " is not where 1.0 has it")

// A struct may grow, but only together with the minor version.
#define SIZE(type, bytes)                                                                                              \
    _Static_assert(sizeof(struct type) == (bytes) || (BFR_ABI_MINOR > 0 && sizeof(struct type) > (bytes)),             \
                   #type " has not the size of 1.0")

#define VALUE(name, value) _Static_assert((name) == (value), #name " is not what it was in 1.0")

// bfr/abi.h
SIZE(bfr_plugin, 104);
SLOT(bfr_plugin, magic, 0, 4);
SLOT(bfr_plugin, abi_major, 4, 4);
SLOT(bfr_plugin, abi_minor, 8, 4);
SLOT(bfr_plugin, min_host_minor, 12, 4);
SLOT(bfr_plugin, size, 16, 4);
SLOT(bfr_plugin, kind, 20, 4);
SLOT(bfr_plugin, name, 24, 8);
SLOT(bfr_plugin, version, 32, 8);
SLOT(bfr_plugin, summary, 40, 8);
SLOT(bfr_plugin, options, 48, 8);
SLOT(bfr_plugin, option_count, 56, 4);
SLOT(bfr_plugin, option_size, 60, 4);
SLOT(bfr_plugin, life, 64, 8);
SLOT(bfr_plugin, vtable, 72, 8);
SLOT(bfr_plugin, flags, 80, 8);
SLOT(bfr_plugin, tools, 88, 8);
SLOT(bfr_plugin, tool_count, 96, 4);
SLOT(bfr_plugin, tool_size, 100, 4);

// bfr/tool.h
SIZE(bfr_tool, 32);
SLOT(bfr_tool, words, 0, 8);
SLOT(bfr_tool, operands, 8, 8);
SLOT(bfr_tool, summary, 16, 8);
SLOT(bfr_tool, run, 24, 8);
VALUE(BFR_TOOL_GOOD, 0);
VALUE(BFR_TOOL_FAILED, 1);
VALUE(BFR_TOOL_USAGE, 2);

// bfr/status.h
SIZE(bfr_err, 772);
SLOT(bfr_err, size, 0, 4);
SLOT(bfr_err, text, 4, 768);

// bfr/option.h
SIZE(bfr_option, 72);
SLOT(bfr_option, name, 0, 8);
SLOT(bfr_option, type, 8, 4);
SLOT(bfr_option, flags, 12, 4);
SLOT(bfr_option, fallback, 16, 8);
SLOT(bfr_option, min, 24, 8);
SLOT(bfr_option, max, 32, 8);
SLOT(bfr_option, choices, 40, 8);
SLOT(bfr_option, unit, 48, 8);
SLOT(bfr_option, help, 56, 8);
SLOT(bfr_option, inherits, 64, 8);

// bfr/batch.h
SIZE(bfr_span, 16);
SLOT(bfr_span, data, 0, 8);
SLOT(bfr_span, size, 8, 8);

SIZE(bfr_batch, 184);
SLOT(bfr_batch, size, 0, 4);
SLOT(bfr_batch, flags, 4, 4);
SLOT(bfr_batch, account, 8, 8);
SLOT(bfr_batch, tenant, 16, 8);
SLOT(bfr_batch, dataset, 24, 8);
SLOT(bfr_batch, filename, 32, 8);
SLOT(bfr_batch, batch_id, 40, 8);
SLOT(bfr_batch, data_hint, 48, 8);
SLOT(bfr_batch, content_type, 56, 8);
SLOT(bfr_batch, line_count, 64, 8);
SLOT(bfr_batch, original_bytes, 72, 8);
SLOT(bfr_batch, created_ns, 80, 8);
SLOT(bfr_batch, received_ns, 88, 8);
SLOT(bfr_batch, body_bytes, 96, 8);
SLOT(bfr_batch, stored_sha256, 104, 32);
SLOT(bfr_batch, source_sha256, 136, 32);
SLOT(bfr_batch, crc32c, 168, 4);
SLOT(bfr_batch, span_count, 172, 4);
SLOT(bfr_batch, spans, 176, 8);

SIZE(bfr_delivery, 32);
SLOT(bfr_delivery, size, 0, 4);
SLOT(bfr_delivery, attempt, 4, 4);
SLOT(bfr_delivery, token, 8, 8);
SLOT(bfr_delivery, batch, 16, 8);
SLOT(bfr_delivery, flags, 24, 4);
SLOT(bfr_delivery, reserved, 28, 4);

SIZE(bfr_completion, 40);
SLOT(bfr_completion, size, 0, 4);
SLOT(bfr_completion, outcome, 4, 4);
SLOT(bfr_completion, token, 8, 8);
SLOT(bfr_completion, flags, 16, 4);
SLOT(bfr_completion, reason, 20, 4);
SLOT(bfr_completion, retry_after_ms, 24, 8);
SLOT(bfr_completion, text, 32, 8);

// bfr/life.h
SIZE(bfr_health, 264);
SLOT(bfr_health, size, 0, 4);
SLOT(bfr_health, state, 4, 4);
SLOT(bfr_health, reason, 8, 256);

SIZE(bfr_life, 72);
SLOT(bfr_life, size, 0, 4);
SLOT(bfr_life, create, 8, 8);
SLOT(bfr_life, start, 16, 8);
SLOT(bfr_life, drain, 24, 8);
SLOT(bfr_life, stop, 32, 8);
SLOT(bfr_life, destroy, 40, 8);
SLOT(bfr_life, reload, 48, 8);
SLOT(bfr_life, health, 56, 8);
SLOT(bfr_life, probed, 64, 8);

// bfr/host.h
SIZE(bfr_host, 200);
SLOT(bfr_host, size, 0, 4);
SLOT(bfr_host, abi_minor, 4, 4);
SLOT(bfr_host, stage, 8, 8);
SLOT(bfr_host, log, 16, 8);
SLOT(bfr_host, monotonic_ns, 24, 8);
SLOT(bfr_host, wall_ns, 32, 8);
SLOT(bfr_host, config_has, 40, 8);
SLOT(bfr_host, config_string, 48, 8);
SLOT(bfr_host, config_bool, 56, 8);
SLOT(bfr_host, config_integer, 64, 8);
SLOT(bfr_host, config_number, 72, 8);
SLOT(bfr_host, config_list, 80, 8);
SLOT(bfr_host, complete, 88, 8);
SLOT(bfr_host, ready, 96, 8);
SLOT(bfr_host, verdict, 104, 8);
SLOT(bfr_host, post, 112, 8);
SLOT(bfr_host, batch_retain, 120, 8);
SLOT(bfr_host, batch_release, 128, 8);
SLOT(bfr_host, batch_make, 136, 8);
SLOT(bfr_host, metric_register, 144, 8);
SLOT(bfr_host, metric_add, 152, 8);
SLOT(bfr_host, metric_set, 160, 8);
SLOT(bfr_host, metric_observe, 168, 8);
SLOT(bfr_host, get_extension, 176, 8);
SLOT(bfr_host, account, 184, 8);
SLOT(bfr_host, remember, 192, 8);

// bfr/auth.h
SIZE(bfr_request, 48);
SLOT(bfr_request, size, 0, 4);
SLOT(bfr_request, flags, 4, 4);
SLOT(bfr_request, tenant, 8, 8);
SLOT(bfr_request, dataset, 16, 8);
SLOT(bfr_request, authorization, 24, 16);
SLOT(bfr_request, peer, 40, 8);

SIZE(bfr_verdict, 244);
SLOT(bfr_verdict, size, 0, 4);
SLOT(bfr_verdict, decision, 4, 4);
SLOT(bfr_verdict, deny, 8, 4);
SLOT(bfr_verdict, retry_after_s, 12, 4);
SLOT(bfr_verdict, account, 16, 65);
SLOT(bfr_verdict, text, 81, 160);

SIZE(bfr_directory, 24);
SLOT(bfr_directory, size, 0, 4);
SLOT(bfr_directory, flags, 4, 4);
SLOT(bfr_directory, tenants, 8, 8);
SLOT(bfr_directory, datasets, 16, 8);

SIZE(bfr_known_dataset, 32);
SLOT(bfr_known_dataset, size, 0, 4);
SLOT(bfr_known_dataset, reserved, 4, 4);
SLOT(bfr_known_dataset, dataset, 8, 8);
SLOT(bfr_known_dataset, name, 16, 8);
SLOT(bfr_known_dataset, data_hint, 24, 8);

SIZE(bfr_known_tenant, 48);
SLOT(bfr_known_tenant, size, 0, 4);
SLOT(bfr_known_tenant, flags, 4, 4);
SLOT(bfr_known_tenant, account, 8, 8);
SLOT(bfr_known_tenant, tenant, 16, 8);
SLOT(bfr_known_tenant, name, 24, 8);
SLOT(bfr_known_tenant, dataset_count, 32, 4);
SLOT(bfr_known_tenant, reserved, 36, 4);
SLOT(bfr_known_tenant, datasets, 40, 8);

SIZE(bfr_auth_vtable, 40);
SLOT(bfr_auth_vtable, size, 0, 4);
SLOT(bfr_auth_vtable, authorize, 8, 8);
SLOT(bfr_auth_vtable, cancel, 16, 8);
SLOT(bfr_auth_vtable, directory, 24, 8);
SLOT(bfr_auth_vtable, tenants, 32, 8);

// bfr/sink.h
SIZE(bfr_sink_vtable, 24);
SLOT(bfr_sink_vtable, size, 0, 4);
SLOT(bfr_sink_vtable, put, 8, 8);
SLOT(bfr_sink_vtable, max_in_flight, 16, 8);

// bfr/queue.h
SIZE(bfr_lease, 16);
SLOT(bfr_lease, size, 0, 4);
SLOT(bfr_lease, attempts, 4, 4);
SLOT(bfr_lease, batch, 8, 8);

SIZE(bfr_lease_request, 24);
SLOT(bfr_lease_request, size, 0, 4);
SLOT(bfr_lease_request, consumer, 4, 4);
SLOT(bfr_lease_request, max_batches, 8, 4);
SLOT(bfr_lease_request, flags, 12, 4);
SLOT(bfr_lease_request, max_bytes, 16, 8);

SIZE(bfr_nack, 24);
SLOT(bfr_nack, size, 0, 4);
SLOT(bfr_nack, attempts, 4, 4);
SLOT(bfr_nack, not_before_ns, 8, 8);
SLOT(bfr_nack, text, 16, 8);

SIZE(bfr_burial, 24);
SLOT(bfr_burial, size, 0, 4);
SLOT(bfr_burial, reason, 4, 4);
SLOT(bfr_burial, attempts, 8, 4);
SLOT(bfr_burial, text, 16, 8);

SIZE(bfr_filter, 72);
SLOT(bfr_filter, size, 0, 4);
SLOT(bfr_filter, flags, 4, 4);
SLOT(bfr_filter, tenant, 8, 8);
SLOT(bfr_filter, dataset, 16, 8);
SLOT(bfr_filter, filename, 24, 8);
SLOT(bfr_filter, id, 32, 8);
SLOT(bfr_filter, consumer, 40, 8);
SLOT(bfr_filter, failed_from_ns, 48, 8);
SLOT(bfr_filter, failed_to_ns, 56, 8);
SLOT(bfr_filter, reason, 64, 4);
SLOT(bfr_filter, limit, 68, 4);

SIZE(bfr_letter, 192);
SLOT(bfr_letter, size, 0, 4);
SLOT(bfr_letter, reason, 4, 4);
SLOT(bfr_letter, id, 8, 8);
SLOT(bfr_letter, account, 16, 8);
SLOT(bfr_letter, tenant, 24, 8);
SLOT(bfr_letter, dataset, 32, 8);
SLOT(bfr_letter, filename, 40, 8);
SLOT(bfr_letter, body_bytes, 48, 8);
SLOT(bfr_letter, line_count, 56, 8);
SLOT(bfr_letter, original_bytes, 64, 8);
SLOT(bfr_letter, attempts, 72, 4);
SLOT(bfr_letter, created_ns, 80, 8);
SLOT(bfr_letter, first_error_ns, 88, 8);
SLOT(bfr_letter, last_error_ns, 96, 8);
SLOT(bfr_letter, first_error, 104, 8);
SLOT(bfr_letter, last_error, 112, 8);
SLOT(bfr_letter, stored_sha256, 120, 32);
SLOT(bfr_letter, source_sha256, 152, 32);
SLOT(bfr_letter, redriven_ns, 184, 8);

SIZE(bfr_queue_stats, 80);
SLOT(bfr_queue_stats, size, 0, 4);
SLOT(bfr_queue_stats, reserved, 4, 4);
SLOT(bfr_queue_stats, held_batches, 8, 8);
SLOT(bfr_queue_stats, held_bytes, 16, 8);
SLOT(bfr_queue_stats, buried_batches, 24, 8);
SLOT(bfr_queue_stats, buried_bytes, 32, 8);
SLOT(bfr_queue_stats, limit_bytes, 40, 8);
SLOT(bfr_queue_stats, used_bytes, 48, 8);
SLOT(bfr_queue_stats, oldest_received_ns, 56, 8);
SLOT(bfr_queue_stats, free_bytes, 64, 8);
SLOT(bfr_queue_stats, full_seconds, 72, 8);

SIZE(bfr_recent, 80);
SLOT(bfr_recent, size, 0, 4);
SLOT(bfr_recent, flags, 4, 4);
SLOT(bfr_recent, tenant, 8, 8);
SLOT(bfr_recent, dataset, 16, 8);
SLOT(bfr_recent, filename, 24, 8);
SLOT(bfr_recent, body_bytes, 32, 8);
SLOT(bfr_recent, source_sha256, 40, 32);
SLOT(bfr_recent, received_ns, 72, 8);

SIZE(bfr_queue_vtable, 120);
SLOT(bfr_queue_vtable, size, 0, 4);
SLOT(bfr_queue_vtable, consumers, 8, 8);
SLOT(bfr_queue_vtable, put, 16, 8);
SLOT(bfr_queue_vtable, lease, 24, 8);
SLOT(bfr_queue_vtable, ack, 32, 8);
SLOT(bfr_queue_vtable, nack, 40, 8);
SLOT(bfr_queue_vtable, bury, 48, 8);
SLOT(bfr_queue_vtable, stats, 56, 8);
SLOT(bfr_queue_vtable, reserve, 64, 8);
SLOT(bfr_queue_vtable, release, 72, 8);
SLOT(bfr_queue_vtable, letters, 80, 8);
SLOT(bfr_queue_vtable, redrive, 88, 8);
SLOT(bfr_queue_vtable, purge, 96, 8);
SLOT(bfr_queue_vtable, evict, 104, 8);
SLOT(bfr_queue_vtable, recent, 112, 8);

// bfr/service.h
SIZE(bfr_service_vtable, 4);
SLOT(bfr_service_vtable, size, 0, 4);

// bfr/ext/activity.h
SIZE(bfr_flow, 248);
SLOT(bfr_flow, size, 0, 4);
SLOT(bfr_flow, number, 4, 4);
SLOT(bfr_flow, account, 8, 8);
SLOT(bfr_flow, tenant, 16, 8);
SLOT(bfr_flow, dataset, 24, 8);
SLOT(bfr_flow, accepted_batches, 32, 8);
SLOT(bfr_flow, accepted_bytes, 40, 8);
SLOT(bfr_flow, original_bytes, 48, 8);
SLOT(bfr_flow, accepted_lines, 56, 8);
SLOT(bfr_flow, stored_batches, 64, 8);
SLOT(bfr_flow, stored_bytes, 72, 8);
SLOT(bfr_flow, stored_lines, 80, 8);
SLOT(bfr_flow, failed_attempts, 88, 8);
SLOT(bfr_flow, buried_batches, 96, 8);
SLOT(bfr_flow, buried_bytes, 104, 8);
SLOT(bfr_flow, last_reason, 112, 4);
SLOT(bfr_flow, reserved, 116, 4);
SLOT(bfr_flow, last_error, 120, 128);

SIZE(bfr_activity_1, 24);
SLOT(bfr_activity_1, size, 0, 4);
SLOT(bfr_activity_1, flows, 8, 8);
SLOT(bfr_activity_1, start_failure, 16, 8);

// bfr/ext/metrics.h
SIZE(bfr_sample, 48);
SLOT(bfr_sample, size, 0, 4);
SLOT(bfr_sample, type, 4, 4);
SLOT(bfr_sample, family, 8, 8);
SLOT(bfr_sample, help, 16, 8);
SLOT(bfr_sample, name, 24, 8);
SLOT(bfr_sample, labels, 32, 8);
SLOT(bfr_sample, value, 40, 8);

SIZE(bfr_metrics_1, 16);
SLOT(bfr_metrics_1, size, 0, 4);
SLOT(bfr_metrics_1, samples, 8, 8);

// bfr/ext/settings.h
SIZE(bfr_settings_1, 16);
SLOT(bfr_settings_1, size, 0, 4);
SLOT(bfr_settings_1, text, 8, 8);

// bfr/ext/status.h
SIZE(bfr_ledger_row, 112);
SLOT(bfr_ledger_row, size, 0, 4);
SLOT(bfr_ledger_row, reserved, 4, 4);
SLOT(bfr_ledger_row, tenant, 8, 8);
SLOT(bfr_ledger_row, recovered_batches, 16, 8);
SLOT(bfr_ledger_row, recovered_bytes, 24, 8);
SLOT(bfr_ledger_row, accepted_batches, 32, 8);
SLOT(bfr_ledger_row, accepted_bytes, 40, 8);
SLOT(bfr_ledger_row, stored_batches, 48, 8);
SLOT(bfr_ledger_row, stored_bytes, 56, 8);
SLOT(bfr_ledger_row, held_batches, 64, 8);
SLOT(bfr_ledger_row, held_bytes, 72, 8);
SLOT(bfr_ledger_row, buried_batches, 80, 8);
SLOT(bfr_ledger_row, buried_bytes, 88, 8);
SLOT(bfr_ledger_row, purged_batches, 96, 8);
SLOT(bfr_ledger_row, purged_bytes, 104, 8);

SIZE(bfr_stage_status, 40);
SLOT(bfr_stage_status, size, 0, 4);
SLOT(bfr_stage_status, kind, 4, 4);
SLOT(bfr_stage_status, stage, 8, 8);
SLOT(bfr_stage_status, plugin, 16, 8);
SLOT(bfr_stage_status, state, 24, 4);
SLOT(bfr_stage_status, reason, 32, 8);

SIZE(bfr_status_1, 24);
SLOT(bfr_status_1, size, 0, 4);
SLOT(bfr_status_1, ledger, 8, 8);
SLOT(bfr_status_1, stages, 16, 8);

// Spans stand side by side in an array, so they can never grow.
_Static_assert(sizeof(struct bfr_span) == 16, "struct bfr_span has the size of 1.0 for ever");

VALUE(BFR_ABI_MAGIC, 0x52464201);
VALUE(BFR_ABI_MAJOR, 1);
VALUE(BFR_ID_MAX, 64);
VALUE(BFR_FILENAME_MAX, 240);
VALUE(BFR_FLAG_VOLATILE, 1);
VALUE(BFR_FLAG_STABLE, 2);
VALUE(BFR_BATCH_COMPRESSED_HERE, 1);
VALUE(BFR_BATCH_NAME_GENERATED, 2);
VALUE(BFR_BATCH_READ_BACK, 4);
VALUE(BFR_OUTAGE, 1);
VALUE(BFR_OPTION_REQUIRED, 1);
VALUE(BFR_OPTION_SECRET, 2);
VALUE(BFR_OPTION_LIVE, 4);
VALUE(BFR_REQUEST_TENANT_ONLY, 1);
VALUE(BFR_LEASE_PROBE, 1);
VALUE(BFR_RECENT_COUNTED, 1);
VALUE(BFR_FILTER_RETRY, 1);
VALUE(BFR_FILTER_ONCE, 2);
VALUE(BFR_KIND_AUTH, 1);
VALUE(BFR_KIND_QUEUE, 2);
VALUE(BFR_KIND_SINK, 3);
VALUE(BFR_KIND_SERVICE, 4);
VALUE(BFR_OK, 0);
VALUE(BFR_EFAIL, 1);
VALUE(BFR_ENOMEM, 2);
VALUE(BFR_EINVAL, 3);
VALUE(BFR_ENOTSUP, 4);
VALUE(BFR_ENOENT, 5);
VALUE(BFR_STORED, 1);
VALUE(BFR_RETRY, 2);
VALUE(BFR_REJECT, 3);
VALUE(BFR_FATAL, 4);
VALUE(BFR_REASON_CONFLICT, 1);
VALUE(BFR_REASON_REJECTED, 2);
VALUE(BFR_REASON_ATTEMPTS, 3);
VALUE(BFR_REASON_BAD_GZIP, 4);
VALUE(BFR_REASON_DAMAGED, 5);
VALUE(BFR_REASON_ADOPTED, 6);
VALUE(BFR_REASON_EXPIRED, 7);
VALUE(BFR_OPTION_STRING, 1);
VALUE(BFR_OPTION_BOOL, 2);
VALUE(BFR_OPTION_INTEGER, 3);
VALUE(BFR_OPTION_NUMBER, 4);
VALUE(BFR_OPTION_SIZE, 5);
VALUE(BFR_OPTION_DURATION, 6);
VALUE(BFR_OPTION_PATH, 7);
VALUE(BFR_OPTION_LIST, 8);
VALUE(BFR_OPTION_MAP, 9);
VALUE(BFR_HEALTH_OK, 1);
VALUE(BFR_HEALTH_DEGRADED, 2);
VALUE(BFR_HEALTH_FAILED, 3);
VALUE(BFR_LOG_DEBUG, 1);
VALUE(BFR_LOG_INFO, 2);
VALUE(BFR_LOG_WARN, 3);
VALUE(BFR_LOG_ERROR, 4);
VALUE(BFR_METRIC_COUNTER, 1);
VALUE(BFR_METRIC_GAUGE, 2);
VALUE(BFR_METRIC_HISTOGRAM, 3);
VALUE(BFR_ALLOW, 1);
VALUE(BFR_DENY, 2);
VALUE(BFR_UNKNOWN, 3);
VALUE(BFR_LATER, 4);
VALUE(BFR_DENY_TOKEN, 1);
VALUE(BFR_DENY_FOREIGN, 2);
VALUE(BFR_DENY_TENANT_GONE, 3);
VALUE(BFR_DENY_DATASET_GONE, 4);
VALUE(BFR_SETTLED_OPEN, 1);
VALUE(BFR_SETTLED_STORED, 2);
VALUE(BFR_SETTLED_BURIED, 3);
VALUE(BFR_ROOM_OK, 1);
VALUE(BFR_ROOM_FULL, 2);
VALUE(BFR_ROOM_SHARE, 3);

#endif

extern int bfr_layout_1_0; // ISO C wants a declaration in every file
