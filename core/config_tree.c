// SPDX-License-Identifier: Apache-2.0
// From libyaml's events to a tree of nodes with places. Used on the thread that reads the configuration. Knows nothing of
// keys and their meaning; never follows an alias, never lets a file decide how much memory or stack is used.
#include "config_tree.h"

#include <string.h>

#include <yaml.h>

#include "config_yaml_error.h"

struct builder {
    yaml_parser_t yaml;
    struct bfr_arena *arena;
    struct bfr_diag *diag;
    const char *file;
    const char *text;
    size_t size;
    bool failed; // reported; no more events
};

static struct bfr_place place_of(const struct builder *builder, yaml_mark_t mark)
{
    return (struct bfr_place){builder->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

struct bfr_node *bfr_node_new(struct bfr_arena *arena, enum bfr_node_kind kind, struct bfr_place place)
{
    struct bfr_node *node = bfr_arena_alloc(arena, sizeof *node);
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->place = place;
    return node;
}

struct bfr_node *bfr_node_find(const struct bfr_node *map, const char *key)
{
    for (struct bfr_node *child = map->children; child != NULL; child = child->next) {
        if (child->key != NULL && strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}

const struct bfr_node *bfr_node_path(const struct bfr_node *map, const char *path)
{
    const struct bfr_node *node = map;
    while (node != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        const struct bfr_node *child = node->kind == BFR_NODE_MAP ? node->children : NULL;
        while (child != NULL &&
               (child->key == NULL || strncmp(child->key, path, length) != 0 || child->key[length] != '\0'))
            child = child->next;
        node = child;
        path += path[length] == '.' ? length + 1 : length;
    }
    return node;
}

void bfr_node_append(struct bfr_node *parent, struct bfr_node *child)
{
    if (parent->last == NULL)
        parent->children = child;
    else
        parent->last->next = child;
    parent->last = child;
    parent->child_count++;
}

void bfr_node_put(struct bfr_node *map, const char *key, struct bfr_node *child)
{
    struct bfr_node *there = bfr_node_find(map, key);
    child->key = key;
    child->key_place = child->place;
    if (there == NULL) {
        bfr_node_append(map, child);
        return;
    }
    struct bfr_node *next = there->next;
    *there = *child;
    there->next = next;
}

struct bfr_node *bfr_node_take(struct bfr_node *map, const char *key)
{
    struct bfr_node *before = NULL;
    for (struct bfr_node *child = map->children; child != NULL; before = child, child = child->next) {
        if (child->key == NULL || strcmp(child->key, key) != 0)
            continue;
        if (before == NULL)
            map->children = child->next;
        else
            before->next = child->next;
        if (map->last == child)
            map->last = before;
        map->child_count--;
        child->next = NULL;
        return child;
    }
    return NULL;
}

bool bfr_node_is_null(const struct bfr_node *node)
{
    return node->kind == BFR_NODE_SCALAR && node->plain && node->source == NULL &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

const char *bfr_node_kind_name(const struct bfr_node *node)
{
    switch (node->kind) {
    case BFR_NODE_LIST:
        return "a list";
    case BFR_NODE_MAP:
        return "a mapping";
    default:
        return bfr_node_is_null(node) ? "nothing" : "a single value";
    }
}

// The next event; false after a syntax error, which has been reported, or any earlier failure.
static bool next_event(struct builder *builder, yaml_event_t *event)
{
    if (builder->failed)
        return false;
    if (yaml_parser_parse(&builder->yaml, event))
        return true;
    bfr_yaml_report(&builder->yaml, builder->file, builder->text, builder->size, builder->diag);
    builder->failed = true;
    return false;
}

static struct bfr_node *fail(struct builder *builder)
{
    builder->failed = true;
    return NULL;
}

// What YAML can do and a configuration has no use for. Returns true when something was refused.
static bool refuse_extras(struct builder *builder, struct bfr_place place, const yaml_char_t *anchor,
                          const yaml_char_t *tag)
{
    if (anchor != NULL)
        bfr_diag_error(builder->diag, place,
                       "anchors are not supported; remove '&%.40s' and write the value out where "
                       "it is used",
                       (const char *)anchor);
    if (tag != NULL)
        bfr_diag_error(builder->diag, place, "tags are not supported; remove %s and write the plain value",
                       bfr_quote((const char *)tag).text);
    return anchor != NULL || tag != NULL;
}

static struct bfr_node *build_node(struct builder *builder, yaml_event_t *event, unsigned depth);

static struct bfr_node *build_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct bfr_place place = place_of(builder, event->start_mark);
    const char *value = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    struct bfr_node *node = bfr_node_new(builder->arena, BFR_NODE_SCALAR, place);
    if (node == NULL)
        return fail(builder);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = bfr_arena_copy(builder->arena, value, size);
    if (node->text == NULL)
        return fail(builder);
    if (refuse_extras(builder, place, event->data.scalar.anchor, event->data.scalar.tag))
        node->kind = BFR_NODE_BROKEN;
    if (memchr(value, '\0', size) != NULL) {
        bfr_diag_error(builder->diag, place, "the text holds a NUL character (\\0); remove it");
        node->kind = BFR_NODE_BROKEN;
    }
    return node;
}

static struct bfr_node *build_list(struct builder *builder, struct bfr_node *list, unsigned depth)
{
    yaml_event_t event;
    while (next_event(builder, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return list;
        }
        struct bfr_node *child = build_node(builder, &event, depth + 1);
        if (child == NULL)
            return NULL;
        bfr_node_append(list, child);
    }
    return NULL;
}

// May `key`, a scalar, be put into `map`? Reports why not.
static bool accept_key(struct builder *builder, const struct bfr_node *map, const struct bfr_node *key)
{
    if (key->kind == BFR_NODE_BROKEN)
        return false;
    if (key->kind != BFR_NODE_SCALAR) {
        bfr_diag_error(builder->diag, key->place, "a key must be a single word, found %s; write 'key: value'",
                       bfr_node_kind_name(key));
        return false;
    }
    if (key->plain && strcmp(key->text, "<<") == 0) {
        bfr_diag_error(builder->diag, key->place, "merge keys ('<<') are not supported; write the keys out");
        return false;
    }
    const struct bfr_node *first = bfr_node_find(map, key->text);
    if (first != NULL) {
        bfr_diag_error(builder->diag, key->place, "duplicate key %s; it is given already on line %u; remove one",
                       bfr_quote(key->text).text, first->key_place.line);
        return false;
    }
    return true;
}

static struct bfr_node *build_map(struct builder *builder, struct bfr_node *map, unsigned depth)
{
    yaml_event_t event;
    while (next_event(builder, &event)) {
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return map;
        }
        struct bfr_node *key = build_node(builder, &event, depth + 1);
        if (key == NULL || !next_event(builder, &event))
            return NULL;
        struct bfr_node *value = build_node(builder, &event, depth + 1);
        if (value == NULL)
            return NULL;
        if (map->child_count >= BFR_TREE_MAX_KEYS) {
            bfr_diag_error(builder->diag, key->place, "more than %d keys in one mapping", BFR_TREE_MAX_KEYS);
            return fail(builder);
        }
        if (!accept_key(builder, map, key))
            continue;
        value->key = key->text;
        value->key_place = key->place;
        bfr_node_append(map, value);
    }
    return NULL;
}

static struct bfr_node *build_collection(struct builder *builder, const yaml_event_t *event, unsigned depth)
{
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    struct bfr_place place = place_of(builder, event->start_mark);
    if (depth >= BFR_TREE_MAX_DEPTH) {
        bfr_diag_error(builder->diag, place, "nested more than %d levels deep; no key needs that many",
                       BFR_TREE_MAX_DEPTH);
        return fail(builder);
    }
    bool refused =
        refuse_extras(builder, place, list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor,
                      list ? event->data.sequence_start.tag : event->data.mapping_start.tag);
    struct bfr_node *node = bfr_node_new(builder->arena, list ? BFR_NODE_LIST : BFR_NODE_MAP, place);
    if (node == NULL)
        return fail(builder);
    node = list ? build_list(builder, node, depth) : build_map(builder, node, depth);
    if (node != NULL && refused)
        node->kind = BFR_NODE_BROKEN;
    return node;
}

// The node that begins with `event`, which is consumed; NULL after a failure that ends the reading.
static struct bfr_node *build_node(struct builder *builder, yaml_event_t *event, unsigned depth)
{
    struct bfr_node *node = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        node = build_scalar(builder, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        node = build_collection(builder, event, depth);
        break;
    default: // libyaml's grammar leaves only an alias
        bfr_diag_error(
            builder->diag, place_of(builder, event->start_mark),
            "aliases ('*name') are not supported; write the value out, or quote a text that begins with '*'");
        node = bfr_node_new(builder->arena, BFR_NODE_BROKEN, place_of(builder, event->start_mark));
        break;
    }
    yaml_event_delete(event);
    return node;
}

// Read to the end of the stream, so that a syntax error further down is found, and refuse a second document.
static void finish_stream(struct builder *builder)
{
    yaml_event_t event;
    bool second = false;
    for (bool end = false; !end && !second && next_event(builder, &event);) {
        end = event.type == YAML_STREAM_END_EVENT;
        second = event.type == YAML_DOCUMENT_START_EVENT;
        if (second)
            bfr_diag_error(builder->diag, place_of(builder, event.start_mark),
                           "a second document begins here; a configuration is one document, so remove the '---'");
        yaml_event_delete(&event);
    }
}

static struct bfr_node *build_document(struct builder *builder)
{
    yaml_event_t event;
    struct bfr_node *root = NULL;
    bool document = false;
    while (!document && next_event(builder, &event)) {
        bool end = event.type == YAML_STREAM_END_EVENT;
        document = event.type == YAML_DOCUMENT_START_EVENT;
        yaml_event_delete(&event);
        if (end) // nothing but blanks and comments
            return bfr_node_new(builder->arena, BFR_NODE_MAP, (struct bfr_place){builder->file, 1, 1});
    }
    if (next_event(builder, &event))
        root = build_node(builder, &event, 0);
    finish_stream(builder);
    return builder->failed ? NULL : root;
}

struct bfr_node *bfr_tree_parse(struct bfr_arena *arena, const char *file, const char *text, size_t size,
                                struct bfr_diag *diag)
{
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { // a byte order mark is no part of the first line
        text += 3;
        size -= 3;
    }
    struct builder builder = {.arena = arena, .diag = diag, .file = file, .text = text, .size = size};
    if (size > BFR_TREE_MAX_BYTES) {
        bfr_diag_error(diag, (struct bfr_place){file, 0, 0}, "larger than %d KiB; is this a configuration?",
                       BFR_TREE_MAX_BYTES / 1024);
        return NULL;
    }
    size_t bad = bfr_utf8_check(text, size);
    if (bad < size) {
        bfr_diag_error(diag, bfr_yaml_place_at(file, text, bad),
                       "this byte (0x%02x) is not valid UTF-8; save the file as UTF-8", (unsigned char)text[bad]);
        return NULL;
    }
    if (!yaml_parser_initialize(&builder.yaml)) {
        arena->failed = true;
        return NULL;
    }
    yaml_parser_set_encoding(&builder.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.yaml, (const unsigned char *)text, size);
    struct bfr_node *root = build_document(&builder);
    yaml_parser_delete(&builder.yaml);
    return root;
}
