/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ABI between the daemon (the host) and a plugin: versions, the descriptor, the entry.
 *
 * A plugin is a shared object that exports one function, bfr_plugin_entry_v1, which returns the address of a
 * constant descriptor. Nothing of the plugin runs before the host has checked that descriptor.
 *
 * Version rule. Tables and structs only grow at their end. A plugin is loaded when its major equals the host's
 * and its min_host_minor is not above the host's minor. Either side may be older than the other: every table and
 * struct that crosses the boundary begins with its size, and a slot is touched only after BFR_HAS says it is
 * there. Arrays across the boundary are arrays of pointers, so that their elements can grow.
 *
 * Thread tags used in these headers:
 *   [main]   the daemon's main thread; life-cycle calls, one at a time, in order
 *   [loop]   any of the HTTP loop threads; must not block, called concurrently from several loops
 *   [pump]   a pump thread of the pipeline; may block for a short time (disk), concurrent with other pumps
 *   [plugin] a thread the plugin started itself
 *   [any]    any of the above, concurrently
 * State tags follow the life cycle in life.h: created, started, draining, stopped.
 */
#ifndef BFR_ABI_H
#define BFR_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BFR_ABI_MAGIC UINT32_C(0x52464201) /* bytes 01 'B' 'F' 'R' in memory order on little-endian machines */
#define BFR_ABI_MAJOR UINT32_C(1)
#define BFR_ABI_MINOR UINT32_C(0)

/* True when the table behind `table` (a pointer to a struct whose first member is `size`) is long enough to hold
 * `field`. For a function slot, test the slot for NULL as well: an optional slot may be left empty. */
#define BFR_HAS(table, field)                                                                                          \
    ((size_t)(table)->size >= (size_t)((const char *)(&(table)->field + 1) - (const char *)(table)))

/* A slot that is there and filled. */
#define BFR_HAS_CALL(table, field) (BFR_HAS(table, field) && (table)->field != NULL)

#if defined(__GNUC__)
#define BFR_EXPORT __attribute__((visibility("default")))
#else
#define BFR_EXPORT
#endif

/* What a plugin is. Zero is never valid. */
enum bfr_kind {
    BFR_KIND_AUTH = 1,   /* struct bfr_auth_vtable, auth.h */
    BFR_KIND_QUEUE = 2,  /* struct bfr_queue_vtable, queue.h */
    BFR_KIND_SINK = 3,   /* struct bfr_sink_vtable, sink.h */
    BFR_KIND_SERVICE = 4 /* struct bfr_service_vtable, service.h */
};

/* Flags of a descriptor. A queue sets exactly one of the first two. */
#define BFR_FLAG_VOLATILE UINT64_C(1) /* a completed put is lost with the process */
#define BFR_FLAG_STABLE   UINT64_C(2) /* a completed put survives SIGKILL and loss of power */

struct bfr_option;
struct bfr_life;
struct bfr_tool;

/*
 * The descriptor: static constant data of the plugin, valid for as long as the process runs (the host never
 * unmaps a plugin). The first five members come first in every version to come; they guard the rest.
 */
struct bfr_plugin {
    uint32_t magic;          /* BFR_ABI_MAGIC */
    uint32_t abi_major;      /* BFR_ABI_MAJOR of the headers it was compiled with */
    uint32_t abi_minor;      /* BFR_ABI_MINOR of those headers */
    uint32_t min_host_minor; /* the lowest host minor it can live with; 0 if it uses nothing newer than 1.0 */
    uint32_t size;           /* sizeof(struct bfr_plugin) as compiled */

    uint32_t kind;       /* enum bfr_kind */
    const char *name;    /* as in YAML and as the file is called: [a-z0-9-]+, at most 32 bytes */
    const char *version; /* the plugin's own version, free form, at most 32 bytes */
    const char *summary; /* one line for `plugins list`, at most 120 bytes */

    const struct bfr_option *options; /* `option_count` elements, each `option_size` bytes apart; NULL when 0 */
    uint32_t option_count;
    uint32_t option_size; /* sizeof(struct bfr_option) as compiled */

    const struct bfr_life *life; /* life.h; required */
    const void *vtable;          /* the table of its kind; required except for BFR_KIND_SERVICE, where it may be NULL */
    uint64_t flags;              /* BFR_FLAG_*; unknown bits must be 0 */

    const struct bfr_tool *tools; /* tool.h; `tool_count` elements, each `tool_size` bytes apart; NULL when 0 */
    uint32_t tool_count;
    uint32_t tool_size; /* sizeof(struct bfr_tool) as compiled; may be 0 without tools */
};

/* The first five members of a descriptor, for static initialisation in C and C++. */
#define BFR_PLUGIN_HEAD BFR_ABI_MAGIC, BFR_ABI_MAJOR, BFR_ABI_MINOR, 0, (uint32_t)sizeof(struct bfr_plugin)

/* The entry. Returns static constant data, allocates nothing, calls nothing, has no side effect; calling it twice
 * is harmless. Its name carries the ABI's major. [main] */
BFR_EXPORT const struct bfr_plugin *bfr_plugin_entry_v1(void);

#ifdef __cplusplus
}
#endif
#endif
