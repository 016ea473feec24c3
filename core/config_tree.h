// SPDX-License-Identifier: Apache-2.0
// A YAML document as a tree of nodes that know where they stand. Only the part of YAML a configuration needs: mappings,
// lists and scalars; no anchors, aliases, merge keys, tags or second documents.
#ifndef BFR_CORE_CONFIG_TREE_H
#define BFR_CORE_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "config_arena.h"
#include "config_diag.h"

#define BFR_TREE_MAX_BYTES 1048576
#define BFR_TREE_MAX_DEPTH 32
#define BFR_TREE_MAX_KEYS  1000 // in one mapping

enum bfr_node_kind {
    BFR_NODE_SCALAR = 1,
    BFR_NODE_LIST,
    BFR_NODE_MAP,
    BFR_NODE_BROKEN // an error has been reported; say nothing more about it
};

struct bfr_node {
    enum bfr_node_kind kind;
    struct bfr_place place;
    const char *key;            // in a mapping; else NULL
    struct bfr_place key_place; // where the key stands
    const char *text;           // SCALAR; after bfr_expand_tree the expanded text
    const char *source;         // SCALAR: the text as written when expansion changed it, else NULL
    bool plain;                 // SCALAR: written without quotes
    size_t child_count;
    struct bfr_node *children; // LIST and MAP, in file order
    struct bfr_node *last;
    struct bfr_node *next; // sibling
};

// `file` must outlive the arena's nodes; text[size] must be NUL. Returns the root, for an empty document an empty mapping, or NULL when the text
// is no YAML at all (reported). Other errors are reported and leave a BROKEN node or the first of two keys.
struct bfr_node *bfr_tree_parse(struct bfr_arena *arena, const char *file, const char *text, size_t size,
                                struct bfr_diag *diag);

struct bfr_node *bfr_node_new(struct bfr_arena *arena, enum bfr_node_kind kind, struct bfr_place place);
struct bfr_node *bfr_node_find(const struct bfr_node *map, const char *key); // NULL when absent
// The same along a path of keys, "a.b"; NULL also when one on the way is no mapping.
const struct bfr_node *bfr_node_path(const struct bfr_node *map, const char *path);
void bfr_node_append(struct bfr_node *parent, struct bfr_node *child);
// Put `child` under `key`, in place of what is there.
void bfr_node_put(struct bfr_node *map, const char *key, struct bfr_node *child);
// Take the child under `key` out; NULL when absent.
struct bfr_node *bfr_node_take(struct bfr_node *map, const char *key);
// A plain empty scalar, ~ or null: the key stands there without a value.
bool bfr_node_is_null(const struct bfr_node *node);
const char *bfr_node_kind_name(const struct bfr_node *node); // "a list", "a mapping", "a text", "nothing"

// Offset of the first byte that is not valid UTF-8, or `size`. text[size] must be NUL.
size_t bfr_utf8_check(const char *text, size_t size);

#endif
