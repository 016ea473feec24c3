// SPDX-License-Identifier: Apache-2.0
// Walks the document of a tenants file and fills the roster, see tenants_node.h. Goes on after an error, so that all are
// found in one run.
#include "tenants_node.h"

#include <ctype.h>
#include <string.h>

#define KEYS_MAX 4

struct reader {
    yaml_document_t *document;
    struct roster *roster;
    struct findings *findings;
    bool require_token;
    bool out_of_memory;
};

enum key { KEY_ACCOUNT, KEY_TENANT, KEY_DATASETS, KEY_TOKENS };

static const char *const tenant_keys[KEYS_MAX] = {
    [KEY_ACCOUNT] = "account", [KEY_TENANT] = "tenant", [KEY_DATASETS] = "datasets", [KEY_TOKENS] = "tokens"};
static const char *const root_keys[KEYS_MAX] = {"tenants"};

#define FOUND(reader, node, ...)                                                                                       \
    bfr_findings_add((reader)->findings, (node)->start_mark.line + 1, (node)->start_mark.column + 1, __VA_ARGS__)

static const char *scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

// The text of a scalar if it has no NUL inside; NULL otherwise.
static const char *plain_text(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || strlen(scalar_text(node)) != node->data.scalar.length)
        return NULL;
    return scalar_text(node);
}

static int find_key(const char *const keys[KEYS_MAX], const char *name)
{
    for (int i = 0; i < KEYS_MAX && keys[i] != NULL; i++)
        if (strcmp(keys[i], name) == 0)
            return i;
    return -1;
}

// The values of a mapping by their keys; `known` says which keys there are, for the message.
static void read_mapping(struct reader *reader, const yaml_node_t *node, const char *const keys[KEYS_MAX],
                         const char *known, yaml_node_t *values[KEYS_MAX])
{
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
        const char *name = plain_text(key);
        int index = name == NULL ? -1 : find_key(keys, name);

        if (index < 0)
            FOUND(reader, key, "unknown key '%.40s'; known here: %s", name == NULL ? "?" : name, known);
        else if (values[index] != NULL)
            FOUND(reader, key, "'%s' is given twice", name);
        else
            values[index] = yaml_document_get_node(reader->document, pair->value);
    }
}

// [A-Za-z0-9._-]{1,64} without a leading dot, as everywhere.
static bool is_id(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length > BFR_ID_MAX || text[0] == '.')
        return false;
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

static const char *read_id(struct reader *reader, const yaml_node_t *node, const char *what)
{
    const char *text = plain_text(node);

    if (text != NULL && is_id(text))
        return text;
    FOUND(reader, node, "bad %s; an id has 1 to %d of A-Z a-z 0-9 . _ - and no leading dot", what, BFR_ID_MAX);
    return NULL;
}

// What the roster could not take for want of memory.
static void keep(struct reader *reader, bool ok)
{
    if (!ok)
        reader->out_of_memory = true;
}

// With `store` false only errors are looked for: the tenant itself was not good enough to be added.
static void read_datasets(struct reader *reader, const yaml_node_t *node, bool store)
{
    const char *text = plain_text(node);

    if (text != NULL && strcmp(text, "*") == 0) {
        if (store)
            reader->roster->tenants[reader->roster->tenant_count - 1].all_datasets = true;
        return;
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        FOUND(reader, node, "datasets must be a list of ids, or \"*\" for all");
        return;
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        const char *id = read_id(reader, yaml_document_get_node(reader->document, *item), "dataset");
        if (id != NULL && store)
            keep(reader, bfr_roster_add_dataset(reader->roster, id));
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool parse_hash(const char *text, uint8_t out[ROSTER_HASH_SIZE])
{
    static const char prefix[] = "sha256:";

    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        return false;
    text += sizeof prefix - 1;
    if (strlen(text) != (size_t)2 * ROSTER_HASH_SIZE)
        return false;
    for (size_t i = 0; i < ROSTER_HASH_SIZE; i++, text += 2) {
        int high = hex_value(text[0]);
        int low = hex_value(text[1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

// The value is not shown: it may be a token that somebody forgot to hash.
static void read_token(struct reader *reader, const yaml_node_t *node, bool store)
{
    const char *text = plain_text(node);
    uint8_t hash[ROSTER_HASH_SIZE];

    if (text == NULL || !parse_hash(text, hash))
        FOUND(reader, node,
              "not a token hash (\"sha256:\" and 64 hex digits); make one with 'bytefreezer-receiver token hash'");
    else if (store)
        keep(reader, bfr_roster_add_token(reader->roster, hash));
}

static void read_tokens(struct reader *reader, const yaml_node_t *node, bool store)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        FOUND(reader, node, "tokens must be a list of \"sha256:<64 hex digits>\"");
        return;
    }
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count == 0 && reader->require_token)
        FOUND(reader, node, "no token, so nobody can send for this tenant; add one or remove the tenant");
    if (count > ROSTER_TOKENS_MAX) {
        FOUND(reader, node, "%zu tokens; one tenant can have %d", count, ROSTER_TOKENS_MAX);
        return;
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
        read_token(reader, yaml_document_get_node(reader->document, *item), store);
}

// Account and tenant; true when the tenant was added.
static bool read_names(struct reader *reader, const yaml_node_t *node, yaml_node_t *const values[KEYS_MAX])
{
    const char *account = "";
    const char *tenant = NULL;

    if (values[KEY_ACCOUNT] != NULL)
        account = read_id(reader, values[KEY_ACCOUNT], "account");
    if (values[KEY_TENANT] == NULL)
        FOUND(reader, node, "'tenant' is missing");
    else
        tenant = read_id(reader, values[KEY_TENANT], "tenant");
    if (account == NULL || tenant == NULL)
        return false;
    if (bfr_roster_find(reader->roster, tenant) != NULL) {
        FOUND(reader, values[KEY_TENANT], "tenant '%s' is listed twice; merge the two entries", tenant);
        return false;
    }
    bool added = bfr_roster_add_tenant(reader->roster, account, tenant);
    keep(reader, added);
    return added;
}

static void read_tenant(struct reader *reader, const yaml_node_t *node)
{
    yaml_node_t *values[KEYS_MAX] = {NULL};

    if (node->type != YAML_MAPPING_NODE) {
        FOUND(reader, node, "a tenant must be a mapping with the keys account, tenant, datasets, tokens");
        return;
    }
    read_mapping(reader, node, tenant_keys, "account, tenant, datasets, tokens", values);
    bool added = read_names(reader, node, values);
    if (values[KEY_DATASETS] != NULL)
        read_datasets(reader, values[KEY_DATASETS], added);
    else
        FOUND(reader, node, "'datasets' is missing; list ids, or write datasets: \"*\" for all");
    if (values[KEY_TOKENS] != NULL)
        read_tokens(reader, values[KEY_TOKENS], added);
    else if (reader->require_token)
        FOUND(reader, node, "'tokens' is missing; list at least one \"sha256:<64 hex digits>\"");
}

// The document's one key. Only a broken root ends the reading early.
static void read_root(struct reader *reader, const yaml_node_t *root)
{
    yaml_node_t *values[KEYS_MAX] = {NULL};

    if (root == NULL) {
        bfr_findings_add(reader->findings, 0, 0, "empty; write 'tenants:' and a list");
        return;
    }
    if (root->type != YAML_MAPPING_NODE) {
        FOUND(reader, root, "must be a mapping with the key 'tenants'");
        return;
    }
    read_mapping(reader, root, root_keys, "tenants", values);
    const yaml_node_t *list = values[0];
    if (list == NULL) {
        FOUND(reader, root, "'tenants' is missing");
        return;
    }
    if (list->type != YAML_SEQUENCE_NODE) {
        FOUND(reader, list, "tenants must be a list");
        return;
    }
    for (yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++)
        read_tenant(reader, yaml_document_get_node(reader->document, *item));
}

bool bfr_tenants_node_read(yaml_document_t *document, bool require_token, struct roster *roster,
                           struct findings *findings)
{
    struct reader reader = {
        .document = document, .roster = roster, .findings = findings, .require_token = require_token};

    read_root(&reader, yaml_document_get_root_node(document));
    return !reader.out_of_memory;
}
